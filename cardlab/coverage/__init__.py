"""What cards document: headings held against the sections that standards ask for.

``standards`` (the data file) -> ``headings`` (what a heading means), ``bodies`` (what stands
beneath it) -> ``blocks`` (one card) -> ``census`` (all cards) -> ``counts``, ``gaps``, ``listing``.
"""
