"""Run one notebook in a kernel of its own.

The kernel is the interpreter that runs us, whatever kernels the user has registered, and it
neither reads nor writes the user's IPython and Jupyter folders: a start-up script of one reader
must not change a figure.
"""

from __future__ import annotations

import asyncio
import os
import signal
import site
import sys
import sysconfig
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from ..schema import NotebookFailedError, NotebookFailure, ReportError
from .kernel import end_with_parent
from .notebooks import INJECTED_TAG, tags_of
from .sanitize import strip_ansi, visible

# The address of a unix socket has room for about 104 bytes on the narrowest platform.
_LONGEST_SOCKET_PATH = 90


@dataclass
class Kernels:
    """The managers of the kernels that run now, so that an interrupted run can end them."""

    stopping: bool = False
    managers: set[Any] = field(default_factory=set)

    def stop(self) -> None:
        """End every kernel at once; the threads that wait for them then come back."""
        self.stopping = True
        for manager in list(self.managers):
            provisioner = getattr(manager, "provisioner", None)
            group, pid = getattr(provisioner, "pgid", None), getattr(provisioner, "pid", None)
            with suppress(ProcessLookupError):
                if group and hasattr(os, "killpg"):
                    # What it has started ends too; joblib's tracker stays, and removes its files.
                    os.killpg(group, signal.SIGTERM)
                if pid:
                    os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))


def kernel_environment(scratch: Path) -> dict[str, str]:
    """Return the environment of a kernel whose settings live in ``scratch``."""
    drop = {"PYTHONSTARTUP", "JUPYTER_PATH", "JUPYTER_CONFIG_PATH"}
    env = {key: value for key, value in os.environ.items() if key not in drop}
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        folder = scratch / name.lower()
        folder.mkdir(parents=True, exist_ok=True)
        env[name] = str(folder)
    env["CARDLAB_PICTURES"] = "0"  # a page draws its charts itself
    env.setdefault("PYTHONHASHSEED", "0")  # the order of a set of strings must not vary
    package_parent = Path(__file__).resolve().parents[2]
    places = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    places += [*site.getsitepackages(), site.getusersitepackages()]
    if package_parent not in (Path(place).resolve() for place in places):
        rest = filter(None, [env.get("PYTHONPATH")])
        env["PYTHONPATH"] = os.pathsep.join([str(package_parent), *rest])
    return env


class _Client(NotebookClient):  # type: ignore[misc]
    """Knows which code cell runs, counted as JupyterLab counts when all are run from the top.

    The cell that we injected is not the reader's.
    """

    kernels: Kernels
    on_cell: Callable[[int, int], None] | None = None
    cell = 0
    source = ""

    async def async_start_new_kernel(self, **kwargs: Any) -> None:
        await super().async_start_new_kernel(**kwargs)
        if self.kernels.stopping:
            raise RuntimeError("interrupted")

    async def async_execute_cell(self, cell: Any, *place: Any, **given: Any) -> Any:
        runs, own = _runs(cell), INJECTED_TAG not in tags_of(cell)
        if runs:
            self.cell += own
            self.source = str(cell.source)
        done = await super().async_execute_cell(cell, *place, **{**given, "store_history": own})
        if runs and own and self.on_cell is not None:
            all_own = (INJECTED_TAG not in tags_of(one) and _runs(one) for one in self.nb.cells)
            self.on_cell(self.cell, sum(all_own))
        return done


def _runs(cell: Any) -> bool:
    is_code = cell.cell_type == "code" and bool(cell.source.strip())
    return is_code and "skip-execution" not in tags_of(cell)


def execute(
    notebook: Any,
    *,
    name: str,
    scratch: Path,
    kernels: Kernels,
    timeout: int = 600,
    on_cell: Callable[[int, int], None] | None = None,
) -> Any:
    """Run a notebook in place and return it, or raise a NotebookFailedError that names the cell.

    `scratch` is an empty folder, for the kernel's working directory and settings. A cell may take
    `timeout` seconds. `on_cell` is called with the number of code cells done and of all.
    """
    work, connection = scratch / "work", scratch / "k.json"
    work.mkdir(parents=True)
    # ipykernel's own watch would forget the processes that the kernel has started
    module, pid = end_with_parent.__module__, os.getpid()
    line = f"__import__('{module}', fromlist=['_']).end_with_parent({pid})"
    watching = ["--IPKernelApp.parent_handle=0", f"--IPKernelApp.exec_lines={line}"]
    client = _Client(
        notebook,
        timeout=timeout,
        extra_arguments=watching if hasattr(os, "killpg") else [],
        store_widget_state=False,
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(work)}},
    )
    client.kernels, client.on_cell = kernels, on_cell
    # Sockets in a private folder, out of reach of other users; TCP only where they cannot be.
    fits = len(os.fsencode(connection)) < _LONGEST_SOCKET_PATH
    client.km = manager = AsyncKernelManager(
        # Without folders to search, the only kernel known is ipykernel of sys.executable.
        kernel_spec_manager=KernelSpecManager(kernel_dirs=[]),
        kernel_name="python3",
        connection_file=str(connection),
        transport="ipc" if fits and sys.platform != "win32" else "tcp",
    )
    kernels.managers.add(manager)
    env = kernel_environment(scratch)
    try:
        if kernels.stopping:
            raise ReportError(f"{name} was not run: interrupted.")
        # What the kernel process itself says is noise, until it dies.
        with (scratch / "kernel.log").open("wb") as log:
            asyncio.run(client.async_execute(env=env, stdout=log, stderr=log))
    except (CellExecutionError, OSError, RuntimeError) as error:
        if isinstance(error, CellExecutionError):
            reason = f"{error.ename}: {error.evalue}" if error.evalue else error.ename
        elif isinstance(error, CellTimeoutError):
            reason = f"took longer than {timeout} s"
        elif kernels.stopping:
            reason = "interrupted"
        else:
            died = "the kernel died (out of memory?)"
            odd = f"the kernel could not be used: {error}"
            reason = (died if isinstance(error, DeadKernelError) else odd) + _last_words(scratch)
        lines = (line.strip() for line in client.source.splitlines())
        first_line = next(filter(None, lines), "")
        clean = visible(strip_ansi(reason)).strip()
        failure = NotebookFailure(name, client.cell or None, first_line, clean)
        raise NotebookFailedError(failure) from error
    finally:
        kernels.managers.discard(manager)
    return notebook


def _last_words(scratch: Path) -> str:
    """Return the last line of the kernel's log, which may say why it died."""
    try:
        lines = (scratch / "kernel.log").read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return ""
    words = [line.strip() for line in lines if line.strip() and "IPKernelApp" not in line]
    return f"; it said: {words[-1][:300]}" if words else ""
