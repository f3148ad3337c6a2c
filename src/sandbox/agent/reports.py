"""What a runner tells the agent: lines on a pipe of its own."""

from __future__ import annotations

import resource

from .bounds import REPORT_FD
from .kernel import write_all
from .lines import encode_line


def report(**message) -> None:
    write_all(REPORT_FD, encode_line(message))


def used_by_now() -> dict:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    seconds = sum(each.ru_utime + each.ru_stime for each in used)
    return {'processorSeconds': seconds, 'peakKib': max(each.ru_maxrss for each in used)}
