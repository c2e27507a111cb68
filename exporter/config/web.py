"""What ``web.config_file`` can say: the keys of Prometheus's exporter-toolkit, and what must hold between them.

The format is https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md; what is taken
differently here, and why, is in docs/web-config.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Final

from pydantic import BeforeValidator, SecretStr

from exporter.config import values as v
from exporter.config.base import Section

# Go's names, as the format has them; those of TLS 1.3 cannot be chosen in either world.
CIPHERS: Final = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_AES_128_GCM_SHA256": "",
    "TLS_AES_256_GCM_SHA384": "",
    "TLS_CHACHA20_POLY1305_SHA256": "",
}
"""OpenSSL's name for each; "" for the suites of TLS 1.3."""
CURVES: Final = {"CurveP256": "prime256v1", "CurveP384": "secp384r1", "CurveP521": "secp521r1", "X25519": "X25519"}

_UNVERIFIED: Final = ("RequestClientCert", "RequireAnyClientCert", "RequireClientCert")
_CLIENT_AUTH: Final = ("NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert")
# 16 bytes of salt and 23 of hash in bcrypt's own base64; the salt's last character holds two bits.
_HASH: Final = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}")
_COSTS: Final = range(4, 17)
_HEADER_VALUE: Final = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
_HEADERS: Final[dict[str, tuple[str, ...]]] = {
    "Content-Security-Policy": (),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-Content-Type-Options": ("nosniff",),
    "X-XSS-Protection": (),
    "Strict-Transport-Security": (),
}
"""What may be set, with the values that the format allows; () for any."""


def _word(value: object) -> str:
    if isinstance(value, v.Unusable):
        raise ValueError(value.why)  # noqa: TRY004 - pydantic takes no TypeError
    if value is None or value == "":
        raise ValueError("needs a value; remove the key to have the default")
    if not isinstance(value, str):
        raise ValueError("is not a single value")  # noqa: TRY004 - pydantic takes no TypeError
    return value


def _one_of(*choices: str) -> Callable[[object], str]:
    def check(value: object) -> str:
        if (word := _word(value)) not in choices:
            raise ValueError(f"is not one of {', '.join(choices)}")
        return word

    return check


def _version(value: object) -> str:
    if value in ("TLS10", "TLS11"):
        raise ValueError("is too old to protect anything (RFC 8996); write TLS12 or TLS13")
    return _one_of("TLS12", "TLS13")(value)


def _client_auth(value: object) -> str:
    if value in _UNVERIFIED:
        raise ValueError(
            "would take any certificate, whoever made it, and Python's ssl cannot ask for one without verifying it; "
            "write RequireAndVerifyClientCert, or VerifyClientCertIfGiven"
        )
    return _one_of(*_CLIENT_AUTH)(value)


def _cipher(value: object) -> str:
    word = _word(value)
    if word.startswith("TLS_RSA_"):
        raise ValueError("has no forward secrecy and is not served")
    return _one_of(*CIPHERS)(word)


def _hash(value: object) -> SecretStr:
    if isinstance(value, SecretStr):
        return value
    right = "write what `htpasswd -nBC 10 NAME` or the command in docs/web-config.md gives"
    found = _HASH.fullmatch(_word(value))
    if found is None:
        raise ValueError(f"is not a bcrypt hash; {right}")
    if int(found[1]) not in _COSTS:
        raise ValueError(f"is a bcrypt hash of a cost outside {_COSTS[0]} to {_COSTS[-1]}; 10 to 12 is usual")
    return SecretStr(found[0])


def _named(value: object) -> object:
    if not isinstance(value, dict) or not value:
        raise ValueError("names nobody; write `NAME: HASH`, or remove the key")
    return value


def _headers(value: object) -> tuple[tuple[str, str], ...]:
    if value == ():
        return ()
    if not isinstance(value, dict):
        raise ValueError("is not a mapping of names to values")  # noqa: TRY004 - pydantic takes no TypeError
    if any(text is not None and not isinstance(text, str) for text in value.values()):
        raise ValueError("holds a value that is not text")
    return tuple((name, text) for name, text in value.items() if text)  # the format has blank for "not set"


Cipher = Annotated[str, BeforeValidator(_cipher)]
Curve = Annotated[str, BeforeValidator(_one_of(*CURVES))]
Word = Annotated[str, BeforeValidator(_word)]
Version = Annotated[str, BeforeValidator(_version)]


class TlsServer(Section):
    """TLS of every address that is listened on."""

    cert_file: v.ReadableFile = None
    key_file: v.ReadableFile = None
    client_auth_type: Annotated[str, BeforeValidator(_client_auth)] = "NoClientCert"
    client_ca_file: v.ReadableFile = None
    client_allowed_sans: Annotated[tuple[Word, ...], BeforeValidator(v.a_list)] = ()
    min_version: Version = "TLS12"
    max_version: Version = "TLS13"
    cipher_suites: Annotated[tuple[Cipher, ...], BeforeValidator(v.a_list)] = ()
    prefer_server_cipher_suites: v.Switch = True
    curve_preferences: Annotated[tuple[Curve, ...], BeforeValidator(v.a_list)] = ()


class HttpServer(Section):
    """What HTTP itself is to do."""

    http2: v.Switch = True
    headers: Annotated[tuple[tuple[str, str], ...], BeforeValidator(_headers)] = ()


class WebConfig(Section):
    """The whole file."""

    tls_server_config: TlsServer | None = None
    http_server_config: HttpServer = HttpServer()
    basic_auth_users: (
        Annotated[dict[str, Annotated[SecretStr, BeforeValidator(_hash)]], BeforeValidator(_named)] | None
    ) = None


Fault = tuple[tuple[str, ...], str]
"""The key, and what is wrong with it."""


def faults_between(config: WebConfig) -> list[Fault]:
    """Return what does not fit together, all of it."""
    found: list[Fault] = []
    if config.tls_server_config is not None:
        found += [(("tls_server_config", key), why) for key, why in _tls_faults(config.tls_server_config)]
    for name, value in config.http_server_config.headers:
        if why := _header_fault(name, value):
            found.append((("http_server_config", "headers", name), why))
    for name in config.basic_auth_users or {}:
        if not name or ":" in name or not name.isprintable():
            found.append((("basic_auth_users", name), "has a user name that is empty or holds a colon or a control"))
    return found


def _tls_faults(tls: TlsServer) -> list[tuple[str, str]]:
    found = [
        (key, "is missing; TLS needs a certificate and its key")
        for key, file in (("cert_file", tls.cert_file), ("key_file", tls.key_file))
        if file is None
    ]
    verified = tls.client_auth_type != "NoClientCert"
    if verified and tls.client_ca_file is None:
        found.append(("client_ca_file", f"is missing; {tls.client_auth_type} needs to know whom to trust"))
    if not verified and tls.client_ca_file is not None:
        found.append(("client_ca_file", "has no effect without client_auth_type: RequireAndVerifyClientCert"))
    if tls.client_allowed_sans and tls.client_auth_type != "RequireAndVerifyClientCert":
        found.append(("client_allowed_sans", "needs client_auth_type: RequireAndVerifyClientCert"))
    if tls.min_version > tls.max_version:
        found.append(("max_version", "is lower than min_version"))
    chosen = [CIPHERS[name] for name in tls.cipher_suites]
    if chosen and not any(chosen) and tls.min_version == "TLS12":
        found.append(("cipher_suites", "names no suite of TLS 1.2; write some, or min_version: TLS13"))
    if len(tls.curve_preferences) > 1:
        found.append(("curve_preferences", "is several; Python's ssl takes one, or all of OpenSSL's without this key"))
    return found


def _header_fault(name: str, value: str) -> str:
    if name not in _HEADERS:
        return f"cannot be set; these can: {', '.join(_HEADERS)}"
    allowed = _HEADERS[name]
    if allowed and value not in allowed:
        return f"must be {' or '.join(allowed)}"
    return "" if _HEADER_VALUE.fullmatch(value) else "is not a header's value: printable ASCII on one line"
