"""From ``tls_server_config`` to OpenSSL, and which client certificates may come in."""

from __future__ import annotations

import ipaddress
import ssl
from asyncio import BaseTransport
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from exporter.config.web import CIPHERS, CURVES, Fault, TlsServer

_VERSIONS: Final = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_VERIFY: Final = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
_SAN_KINDS: Final = ("DNS", "IP Address", "email", "URI")


def build_context(tls: TlsServer) -> tuple[ssl.SSLContext, list[Fault]]:
    """Return what greets new connections, and what is wrong with the files; with faults it must not be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version, context.maximum_version = _VERSIONS[tls.min_version], _VERSIONS[tls.max_version]
    context.options |= ssl.OP_NO_RENEGOTIATION
    if not tls.prefer_server_cipher_suites:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(["http/1.1"])  # whoever offers HTTP/2 as well is told what there is
    faults = _certificate(context, tls) + _clients(context, tls) + _choices(context, tls)
    return context, [(("tls_server_config", key), why) for key, why in faults]


def admits(allowed: frozenset[str], transport: BaseTransport) -> bool:
    """Whether the verified certificate of a connection bears one of the names."""
    return bool(allowed & names_of(transport.get_extra_info("peercert") or {}))


def names_of(certificate: dict[str, Any]) -> frozenset[str]:
    """Return the alternative names, addresses as they are usually written."""
    names = ((kind, text) for kind, text in certificate.get("subjectAltName", ()) if kind in _SAN_KINDS)
    return frozenset(_address(text) if kind == "IP Address" else text for kind, text in names)


def _address(text: str) -> str:
    with suppress(ValueError):  # Python writes IPv6 in full, and has put a newline behind it
        return str(ipaddress.ip_address(text.strip()))
    return text


def _certificate(context: ssl.SSLContext, tls: TlsServer) -> list[tuple[str, str]]:
    if tls.cert_file is None or tls.key_file is None:
        return []
    return _pem_faults(tls.cert_file, tls.key_file) or _pair_faults(context, tls.cert_file, tls.key_file)


def _pem_faults(cert: Path, key: Path) -> list[tuple[str, str]]:
    return [
        (name, f"holds no {what} in PEM")
        for name, file, mark, what in (
            ("cert_file", cert, "-----BEGIN CERTIFICATE-----", "certificate"),
            ("key_file", key, "PRIVATE KEY-----", "key"),
        )
        if mark not in _text(file)
    ]


def _pair_faults(context: ssl.SSLContext, cert: Path, key: Path) -> list[tuple[str, str]]:
    try:
        context.load_cert_chain(cert, key, password=_no_password)
    except _EncryptedError:
        return [("key_file", "is encrypted, and there is nobody to ask for the password; write the key without one")]
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            return [("key_file", "is not the key of cert_file")]
        return [("cert_file", f"and key_file cannot be used: {error.reason or 'not understood'}")]
    except OSError as error:
        return [("cert_file", f"and key_file cannot be read: {error.strerror}")]
    return []


class _EncryptedError(Exception):
    """Raised through OpenSSL instead of a question on the terminal."""


def _no_password() -> str:
    raise _EncryptedError


def _clients(context: ssl.SSLContext, tls: TlsServer) -> list[tuple[str, str]]:
    context.verify_mode = _VERIFY[tls.client_auth_type]
    if tls.client_ca_file is None:
        return []
    try:
        context.load_verify_locations(cafile=tls.client_ca_file)
    except ssl.SSLError:
        return [("client_ca_file", "holds no certificate in PEM that can be used")]
    except OSError as error:
        return [("client_ca_file", f"cannot be read: {error.strerror}")]
    return []


def _choices(context: ssl.SSLContext, tls: TlsServer) -> list[tuple[str, str]]:
    faults = []
    ciphers = [CIPHERS[name] for name in tls.cipher_suites if CIPHERS[name]]
    try:
        if ciphers:
            context.set_ciphers(":".join(ciphers))
    except ssl.SSLError:
        faults.append(("cipher_suites", "is nothing that this OpenSSL offers"))
    try:
        if tls.curve_preferences:
            context.set_ecdh_curve(CURVES[tls.curve_preferences[0]])
    except (ssl.SSLError, ValueError):
        faults.append(("curve_preferences", "is not offered by this OpenSSL"))
    return faults


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="latin-1")
    except OSError:
        return ""
