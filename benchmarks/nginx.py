"""nginx, one worker, serving the same bytes from a file: the yardstick of a server that does nothing else."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from benchmarks.http import free_port, wait_until_open
from benchmarks.processes import Process

_CONFIGURATION = """\
daemon off; master_process off; error_log stderr crit; pid {folder}/pid;
events {{ worker_connections 64; }}
http {{
  access_log off; keepalive_requests 1000000; tcp_nopush on;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen {address};
    location /on/ {{ sendfile on; alias {folder}/; }}
    location /off/ {{ sendfile off; alias {folder}/; }}
  }}
}}
"""
MODES = ("on", "off")
"""Of sendfile; the better one counts."""


def command() -> str | None:
    """Return this machine's nginx, None where there is none. Many systems keep it where users' paths do not lead."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/opt/homebrew/bin")


class Nginx(Process):
    """Serves ``files`` by name, under ``/on/`` with sendfile and under ``/off/`` without."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        for name, content in files.items():
            (folder / name).write_bytes(content)
        self.address = f"127.0.0.1:{free_port()}"
        (folder / "conf").write_text(_CONFIGURATION.format(folder=folder, address=self.address), encoding="utf-8")
        super().__init__([command() or "nginx", "-c", str(folder / "conf"), "-p", str(folder)])
        wait_until_open(self.address)

    def stop(self) -> None:
        super().stop()
        self._folder.cleanup()
