"""Small frame -> altair chart: one function for each kind of result."""

from .base import use_theme
from .contingency import plot_crosstab
from .counts import plot_counts
from .heatmap import plot_cooccurrence
from .lengths import plot_lengths
from .maps import plot_map, plot_stability
from .network import plot_network
from .presence import plot_card_rates
from .time import plot_growth
from .trends import plot_trends

__all__ = [
    "plot_card_rates",
    "plot_cooccurrence",
    "plot_counts",
    "plot_crosstab",
    "plot_growth",
    "plot_lengths",
    "plot_map",
    "plot_network",
    "plot_stability",
    "plot_trends",
    "use_theme",
]
