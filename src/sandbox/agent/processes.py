"""Processes that are left behind."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

from .kernel import descendants


def end_processes(reap) -> None:
    """Ends what a program has left behind. Nothing of it is left when PID 1 ends, or in a namespace."""
    give_up = time.monotonic() + 2
    while reap() and time.monotonic() < give_up:
        for pid in [-1] if os.getpid() == 1 else descendants(os.getpid()):
            with suppress(OSError):  # it may have ended
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.001)
