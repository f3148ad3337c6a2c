"""The agent's ends of a runner: the process that waits for a program and becomes it."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress

from .bounds import PIPE_SIZE, REPORT_FD
from .kernel import descendants, output_pipe, read_available, write_all
from .lines import LineReader, encode_line, parse_json


class Runner:
    """A forked process. Until `ready` it is still coming up; until it has its order it is ours."""

    def __init__(self, workspace: str, preload: list[str], gvisor: bool) -> None:
        """Forks. The runner's modules are compiled and imported in the runner, so that the agent stays small."""
        orders, self.orders = os.pipe()
        self.reports, report = output_pipe()
        self.stdout, stdout = output_pipe()
        self.stderr, stderr = output_pipe()
        self.reporting = True  # whether its end of the pipe is open
        self.lines = LineReader()
        self.pid = self.used = self.status = self.usage = None
        try:
            self.forked = os.fork()
        except OSError:
            for fd in (orders, stdout, stderr, report):
                os.close(fd)
            self.close()
            raise
        if self.forked == 0:
            try:
                signal.set_wakeup_fd(-1)
                for number, fd in enumerate((orders, stdout, stderr)):
                    os.dup2(fd, number)
                os.dup2(report, REPORT_FD, inheritable=False)
                os.closerange(3, REPORT_FD)
                from .waiting import live_as_runner

                live_as_runner(workspace, preload, gvisor)
            except BaseException:
                sys.excepthook(*sys.exc_info())
            finally:
                os._exit(1)
        for fd in (orders, stdout, stderr, report):
            os.close(fd)

    @property
    def ready(self) -> bool:
        return self.used is not None

    @property
    def isolated(self) -> bool:
        return self.pid != self.forked

    def wait_until_ready(self) -> None:
        os.set_blocking(self.reports, True)
        while not self.ready:
            self.read_start()
            if not self.reporting:
                raise SystemExit('the runner ended before it was ready\n' + self.last_words())
        os.set_blocking(self.reports, False)
        if self.isolated:
            os.waitpid(self.forked, 0)

    def read_start(self) -> None:
        """Reads what it says of itself before it waits for its order."""
        for told in self.read_reports():
            self.pid = told.get('pid', self.pid)
            if 'ready' in told:
                self.used = told['ready']
                for fd in (self.stdout, self.stderr):
                    read_available(fd, PIPE_SIZE)  # what modules said when they were imported

    def last_words(self) -> str:
        return (read_available(self.stderr, PIPE_SIZE) or b'').decode('utf-8', 'replace')

    def read_reports(self) -> list[dict]:
        data = read_available(self.reports, PIPE_SIZE)  # all that the pipe can hold
        if data == b'':
            self.reporting = False
        messages = []
        for line in self.lines.feed(data or b''):
            with suppress(ValueError):
                messages.append(parse_json(line or b''))
        return [message for message in messages if isinstance(message, dict)]

    def perform(self, order: dict) -> None:
        """Hands its only order over. It waits for the runner, which is still ours, to read it."""
        with suppress(BrokenPipeError):  # if it has died, the kernel tells as well
            write_all(self.orders, encode_line(order))
        os.close(self.orders)
        self.orders = -1

    def signal(self, number: int) -> None:
        if self.pid is not None and self.status is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def kill(self) -> None:
        """Kills it and what comes from it. A namespace ends with its first process; elsewhere each is looked for."""
        started = [] if self.pid is None or self.isolated else descendants(self.pid)
        self.signal(signal.SIGKILL)
        for pid in started if self.pid is not None else [self.forked]:
            with suppress(OSError):  # it may have ended
                os.kill(pid, signal.SIGKILL)

    def take_end(self, pid: int, status: int, usage) -> None:
        """Hears of a process that has ended."""
        if pid == self.pid or (pid == self.forked and self.pid is None):
            self.status, self.usage = status, usage

    def close(self) -> None:
        for fd in (self.orders, self.reports, self.stdout, self.stderr):
            if fd >= 0:
                os.close(fd)
        self.orders = self.reports = self.stdout = self.stderr = -1
