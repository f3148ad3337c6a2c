"""A session: interpreters that stay, one queue for all that is asked of them, and the answers that are kept."""

from __future__ import annotations

import os
import time
from collections import deque

from .bounds import MAX_CONTEXTS, MAX_QUEUED, NEVER
from .bridge import Bridge
from .contexts import Context
from .exits import Exits
from .files import Failure, write_files
from .install import Installation
from .jobs import Execution
from .journal import Journal, Writer
from .runners import Runner


class Session:
    """What the sandbox is once it was opened. It ends with the sandbox."""

    flush_until = NEVER

    @property
    def session_id(self) -> str:
        return self.id

    def __init__(self, order: dict, runner: Runner, writer: Writer, workspace: int, make_runner) -> None:
        self.id = order['id']
        self.writer = writer
        self.workspace = workspace
        self.make_runner = make_runner
        self.order = {'memoryBytes': order['memoryBytes'], 'env': order['env']}
        self.contexts = {('default', 'python'): Context('python', self.order, make_runner, runner)}
        self.queue: deque = deque()
        self.job = None
        self.executions = 0
        self.exits = Exits()
        self.opened: dict | None = None
        self.leaving = False
        self.packages = False
        self.last_used = time.monotonic()
        self.bridge: Bridge | None = None
        self._open(order)

    # Opening

    def _open(self, order: dict) -> None:
        try:
            write_files(self.workspace, order['files'])
        except Failure as failure:
            self._finish_opening('DiskLimit', failure.message)
            return
        if order['packages']:
            journal = Journal(Writer(-1), self.id)  # its output is nobody's
            self.job = Installation(self, {**order, 'quiet': True}, journal, self._finish_installing)
            self.job.begin(time.monotonic())
        else:
            self._finish_opening(None, '')

    def _finish_installing(self, failure: str | None, _: list) -> None:
        lack = self.job.cause if self.job.cause in ('DiskLimit', 'OutOfMemory') else 'PackageInstallFailed'
        self.job = None
        self._finish_opening(lack if failure is not None else None, failure or '')

    def _finish_opening(self, cause: str | None, message: str) -> None:
        self.opened = {'cause': cause, 'message': message}
        if cause is None:
            self.bridge = Bridge(self)
        self.touch()
        self.tell_opened()

    def tell_opened(self) -> None:
        if self.opened is not None:
            self.writer.tell({'id': self.id, 'opened': self.opened})

    def state(self) -> dict:
        state = 'opening' if self.opened is None else 'failed' if self.opened['cause'] else 'open'
        busy = self.opened is not None and (self.job is not None or bool(self.queue))
        idle = 0 if self.job or self.queue else max(0, round((time.monotonic() - self.last_used) * 1000))
        told = {'id': self.id, 'state': state, 'executions': self.executions, 'busy': busy}
        return {**told, 'idleMilliseconds': idle}

    def touch(self) -> None:
        """Somebody has used the session just now."""
        self.last_used = time.monotonic()

    # The queue

    def enqueue(self, job) -> bool:
        """Puts the job at the end of the queue. Returns whether there was room."""
        if len(self.queue) >= MAX_QUEUED:
            return False
        self.queue.append(job)
        return True

    def drop(self, job) -> None:
        """Ends a job, whether it waits or is being done."""
        if job is self.job:
            job.stop('Interrupted')
        elif job in self.queue:
            self.queue.remove(job)
            job.drop()

    def context(self, name: str, language: str) -> Context | None:
        """The interpreter of this name, started if need be. None where there are too many."""
        key = name, language
        if key not in self.contexts:
            if len(self.contexts) >= MAX_CONTEXTS:
                return None
            self.contexts[key] = Context(language, self.order, self.make_runner)
        context = self.contexts[key]
        context.start(time.monotonic())
        return context

    # The loop

    def keep_time(self, now: float) -> None:
        for context in self.contexts.values():
            context.keep_time(now)
        if self.bridge is not None:
            self.bridge.keep_time(now)
        while self.job is not None or (self.queue and self.opened is not None):
            if self.job is None:
                self.job = self.queue.popleft()
                self.job.begin(now)
            self.job.keep_time(now)
            if self.job is not None and not self.job.done:
                return
            self.job = None
            self.touch()

    def prepare(self, wait, now: float) -> None:
        for context in self.contexts.values():
            context.prepare(wait, now)
        if self.job is not None:
            self.job.prepare(wait, now)
        if self.bridge is not None:
            self.bridge.prepare(wait, now)

    def take_end(self, pid: int, status: int, usage) -> None:
        for context in self.contexts.values():
            context.take_end(pid, status, usage)
        if self.job is not None:
            self.job.take_end(pid, status, usage)

    def is_over(self, now: float) -> bool:
        return self.leaving

    def leave(self) -> None:
        self.leaving = True
        self.flush_until = time.monotonic() + 1

    # Commands over attach

    def execute(self, order: dict, refuse) -> None:
        """Runs a CodeRun in the session, once: the same id again is answered with what became of it."""
        run_id = order['id']
        known = next((job for job in self._runs() if job.id == run_id), None)
        if known is not None:
            if known is self.job and known.started:
                known.journal.tell('started', {})
        elif run_id in self.exits:
            self._tell_again(run_id, refuse)
        elif order['language'] == 'javascript':
            refuse('Invalid', 'execute.language: a session runs python and bash', run_id)
        elif self.opened is None or self.opened['cause'] is not None:
            refuse('Busy', 'the session is not open', run_id)
        elif not self.enqueue(Execution(self, order, Journal(self.writer, run_id), artifacts=self.workspace)):
            refuse('Busy', f'{MAX_QUEUED} executions wait already', run_id)

    def _runs(self) -> list:
        jobs = [self.job, *self.queue]
        return [job for job in jobs if isinstance(job, Execution) and job.artifacts is not None]

    def _tell_again(self, run_id: str, refuse) -> None:
        line = self.exits.line(run_id)
        if line is None:
            refuse('Invalid', 'execute.id is over, and its exit is not kept any more', run_id)
        else:
            self.writer.tell({'id': run_id, 'started': {}})
            self.writer.send(line)

    def interrupt(self, run_id: str, refuse) -> None:
        job = next((job for job in self._runs() if job.id == run_id), None)
        if job is not None:
            self.drop(job)
        elif run_id not in self.exits:
            refuse('Invalid', 'interrupt.id is not a run that is here', run_id)

    # The rest of its state

    def kept_packages(self) -> bool:
        """Whether packages were installed into the working directory."""
        if not self.packages:
            try:
                self.packages = os.stat('.packages', dir_fd=self.workspace, follow_symlinks=False) is not None
            except OSError:
                return False
        return True
