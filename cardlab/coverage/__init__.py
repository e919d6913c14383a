"""What cards document: headings held against the sections that standards ask for.

``headings`` (the standards, and what a heading means) -> ``blocks`` (what stands beneath it, one
card at a time) -> ``census`` (all cards) -> ``coverage`` and ``gaps`` (what is asked of it).
"""
