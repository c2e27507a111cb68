"""The name of the rules: it changes with them, so that a text that was cleaned under other rules can be told."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from exporter.redaction import blocks, brands, clauses, escapes, keys, lines, random_runs, reasons, sources, uris

_REVISION: Final = 1
"""Raise it when a change of code, and of no pattern, changes what is shown. A test compares what the corpus becomes."""
MODULES: Final = (blocks, brands, clauses, escapes, keys, lines, random_runs, reasons, sources, uris)


def name_of_rules() -> str:
    """Return the revision and a digest of all patterns."""
    patterns = [value for module in MODULES for value in vars(module).values() if isinstance(value, re.Pattern)]
    written = "\0".join(f"{pattern.pattern}\0{pattern.flags}" for pattern in patterns)
    return f"{_REVISION}-{hashlib.sha256(written.encode()).hexdigest()[:12]}"


RULES: Final = name_of_rules()
"""Names the rules by which texts are cleaned."""
