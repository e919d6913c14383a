"""cardlab: loaders, analyses, charts and widgets for people who study or curate model cards.

``import cardlab as cl``; a name's module is imported when the name is first used, so that the
import itself is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

#: Where each public name lives, in the order in which data flows.
_HOME = {
    "schema": ["CardlabError", "MissingColumn", "NoFigure", "SourceError", "require"],
    "cards": ["read_cards", "scan_cards"],
    "sample": ["make_cards"],
    "overview": [
        "concentration",
        "doubling_time",
        "growth",
        "growth_fit",
        "lorenz",
        "problems",
        "profile",
        "share_trends",
        "with_period",
    ],
    "replication": ["card_rates", "replicate", "with_task_domains"],
    "tags": [
        "apply_variants",
        "community_quality",
        "cooccurrence",
        "tag_communities",
        "tag_counts",
        "tag_kind",
        "tag_trends",
        "tag_variants",
        "with_tag_kinds",
    ],
    "licenses": [
        "class_counts",
        "license_counts",
        "license_problems",
        "with_license_names",
        "with_licenses",
    ],
    "languages": ["language_counts", "with_languages"],
    "variety": ["diversity"],
    "conflicts": ["license_conflicts"],
    "language_checks": ["language_problems"],
    "ancestry": [
        "lineage",
        "lineage_changes",
        "lineage_families",
        "lineage_relations",
        "lineage_summary",
    ],
    "contingency": ["crosstab"],
    "text": [
        "Section",
        "length_ecdf",
        "length_histogram",
        "length_outliers",
        "length_relation",
        "length_summary",
        "passages",
        "plain_text",
        "sections",
        "text_problems",
        "with_passages",
        "with_plain_text",
        "with_sections",
        "with_text_lengths",
    ],
    "coverage": [
        "card_coverage",
        "coverage_sections",
        "documentation_gaps",
        "heading_meanings",
        "section_coverage",
        "unmapped_headings",
    ],
    "families": ["template_families", "with_families"],
    "embeddings": [
        "between_clusters",
        "cluster",
        "cluster_agreement",
        "cluster_curve",
        "cluster_jaccard",
        "cluster_keywords",
        "cluster_stability",
        "cluster_summary",
        "embed",
        "map_points",
        "near_duplicates",
        "neighbors",
        "project",
        "search",
        "shared_vectors",
        "trustworthiness",
        "usable",
        "vector_problems",
        "vectors",
    ],
    "comparison": ["compare", "compare_ids", "compare_values"],
    "charts": [
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
    ],
    "display": ["key_figures", "note", "provenance", "show_table", "where_possible"],
    "widgets": ["CardBrowser"],
    "report": ["export_report", "export_reports"],
}
_MODULE = {name: module for module, names in _HOME.items() for name in names}

__all__ = sorted(_MODULE)

if TYPE_CHECKING:
    from .ancestry import (
        lineage,
        lineage_changes,
        lineage_families,
        lineage_relations,
        lineage_summary,
    )
    from .cards import read_cards, scan_cards
    from .charts import (
        plot_card_rates,
        plot_comparison,
        plot_concentration,
        plot_cooccurrence,
        plot_counts,
        plot_coverage,
        plot_crosstab,
        plot_diversity,
        plot_doubling,
        plot_growth,
        plot_lengths,
        plot_lineage,
        plot_map,
        plot_network,
        plot_share_trends,
        plot_stability,
        plot_trends,
        use_theme,
    )
    from .comparison import compare, compare_ids, compare_values
    from .conflicts import license_conflicts
    from .contingency import crosstab
    from .coverage import (
        card_coverage,
        coverage_sections,
        documentation_gaps,
        heading_meanings,
        section_coverage,
        unmapped_headings,
    )
    from .display import key_figures, note, provenance, show_table, where_possible
    from .embeddings import (
        between_clusters,
        cluster,
        cluster_agreement,
        cluster_curve,
        cluster_jaccard,
        cluster_keywords,
        cluster_stability,
        cluster_summary,
        embed,
        map_points,
        near_duplicates,
        neighbors,
        project,
        search,
        shared_vectors,
        trustworthiness,
        usable,
        vector_problems,
        vectors,
    )
    from .families import template_families, with_families
    from .language_checks import language_problems
    from .languages import language_counts, with_languages
    from .licenses import (
        class_counts,
        license_counts,
        license_problems,
        with_license_names,
        with_licenses,
    )
    from .overview import (
        concentration,
        doubling_time,
        growth,
        growth_fit,
        lorenz,
        problems,
        profile,
        share_trends,
        with_period,
    )
    from .replication import card_rates, replicate, with_task_domains
    from .report import export_report, export_reports
    from .sample import make_cards
    from .schema import CardlabError, MissingColumn, NoFigure, SourceError, require
    from .tags import (
        apply_variants,
        community_quality,
        cooccurrence,
        tag_communities,
        tag_counts,
        tag_kind,
        tag_trends,
        tag_variants,
        with_tag_kinds,
    )
    from .text import (
        Section,
        length_ecdf,
        length_histogram,
        length_outliers,
        length_relation,
        length_summary,
        passages,
        plain_text,
        sections,
        text_problems,
        with_passages,
        with_plain_text,
        with_sections,
        with_text_lengths,
    )
    from .variety import diversity
    from .widgets import CardBrowser


def __getattr__(name: str) -> Any:
    if name not in _MODULE:
        raise AttributeError(f"module 'cardlab' has no attribute {name!r}")
    value = getattr(import_module(f".{_MODULE[name]}", __name__), name)
    # `vectors` takes the path of a file of vectors
    value = import_module(".schema", __name__).takes_sources(value, paths=name != "vectors")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
