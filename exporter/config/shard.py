"""Which share of the targets is this process's."""

from __future__ import annotations

import re
import socket

from pydantic import ValidationInfo, field_validator

from exporter.config import values as v
from exporter.config.base import Section, blame, setting

_ORDINAL = re.compile(r".*-(\d{1,9})")


class Shard(Section):
    """Sharing targets among several processes, by a stable hash of their names. Needs `targets`."""

    total: v.Count = setting("1", "Processes among which the targets are shared.", metavar="COUNT")
    index: v.Ordinal = setting(
        None,
        "Which of them this one is, from 0.",
        metavar="NUMBER",
        shown_default="the number that ends the host name, as a StatefulSet's pods have it",
    )

    @field_validator("index")
    @classmethod
    def _one_of_them(cls, index: int | None, info: ValidationInfo) -> int | None:
        total = info.data.get("total")
        if total is None:
            return index
        if index is None:
            return 0 if total == 1 else _ordinal(total)
        if index >= total:
            raise ValueError(f"is not below shard.total, {total}")
        return index


def _ordinal(total: int) -> int:
    """Return what a StatefulSet has numbered this pod with."""
    found = _ORDINAL.fullmatch(socket.gethostname())
    if found is None:
        raise blame("total", "needs shard.index: the host name does not end in a number, as a StatefulSet's pods do")
    ordinal = int(found[1])
    if ordinal >= total:
        raise blame("total", f"is not above {ordinal}, the number that ends the host name; raise it or set shard.index")
    return ordinal
