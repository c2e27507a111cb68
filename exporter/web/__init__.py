"""The HTTP side: which path answers what, on which sockets, and what a caller cannot make it do."""

from exporter.web.app import Page, Reload, create_app
from exporter.web.bounds import Bounds
from exporter.web.listen import close_all, listen_all
from exporter.web.loop import new_event_loop
from exporter.web.reply import Application, Reply
from exporter.web.server import Server

__all__ = [
    "Application",
    "Bounds",
    "Page",
    "Reload",
    "Reply",
    "Server",
    "close_all",
    "create_app",
    "listen_all",
    "new_event_loop",
]
