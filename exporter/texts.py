"""The one door for texts of Milvus's that are remembered: rules and settings in force decide what they may say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from exporter.model import Job
from exporter.redaction import RULES, SourceStyle, safe_reason, safe_source

ReasonStyle = Literal["safe", "none"]


@dataclass(frozen=True, slots=True)
class Texts:
    """How sources and reasons are shown: ``labels.source`` and ``labels.failure_reason``."""

    source: SourceStyle
    reason: ReasonStyle

    @property
    def rules(self) -> str:
        """Name the rules in force; what others have cleaned has to pass through :meth:`clean` again."""
        return f"{RULES} source={self.source} failure_reason={self.reason}"

    def clean_source(self, source: str) -> str:
        """Return a source that says no more than the rules allow."""
        return safe_source(source, self.source)

    def clean(self, job: Job) -> Job:
        """Return a job whose texts say no more than the rules allow."""
        source = self.clean_source(job.source)
        reason = safe_reason(job.reason) if self.reason == "safe" else ""
        return job if (source, reason) == (job.source, job.reason) else job._replace(source=source, reason=reason)
