"""The explorer in a real JupyterLab: move a control, and the cards change."""

from __future__ import annotations

import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import browser_context, browser_or_skip
from conftest import ROOT

TOKEN = secrets.token_hex(16)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder with a short name: a kernel's ipc socket may have about 100 characters."""
    with tempfile.TemporaryDirectory(prefix="lab", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
def lab(short_path) -> Iterator[str]:
    """A JupyterLab of its own on loopback, with the notebook in it."""
    browser_or_skip()
    tmp_path = short_path
    work = tmp_path / "work"
    work.mkdir()
    name = "06-explore-cards.ipynb"
    (work / name).write_bytes((ROOT / "notebooks" / name).read_bytes())
    places = {f"JUPYTER_{part}_DIR": str(tmp_path / part) for part in ("CONFIG", "DATA", "RUNTIME")}
    settings = tmp_path / "CONFIG" / "labconfig"
    settings.mkdir(parents=True)
    (settings / "page_config.json").write_text(
        '{"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": true}}'
    )
    port = free_port()
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}"),
        *("--ip=127.0.0.1", f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={work}"),
        *("--LabApp.expose_app_in_browser=True", "--LabApp.extension_manager=readonly"),
        *("--KernelManager.transport=ipc", "--ServerApp.port_retries=0"),
    ]
    environment = {**os.environ, **places, "IPYTHONDIR": str(tmp_path / "ipython")}
    log = (tmp_path / "lab.log").open("w")
    process = subprocess.Popen(
        command, env=environment, cwd=work, stdout=log, stderr=subprocess.STDOUT
    )
    try:
        wait_for(f"http://127.0.0.1:{port}/api?token={TOKEN}", process, tmp_path / "lab.log")
        yield f"http://127.0.0.1:{port}/lab/tree/{name}?token={TOKEN}"
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()


def wait_for(url: str, process: subprocess.Popen, log: Path) -> None:
    for _ in range(240):
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except urllib.error.HTTPError as error:
            error.close()
        except OSError:
            pass
        time.sleep(0.5)
    pytest.fail(f"JupyterLab did not answer: {log.read_text()}")


def test_search_and_filter_in_jupyterlab(lab, tmp_path):
    from playwright.sync_api import expect

    with browser_context(viewport={"width": 1400, "height": 1000}) as context:
        page = context.new_page()
        page.goto(lab, timeout=120_000)
        page.wait_for_function(
            "window.jupyterapp?.shell?.currentWidget?.sessionContext", timeout=120_000
        )
        kernel = "window.jupyterapp.shell.currentWidget.sessionContext.session?.kernel"
        page.wait_for_function(f"{kernel}?.status === 'idle'", timeout=120_000)
        page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
        counter = page.locator(".widget-label", has_text="of 2,000 cards")
        page.locator(".cardlab-card").first.scroll_into_view_if_needed(timeout=120_000)
        counter.wait_for(timeout=120_000)
        assert counter.inner_text().startswith("2,000 of 2,000 cards")

        drop_down = page.locator(".widget-dropdown", has_text="pipeline tag").locator("select")
        drop_down.select_option(index=1)
        expect(counter).not_to_have_text(re.compile("^2,000 of"), timeout=30_000)
        narrowed = int(counter.inner_text().split(" of ")[0].replace(",", ""))
        assert 0 < narrowed < 2000

        drop_down.select_option(index=0)
        query = page.locator(".widget-text", has_text="id contains").locator("input")
        expect(counter).to_have_text(re.compile("^2,000 of"), timeout=30_000)
        query.click()
        query.press_sequentially("mallory/")
        query.press("Enter")
        expect(counter).to_have_text(re.compile(r"^\d{1,2} of 2,000 cards$"), timeout=30_000)
        options = page.locator(".widget-select select option").all_inner_texts()
        assert options
        assert all(text.startswith("mallory/") for text in options)
        for number in range(len(options)):
            page.locator(".widget-select select").select_option(index=number)
            page.wait_for_timeout(150)
        card = page.locator(".cardlab-card").first
        assert card.locator("script, img, iframe, meta, a, svg").count() == 0
        assert not page.evaluate("window.__pwned")
        page.screenshot(path=tmp_path / "lab.png")
