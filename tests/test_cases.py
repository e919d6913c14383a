"""Each known input that goes wrong has a test that bears its id.

``python -m pytest --collect-only -q -k cases`` lists them.
"""

from __future__ import annotations

import re
from pathlib import Path

from conftest import real_file


def test_every_case_has_a_test():
    text = real_file("../cases/README.md").read_text("utf-8")
    known = set(re.findall(r"(?m)^\| ([A-Z]\d\d) \|", text))
    tests = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    tested = set(re.findall(r"def test_([A-Z]\d\d)_", tests))
    assert len(known) > 60
    assert tested == known
