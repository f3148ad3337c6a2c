"""One turn of the agent's loop: what it waits for, and who deals with it."""

from __future__ import annotations

import select

from .bounds import NEVER


class Wait:
    """Descriptors and a point in time. Made anew for each turn by all who have something to wait for."""

    def __init__(self) -> None:
        self.readers: dict = {}
        self.writers: dict = {}
        self.until = NEVER

    def read(self, fd: int, handler) -> None:
        self.readers[fd] = handler

    def write(self, fd: int, handler) -> None:
        self.writers[fd] = handler

    def at(self, time: float) -> None:
        self.until = min(self.until, time)

    def run(self, now: float) -> None:
        """Waits for the first thing to do, and does what there is."""
        poller = select.poll()
        for fd in self.readers.keys() | self.writers.keys():
            poller.register(fd, (fd in self.readers and select.POLLIN) | (fd in self.writers and select.POLLOUT))
        ready = poller.poll(None if self.until == NEVER else max(0, self.until - now) * 1000 + 1)
        for fd, events in ready:
            if fd in self.writers and events & ~select.POLLIN:
                self.writers[fd]()
            if fd in self.readers and events & ~select.POLLOUT:
                self.readers[fd]()
