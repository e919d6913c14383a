"""Folders that are gone when a run has ended, and those that one run at a time works in."""

from __future__ import annotations

import os
import re
import shutil
import signal
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from .schema import CardlabError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

# The system frees a lock when the process that holds it ends, also one that was killed. A number
# of a process could belong to another one by then, or to another container.
_LOCK = "in-use"
#: The ending of a folder that is being removed; the seconds in which a new one gets its lock.
_GONE, _MAKING = ".gone", 60
_MADE = re.compile(r"\.?cardlab-\w{8}(?:\.gone)?")


@contextmanager
def scratch_folder(parent: Path, *, prefix: str = "cardlab-") -> Iterator[Path]:
    """Yield a new folder that is gone afterwards; those that killed runs have left go too."""
    for left in parent.glob(f"{prefix}*"):
        _remove_where_dead(left)
    folder, lock = _claimed(parent, prefix)
    try:
        yield folder
    finally:
        lock.close()
        _remove(folder)


@contextmanager
def worked_in(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder; a CardlabError where another is at work there."""
    path = folder / f".{_LOCK}"
    while True:
        lock = path.open("wb")
        try:
            _hold(lock)
        except (BlockingIOError, PermissionError) as error:
            lock.close()
            raise CardlabError(
                f"another run is writing to {str(folder)!r}. Wait for it to end, or name another "
                "folder."
            ) from error
        except OSError:  # a file system without locks
            break
        with suppress(OSError):  # it may be gone, since a run that ends removes it
            if os.path.samestat(os.fstat(lock.fileno()), path.stat()):
                break
        lock.close()
    try:
        yield
    finally:
        if sys.platform == "win32":  # keeps a file that is open
            lock.close()
        path.unlink(missing_ok=True)
        lock.close()


def _claimed(parent: Path, prefix: str) -> tuple[Path, IO[bytes]]:
    """Make a folder and take its lock, before another run takes it for a dead one's."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent)).resolve()
        lock = (folder / _LOCK).open("wb")
        try:
            _hold(lock)
        except (BlockingIOError, PermissionError):
            lock.close()
            continue
        except OSError:  # a file system without locks: nobody else can take this one either
            return folder, lock
        if (folder / _LOCK).exists():
            return folder, lock
        lock.close()


def _remove_where_dead(folder: Path) -> None:
    """Remove a folder of ours whose lock nobody holds."""
    with suppress(OSError):  # gone meanwhile, of another user, or in use
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or (
            sys.platform != "win32" and found.st_uid != os.getuid()
        ):
            return
        if _MADE.fullmatch(folder.name) and folder.suffix == _GONE:
            _remove(folder)
            return
        if time.time() - found.st_mtime > _MAKING and not any(folder.iterdir()):
            folder.rmdir()  # its run was killed before it had a lock
            return
        with (folder / _LOCK).open("r+b") as lock:
            _hold(lock)
            _remove(folder)
        shutil.rmtree(folder, ignore_errors=True)  # Windows keeps a file that is open


def _remove(folder: Path) -> None:
    """Remove a folder, under a name that the next run knows where this one is killed meanwhile."""
    with suppress(OSError):
        folder = folder.rename(folder.with_name(folder.name.removesuffix(_GONE) + _GONE))
    shutil.rmtree(folder, ignore_errors=True)


def _hold(lock: IO[bytes]) -> None:
    """Take a lock at once, or raise OSError."""
    if sys.platform == "win32":
        msvcrt.locking(lock.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the block as an interrupt does: with SystemExit, 128 + its number.

    Where the program sees to a signal by itself, or the block does not run in the main thread,
    nothing changes.
    """

    def end(number: int, _: Any) -> None:
        signal.signal(number, signal.SIG_IGN)  # what follows is cleaning up
        raise SystemExit(128 + number)

    found = [getattr(signal, name, None) for name in ("SIGTERM", "SIGHUP")]
    main = threading.current_thread() is threading.main_thread()
    ours = [n for n in found if main and n is not None and signal.getsignal(n) == signal.SIG_DFL]
    for number in ours:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)
