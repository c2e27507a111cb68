"""How much a caller may ask for, in one place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of one server. Times are seconds, sizes bytes."""

    connections: int = 256
    """Open at once. A further one takes the place of the one that has waited longest without a request in hand; where
    all have one, it gets 503 and is closed."""
    handshakes: int = 64
    """TLS handshakes under way at once, on each address; a further one takes the place of the oldest."""
    requests: int = 32
    """Under way at once, health and readiness apart; a further one gets 503."""
    pipelined: int = 8
    """Sent on one connection before the first is answered."""
    head_bytes: int = 16 * 1024
    """Request line and headers."""
    body_bytes: int = 1024
    """Declared size of a request body, which nobody reads."""
    head_timeout: float = 10.0
    """From the first byte of a request, or from the connection, to the end of its headers."""
    answer_timeout: float = 60.0
    """From there to the last byte of the answer. A scrape that takes longer has long been given up by its scraper."""
    idle_timeout: float = 120.0
    """Between two requests. Longer than the usual longest scrape interval, so that a scraper keeps its connection."""
    linger: float = 2.0
    """How long a refused caller has to read why."""
    backlog: int = 1024
    """Not yet accepted. With a full one, the kernel drops a caller's first packet, and it comes again a second later:
    3,000 connections one after the other took 19 s with 128."""
