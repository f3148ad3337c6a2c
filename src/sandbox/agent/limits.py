"""What a program may use, as the kernel holds it to."""

from __future__ import annotations

import resource

from .bounds import LIMITS, TELLING_RESERVE
from .kernel import LIBC

M_ARENA_MAX = -8


def limit_resources() -> int:
    """Sets the limits that are the same for every program, and returns the address space that is in use."""
    for kind, most in LIMITS.items():
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))
    LIBC.mallopt(M_ARENA_MAX, 1)  # as MALLOC_ARENA_MAX does for what it starts
    with open('/proc/self/statm') as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def limit_memory(memory: int, present: int, reserve: int = 0) -> None:
    """Limits address space: RLIMIT_DATA is nearer to what a program uses, but in gVisor it counts no mappings."""
    most = present + memory + reserve
    resource.setrlimit(resource.RLIMIT_AS, (most, most + TELLING_RESERVE))


def lift_memory() -> int:
    """Gives the reserve to who has to tell of the lack, and returns the limit to come back to."""
    most, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
    return most


def lower_memory(most: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))
