"""External sources and specs: what a refresh may name, and what of a spec is shown (docs/milvus.md, "Sources")."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit

from exporter.demo.refusals import Refused, invalid

SCHEMES: Final = ("s3", "s3a", "aws", "minio", "oss", "cos", "obs", "gs", "gcs", "azure")
_MASKED: Final = ("access_key_id", "access_key_value", "ssl_ca_cert", "external_id")


def check_pair(source: str, spec: str) -> Refused | None:
    """Return why this pair cannot override a collection's own, None where it can. The source is never echoed."""
    if not source and not spec:
        return None
    if not source or not spec:
        return invalid("external_source and external_spec must be both set or both empty")
    return _check_source(source) or _check_spec(spec)


@lru_cache(maxsize=256)
def redact_spec(spec: str) -> str:
    """Return ``spec`` as job infos and descriptions show it: secret values as ``***``, the rest as it is."""
    if not spec:
        return ""
    try:
        fields: Any = json.loads(spec)
    except ValueError:
        return "<invalid spec>"
    if not isinstance(fields, dict):
        return "<invalid spec>"
    extfs = fields.get("extfs")
    if isinstance(extfs, dict):
        fields["extfs"] = {key: "***" if key in _MASKED and value else value for key, value in extfs.items()}
    return json.dumps(fields, separators=(",", ":"))


def _check_source(source: str) -> Refused | None:
    try:
        parts = urlsplit(source)
        # Reading the user info is what can fail in a malformed authority.
        has_user = bool(parts.username or parts.password)
    except ValueError:
        return invalid("external_source is not a URI")
    scheme = parts.scheme.lower()
    if not scheme:
        return invalid("external_source must have an explicit scheme")
    if scheme not in SCHEMES:
        return invalid(f'external_source scheme "{scheme}" is not allowed; allowed schemes: {", ".join(SCHEMES)}')
    if has_user:
        return invalid("external_source must not contain user info")
    return None if parts.netloc else invalid("external_source must have a host")


def _check_spec(spec: str) -> Refused | None:
    try:
        fields: Any = json.loads(spec)
    except ValueError:
        return invalid("failed to parse external spec")
    return None if isinstance(fields, dict) else invalid("failed to parse external spec")
