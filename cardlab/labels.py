"""What columns are called on screens, and in which unit they are shown.

A column has one meaning, one label and one unit in all tables and charts: a share is 0-1 in a
frame and a percentage on a screen.
"""

#: Headings of the columns that the analyses give. A notebook names only what it makes itself, and
#: what hangs on its own choice (a cross table's rows, a weight).
HEADINGS = {
    # cards
    "n_cards": "cards",
    "n_total": "in all",
    "n_declared": "that declare one",
    "n_group": "cards of the group",
    "card_share": "share of cards",
    "share_low": "95 % from",
    "share_high": "to",
    "declared_share": "share of those that declare one",
    "declared_low": "95 % from",
    "declared_high": "to",
    "weight_share": "share of the weight",
    "n_weighted": "of known weight",
    "n_at_floor": "at the date floor",
    "n_undated": "without a date",
    "first_seen": "first seen",
    # licences and languages
    "license": "licence",
    "license_spdx": "counted as",
    "license_class": "licence class",
    "base_license": "licence of the base model",
    "base_class": "its class",
    "source": "source of the class",
    "language_code": "counted as",
    "perhaps": "perhaps meant",
    # models and downloads
    "n_models": "models",
    "n_with_card": "with a card",
    "model_share": "share of models",
    "card_rate": "share with a card",
    "rate_low": "95 % from",
    "rate_high": "to",
    "n_no_downloads": "downloads not known",
    "download_share": "share of downloads",
    "card_download_share": "of these, to models with a card",
    # columns
    "dtype": "type",
    "n_null": "missing",
    "null_share": "share missing",
    "n_unique": "different",
    "length_min": "shortest",
    "length_median": "median length",
    "length_max": "longest",
    # cross tables and variety
    "row_share": "share of the row",
    "expected": "expected by chance",
    "residual": "standardised residual",
    "n_row": "cards of the row",
    "n_column": "cards of the column",
    "shannon": "Shannon entropy (nats)",
    "simpson": "Gini-Simpson",
    "hill_1": "Hill number, order 1",
    "hill_2": "Hill number, order 2",
    "gini": "Gini",
    **{f"{name}_low": "95 % from" for name in ("shannon", "simpson", "hill_1", "hill_2", "gini")},
    **{f"{name}_high": "to" for name in ("shannon", "simpson", "hill_1", "hill_2", "gini")},
    "n_values": "different values",
    "largest_card_share": "share of its largest card",
    "hill_1_without": "order 1 without that card",
    "led_by_one": "led by one card",
    # base models
    "n_edges": "edges",
    "n_all": "edges in all",
    "n_known": "of them, base model in the corpus",
    "edge_share": "share of edges",
    "edge_low": "95 % from",
    "edge_high": "to",
    "parent_value": "base model",
    "child_value": "made from it",
    "max_depth": "most steps from the root",
    # pairs and communities of tags
    "tag_a": "tag",
    "tag_b": "with",
    "n_a": "cards (first)",
    "n_b": "cards (second)",
    "support": "share with both",
    "confidence_ab": "first → second",
    "confidence_ba": "second → first",
    "jaccard": "Jaccard",
    "npmi": "NPMI",
    "n_clusters": "clusters",
    "n_tags": "tags",
    "n_communities": "communities",
    "n_runs": "runs",
    "n_canonical": "cards of the canonical form",
    "n_families": "cards, copies once",
    "family_share": "share, copies once",
    "family_npmi": "NPMI, copies once",
    "family_q_value": "q, copies once",
    "p_value": "p",
    "q_value": "q",
    "slope": "change of the log-odds",
    "slope_low": "95 % from",
    "slope_high": "to",
    # clusters
    "ari_mean": "agreement (adjusted Rand)",
    "ari_low": "weakest 5 % of pairs",
    "jaccard_mean": "comes back (Jaccard)",
    "jaccard_low": "weakest 5 % of samples",
    "stable_share": "cards in stable clusters",
    "silhouette": "lies apart (silhouette)",
    "silhouette_null": "without clusters",
    "is_stable": "stable",
    "ari_seeds": "other seeds alone",
    "ami": "adjusted mutual information",
    "ami_low": "95 % from",
    "ami_high": "to",
    "ari": "adjusted Rand",
    "top_tags": "tags that mark it",
    "top_languages": "commonest languages",
    "top_license": "commonest licence",
    "example_ids": "examples",
    # documentation and copies
    "n_filled": "filled",
    "n_placeholder": "placeholder",
    "n_boilerplate": "boilerplate",
    "n_empty": "heading only",
    "n_absent": "absent",
    "filled_share": "share filled",
    "n_filled_families": "filled, copies once",
    "n_only_in_metadata": "in front matter only",
    "n_missing": "sections missing",
    "missing_share": "share of sections missing",
    "unfinished": "begun",
    "n_texts": "different texts",
    "shared_share": "likeness",
    "example_id": "example",
    "n_headings": "headings",
    # lengths
    "p05": "5 % below",
    "p25": "25 % below",
    "p50": "median",
    "p75": "75 % below",
    "p95": "95 % below",
    "p99": "99 % below",
    "median_low": "median from",
    "median_high": "to",
}

#: Columns that are shares of 0 to 1 though their names do not say so.
_SHARES = frozenset(
    (
        *("support", "confidence_ab", "confidence_ba", "jaccard"),
        *("declared_low", "declared_high", "edge_low", "edge_high"),
    )
)


def is_share(name: str) -> bool:
    """Say whether a column holds shares of 0 to 1, by its name."""
    named = name.endswith(("share", "_rate")) or name.startswith(("share_", "rate_"))
    return named or name in _SHARES
