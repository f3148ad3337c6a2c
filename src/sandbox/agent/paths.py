"""Paths below the working directory: how they are written on the wire, and how they are walked."""

from __future__ import annotations

import errno
import os
import re
from contextlib import contextmanager, suppress

from .kernel import enter

ESCAPE = re.compile(r'(%(?:[0-9A-Fa-f]{2})?)')
UNSAFE = re.compile('[%\udc80-\udcff]')


class Failure(Exception):
    """Why a request can't be met: one of the reasons of bridge-protocol.ts, and a sentence."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


REASONS = {
    errno.ENOENT: ('NotFound', 'there is no such file or folder'),
    errno.ENOTDIR: ('NotAFolder', 'a part of the path is not a folder'),
    errno.EISDIR: ('NotAFile', 'it is a folder'),
    errno.ELOOP: ('PathNotAllowed', 'the path leads through a link'),
    errno.EACCES: ('PathNotAllowed', 'permission denied'),
    errno.EPERM: ('PathNotAllowed', 'permission denied'),
    errno.ENXIO: ('NotAFile', 'it is no regular file'),
    errno.EEXIST: ('Exists', 'it exists already'),
    errno.ENAMETOOLONG: ('Invalid', 'a name is too long'),
    errno.ENOSPC: ('DiskLimit', 'the working directory is full'),
    errno.EDQUOT: ('DiskLimit', 'the working directory is full'),
    errno.EFBIG: ('DiskLimit', 'the file is too large'),
}


@contextmanager
def told_as_failure():
    """Turns the kernel's errors into failures that are told."""
    try:
        yield
    except OSError as error:
        raise Failure(*REASONS.get(error.errno, ('Failed', error.strerror or 'it failed'))) from None


def encode_name(name: bytes) -> str:
    """The name as text: bytes that are no UTF-8 as %XX, and the percent sign too."""
    return UNSAFE.sub(lambda found: f'%{ord(found[0]) & 0xFF:02X}', name.decode('utf-8', 'surrogateescape'))


def _decoded(piece: str) -> bytes:
    """A piece of a name, which is either an escape or free of them."""
    if not piece.startswith('%'):
        return piece.encode()
    if len(piece) == 1:
        raise Failure('Invalid', 'path: a percent sign is written %25')
    return bytes.fromhex(piece[1:])


def decode_path(path: str) -> list[bytes]:
    """The names of the path, none for the working directory itself."""
    parts = []
    for part in path.split('/') if path else ():
        name = b''.join(map(_decoded, ESCAPE.split(part)))
        if name in (b'', b'.', b'..') or b'/' in name or b'\0' in name:
            raise Failure('PathNotAllowed', 'path must be relative, without ".", ".." or empty parts')
        parts.append(name)
    return parts


@contextmanager
def folder_of(workspace: int, parts: list[bytes], make_folders: bool = False):
    """A descriptor of the folder that the parts lead to. No link is followed on the way."""
    inner = os.dup(workspace)
    try:
        for part in parts:
            if make_folders:
                with suppress(FileExistsError):
                    os.mkdir(part, 0o755, dir_fd=inner)
            outer, inner = inner, enter(inner, part)
            os.close(outer)
        yield inner
    finally:
        os.close(inner)
