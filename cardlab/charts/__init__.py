"""Small frame -> altair chart: one function for each kind of result."""

import sys

# Where JupyterLab is installed, jsonschema (which altair imports) builds a grammar of addresses at
# its import, for two seconds. No chart has one checked, so jsonschema does not find it here.
if "rfc3987_syntax" not in sys.modules:
    sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]
    import altair as altair

    del sys.modules["rfc3987_syntax"]
