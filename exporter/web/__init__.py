"""The HTTP side: which path answers what, on which sockets, and what a caller cannot make it do."""

from exporter.web.app import Page, Reload, create_app
from exporter.web.bounds import Bounds
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
    "create_app",
    "new_event_loop",
]
