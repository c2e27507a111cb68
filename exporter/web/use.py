"""What a connection is used for, which decides whether it is closed to make room for another."""

from __future__ import annotations

from enum import IntEnum


class Use(IntEnum):
    """What a connection is used for. The lower, the sooner it is closed to make room for another."""

    SILENT = 0
    """It has never sent a whole request, or was refused."""
    SIGNING_IN = 1
    """Its request waits for bcrypt. The check goes on without the connection."""
    IDLE = 2
    """It has been answered, and may ask again."""
    CLOSING = 3
    """The rest of its last answer may be on its way."""
    ANSWERING = 4
    """Its request is being answered: never closed to make room."""
