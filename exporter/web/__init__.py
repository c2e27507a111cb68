"""The HTTP side: which path answers what, on which sockets, and what a caller cannot make it do."""

from exporter.web.app import Reload, create_app
from exporter.web.bounds import Bounds
from exporter.web.listen import close_all, listen_all
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
    "close_all",
    "create_app",
    "listen_all",
    "new_event_loop",
]
