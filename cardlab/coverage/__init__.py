"""What cards document: headings held against the sections that standards ask for.

``headings`` (the standards, and what a heading means) and ``bodies`` (what stands beneath one) ->
``reading`` (the cards, taken apart once) -> ``coverage`` and ``gaps`` (what is asked of it).
"""
