"""How Milvus says no: a status code and its text (docs/milvus.md, "Status and errors").

These travel inside an OK answer. The name of an error ends its text, with details in brackets behind it. A caller who
may not call at all gets a gRPC code instead: :class:`Denied`.
"""

from __future__ import annotations

from typing import Final

NOT_READY: Final = 1
UNAVAILABLE: Final = 2
INTERNAL: Final = 5
COLLECTION_NOT_FOUND: Final = 100
TASK_DUPLICATES: Final = 703
DATABASE_NOT_FOUND: Final = 800
INVALID_PARAMETER: Final = 1100
MISSING_PARAMETER: Final = 1101
NOT_PERMITTED: Final = 1401
UNEXPECTED: Final = 65535


class Refused(Exception):
    """A call that Milvus answers with a status: ``code`` is Milvus's, ``reason`` its text.

    ``job_id`` is the job that stands in the way, 0 if none does.
    """

    def __init__(self, code: int, reason: str, job_id: int = 0) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason
        self.job_id = job_id


class Denied(Exception):
    """A call that ends with a gRPC code: ``code`` is its name, as in ``UNAUTHENTICATED``."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


def no_database(name: str) -> Refused:
    """Status 800."""
    return Refused(DATABASE_NOT_FOUND, f"database not found[database={name}]")


def no_collection(database: str, name: object) -> Refused:
    """Status 100."""
    found = f"[database={database}][collection={name}]"
    return Refused(COLLECTION_NOT_FOUND, f"can't find collection collection not found{found}")


def hidden_collection() -> Refused:
    """Status 1401: it exists, and the caller may not see it."""
    return Refused(NOT_PERMITTED, "not allowed to access collection: privilege not permitted")


def not_external(name: str) -> Refused:
    """Status 1100, for a refresh call on an ordinary collection."""
    return invalid(f"collection {name} is not an external collection")


def already_active(job_id: int, name: str) -> Refused:
    """Status 703: one active job per collection. Its id is in the answer."""
    text = f"refresh job {job_id} is already in progress for collection {name}, wait for it to end: task duplicates"
    return Refused(TASK_DUPLICATES, text, job_id)


def broken_job(job_id: int, code: int) -> Refused:
    """Status 65535 or 5: one inconsistent job spoils every listing that has it."""
    return Refused(code, f"job {job_id} references missing task {job_id + 1}")


def invalid(reason: str) -> Refused:
    """Status 1100."""
    return Refused(INVALID_PARAMETER, f"{reason}: invalid parameter")


def missing(reason: str) -> Refused:
    """Status 1101."""
    return Refused(MISSING_PARAMETER, f"{reason}: missing parameter")
