"""What the agent knows of the one program of a run."""

from __future__ import annotations

import re
from contextlib import suppress

from .bounds import ERROR_BOUNDS, NEVER
from .commands import Invalid, number, record
from .journal import Output
from .lines import LineReader, clip
from .runners import Runner


class Run:
    """What the agent knows of the one program."""

    def __init__(self, order: dict, runner: Runner, now: float) -> None:
        self.id = order['id']
        self.language = order['language']
        self.program = order['program']
        self.artifacts = order['artifacts']
        self.started = now
        self.interrupt_at = now + order['timeoutSeconds']
        self.kill_at = NEVER
        self.outputs = [Output('stdout', runner.stdout), Output('stderr', runner.stderr)]
        self.reports = LineReader()
        self.results = 0
        self.used_before = runner.used  # processor seconds
        self.installing = bool(order['packages'])
        self.cause: str | None = None
        self.reported_cause: str | None = None
        self.error: dict | None = None
        self.end: tuple[int, float, int] | None = None
        self.exit: dict | None = None
        self.exit_code = 0

    def take_error(self, error, cause) -> None:
        if isinstance(error, dict) and all(isinstance(error.get(name), str) for name in ERROR_BOUNDS):
            self.error = {name: clip(error[name], most) for name, most in ERROR_BOUNDS.items()}
        if cause in ('OutOfMemory', 'DiskLimit') or (cause == 'PackageInstallFailed' and self.installing):
            self.reported_cause = cause

    def take_end(self, end) -> None:
        with suppress(Invalid):
            told = END(end, 'end')
            self.end = told['exitCode'], told['processorSeconds'], told['peakKib']

    def cause_at_end(self, exit_code: int) -> str | None:
        """Why it ended. A program that told nothing of it by itself is judged by the end of its stderr."""
        silent = self.error is None and (self.language != 'python' or exit_code < 0)
        seen = lack_told_in(self.outputs[1].tail) if silent and exit_code != 0 else None
        return self.cause or self.reported_cause or seen


# What the runner says of itself when it is about to exit: as true as the program lets it be.
END = record(
    {
        'exitCode': number(0, 255, int),
        'processorSeconds': number(0, 2**40, int, float),
        'peakKib': number(0, 2**40, int),
    }
)

LACKS = {
    'OutOfMemory': re.compile(rb'cannot allocate|memoryerror|out of memory|bad_alloc|enomem', re.IGNORECASE),
    'DiskLimit': re.compile(rb'no space left on device|file too large|enospc', re.IGNORECASE),
}


def lack_told_in(tail: bytes) -> str | None:
    return next((cause for cause, words in LACKS.items() if words.search(tail)), None)
