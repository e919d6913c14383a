"""On how many cards a value is, of how many, and how sure the share is.

Licences, languages and tags are counted here, so that a card, a group and a denominator mean the
same in all of them.
"""

from .counting import SHARE_COLUMNS, check_by, count_values, one_row_per_item, with_share
from .draws import Draws, Side, side_of
from .families import family_key, first_of_families
from .intervals import gini, wilson
from .lists import as_lists, map_items

__all__ = [
    "SHARE_COLUMNS",
    "Draws",
    "Side",
    "as_lists",
    "check_by",
    "count_values",
    "family_key",
    "first_of_families",
    "gini",
    "map_items",
    "one_row_per_item",
    "side_of",
    "wilson",
    "with_share",
]
