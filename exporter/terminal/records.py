"""Jobs as JSON: the document that ``/api/v1/jobs`` answers with (docs/api/openapi.yaml)."""

from __future__ import annotations

import json
from collections.abc import Iterator

from exporter.record import Json, placed_record
from exporter.terminal.overview import Overview


def document(seen: Overview, now: float, *, stale: bool, one_line: bool) -> Iterator[str]:
    """Yield one document, piece by piece: there can be a hundred thousand jobs. ``now`` in epoch seconds.

    Without ``one_line`` each job has a line.
    """
    end = "" if one_line else "\n"
    yield '{"data": ['
    for number, (collection, job) in enumerate(seen.rows):
        yield (f",{end}" if number else end) + json.dumps(placed_record(seen.target, collection, job, listed=True))
    page = {"limit": seen.most or seen.total, "offset": 0, "total": seen.total, "next": None}
    yield f'{end}], "page": {json.dumps(page)},{end or " "}'
    yield f'"freshness": {json.dumps([_freshness(seen, now, stale=stale)])}}}\n'


def _freshness(seen: Overview, now: float, *, stale: bool) -> Json:
    listing = seen.listing
    return {
        "target": seen.target,
        "up": listing.up,
        "kind": listing.kind,
        "partial": listing.partial,
        "stale": stale,
        "data_age_seconds": None if listing.taken is None else max(now - listing.taken, 0.0),
        "last_success_timestamp_seconds": listing.taken,
    }
