"""The namespaces that keep a program from the agent, where the kernel is gVisor."""

from __future__ import annotations

import ctypes
import os

from .kernel import (
    CAPABILITY_VERSION_3,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUSER,
    LIBC,
    PR_CAPBSET_DROP,
    PR_SET_NO_NEW_PRIVS,
)
from .reports import report


def enter_namespaces() -> bool:
    """Goes on in a new process, the first of a PID namespace of its own, and tells the agent its number.

    gVisor doesn't protect PID 1: a program of the same user could kill or stop the agent. From within the namespace
    it can't even name it, and when the program ends, the kernel ends all that it has started. Only for gVisor: Linux
    keeps signals from the first process of a namespace, which the program would notice.
    """
    user, group = os.getuid(), os.getgid()
    if LIBC.unshare(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS) != 0:
        return False
    for name, value in (('setgroups', 'deny'), ('uid_map', f'{user} {user} 1'), ('gid_map', f'{group} {group} 1')):
        with open(f'/proc/self/{name}', 'w') as file:
            file.write(value)
    child = os.fork()
    if child:
        report(pid=child)
        os._exit(0)
    LIBC.mount(b'proc', b'/proc', b'proc', 0, None)
    LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    for capability in range(64):
        LIBC.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    LIBC.capset((ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0), (ctypes.c_uint32 * 6)())
    return True
