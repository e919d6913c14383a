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
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..schema import NotebookFailedError, NotebookFailure, ReportError
from .notebooks import INJECTED_TAG, tags_of
from .sanitize import strip_ansi, visible

# The address of a unix socket has room for about 104 bytes on the narrowest platform.
_LONGEST_SOCKET_PATH = 90


@dataclass
class Kernels:
    """The kernels that are running now, so that an interrupted run can end them."""

    stopping: bool = False
    _managers: dict[int, Any] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, manager: Any) -> None:
        """Remember a kernel's manager."""
        with self._lock:
            self._managers[id(manager)] = manager

    def forget(self, manager: Any) -> None:
        """Forget a kernel that has ended."""
        with self._lock:
            self._managers.pop(id(manager), None)

    def stop(self) -> None:
        """End every kernel at once; the threads that wait for them then come back."""
        with self._lock:
            self.stopping = True
            managers = list(self._managers.values())
        for manager in managers:
            provisioner = getattr(manager, "provisioner", None)
            group, pid = getattr(provisioner, "pgid", None), getattr(provisioner, "pid", None)
            with suppress(ProcessLookupError):
                if group and hasattr(os, "killpg"):
                    # What it has started ends too; joblib's tracker stays, and removes its files.
                    os.killpg(group, signal.SIGTERM)
                if pid:
                    os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))


@dataclass
class Progressing:
    """Which code cell runs, counted as JupyterLab counts when a notebook is run from the top."""

    total: int
    cell: int = 0
    source: str = ""
    on_cell: Callable[[int, int], None] | None = None

    def started(self, cell: Any, cell_index: int) -> None:
        """Count one code cell; the cell that we injected is not the reader's."""
        if INJECTED_TAG not in tags_of(cell):
            self.cell += 1
        self.source = str(cell.source)

    def finished(self, cell: Any, cell_index: int, execute_reply: Any) -> None:
        """Report one code cell as done."""
        if self.on_cell is not None and INJECTED_TAG not in tags_of(cell):
            self.on_cell(self.cell, self.total)


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
    if not _is_site_packages(package_parent):
        rest = env.get("PYTHONPATH")
        env["PYTHONPATH"] = os.pathsep.join([str(package_parent), *([rest] if rest else [])])
    return env


def _watching() -> list[str]:
    """Return arguments that make a kernel call :func:`end_with_parent`.

    ipykernel's own watch, which forgets the processes that the kernel has started, is left out.
    """
    line = f"__import__('{__name__}', fromlist=['_']).end_with_parent({os.getpid()})"
    return ["--IPKernelApp.parent_handle=0", f"--IPKernelApp.exec_lines={line}"]


def end_with_parent(parent: int) -> None:
    """End this kernel, and the processes that it has started, once its parent has been killed."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os.killpg(0, signal.SIGTERM)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _is_site_packages(folder: Path) -> bool:
    places = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    places += [*site.getsitepackages(), site.getusersitepackages()]
    return any(Path(place).resolve() == folder for place in places)


def execute(
    notebook: Any,
    *,
    name: str,
    scratch: Path,
    kernels: Kernels,
    timeout: int = 600,
    on_cell: Callable[[int, int], None] | None = None,
) -> Any:
    """Run a notebook in place and return it.

    Parameters
    ----------
    notebook : NotebookNode
        Read with :func:`~cardlab.report.notebooks.read_notebook`.
    name : str
        For error messages.
    scratch : Path
        An empty folder: the kernel's working directory and settings.
    kernels : Kernels
        Knows the kernels that run, for an interrupt.
    timeout : int
        Seconds that one cell may take.
    on_cell : callable, optional
        Called with the number of code cells done and the number of all.

    Raises
    ------
    NotebookFailedError
        Naming the cell at which the notebook stopped.
    """
    import nbclient.exceptions as errors

    total = sum(1 for cell in notebook.cells if _runs(cell))
    at = Progressing(total, on_cell=on_cell)
    work = scratch / "work"
    work.mkdir(parents=True)
    client = _client(notebook, at, work=work, scratch=scratch, timeout=timeout, kernels=kernels)
    env = kernel_environment(scratch)
    try:
        if kernels.stopping:
            raise ReportError(f"{name} was not run: interrupted.")
        # What the kernel process itself says is noise, until it dies.
        with (scratch / "kernel.log").open("wb") as log:
            asyncio.run(client.async_execute(env=env, stdout=log, stderr=log))
    except errors.CellExecutionError as error:
        text = f"{error.ename}: {error.evalue}" if error.evalue else error.ename
        raise _failed(name, at, text) from error
    except errors.CellTimeoutError as error:
        raise _failed(name, at, f"took longer than {timeout} s") from error
    except errors.DeadKernelError as error:
        reason = "the kernel died (out of memory?)" + _last_words(scratch)
        raise _failed(name, at, "interrupted" if kernels.stopping else reason) from error
    except (OSError, RuntimeError) as error:
        reason = f"the kernel could not be used: {error}" + _last_words(scratch)
        raise _failed(name, at, "interrupted" if kernels.stopping else reason) from error
    finally:
        kernels.forget(client.manager)
    return notebook


def _runs(cell: Any) -> bool:
    return (
        cell.cell_type == "code"
        and bool(cell.source.strip())
        and not tags_of(cell) & {INJECTED_TAG, "skip-execution"}
    )


def _failed(name: str, at: Progressing, text: str) -> NotebookFailedError:
    first_line = next((line.strip() for line in at.source.splitlines() if line.strip()), "")
    clean = visible(strip_ansi(text)).strip()
    return NotebookFailedError(NotebookFailure(name, at.cell or None, first_line, clean))


def _last_words(scratch: Path) -> str:
    """Return the last line of the kernel's log, which may say why it died."""
    try:
        lines = (scratch / "kernel.log").read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return ""
    words = [line.strip() for line in lines if line.strip() and "IPKernelApp" not in line]
    return f"; it said: {words[-1][:300]}" if words else ""


def _client(
    notebook: Any, at: Progressing, *, work: Path, scratch: Path, timeout: int, kernels: Kernels
) -> Any:
    """Return an nbclient client whose kernel is our own interpreter."""
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient

    # Sockets in a private folder, out of reach of other users; TCP only where they cannot be.
    connection = scratch / "k.json"
    fits = len(os.fsencode(connection)) < _LONGEST_SOCKET_PATH
    manager = AsyncKernelManager(
        # Without folders to search, the only kernel known is ipykernel of sys.executable.
        kernel_spec_manager=KernelSpecManager(kernel_dirs=[]),
        kernel_name="python3",
        connection_file=str(connection),
        transport="ipc" if fits and sys.platform != "win32" else "tcp",
    )

    class Client(NotebookClient):
        """Owns the manager above, and keeps the injected cell out of the cell numbers."""

        manager: Any = None

        def create_kernel_manager(self) -> Any:
            self.km = self.manager
            return self.km

        async def async_start_new_kernel(self, **kwargs: Any) -> None:
            await super().async_start_new_kernel(**kwargs)
            if kernels.stopping:
                raise RuntimeError("interrupted")

        async def async_execute_cell(
            self,
            cell: Any,
            cell_index: int,
            execution_count: int | None = None,
            store_history: bool = True,
        ) -> Any:
            kept = INJECTED_TAG not in tags_of(cell)
            return await super().async_execute_cell(
                cell, cell_index, execution_count, store_history and kept
            )

    client = Client(
        notebook,
        timeout=timeout,
        extra_arguments=_watching() if hasattr(os, "killpg") else [],
        store_widget_state=False,
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(work)}},
        on_cell_execute=at.started,
        on_cell_executed=at.finished,
    )
    client.manager = manager
    kernels.add(manager)
    return client
