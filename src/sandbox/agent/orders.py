"""Orders as they come to a runner: lines of JSON from the agent."""

from __future__ import annotations

import json
import os


class Orders:
    """Reads them one by one. The process ends with the agent, or when the program has closed the pipe."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.rest = b''

    def next(self) -> dict:
        pieces = [self.rest]
        while b'\n' not in pieces[-1]:
            data = os.read(self.fd, 64 * 1024)
            if not data:
                os._exit(0)
            pieces.append(data)
        line, _, self.rest = b''.join(pieces).partition(b'\n')
        return json.loads(line)
