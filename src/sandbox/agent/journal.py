"""Events on their way out, and the output that they are made of."""

from __future__ import annotations

import codecs
import os
import time

from .bounds import (
    CHUNK,
    EXIT_SHARE,
    HOLD,
    JOURNAL_LIMIT,
    LINE_LIMIT,
    NEVER,
    PAUSE,
    PIPE_SIZE,
    SHARES,
    TAIL,
    WAITING_LIMIT,
    WRITE_SIZE,
)
from .kernel import read_available
from .lines import encode_line


class Writer:
    """Bytes on their way to a descriptor that doesn't block, at its reader's speed."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.waiting = bytearray()
        self.broken = False
        self.hold_until = 0.0

    def tell(self, message: dict) -> None:
        self.send(encode_line(message))

    def send(self, line: bytes) -> None:
        self.hold_until = 0.0
        if not self.broken:
            self.waiting += line

    def send_soon(self, line: bytes) -> None:
        """Sends it with the next line, if that comes at once: each write wakes all who carry it."""
        first = not self.waiting
        self.send(line)
        if first:
            self.hold_until = time.monotonic() + HOLD

    def flush(self) -> None:
        try:
            if self.waiting:
                del self.waiting[: os.write(self.fd, self.waiting[:WRITE_SIZE])]
        except BlockingIOError:
            pass
        except OSError:
            self.broken = True  # nobody will ever read it
            self.waiting.clear()

    def prepare(self, wait, now: float = NEVER) -> None:
        if now < self.hold_until:
            wait.at(self.hold_until)
            return
        self.flush()
        if self.waiting:
            wait.write(self.fd, self.flush)


class Journal:
    """The events of one run, within its bounds. Lines of the program's carry the run's id."""

    def __init__(self, writer: Writer, run_id: str) -> None:
        self.writer = writer
        self.id = run_id
        self.left = JOURNAL_LIMIT - EXIT_SHARE
        self.shares = dict(SHARES)

    def tell(self, kind: str, value) -> None:
        self.writer.tell({'id': self.id, kind: value})

    def tell_within(self, kind: str, value) -> bool:
        """Tells the event where there is room for it. Where there is not, nothing more of its kind is told."""
        line = encode_line({'id': self.id, kind: value})
        unread = WAITING_LIMIT - len(self.writer.waiting)
        room = min(LINE_LIMIT, self.left, self.shares.get(kind, self.left), unread)
        if len(line) > room:
            self.shares[kind] = 0
            return False
        if kind in self.shares:
            self.shares[kind] -= len(line)
        self.left -= len(line)
        self.writer.send(line)
        return True

    def told_started(self, count: int | None) -> None:
        self.tell_within('started', {})

    def told_exit(self, outcome: dict) -> None:
        self.tell('exit', outcome)


class Output:
    """Stdout or stderr of the program: counted whole, told as far as its share goes."""

    def __init__(self, name: str, fd: int) -> None:
        self.name = name
        self.fd = fd
        self.decoder = codecs.getincrementaldecoder('utf-8')('replace')
        self.bytes = 0
        self.tail = b''
        self.truncated = False
        self.read_at = 0.0

    def read(self, now: float) -> str | None:
        """The next text, which never ends within a character. None where there is nothing to read now."""
        data = read_available(self.fd, PIPE_SIZE if self.truncated else CHUNK)
        if data is None:
            return None
        self.bytes += len(data)
        self.tail = (self.tail + data[-TAIL:])[-TAIL:]
        if not data:
            self.read_at = NEVER
        elif len(data) < CHUNK // 8:
            self.read_at = now + PAUSE
        return self.decode(data)

    def decode(self, data: bytes, final: bool = False) -> str:
        return '' if self.truncated else self.decoder.decode(data, final)
