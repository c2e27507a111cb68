"""The HTTP side: which path answers what, on which sockets, and what a caller cannot make it do."""

from exporter.web.app import Reload, create_app
from exporter.web.bounds import Bounds
from exporter.web.loop import new_event_loop
from exporter.web.reply import Handler, Reply, Request
from exporter.web.server import Server

__all__ = [
    "Bounds",
    "Handler",
    "Reload",
    "Reply",
    "Request",
    "Server",
    "create_app",
    "new_event_loop",
]
