"""What a runner tells the agent: lines on a pipe of its own."""

from __future__ import annotations

import resource

from .bounds import REPORT_FD
from .kernel import write_all
from .lines import encode_line


stamp: dict = {}  # what every report carries, so that a late one is not taken for another execution's


def report(**message) -> None:
    write_all(REPORT_FD, encode_report(message))


def encode_report(message: dict) -> bytes:
    return encode_line({**stamp, **message})


def used_by_now() -> dict:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    seconds = sum(each.ru_utime + each.ru_stime for each in used)
    return {'processorSeconds': seconds, 'peakKib': max(each.ru_maxrss for each in used)}
