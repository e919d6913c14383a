"""Small frame -> altair chart: one function for each kind of result."""

from .base import use_theme
from .comparison import plot_comparison
from .contingency import plot_crosstab
from .counts import plot_counts
from .coverage import plot_coverage
from .doubling import plot_doubling
from .heatmap import plot_cooccurrence
from .lengths import plot_lengths
from .lineage import plot_lineage
from .maps import plot_map
from .network import plot_network
from .periods import plot_share_trends
from .presence import plot_card_rates
from .stability import plot_stability
from .time import plot_growth
from .trends import plot_trends
from .variety import plot_concentration, plot_diversity

__all__ = [
    "plot_card_rates",
    "plot_comparison",
    "plot_concentration",
    "plot_cooccurrence",
    "plot_counts",
    "plot_coverage",
    "plot_crosstab",
    "plot_diversity",
    "plot_doubling",
    "plot_growth",
    "plot_lengths",
    "plot_lineage",
    "plot_map",
    "plot_network",
    "plot_share_trends",
    "plot_stability",
    "plot_trends",
    "use_theme",
]
