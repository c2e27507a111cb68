"""One TLS handshake outside gRPC, which tells too little of a failed one, and in other words with each version."""

from __future__ import annotations

import asyncio
import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from exporter import errors
from exporter.milvus.channel import default_roots
from exporter.milvus.way import open_way

if TYPE_CHECKING:
    from exporter.config import Milvus, Tls

NOT_GRPC: Final = "look whether milvus.uri leads to Milvus's gRPC port, and not to an HTTP proxy"
_CLIENT_CERTIFICATE: Final = (
    "if it asks for a client certificate, set milvus.tls.cert_file and milvus.tls.key_file to one that Milvus trusts"
)
# What an HTTP/2 client sends first, with an empty SETTINGS frame.
_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000")
_LISTEN_SECONDS: Final = 1.0
_OUT_OF_ITS_TIME: Final = (9, 10)  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED
_ANOTHER_NAME: Final = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH


@dataclass(frozen=True, slots=True)
class Handshake:
    """How it went: ``version`` of TLS, or ``fault``, which says what is wrong and what to do."""

    version: str = ""
    fault: str = ""
    is_tls: bool = False
    """Whether the fault is one of TLS for certain, and not an outage."""


async def handshake(milvus: Milvus, timeout: float) -> Handshake:
    """Shake hands, and begin to speak HTTP/2. Raises :class:`errors.TLSFilesUnusable`."""
    context = _context(milvus.tls)
    try:
        async with asyncio.timeout(timeout):
            return await _greet(milvus, context)
    except TimeoutError:
        return Handshake(fault="no answer in time; look whether Milvus hangs, or raise poll.timeout")
    except (OSError, ValueError) as error:  # ValueError: a name that no certificate can bear
        outage = isinstance(error, OSError) and not isinstance(error, ssl.SSLError)
        return Handshake(fault=_explain(error), is_tls=not (outage or isinstance(error, ssl.SSLEOFError)))


def _context(tls: Tls) -> ssl.SSLContext:
    """Return what judges a server as gRPC does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.set_alpn_protocols(["h2"])
    roots = tls.ca_file or default_roots()
    try:
        context.load_verify_locations(roots)
    except OSError as error:
        why = "holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
        raise errors.TLSFilesUnusable(f"{roots}: {why}") from None
    if tls.cert_file and tls.key_file:
        _load_pair(context, tls.cert_file, tls.key_file)
    return context


def _load_pair(context: ssl.SSLContext, cert: Path, key: Path) -> None:
    try:
        for path in (cert, key):
            path.open("rb").close()
        # The password keeps OpenSSL from asking the terminal for one; gRPC takes no encrypted key.
        context.load_cert_chain(cert, key, password="")
    except ssl.SSLError as error:
        pair = error.reason == "KEY_VALUES_MISMATCH"
        why = f"{key}: not the key of {cert}" if pair else f"{cert}, {key}: no certificate and its unencrypted key"
        raise errors.TLSFilesUnusable(why) from None
    except OSError as error:
        raise errors.TLSFilesUnusable(f"{error.filename}: {error.strerror}") from None


async def _greet(milvus: Milvus, context: ssl.SSLContext) -> Handshake:
    # gRPC looks for a name without the dot that makes it absolute.
    name = (milvus.tls.server_name or milvus.address.host).removesuffix(".")
    context.wrap_bio(
        ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=name
    )  # a bad name raises before there is a socket
    reader, writer = await open_way(milvus.address)
    try:
        await writer.start_tls(context, server_hostname=name)
        secured = writer.get_extra_info("ssl_object")
        if secured.selected_alpn_protocol() != "h2":
            return Handshake(fault=f"the server speaks TLS, but not HTTP/2; {NOT_GRPC}", is_tls=True)
        # With TLS 1.3 a server judges the client's certificate when the client takes the handshake for done.
        if not await _first_byte(reader, writer):
            return Handshake(fault=f"the server hangs up after the handshake; {_CLIENT_CERTIFICATE}")
        return Handshake(version=str(secured.version()))
    finally:
        writer.transport.abort()


async def _first_byte(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Return the first byte of the server, nothing if it hangs up. Most begin to speak by themselves."""
    try:
        async with asyncio.timeout(_LISTEN_SECONDS):
            return await reader.read(1)
    except TimeoutError:
        # Not at once: what a server has not read when it hangs up keeps its reason from reaching us.
        writer.write(_PREFACE)
        return await reader.read(1)


def _explain(error: OSError | ValueError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{error.verify_message.rstrip('.')}; {_remedy(error.verify_code)}"
    if isinstance(error, ssl.SSLError):
        reason = error.reason or "SSL error"
        if "ALERT" in reason:
            return f"the server refuses the handshake ({reason}); {_CLIENT_CERTIFICATE}"
        return f"the server does not speak TLS ({reason}); write http in milvus.uri, or switch TLS on in Milvus"
    if isinstance(error, OSError):
        why = os.strerror(error.errno) if error.errno else "the server hangs up"
        return f"{why} during the handshake; look whether Milvus runs behind this address; {_CLIENT_CERTIFICATE}"
    return "the name is none that a certificate can bear; correct milvus.tls.server_name, or the host in milvus.uri"


def _remedy(verify_code: int) -> str:
    if verify_code in _OUT_OF_ITS_TIME:
        return "renew Milvus's certificate, or set this machine's clock"
    if verify_code in _ANOTHER_NAME:
        return "set milvus.tls.server_name to a name that the certificate bears, or correct the host in milvus.uri"
    return "set milvus.tls.ca_file to the authority (PEM) that has signed Milvus's certificate"
