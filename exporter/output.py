"""The standard streams: output that says when it cannot be written, by an exception that nothing else raises."""

from __future__ import annotations

import io
import os
import sys
from typing import Any

from exporter.errors import ExporterError

_OUTPUT = 1
_ERRORS = 2


class OutputFailed(ExporterError):
    """Standard output is closed, full, or nobody reads it any more."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"cannot write to standard output: {error.strerror or type(error).__name__}")
        self.reader_is_gone = isinstance(error, BrokenPipeError)
        """As with ``| head``, which is no fault."""


class _Output(io.FileIO):
    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            # Nothing more goes there: Python would complain once more while it flushes at the end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), _OUTPUT)
            raise OutputFailed(error) from None


def guard() -> None:
    """Make writing to standard output raise OutputFailed where it fails. A stream that is closed stays None in ``sys``.

    argparse takes no notice of an OSError, and one from a file or a socket must not be taken for one of the output.
    """
    _fill_places()
    before = sys.stdout
    if before is None:
        return
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(_Output(_OUTPUT, "w", closefd=False)),
        encoding=before.encoding,
        errors=before.errors,
        line_buffering=before.isatty(),
    )


def _fill_places() -> None:
    """Keep sockets and files from becoming the streams that are closed: each new one takes the lowest free number."""
    while (opened := os.open(os.devnull, os.O_RDWR)) <= _ERRORS:
        pass
    os.close(opened)
