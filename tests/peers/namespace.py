"""A network of its own with nothing but loopback, for servers that listen on every interface or on fixed ports."""

from __future__ import annotations

import subprocess
from typing import Self

from peers.parts import missing, private_networks


class Namespace:
    """Held open by one sleeping process; other processes enter it with :attr:`prefix`."""

    def __enter__(self) -> Self:
        if not private_networks():
            missing("this user may not make network namespaces (unshare -n, from util-linux, as root)")
        hold = "PATH=$PATH:/usr/sbin:/sbin; ip link set lo up && echo ready && exec sleep infinity"
        self._holder = subprocess.Popen(["unshare", "-n", "sh", "-c", hold], stdout=subprocess.PIPE, text=True)
        assert self._holder.stdout
        assert self._holder.stdout.readline() == "ready\n", "the loopback of the namespace did not come up"
        return self

    def __exit__(self, *_: object) -> None:
        self._holder.kill()
        self._holder.wait()
        assert self._holder.stdout
        self._holder.stdout.close()

    @property
    def prefix(self) -> tuple[str, ...]:
        """The beginning of a command line that runs the rest inside."""
        return ("nsenter", f"--net=/proc/{self._holder.pid}/ns/net", "--")
