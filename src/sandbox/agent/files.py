"""Files of the working directory, for clients of a session: listed, read, written and removed.

The program may change anything meanwhile. It finds no way out of the directory by that, and holds nobody up.
"""

from __future__ import annotations

import binascii
import itertools
import os
import stat
import time
from contextlib import suppress

from .bounds import FILE_CHUNK, FILE_LIMIT, LINE_LIMIT, MAX_LISTED, REMOVE_WITHIN, TURN
from .kernel import enter, is_link, write_all
from .lines import encode_json
from .paths import Failure, decode_path, encode_name, folder_of, told_as_failure


def list_files(workspace: int, path: str) -> dict:
    """The entries of a folder by name, as far as they fit a line."""
    with told_as_failure(), folder_of(workspace, decode_path(path)) as folder, os.scandir(folder) as scanned:
        found = list(itertools.islice(scanned, MAX_LISTED + 1))
        entries = [entry for entry in map(describe, sorted(found, key=lambda each: each.name)) if entry]
    truncated = len(found) > MAX_LISTED
    told, room = [], LINE_LIMIT - 64 * 1024
    for entry in entries[:MAX_LISTED]:
        room -= len(encode_json(entry)) + 1
        if room < 0:
            truncated = True
            break
        told.append(entry)
    return {'entries': told, 'truncated': truncated}


def describe(entry: os.DirEntry) -> dict | None:
    try:
        found = entry.stat(follow_symlinks=False)
    except OSError:
        return None  # it is gone
    kinds = {stat.S_IFREG: 'file', stat.S_IFDIR: 'folder', stat.S_IFLNK: 'link'}
    kind = kinds.get(stat.S_IFMT(found.st_mode), 'other')
    modified = found.st_mtime_ns // 1_000_000
    return {'name': encode_name(os.fsencode(entry.name)), 'kind': kind, 'bytes': found.st_size, 'modified': modified}


class Download:
    """A file on its way to a client, chunk by chunk."""

    def __init__(self, workspace: int, path: str) -> None:
        *folders, name = decode_path(path) or [b'.']
        with told_as_failure(), folder_of(workspace, folders) as folder:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            self.fd = os.open(name, flags, dir_fd=folder)
        found = os.fstat(self.fd)
        if not stat.S_ISREG(found.st_mode):
            os.close(self.fd)
            raise Failure('NotAFile', 'it is a folder' if stat.S_ISDIR(found.st_mode) else 'it is no regular file')
        self.bytes = found.st_size
        self.offset = 0

    @property
    def left(self) -> int:
        return self.bytes - self.offset

    def next(self) -> bytes:
        """The next chunk in base64. A file that has shrunk fails."""
        with told_as_failure():
            content = os.pread(self.fd, min(FILE_CHUNK, self.left), self.offset)
        if not content and self.left:
            raise Failure('Failed', 'the file became shorter while it was read')
        self.offset += len(content)
        return binascii.b2a_base64(content, newline=False)

    def close(self) -> None:
        os.close(self.fd)


class Upload:
    """A file on its way into the working directory: under a name of its own until it is whole."""

    def __init__(self, workspace: int, path: str, size: int | None) -> None:
        if size is not None and size > FILE_LIMIT:
            raise Failure('Invalid', f'writeFile.bytes must be at most {FILE_LIMIT}')
        *folders, self.name = decode_path(path) or [b'']
        if not self.name:
            raise Failure('NotAFile', 'the path is the working directory')
        self.is_sized = size is not None
        self.left = size if size is not None else FILE_LIMIT
        self.part = b'.coderun-' + os.urandom(8).hex().encode()
        with told_as_failure(), folder_of(workspace, folders, make_folders=True) as folder:
            mode = self._mode_of_old(folder)
            self.folder = os.dup(folder)
            try:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                self.fd = os.open(self.part, flags, mode, dir_fd=folder)
            except OSError:
                os.close(self.folder)
                raise

    def _mode_of_old(self, folder: int) -> int:
        """The permissions of the file that is there. What is no file is not replaced."""
        try:
            found = os.stat(self.name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return 0o644
        if stat.S_ISLNK(found.st_mode):
            raise Failure('PathNotAllowed', 'the path is a link')
        if not stat.S_ISREG(found.st_mode):
            raise Failure('NotAFile', 'it is a folder' if stat.S_ISDIR(found.st_mode) else 'it is no regular file')
        return stat.S_IMODE(found.st_mode) & 0o777

    def write(self, content: bytes) -> None:
        if len(content) > self.left:
            raise Failure('Invalid', 'there is more content than there may be')
        self.left -= len(content)
        with told_as_failure():
            write_all(self.fd, content)

    def finish(self) -> None:
        if self.is_sized and self.left:
            raise Failure('Invalid', 'there is less content than writeFile.bytes said')
        with told_as_failure():
            os.rename(self.part, self.name, src_dir_fd=self.folder, dst_dir_fd=self.folder)

    def close(self) -> None:
        """Leaves nothing of a file that is not whole."""
        with suppress(OSError):
            os.unlink(self.part, dir_fd=self.folder)
        os.close(self.fd)
        os.close(self.folder)


def write_files(workspace: int, files: list[dict]) -> None:
    """The files of an order, each whole or not at all."""
    for file in files:
        content = binascii.a2b_base64(file['contentBase64'])
        upload = Upload(workspace, file['path'].replace('%', '%25'), len(content))
        try:
            upload.write(content)
            upload.finish()
        finally:
            upload.close()


class Removal:
    """The removal of a file or of a folder with all that is in it, a little each turn.

    The folders within are moved up to the first before they are emptied, so that no depth is too deep.
    """

    def __init__(self, workspace: int, path: str) -> None:
        *self.folders, self.name = decode_path(path) or [b'']
        if not self.name:
            raise Failure('Invalid', 'the working directory itself stays')
        self.steps = self._steps(workspace)
        self.give_up = time.monotonic() + REMOVE_WITHIN

    def advance(self) -> bool:
        """Goes on for a moment. Returns whether all is removed."""
        until = time.monotonic() + TURN
        with told_as_failure():
            for _ in self.steps:
                if time.monotonic() >= self.give_up:
                    raise Failure('Failed', 'there is too much in it, or more all the time')
                if time.monotonic() >= until:
                    return False
        return True

    def close(self) -> None:
        self.steps.close()

    def _steps(self, workspace: int):
        with folder_of(workspace, self.folders) as folder:
            found = os.stat(self.name, dir_fd=folder, follow_symlinks=False)
            if not stat.S_ISDIR(found.st_mode):
                os.unlink(self.name, dir_fd=folder)
                return
            top = enter_own(folder, self.name)
            try:
                yield from empty(top)
            finally:
                os.close(top)
            os.rmdir(self.name, dir_fd=folder)


def enter_own(folder: int, name: bytes) -> int:
    """Opens a folder, closed to its owner or not."""
    with suppress(PermissionError):
        return enter(folder, name)
    if not is_link(folder, name):
        os.chmod(name, 0o700, dir_fd=folder)
    return enter(folder, name)


def empty(top: int):
    os.fchmod(top, 0o700)
    while names := listed(top):
        for name, is_folder in names:
            if not is_folder:
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=top)
            else:
                yield from remove_folder(top, name)
            yield


def remove_folder(top: int, name: bytes):
    """Removes a folder in the first, once the folders in it are in the first too."""
    inner = enter_own(top, name)
    try:
        os.fchmod(inner, 0o700)
        while names := listed(inner):
            for each, is_folder in names:
                with suppress(FileNotFoundError):
                    if is_folder:
                        os.close(enter_own(inner, each))
                        os.rename(each, os.urandom(8).hex().encode(), src_dir_fd=inner, dst_dir_fd=top)
                    else:
                        os.unlink(each, dir_fd=inner)
                yield
    finally:
        os.close(inner)
    os.rmdir(name, dir_fd=top)


def listed(folder: int) -> list[tuple[bytes, bool]]:
    """Some of the names in a folder, and whether each is a folder."""
    with os.scandir(folder) as entries:
        some = itertools.islice(entries, 1000)
        return [(os.fsencode(entry.name), entry.is_dir(follow_symlinks=False)) for entry in some]
