"""Every command does what its help says, and errors are one line on standard error."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import traceback

import polars as pl
import pytest

import cardlab as cl
from cardlab import _public
from cardlab.__main__ import main


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    out = capsys.readouterr().out
    assert all(name in out for name in ("report", "notebooks", "profile", "sample"))


def test_sample_and_profile(tmp_path, capsys):
    path = tmp_path / "c.parquet"
    assert main(["sample", "--cards", "60", "--seed", "3", str(path)]) == 0
    assert pl.read_parquet(path).height == 60
    assert main(["profile", str(path)]) == 0
    out = capsys.readouterr().out
    assert "pipeline_tag" in out
    assert "\x1b" not in out
    assert "\u202e" not in out


def test_a_sample_of_shards(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("cardlab.sample._columns.BLOCK", 40)
    folder = tmp_path / "c"
    assert main(["sample", "--cards", "60", str(folder)]) == 0
    assert "40 of 60 cards\n60 of 60 cards\n" in capsys.readouterr().err
    assert [path.name for path in sorted(folder.iterdir())] == [
        "cards-00000.parquet",
        "cards-00001.parquet",
    ]
    assert cl.read_cards(folder)["id"].equals(cl.make_cards(60)["id"])
    assert main(["sample", str(folder)]) == 1
    assert "it is there already" in capsys.readouterr().err
    assert main(["sample", "--cards", "-1", str(tmp_path / "d")]) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["c"]
    (tmp_path / "d.part").mkdir()
    (tmp_path / "d.part" / "mine").touch()
    assert main(["sample", "--cards", "60", str(tmp_path / "d")]) == 1
    assert "'d.part' beside it is a folder" in capsys.readouterr().err
    assert (tmp_path / "d.part" / "mine").exists()


def test_errors_are_plain(tmp_path, capsys):
    assert main(["profile", str(tmp_path / "missing.parquet")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("cardlab: ")
    assert "no such file" in error
    assert "Traceback" not in error
    assert main(["sample", str(tmp_path / "c.csv")]) == 1
    assert "must end in .parquet" in capsys.readouterr().err
    assert main(["report", str(tmp_path / "missing"), "--out", str(tmp_path / "o")]) == 1
    assert "no such file" in capsys.readouterr().err
    pl.DataFrame({"x": [1]}).write_parquet(tmp_path / "t.parquet")
    assert main(["report", str(tmp_path / "t.parquet"), "--out", str(tmp_path / "o")]) == 1
    error = capsys.readouterr().err
    assert "these are not cards" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "o").exists()
    assert main(["report", "--set", "nonsense", "--out", str(tmp_path / "o")]) == 1
    assert "--set takes KEY=VALUE" in capsys.readouterr().err


def test_notebooks_are_copied(tmp_path, capsys):
    assert main(["notebooks", str(tmp_path / "mine")]) == 0
    assert len(list((tmp_path / "mine").glob("0*.ipynb"))) == 9


CODE = """
import sys
import cardlab
names = ("altair", "sklearn", "scipy", "ipywidgets", "nbconvert", "pandas")
heavy = [name for name in names if name in sys.modules]
print(heavy, dir(cardlab) > [], file=sys.stderr)
"""


def test_import_is_light_and_silent(tmp_path):
    """No heavy package is loaded, nothing is printed or written by `import cardlab`."""
    code = textwrap.dedent(CODE)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout == ""
    assert done.stderr == "[] True\n"
    assert list(tmp_path.iterdir()) == []


def test_every_public_name_is_there_and_documented():
    import cardlab

    for name in cardlab.__all__:
        assert getattr(cardlab, name).__doc__, name
    assert len(cardlab.__all__) <= 100
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        cardlab.nothing  # noqa: B018


def test_a_wrong_name_or_keyword_gets_the_nearest():
    import cardlab

    with pytest.raises(
        AttributeError, match=r"'tag_count'\. Did you mean 'tag_counts'\?$"
    ) as wrong:
        cardlab.tag_count  # noqa: B018
    printed = traceback.format_exception(wrong.value)[-1]
    assert printed.count("Did you mean") == 1
    cards = cardlab.make_cards(3)
    with pytest.raises(
        TypeError, match=r"tag_counts\(\) has no keyword 'tops'\. Did you mean 'top'"
    ):
        cardlab.tag_counts(cards, tops=3)
    with pytest.raises(TypeError, match="no keyword 'zzz'. It has: cards, column"):
        cardlab.tag_counts(cards, zzz=3)


def test_names_of_the_version_before_still_work_and_say_what_they_are_now():
    import cardlab

    names = [*" ".join(_public._MOVED.values()).split(), *_public._BECAME]
    assert not set(names) & set(cardlab.__all__)
    for name in names:
        vars(cardlab).pop(name, None)
        with pytest.warns(DeprecationWarning, match=rf"cardlab\.{name} is cardlab\."):
            assert callable(getattr(cardlab, name))
        del vars(cardlab)[name]
    cards = cardlab.make_cards(50)
    with pytest.warns(DeprecationWarning, match="classes=True"):
        counts = cardlab.class_counts(cards)
    assert counts.equals(cardlab.license_counts(cards, classes=True))


def test_check_marks_files_and_fails_for_errors_only(tmp_path, capsys, monkeypatch):
    """Each kind of fault is told of its own file; the exit status is what CI goes by."""
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    cards = {
        "ann/good": "---\nlicense: mit\nlanguage: en\n---\n# Uses\n\nTo turn speech into words.\n",
        "ann/warned": "---\nlicense: mit\nlanguage: jp\nbase_model: bob/strict\n---\nWords.\n",
        "bob/strict": "---\nlicense: cc-by-nc-4.0\n---\nWords.\n",
    }
    for name, text in cards.items():
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "README.md").write_text(text)
    assert main(["check", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    warned = tmp_path / "ann/warned/README.md"
    assert f"{warned}: warning: unknown_language: 'jp': " in out
    assert f"{warned}: warning: more_permissive_than_base: permissive, made from bob/strict" in out
    assert out.endswith("0 errors, 2 warnings\n")
    assert main(["check", str(tmp_path), "--strict"]) == 1
    broken = {
        "ann/open": "---\nlicense: mit\n",
        "ann/yaml,1": "---\nlicense: [mit\n---\n",
        "ann/what": "---\nlicense: no%such\n---\nWords.\n",
    }
    for name, text in broken.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "README.md").write_text(text)
    capsys.readouterr()
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert main(["check", str(tmp_path), "--standard", "mitchell2019"]) == 1
    lines = capsys.readouterr().out.splitlines()
    errors = [line for line in lines if line.startswith("::error ")]
    assert len(errors) == 3
    assert any("ann/open/README.md,title=unterminated::" in line for line in errors)
    assert any("ann/yaml%2C1/README.md,title=yaml_error::" in line for line in errors)
    assert any("title=not_a_license::'no%25such'" in line for line in errors)
    missing = next(line for line in lines if "ann/good" in line)
    assert "title=missing_sections::" in missing
    assert "Intended Use" not in missing
    assert lines[-1].startswith("3 errors, ")
    assert main(["check", str(tmp_path / "none.parquet")]) == 1
    assert "is no folder of cards" in capsys.readouterr().err
