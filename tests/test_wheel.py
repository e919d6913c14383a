"""An installed wheel works outside the checkout, notebooks included."""

from __future__ import annotations

import subprocess
import sys
import zipfile

import pytest
from conftest import ROOT


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder that holds what the wheel installs, built without a network."""
    made = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(made)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = made.glob("*.whl")
    folder = made / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def test_the_wheel_holds_what_it_needs(installed):
    assert len(list((installed / "cardlab/notebooks").glob("*.ipynb"))) == 9
    assert (installed / "cardlab/data/licenses.csv").is_file()
    assert (installed / "cardlab/data/sample.toml").is_file()
    for name in ("license_families.csv", "sections.toml", "tag_kinds.json", "task_domains.json"):
        assert (installed / "cardlab/data" / name).is_file()
    assert (installed / "cardlab/report/template/report.html.j2").is_file()
    assert (installed / "cardlab/py.typed").is_file()
    assert not (installed / "tests").exists()


def test_a_report_from_the_wheel(installed, tmp_path):
    code = (
        f"import sys; sys.path.insert(0, {str(installed)!r})\n"
        "import cardlab\nfrom cardlab.report.notebooks import notebooks_folder\n"
        "from cardlab.__main__ import main\n"
        "print(cardlab.__file__, notebooks_folder())\n"
        "sys.exit(main(['report', '--notebook', '06', '--out', 'out']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].count(str(installed)) == 2
    assert (tmp_path / "out/06-explore-cards.html").stat().st_size > 20_000
    assert (tmp_path / "out/index.html").is_file()
