"""The agent's ends of a runner: the process that waits for a program and becomes it."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from .bounds import PIPE_SIZE, REPORT_FD
from .kernel import output_pipe, read_available, write_all
from .lines import LineReader, encode_line, parse_json


class Runner:
    """The agent's ends of the process that waits for a program and becomes it."""

    def __init__(self, workspace: str, preload: list[str], gvisor: bool) -> None:
        """Forks. The runner's modules are compiled and imported in the runner, so that the agent stays small."""
        orders, self.orders = os.pipe()
        self.reports, report = output_pipe()
        self.stdout, stdout = output_pipe()
        self.stderr, stderr = output_pipe()
        self.forked = os.fork()
        if self.forked == 0:
            try:
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

    def wait_until_ready(self) -> None:
        told = self._await_ready()
        self.pid, self.used = told['pid'], told['ready']
        self.isolated = self.pid != self.forked
        if self.isolated:
            os.waitpid(self.forked, 0)
        for fd in (self.stdout, self.stderr):
            read_available(fd, PIPE_SIZE)  # what modules said when they were imported

    def _await_ready(self) -> dict:
        told, lines = {}, LineReader()
        os.set_blocking(self.reports, True)
        while not {'pid', 'ready'} <= told.keys():
            data = os.read(self.reports, 1024)
            if not data:
                last_words = read_available(self.stderr, PIPE_SIZE) or b''
                raise SystemExit('the runner ended before it was ready\n' + last_words.decode('utf-8', 'replace'))
            for line in lines.feed(data):
                told.update(parse_json(line))
        os.set_blocking(self.reports, False)
        return told

    def perform(self, order: dict) -> None:
        """Hands the order over. It waits for the runner, which is still ours, to read it."""
        with suppress(BrokenPipeError):  # if it has died, the kernel tells as well
            write_all(self.orders, encode_line(order))
        os.close(self.orders)

    def signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)
