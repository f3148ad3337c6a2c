"""What is asked of the kernel beyond the standard library, and small tools around descriptors."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import stat
from contextlib import suppress

from .bounds import PIPE_SIZE


LIBC = ctypes.CDLL(None, use_errno=True)

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 4, 24, 36, 38
CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID = 0x0002_0000, 0x1000_0000, 0x2000_0000
CAPABILITY_VERSION_3 = 0x2008_0522
SYSLOG_ACTION_READ_ALL = 3
F_SETPIPE_SZ = 1031


def runs_in_gvisor() -> bool:
    """Whether the kernel's log begins as gVisor's does. A kernel that hides its log is not gVisor's."""
    log = ctypes.create_string_buffer(4096)
    length = LIBC.klogctl(SYSLOG_ACTION_READ_ALL, log, len(log))
    return length > 0 and b'Starting gVisor' in log.raw[:length]


def parent_of(pid: int) -> int | None:
    """None where the process has ended."""
    try:
        with open(f'/proc/{pid}/stat', 'rb') as file:
            return int(file.read().rpartition(b')')[2].split()[1])
    except OSError:
        return None


def descendants(ancestor: int) -> list[int]:
    """The processes that come from this one, as far as their parents live."""
    parents = {int(entry): parent_of(int(entry)) for entry in os.listdir('/proc') if entry.isdigit()}
    found = [ancestor]
    for parent in found:
        found += [pid for pid in parents if parents[pid] == parent]
    return found[1:]


def output_pipe() -> tuple[int, int]:
    """A pipe with room for a flood between two reads, where the kernel grants it. Its reader doesn't block."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    with suppress(OSError):
        fcntl.fcntl(writer, F_SETPIPE_SZ, PIPE_SIZE)
    return reader, writer


def read_available(fd: int, most: int) -> bytes | None:
    """Bytes from a descriptor that doesn't block: empty at its end, None where there are none now."""
    try:
        return os.read(fd, most)
    except BlockingIOError:
        return None
    except OSError:
        return b''


def write_all(fd: int, data: bytes, write=os.write) -> None:
    while data:
        data = data[write(fd, data) :]


def memory_file(content: bytes) -> int:
    fd = os.memfd_create('stdin')
    write_all(fd, content)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def enter(folder: int, name) -> int:
    """Opens a folder in a folder. Raises ELOOP where it is a link, which gVisor follows whatever the flags say."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        inner = os.open(name, flags, dir_fd=folder)
    except NotADirectoryError:
        if is_link(folder, name):
            raise OSError(errno.ELOOP, 'it is a link') from None
        raise
    try:
        there = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if not os.path.samestat(there, os.fstat(inner)):
            raise OSError(errno.ELOOP, 'it is a link')
    except OSError:
        os.close(inner)
        raise
    return inner


def is_link(folder: int, name) -> bool:
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except OSError:
        return False


def open_beneath(folder: int, path: str, flags: int, make_folders: bool = False) -> int:
    """Opens a path below the folder part by part, so that no symbolic link is followed."""
    *folders, name = path.split('/')
    inner = os.dup(folder)
    try:
        for part in folders:
            if make_folders:
                with suppress(FileExistsError):
                    os.mkdir(part, dir_fd=inner)
            outer, inner = inner, enter(inner, part)
            os.close(outer)
        return os.open(name, flags | os.O_NOFOLLOW, 0o644, dir_fd=inner)
    finally:
        os.close(inner)
