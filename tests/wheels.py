"""Write wheels.toml: which exact versions of constraints.txt have a wheel for which platform.

``python tests/wheels.py`` asks PyPI through pip, which takes some minutes; run it whenever
constraints.txt has changed. No wheel is downloaded.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLE = Path(__file__).with_name("wheels.toml")
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
GLIBC = ("2_28", "2_27", "2_26", "2_24", "2_17", "2_12", "2_5")


def _linux(machine: str) -> list[str]:
    return [f"manylinux_{old}_{machine}" for old in GLIBC] + [f"manylinux2014_{machine}"]


PLATFORMS = {
    "Linux x86-64": _linux("x86_64"),
    "Linux aarch64": _linux("aarch64"),
    "macOS arm64": ["macosx_14_0_arm64"],
    "macOS x86-64": ["macosx_14_0_x86_64"],
    "Windows x86-64": ["win_amd64"],
}


def pinned() -> list[str]:
    """The requirements of constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    return [line.strip() for line in lines if "==" in line and not line.startswith("#")]


def wheels(asked: list[str], tags: list[str], python: str) -> dict[str, str]:
    """The wheel that pip would take for each requirement; nothing where there is none."""
    left = list(asked)
    env = {**os.environ, "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": ""}
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--no-deps"]
        command += ["--ignore-installed", "--only-binary=:all:", "--target", folder]
        command += ["--report", str(report), "--python-version", python, "--implementation", "cp"]
        command += [part for tag in tags for part in ("--platform", tag)]
        while left:
            done = subprocess.run([*command, *left], env=env, capture_output=True, text=True)
            if done.returncode == 0:
                break
            missing = re.search(r"No matching distribution found for (\S+)", done.stderr)
            if missing is None:
                sys.exit(done.stderr)
            left.remove(missing[1])
        found = json.loads(report.read_text("utf-8"))["install"] if left else []
    names = {_plain(item["metadata"]["name"]): item["download_info"]["url"] for item in found}
    return {line: names[_plain(line.split("==")[0])].rsplit("/", 1)[1] for line in left}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> None:
    """Ask for every platform, of the wheels of pure Python only once, and write the table."""
    asked = pinned()
    first = wheels(asked, PLATFORMS["Linux x86-64"], PYTHONS[0])
    pure = {line for line, file in first.items() if file.endswith("py3-none-any.whl")}
    missing: dict[str, list[str]] = {}
    for platform, tags in PLATFORMS.items():
        for python in PYTHONS:
            print(platform, python, file=sys.stderr)
            some = [line for line in asked if line not in pure]
            found = wheels(some, tags, python)
            for line in some:
                if line not in found:
                    missing.setdefault(line, []).append(f"{platform}, {python}")
    quoted = {key: json.dumps(list(value)) for key, value in (("p", PYTHONS), ("m", PLATFORMS))}
    lines = ["# Made by `python tests/wheels.py` from constraints.txt and PyPI."]
    lines += [f"pythons = {quoted['p']}", f"platforms = {quoted['m']}", "everywhere = ["]
    lines += [f"    {json.dumps(line)}," for line in asked if line not in missing]
    lines += ["]", "", "[missing]"]
    lines += [f"{json.dumps(line)} = {json.dumps(where)}" for line, where in missing.items()]
    TABLE.write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
