"""The bridge: an abstract socket where clients from outside the program's reach use the session."""

from __future__ import annotations

import _socket
import os
import struct

from .bounds import BRIDGE_NAME, MAX_CLIENTS
from .client import Client
from .kernel import parent_of


class Bridge:
    """Accepts clients, so many at once, and none that the program has made."""

    def __init__(self, session) -> None:
        self.session = session
        self.clients: list[Client] = []
        self.listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        self.listener.bind('\0' + (os.environ.get('CODERUN_BRIDGE') or BRIDGE_NAME))
        self.listener.listen(MAX_CLIENTS)
        self.listener.setblocking(False)

    def prepare(self, wait, now: float) -> None:
        wait.read(self.listener.fileno(), self._accept)
        for client in self.clients:
            client.prepare(wait, now)

    def keep_time(self, now: float) -> None:
        for client in [client for client in self.clients if client.gone]:
            self.clients.remove(client)
            client.close()

    def _accept(self) -> None:
        try:
            fd, _ = self.listener._accept()
        except OSError:
            return  # it has gone again
        if len(self.clients) < MAX_CLIENTS and comes_from_outside(fd):
            os.set_blocking(fd, False)
            self.clients.append(Client(self.session, fd))
        else:
            os.close(fd)


def comes_from_outside(fd: int) -> bool:
    """Whether the peer's process is none of the agent's: neither a program nor anything that comes from one.

    Whatever a program starts has a runner or, when its own parent has ended, the agent above it. What a container
    runtime puts into the sandbox has neither.
    """
    connection = _socket.socket(fileno=os.dup(fd))
    credentials = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, struct.calcsize('3i'))
    connection.close()
    pid: int | None = struct.unpack('3i', credentials)[0]
    agent = os.getpid()
    if pid == 0:
        return False  # it is in no namespace that can be seen from here
    for _ in range(1000):
        if pid == agent or pid is None:
            return False
        if pid in (0, 1):
            return True
        pid = parent_of(pid)
    return False
