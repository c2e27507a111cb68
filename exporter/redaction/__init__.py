"""Sources and reasons made safe to show: the one door for Milvus's free text.

Milvus redacts neither ``external_source`` nor ``reason``: user info, pre-signed queries and whole specs with
credentials have been seen in them (docs/milvus.md, "Sources and secrets"). A text that is safe already passes
unchanged.
"""

from __future__ import annotations

from exporter.redaction.reasons import MAX_REASON_CHARS, safe_reason
from exporter.redaction.rules import RULES
from exporter.redaction.sources import MAX_SOURCE_BYTES, SourceStyle, safe_source

__all__ = ["MAX_REASON_CHARS", "MAX_SOURCE_BYTES", "RULES", "SourceStyle", "safe_reason", "safe_source"]
