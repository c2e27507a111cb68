"""What a text on many collections quotes is of its own cause and Milvus, whoever else has the same to tell."""

from __future__ import annotations

from rules.cases import ROOT, Case, Series, fires, given, of_exporter, stamp
from situations import REASON, collection, failure_info

from exporter.metrics import contract

MANY = "MilvusExternalManyCollectionsStale"
SOURCE = "MilvusExternalRefreshSourceFailing"
HOUR = 3600
DENIED = {"source_root": ROOT, "failure_class": "access_denied"}
QUOTED = f" Among them: lake/b, lake/c, lake/d. One reason: {REASON} (job 42)."


def failing(name: str, info: float = 1, **labels: str) -> tuple[Series, ...]:
    target = {key: labels[key] for key in ("cluster", "namespace", "job", "milvus") if key in labels}
    return (
        *collection(stamp(-100), stamp(-90), max_age=HOUR, collection=name, **target),
        failure_info(info, collection=name, **labels),
    )


OWN = tuple(one for name in "bcd" for one in failing(name))
OTHERS = tuple(
    one
    for label, other in (
        ("cluster", "other"),
        ("namespace", "other"),
        ("job", "other"),
        ("milvus", "other"),
        ("failure_class", "timeout"),
        ("source_root", "s3://archive"),
    )
    for one in failing(f"a_{label}", 9, **{"reason": f"of another {label}", "job_id": "7", label: other})
)
"""Each different in one label, with a name that comes first and a value that is the greatest."""

CASES = (
    Case(
        "that data is too old",
        (*OWN, *OTHERS),
        (
            fires(
                MANY,
                5,
                of_exporter(
                    "critical",
                    "Many external collections of Milvus serve data that is too old",
                    "3 collections of Milvus serve data that is older than promised. Their refreshes from s3://lake "
                    f"with access_denied fail.{QUOTED}",
                    **DENIED,
                ),
            ),
        ),
    ),
    Case(
        "that refreshes fail",
        (*OWN, *OTHERS, given(contract.FAILING, 3, failure_class="access_denied")),
        (
            fires(
                SOURCE,
                5,
                of_exporter(
                    "warning",
                    "Refreshes of many external collections of Milvus fail for one cause",
                    "The latest refreshes of 3 collections of Milvus from s3://lake with access_denied have failed, "
                    "and Milvus does not try again by itself. Most likely it is one cause: a key, a bucket, a network."
                    f"{QUOTED}",
                    **DENIED,
                ),
            ),
        ),
    ),
)
