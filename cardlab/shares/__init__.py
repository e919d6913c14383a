"""On how many cards a value is, of how many, and how sure the share is.

Licences, languages and tags are counted here, so that a card, a group and a denominator mean the
same in all of them.
"""
