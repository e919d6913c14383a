"""Small frame -> altair chart: one function for each kind of result."""

from .base import use_theme
from .counts import plot_counts
from .lengths import plot_lengths
from .maps import plot_map, plot_stability
from .pairs import plot_cooccurrence, plot_crosstab
from .time import plot_growth

__all__ = [
    "plot_cooccurrence",
    "plot_counts",
    "plot_crosstab",
    "plot_growth",
    "plot_lengths",
    "plot_map",
    "plot_stability",
    "use_theme",
]
