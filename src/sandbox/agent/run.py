"""What the agent knows of a program that runs: its outputs, what it reports, its clock, and how it ended."""

from __future__ import annotations

import re
import signal
import time
from contextlib import suppress

from .bounds import ERROR_BOUNDS, KILL_AFTER, MAX_RESULTS, NEVER, PIPE_SIZE
from .commands import Invalid, boolean, number, record
from .journal import Journal, Output
from .lines import clip
from .runners import Runner


class Run:
    """One program in a runner. What the runner reports may be forged: it is bounded, and concerns this run alone."""

    def __init__(self, order: dict, runner: Runner, journal: Journal, now: float, token: str | None = None) -> None:
        self.id = order['id']
        self.language = order['language']
        self.runner = runner
        self.journal = journal
        self.token = token
        self.started = now
        self.interrupt_at = now + order['timeoutSeconds']
        self.kill_at = NEVER
        self.outputs = [Output('stdout', runner.stdout), Output('stderr', runner.stderr)]
        self.results = 0
        self.packages: list = []
        self.used_before = runner.used  # processor seconds
        self.installing = bool(order['packages'])
        self.cause: str | None = None
        self.reported_cause: str | None = None
        self.error: dict | None = None
        self.end: dict | None = None
        self.exit: dict | None = None
        self.exit_code = 0

    def keep_time(self, now: float) -> None:
        if now >= self.kill_at:
            self.runner.kill()
            self.kill_at = now + KILL_AFTER
        elif now >= self.interrupt_at:
            self.stop('Timeout', KILL_AFTER)

    def stop(self, cause: str, patience: float) -> None:
        """Interrupts the program, and kills it when its time is over."""
        if self.cause is None:
            self.cause = cause
            self.interrupt_at = NEVER
            self.runner.signal(signal.SIGINT)
        self.kill_at = min(self.kill_at, time.monotonic() + patience)

    def prepare(self, wait, now: float) -> None:
        wait.at(self.interrupt_at)
        wait.at(self.kill_at)
        if self.runner.reporting:
            wait.read(self.runner.reports, self.read_reports)
        for output in self.outputs:
            if output.read_at <= now:
                wait.read(output.fd, lambda output=output: self.read_output(output))
            else:
                wait.at(output.read_at)

    def read_output(self, output: Output) -> bool:
        """Tells what there is to read. Returns whether there may be more."""
        text = output.read(time.monotonic())
        self._tell_output(output, text)
        return text is not None and output.read_at != NEVER

    def _tell_output(self, output: Output, text: str | None) -> None:
        if text and not self.journal.tell_within(output.name, text):
            output.truncated = True

    def read_reports(self) -> None:
        for message in self.runner.read_reports():
            if message.get('token') == self.token:
                self._take_report(message)

    def _take_report(self, message: dict) -> None:
        """Until packages are installed the runner is still ours; what comes later may be the program's forgery."""
        if self.installing and 'installed' in message:
            self.installing, self.used_before = False, message['installed']
        if 'error' in message:
            self._take_error(message['error'], message.get('cause'))
        if 'end' in message:
            with suppress(Invalid):
                self.end = END(message['end'], 'end')
        if isinstance(message.get('packages'), list):
            self.packages = message['packages'][:64]
        mime = message.get('result')
        if isinstance(mime, dict) and self.results < MAX_RESULTS:
            told = {name: form for name, form in mime.items() if 0 < len(name) <= 64 and isinstance(form, str)}
            self.results += 1
            for output in self.outputs:
                self.read_output(output)  # it was printed before
            self.journal.tell_within('result', {'mime': told})

    def _take_error(self, error, cause) -> None:
        if isinstance(error, dict) and all(isinstance(error.get(name), str) for name in ERROR_BOUNDS):
            self.error = {name: clip(error[name], most) for name, most in ERROR_BOUNDS.items()}
        if cause in ('OutOfMemory', 'DiskLimit') or (cause == 'PackageInstallFailed' and self.installing):
            self.reported_cause = cause

    def drain(self) -> None:
        """Tells the rest of what a program wrote that has ended."""
        for output in self.outputs:
            last = output.bytes + PIPE_SIZE  # more can't have been in the pipe
            while self.read_output(output) and output.bytes <= last:
                pass
            self._tell_output(output, output.decode(b'', final=True))
        self.read_reports()

    def conclude(self, code: int, processor_seconds: float, peak_kib: int, duration: float) -> None:
        """Makes the exit of a program that has ended, with a code that is negative for a signal."""
        stdout, stderr = self.outputs
        cause = self._cause_at_end(code)
        self.exit_code = 124 if cause == 'Timeout' else code if code >= 0 else 128 - code
        self.exit = {
            'exitCode': code if code >= 0 else None,
            'signal': None if code >= 0 else signal_name(-code),
            'cause': cause,
            'error': self.error,
            'durationMilliseconds': round(duration * 1000),
            'usage': {
                'cpuMilliseconds': max(0, round((processor_seconds - self.used_before) * 1000)),
                'peakMemoryBytes': peak_kib * 1024,
            },
            'output': {
                'stdoutBytes': stdout.bytes,
                'stderrBytes': stderr.bytes,
                'stdoutTruncated': stdout.truncated,
                'stderrTruncated': stderr.truncated,
            },
        }

    def _cause_at_end(self, exit_code: int) -> str | None:
        """Why it ended. A program that told nothing of it by itself is judged by the end of its stderr."""
        silent = self.error is None and (self.language != 'python' or exit_code < 0)
        seen = lack_told_in(self.outputs[1].tail) if silent and exit_code != 0 else None
        return self.cause or self.reported_cause or seen


# What the runner says of itself when it is about to exit, or ready for the next: as true as the program lets it be.
END = record(
    {
        'exitCode': number(-64, 255, int),
        'processorSeconds': number(0, 2**40, int, float),
        'peakKib': number(0, 2**40, int),
        'stateKept': boolean,
    },
    defaults={'stateKept': True},
)

LACKS = {
    'OutOfMemory': re.compile(rb'cannot allocate|memoryerror|out of memory|bad_alloc|enomem', re.IGNORECASE),
    'DiskLimit': re.compile(rb'no space left on device|file too large|enospc', re.IGNORECASE),
}


def lack_told_in(tail: bytes) -> str | None:
    return next((cause for cause, words in LACKS.items() if words.search(tail)), None)


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f'SIG{number}'
