"""A JupyterLab of its own on loopback, a notebook opened in it, and what it did there."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from browser import Opened, browser_context, browser_or_skip

TOKEN = secrets.token_hex(16)

# No news from the network, and all cells of a notebook on the page, also those out of sight.
_PAGE = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}
_NOTEBOOKS = {"windowingMode": "none"}
# A notebook that saves itself while a test does asks which of the two is meant, and waits.
_DOCUMENTS = {"autosave": False}

#: Runs code in the kernel and gives what it printed.
RUN = """
async (code) => {
  const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  const future = kernel.requestExecute({ code });
  let printed = "";
  future.onIOPub = (message) => {
    printed += message.content.text ?? "";
    if (message.msg_type === "error") printed += message.content.evalue;
  };
  await future.done;
  return printed;
}
"""


@contextmanager
def jupyterlab(files: dict[str, bytes]) -> Iterator[tuple[str, Path]]:
    """Yield the address of a JupyterLab and its folder, which holds these files.

    The folder has a short name: a kernel's ipc socket may have about 100 characters.
    """
    browser_or_skip()
    with tempfile.TemporaryDirectory(prefix="lab", ignore_cleanup_errors=True) as short:
        folder = Path(short)
        work = folder / "work"
        work.mkdir()
        for name, content in files.items():
            (work / name).write_bytes(content)
        places = {
            f"JUPYTER_{part}_DIR": str(folder / part) for part in ("CONFIG", "DATA", "RUNTIME")
        }
        _write(folder / "CONFIG" / "labconfig" / "page_config.json", _PAGE)
        settings = folder / "settings" / "@jupyterlab"
        _write(settings / "notebook-extension" / "tracker.jupyterlab-settings", _NOTEBOOKS)
        _write(settings / "docmanager-extension" / "plugin.jupyterlab-settings", _DOCUMENTS)
        places |= {"JUPYTERLAB_SETTINGS_DIR": str(folder / "settings")}
        places |= {"JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces")}
        port = _free_port()
        command = [
            *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}"),
            *("--ip=127.0.0.1", f"--IdentityProvider.token={TOKEN}"),
            *(f"--ServerApp.root_dir={work}", "--LabApp.expose_app_in_browser=True"),
            *("--LabApp.extension_manager=readonly", "--KernelManager.transport=ipc"),
            "--ServerApp.port_retries=0",
        ]
        environment = {**os.environ, **places, "IPYTHONDIR": str(folder / "ipython")}
        log = folder / "lab.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                command, env=environment, cwd=work, stdout=output, stderr=subprocess.STDOUT
            )
            try:
                _wait_for(f"http://127.0.0.1:{port}/api?token={TOKEN}", process, log)
                yield f"http://127.0.0.1:{port}", work
            finally:
                process.terminate()
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def _write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(value))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(url: str, process: subprocess.Popen, log: Path) -> None:
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


@contextmanager
def opened_lab(address: str, name: str) -> Iterator[Opened]:
    """Open a notebook in JupyterLab; ``requests`` are those to anything but its own server."""
    with browser_context(viewport={"width": 1500, "height": 1100}) as context:
        page = context.new_page()
        seen = Opened(page)
        quiet = (f"{address}/", "data:", "blob:")
        page.on(
            "request", lambda r: None if r.url.startswith(quiet) else seen.requests.append(r.url)
        )
        page.on("pageerror", lambda error: seen.errors.append(str(error)))
        page.on(
            "console",
            lambda message: seen.errors.append(message.text) if message.type == "error" else None,
        )
        page.on("dialog", seen.dialog)
        page.goto(f"{address}/lab/tree/{name}?token={TOKEN}&reset", timeout=120_000)
        page.wait_for_function(
            "window.jupyterapp?.shell?.currentWidget?.sessionContext", timeout=120_000
        )
        kernel = "window.jupyterapp.shell.currentWidget.sessionContext.session?.kernel"
        page.wait_for_function(f"{kernel}?.status === 'idle'", timeout=120_000)
        yield seen


def run_all(seen: Opened) -> None:
    """Run all cells, as the menu does, and wait until the last has run."""
    seen.page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
