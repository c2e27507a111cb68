"""The name of the rules: it changes with them, so that texts kept under other rules can be told."""

from __future__ import annotations

import hashlib
from typing import Final

from exporter.redaction import blocks, brands, clauses, escapes, keys, lines, random_runs, reasons, sources, uris

_REVISION: Final = 1
"""Raise it when code changes what is shown and no pattern does: a test compares what the corpus becomes."""

PATTERNS: Final = (
    *(blocks.PEM, blocks.PEM_TAIL, blocks.GO_MAP, blocks.CHOICE),
    brands.BRANDED,
    *(clauses.JOINT, clauses.LEAD, clauses.SENTENCE, clauses.VERB_SENTENCE, clauses.VALUE_LIKE, clauses.OBJECT),
    *(clauses.MARK, clauses.FLAG, clauses.SCHEME, clauses.DIGEST),
    *(escapes.PERCENT, escapes.BACKSLASH, escapes.ENTITY),
    *(keys.KEY, keys.STEM, keys.ABOUT_A_SECRET, keys.ERROR_NAME, keys.SCHEMA_NAME, keys.COMPOUND),
    lines.COLOUR,
    *(random_runs.RUN, random_runs.PIECE, random_runs.HEX),
    *(reasons.SPACED_USER_INFO, sources.NO_PATH),
    *(uris.VERSION, uris.ALL_QUERY),
)
RULES: Final = f"{_REVISION}-" + hashlib.sha256("\0".join(each.pattern for each in PATTERNS).encode()).hexdigest()[:12]
"""Names the rules by which texts are cleaned."""
