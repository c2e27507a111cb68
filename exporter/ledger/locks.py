"""One writer for one state file, by whatever name it is reached. Every file is readable by its owner alone."""

from __future__ import annotations

import fcntl
import os
import stat
import struct
from pathlib import Path
from typing import IO, Final

from exporter.errors import StateUnusable

_OWNER_ONLY: Final = 0o600
_BYTE: Final = 0x3FFF_FFFF
"""The byte of the state file that is locked: the one before those that SQLite locks (its "pending byte", 1 GiB)."""
_FLOCK: Final = "hhqqi4x"
"""``struct flock`` of 64-bit Linux: type, whence, start, length, process."""


def lock_path(path: Path) -> Path:
    """Return the name of the lock file of a state file."""
    return path.with_name(f"{path.name}.lock")


def lock_beside(path: Path) -> IO[bytes]:
    """Hold a lock on a file beside the state file: SQLite lets its own go between two transactions.

    Raises :class:`exporter.errors.StateUnusable` if another process holds it.
    """
    file = _opened(lock_path(path))
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise _taken(path) from None
    except OSError as error:
        file.close()
        raise StateUnusable(f"{path}: cannot be locked ({error.strerror}); keep it on a local disk") from None
    return file


def claim(path: Path) -> IO[bytes]:
    """Hold a lock on the state file itself, which is made if need be: a mount can give it a second name and folder.

    Keep the handle until SQLite has closed the file. Raises :class:`exporter.errors.StateUnusable` for a file with
    several names and for one that another process writes to.
    """
    file = _opened(path)
    if os.fstat(file.fileno()).st_nlink > 1:
        file.close()
        raise StateUnusable(f"{path}: has hard links, so another exporter may write to it; give each a file of its own")
    try:
        _lock_byte(file)
    except BlockingIOError:
        file.close()
        raise _taken(path) from None
    except OSError as error:
        file.close()
        raise StateUnusable(f"{path}: cannot be locked ({error.strerror}); keep it on a local disk") from None
    return file


def _lock_byte(file: IO[bytes]) -> None:
    """Lock by open file description: unlike a lock of the process, it stays when SQLite closes a handle of its own."""
    if hasattr(fcntl, "F_OFD_SETLK"):  # Linux
        request = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, _BYTE, 1, 0)
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, request)


def _opened(path: Path) -> IO[bytes]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _OWNER_ONLY)
    file = os.fdopen(descriptor, "r+b", buffering=0)
    found = os.fstat(descriptor)
    # Older versions made them with the permissions that the process's mask left.
    if stat.S_IMODE(found.st_mode) & ~_OWNER_ONLY and found.st_uid == os.geteuid():
        os.fchmod(descriptor, _OWNER_ONLY)
    return file


def _taken(path: Path) -> StateUnusable:
    return StateUnusable(f"{path}: another process uses it; give each exporter a file of its own")
