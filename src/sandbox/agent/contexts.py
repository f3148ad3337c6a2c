"""The interpreters of a session: each a runner that executes one thing after another."""

from __future__ import annotations

import os
import time
from contextlib import suppress

from .bounds import PAUSE, PIPE_SIZE, START_WITHIN
from .journal import Writer
from .kernel import read_available
from .runners import Runner


class Context:
    """An interpreter by name. It starts when it is first needed, and again when it has died."""

    def __init__(self, language: str, order: dict, make_runner, runner: Runner | None = None) -> None:
        self.language = language
        self.order = order
        self.make_runner = make_runner
        self.runner: Runner | None = None
        self.writer: Writer | None = None
        self.start_by = 0.0
        self.drain_at = 0.0
        self.failure = ''  # why it did not start
        self.used = False  # whether there is something to lose
        self.lost = False  # whether something was, and nobody has been told yet
        self.run = None  # what is executed in it
        self.asked = None  # who gets its reports, while nothing is
        if runner is not None:
            self._adopt(runner)

    @property
    def ready(self) -> bool:
        return self.runner is not None and self.runner.ready and self.runner.status is None and not self.ending

    @property
    def starting(self) -> bool:
        return self.runner is not None and not self.runner.ready

    def start(self, now: float) -> None:
        """Starts an interpreter where there is none."""
        if self.runner is not None:
            return
        self.failure = ''
        self.start_by = now + START_WITHIN
        try:
            self._adopt(self.make_runner())
        except OSError as error:
            self.failure = f'no process could be started: {error.strerror}'

    def _adopt(self, runner: Runner) -> None:
        self.runner = runner
        self.closed: set[int] = set()
        self.ending = False
        self.writer = Writer(runner.orders)
        os.set_blocking(runner.orders, False)
        self.send({'kind': 'session', 'language': self.language, **self.order})

    def send(self, order: dict) -> None:
        self.writer.tell(order)

    def keep_time(self, now: float) -> None:
        """Notices that it has died, where nobody else looks."""
        runner = self.runner
        if runner is None or self.run is not None:
            return
        if runner.status is not None:
            if not runner.ready:
                self.failure = f'the interpreter ended before it was ready\n{runner.last_words()}'
            self.bury(now)
        elif not runner.ready and now >= self.start_by:
            self.failure = 'the interpreter did not start in time'
            runner.kill()
            self.start_by = now + START_WITHIN

    def bury(self, now: float) -> None:
        """Takes leave of an interpreter that has died, and starts another where the first had been in use."""
        self.runner.close()
        self.runner = self.writer = None
        again, self.lost, self.used = self.used, self.lost or self.used, False
        if again:
            self.start(now)

    def prepare(self, wait, now: float) -> None:
        runner = self.runner
        if runner is None:
            return
        self.writer.prepare(wait)
        if not runner.ready:
            wait.at(self.start_by)
            if runner.reporting:
                wait.read(runner.reports, runner.read_start)
        elif self.run is not None:
            self.run.prepare(wait, now)
        else:
            if runner.reporting and self.asked is not None:
                wait.read(runner.reports, self._read_reports)
            if now >= self.drain_at:
                for fd in {runner.stdout, runner.stderr} - self.closed:
                    wait.read(fd, self.drain)
            else:
                wait.at(self.drain_at)

    def _read_reports(self) -> None:
        for message in self.runner.read_reports():
            if self.asked is not None:  # what was not asked for stays in the pipe until an execution passes over it
                self.asked(message)

    def drain(self) -> None:
        """Drops what comes between two executions. Who floods it is read at a pace."""
        for fd in (self.runner.stdout, self.runner.stderr):
            if read_available(fd, PIPE_SIZE) == b'':
                self.closed.add(fd)
        self.drain_at = time.monotonic() + PAUSE

    def take_end(self, pid: int, status: int, usage) -> None:
        if self.runner is not None:
            self.runner.take_end(pid, status, usage)

    def end(self) -> None:
        """Kills the interpreter that is there."""
        if self.runner is not None:
            self.ending = True
            with suppress(OSError):
                self.runner.kill()
