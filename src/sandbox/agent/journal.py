"""Events on their way out, and the output that they are made of."""

from __future__ import annotations

import codecs
import os

from .bounds import CHUNK, EXIT_SHARE, JOURNAL_LIMIT, LINE_LIMIT, NEVER, PAUSE, PIPE_SIZE, SHARES, TAIL
from .kernel import read_available
from .lines import encode_line


class Journal:
    """Lines on their way out: those of a run within its bounds, all of them at the reader's speed."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.waiting = bytearray()
        self.left = JOURNAL_LIMIT - EXIT_SHARE
        self.shares = dict(SHARES)

    def tell(self, message: dict) -> None:
        self.waiting += encode_line(message)

    def tell_within(self, share: str, message: dict) -> bool:
        """Tells the message where there is room for it. Where there is not, nothing more of its share is told."""
        line = encode_line(message)
        room = min(LINE_LIMIT, self.left, self.shares.get(share, self.left))
        if len(line) > room:
            self.shares[share] = 0
            return False
        if share in self.shares:
            self.shares[share] -= len(line)
        self.left -= len(line)
        self.waiting += line
        return True

    def flush(self) -> None:
        try:
            if self.waiting:
                del self.waiting[: os.write(self.fd, self.waiting[:PIPE_SIZE])]
        except BlockingIOError:
            pass
        except OSError:
            self.waiting.clear()  # nobody will ever read it


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
