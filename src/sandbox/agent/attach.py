"""PID 1 of the sandbox: obeys the commands that come over standard input, and runs the loop of all that it does."""

from __future__ import annotations

import os
import signal
import sys
import time

from .bounds import FLUSH_FOR, IDLE_AFTER, JOURNAL_LIMIT, LINE_LIMIT, NEVER, PIPE_SIZE
from .commands import Invalid, parse_command
from .journal import Writer
from .kernel import read_available
from .lines import LineReader, clip
from .loop import Wait
from .oneshot import OneShot
from .runners import Runner


class Agent:
    """Waits with a runner ready, until it is a run's or a session's."""

    def __init__(self, runner: Runner, workspace: str, make_runner, gvisor: bool) -> None:
        self.runner = runner
        self.workspace = os.open(workspace, os.O_RDONLY | os.O_DIRECTORY)  # whatever the program puts in its place
        self.make_runner = make_runner
        self.gvisor = gvisor
        self.epoch = 0
        self.work = None  # a OneShot or a Session
        self.commands = LineReader()
        self.writer = Writer(1)
        self.attached = True
        self.leaving = False
        self.flush_until = NEVER
        self.idle_at = time.monotonic() + IDLE_AFTER
        self.wakeup, wake = os.pipe()
        for fd in (0, 1, self.wakeup, wake):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        if runner.isolated:  # then it comes from outside: a program can't reach the agent
            signal.signal(signal.SIGTERM, lambda *_: self._leave())

    def serve(self) -> int:
        """Obeys until the work is over and told, or nobody is left to obey. Returns the exit code of the sandbox."""
        self.reap()
        while True:
            now = time.monotonic()
            self._keep_time(now)
            wait = Wait()
            self.writer.prepare(wait)
            if self._is_over(now):
                return self.work.run.exit_code if isinstance(self.work, OneShot) else 0
            self._prepare(wait, now)
            wait.run(now)

    def _keep_time(self, now: float) -> None:
        if self.work is not None:
            self.work.keep_time(now)
        elif self.runner.status is not None:
            raise SystemExit('the runner ended while it waited')

    def _is_over(self, now: float) -> bool:
        if self.work is None:
            over = self.leaving or not self.attached
        else:
            over = self.work.is_over(now)
        flush_until = self.work.flush_until if self.work else self.flush_until
        return over and (not self.writer.waiting or now >= min(flush_until, self.flush_until))

    def _prepare(self, wait: Wait, now: float) -> None:
        wait.read(self.wakeup, self.reap)
        if self.attached and len(self.writer.waiting) < JOURNAL_LIMIT + LINE_LIMIT:
            wait.read(0, self._read_commands)
        if self.work is not None:
            self.work.prepare(wait, now)
        elif self.leaving or not self.attached:
            wait.at(self.flush_until)
        elif now >= self.idle_at:
            self.idle_at = NEVER
            from . import session  # noqa: F401  so that a session opens at once, and a run is not held up
        else:
            wait.at(self.idle_at)

    def reap(self) -> bool:
        """Takes leave of the processes that have ended, orphans too. Returns whether others are left."""
        read_available(self.wakeup, 4096)
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            (self.work or self.runner).take_end(pid, status, usage)

    def _leave(self) -> None:
        self.leaving = True
        self.flush_until = time.monotonic() + FLUSH_FOR
        if self.work is not None:
            self.work.leave()

    def _read_commands(self) -> None:
        data = read_available(0, PIPE_SIZE)
        if data == b'':
            self.attached = False
            if self.work is None:
                self.flush_until = time.monotonic() + FLUSH_FOR
        for line in self.commands.feed(data or b''):
            self._obey(line)

    def _obey(self, line: bytes | None) -> None:
        try:
            name, command = parse_command(line)
        except Invalid as invalid:
            self._refuse('Invalid', str(invalid))
            return
        if command['epoch'] < self.epoch:
            self._refuse('StaleEpoch', f'epoch {self.epoch} has been seen', command.get('id'))
            return
        self.epoch = command['epoch']
        obey = {
            'hello': self._hello,
            'execute': self._execute,
            'interrupt': self._interrupt,
            'open': self._open,
            'shutdown': lambda _: self._leave(),
        }
        obey[name](command)

    def _refuse(self, reason: str, message: str, run_id: str | None = None) -> None:
        self.writer.tell({'refused': {'reason': reason, 'message': clip(message, 1024), 'id': run_id}})

    def _hello(self, _: dict) -> None:
        hello = {'protocol': 1, 'epoch': self.epoch, 'kernel': os.uname().release[:128], 'gvisor': self.gvisor}
        python = '.'.join(map(str, sys.version_info[:3]))
        run = self.work.state() if isinstance(self.work, OneShot) else None
        session = self.work.state() if self.work and not run else None
        self.writer.tell({'hello': {**hello, 'python': python, 'run': run, 'session': session}})

    def _execute(self, order: dict) -> None:
        if self.work is None:
            self.work = OneShot(order, self.runner, self.writer, self.workspace, self.reap)
        else:
            self.work.execute(order, self._refuse)

    def _open(self, order: dict) -> None:
        if self.work is None:
            from .session import Session

            self.work = Session(order, self.runner, self.writer, self.workspace, self.make_runner)
        elif self.work.session_id == order['id']:
            self.work.tell_opened()
        else:
            self._refuse('Busy', 'a run or another session is or was here', order['id'])

    def _interrupt(self, command: dict) -> None:
        if self.work is None:
            self._refuse('Invalid', 'interrupt.id is not the run that is here', command['id'])
        else:
            self.work.interrupt(command['id'], self._refuse)
