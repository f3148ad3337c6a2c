"""Copies standard input to the agent's bridge and the bridge to standard output, until either ends.

A program of its own, which a container runtime starts in the sandbox; the name of the bridge is its argument.
"""

import _socket
import os
import select
import sys


def connect(name: str) -> _socket.socket:
    bridge = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        bridge.connect('\0' + name)
    except OSError as error:
        sys.exit(f'the agent serves no bridge: {error.strerror}')
    bridge.setblocking(False)
    return bridge


def copy(bridge: int) -> None:
    os.set_blocking(1, False)
    waiting = {bridge: b'', 1: b''}  # what each end has still to be given
    sources = {bridge: 0, 1: bridge}
    while True:
        empty = [end for end in waiting if not waiting[end]]
        full = [end for end in waiting if waiting[end]]
        readable, writable, _ = select.select([sources[end] for end in empty], full, [])
        for end in empty:
            if sources[end] in readable:
                waiting[end] = os.read(sources[end], 1 << 18)
                if not waiting[end]:
                    return
                writable.append(end)  # most likely
        for end in writable:
            try:
                waiting[end] = waiting[end][os.write(end, waiting[end]) :]
            except BlockingIOError:
                pass


connection = connect(sys.argv[1])
try:
    copy(connection.fileno())
except OSError:
    sys.exit(1)  # one of the two has gone
