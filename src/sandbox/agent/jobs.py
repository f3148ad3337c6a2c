"""What a session does one at a time: executions, restarts, and questions to an interpreter."""

from __future__ import annotations

import os
import signal
import time

from .artifacts import tell_artifacts
from .bounds import ASK_FOR, KILL_AFTER, MAX_VARIABLES, NEVER
from .contexts import Context
from .files import Failure, write_files
from .install import Installation
from .journal import Journal
from .lines import clip, encode_line
from .run import Run


class Execution:
    """Code in an interpreter of the session. `artifacts` is the working directory, where files are brought back."""

    def __init__(self, session, order: dict, journal: Journal, artifacts: int | None = None) -> None:
        self.session = session
        self.id = order['id']
        self.order = order
        self.journal = journal
        self.artifacts = artifacts
        self.context: Context | None = None
        self.installation: Installation | None = None
        self.run: Run | None = None
        self.began = 0.0
        self.count = 0
        self.cause: str | None = None  # why it shall not even begin
        self.done = False

    @property
    def started(self) -> bool:
        return self.count > 0

    def begin(self, now: float) -> None:
        self.began = now
        self.context = self.session.context(self.order.get('context', 'default'), self.order['language'])
        if self.context is None:
            self._fail('TooManyContexts', 'the session has as many interpreters as it may have')
            return
        self.count = self.session.executions = self.session.executions + 1
        self.journal.told_started(self.count)
        try:
            write_files(self.session.workspace, self.order['files'])
        except Failure as failure:
            self._fail('OSError', failure.message, 'DiskLimit' if failure.reason == 'DiskLimit' else None)
            return
        if self.order['packages']:
            order = {**self.order, 'quiet': True}
            self.installation = Installation(self.session, order, self.journal, self._installed)
            self.installation.begin(now)

    def _installed(self, failure: str | None, _: list) -> None:
        cause = self.installation.cause
        self.installation = None
        if cause is not None:
            self._fail(None, '', cause)
        elif failure is not None:
            self._fail('PackageInstallFailed', failure, 'PackageInstallFailed')

    def keep_time(self, now: float) -> None:
        if self.installation is not None:
            self.installation.keep_time(now)
        if self.done or self.installation is not None:
            return
        if self.run is not None:
            self._watch(now)
        elif self.cause is not None:
            self._fail(None, '', self.cause)
        elif self.context.ready:
            self._start(now)
        elif self.context.failure:
            self._fail('InterpreterStartFailed', self.context.failure)
        else:
            self.context.start(now)

    def _start(self, now: float) -> None:
        context, order = self.context, self.order
        context.drain()
        token = os.urandom(8).hex()
        self.run = context.run = Run({**order, 'packages': []}, context.runner, self.journal, now, token)
        if order['packages']:
            self.run.interrupt_at = self.began + order['timeoutSeconds']
        given = {name: order[name] for name in ('code', 'stdin', 'args', 'env')}
        context.send({'token': token, 'count': self.count, 'packages': self.session.kept_packages(), 'execute': given})
        context.used = True

    def _watch(self, now: float) -> None:
        run, runner = self.run, self.context.runner
        died = runner.status is not None
        if died:
            run.read_reports()
        if run.end is not None:
            end = run.end
            self._finish(now, end['exitCode'], end['processorSeconds'], end['peakKib'], end['stateKept'] and not died)
        elif died:
            usage = runner.usage
            code = os.waitstatus_to_exitcode(runner.status)
            self._finish(now, code, usage.ru_utime + usage.ru_stime, usage.ru_maxrss, False)
        else:
            run.keep_time(now)

    def _finish(self, now: float, code: int, seconds: float, peak_kib: int, kept: bool) -> None:
        run, context = self.run, self.context
        duration = time.monotonic() - run.started
        run.drain()
        if self.artifacts is not None:
            tell_artifacts(self.journal, self.artifacts, self.order)
        run.conclude(code, seconds, peak_kib, duration)
        context.runner.used = seconds
        context.run = None
        state_kept = kept and not context.lost
        context.lost = False
        if context.runner.status is not None:
            context.bury(now)
            context.lost = False  # this answer tells it
        self._tell_exit({**run.exit, 'session': {'executionCount': self.count, 'stateKept': state_kept}})

    def _fail(self, name: str | None, message: str, cause: str | None = None) -> None:
        """Tells the exit of what never ran."""
        error = name and {'name': name, 'value': clip(message, 8192), 'traceback': ''}
        self._tell_exit(
            {
                'exitCode': 1 if name else None,
                'signal': None,
                'cause': cause,
                'error': error,
                'durationMilliseconds': 0,
                'usage': {'cpuMilliseconds': 0, 'peakMemoryBytes': 0},
                'output': {f'{name}{kind}': zero for name in ('stdout', 'stderr') for kind, zero in NO_OUTPUT},
                'session': {'executionCount': self.count, 'stateKept': True},
            }
        )

    def _tell_exit(self, outcome: dict) -> None:
        self.done = True
        if self.artifacts is not None:
            self.session.exits.keep(self.id, encode_line({'id': self.id, 'exit': outcome}))
        self.journal.told_exit(outcome)

    def prepare(self, wait, now: float) -> None:
        if self.installation is not None:
            self.installation.prepare(wait, now)

    def take_end(self, pid: int, status: int, usage) -> None:
        if self.installation is not None:
            self.installation.take_end(pid, status, usage)

    def stop(self, cause: str) -> None:
        if self.run is not None:
            self.run.stop(cause, KILL_AFTER)
        elif self.installation is not None:
            self.installation.stop(cause)
        else:
            self.cause = cause

    def drop(self) -> None:
        if self.artifacts is None:
            self.done = True
            self.journal.failed('Interrupted', DROPPED)
        else:
            self.count = self.session.executions
            self._fail(None, '', 'Interrupted')


DROPPED = 'it was taken out of the queue'
NO_OUTPUT = (('Bytes', 0), ('Truncated', False))


class Restart:
    """Ends interpreters. The next execution gets a fresh one."""

    def __init__(self, session, name: str | None, answer) -> None:
        self.session = session
        self.name = name
        self.answer = answer
        self.kill_at = 0.0
        self.ending: dict = {}
        self.done = False

    def begin(self, now: float) -> None:
        contexts = self.session.contexts
        self.ending = {key: contexts[key] for key in contexts if self.name in (None, key[0])}
        for context in self.ending.values():
            context.used = context.lost = False
            context.end()
        self.kill_at = now + KILL_AFTER

    def keep_time(self, now: float) -> None:
        if any(context.runner is not None for context in self.ending.values()):
            if now >= self.kill_at:
                self.begin(now)
            return
        for key in self.ending:
            del self.session.contexts[key]
            if key[0] == 'default':
                self.session.context(*key)
        self.done = True
        self.answer({})

    def prepare(self, wait, now: float) -> None:
        wait.at(self.kill_at)

    def take_end(self, pid: int, status: int, usage) -> None:
        pass

    def stop(self, cause: str) -> None:
        pass  # it is soon over

    def drop(self) -> None:
        self.done = True


class Variables:
    """Asks an interpreter for its variables, which may be as hostile as the program, and waits for seconds only."""

    def __init__(self, session, name: str, answer, fail) -> None:
        self.session = session
        self.name = name
        self.answer = answer
        self.fail = fail
        self.context: Context | None = None
        self.token = os.urandom(8).hex()
        self.asked = False
        self.interrupt_at = self.until = NEVER
        self.done = False

    def begin(self, now: float) -> None:
        self.context = self.session.contexts.get((self.name, 'python'))
        if self.context is None and self.name == 'default':
            self.context = self.session.context(self.name, 'python')
        if self.context is None:
            self._end(lambda: self.fail('NotFound', 'there is no interpreter of this name'))

    def keep_time(self, now: float) -> None:
        if self.done:
            return
        context = self.context
        if not self.asked and context.ready:
            self.asked = True
            self.interrupt_at, self.until = now + ASK_FOR / 2, now + ASK_FOR
            context.asked = self._take
            context.send({'token': self.token, 'variables': {}})
        elif now >= self.until or not (context.ready or context.starting):
            context.end()  # it may do anything but answer
            self._end(lambda: self.fail('Failed', 'the interpreter did not answer in time, and starts afresh'))
        elif now >= self.interrupt_at:
            self.interrupt_at = NEVER
            context.runner.signal(signal.SIGINT)

    def _take(self, message: dict) -> None:
        if message.get('token') != self.token or 'variables' not in message:
            return
        variables = message['variables']
        if isinstance(variables, list):
            told = [checked_variable(each) for each in variables[:MAX_VARIABLES]]
            truncated = len(variables) > MAX_VARIABLES or bool(message.get('truncated'))
            self._end(lambda: self.answer({'variables': [each for each in told if each], 'truncated': truncated}))
        else:
            self._end(lambda: self.fail('Failed', 'a variable takes too long to describe'))

    def _end(self, tell) -> None:
        self.done = True
        if self.context is not None:
            self.context.asked = None
        tell()

    def prepare(self, wait, now: float) -> None:
        wait.at(self.interrupt_at)
        wait.at(self.until)

    def take_end(self, pid: int, status: int, usage) -> None:
        pass

    def stop(self, cause: str) -> None:
        self.drop()

    def drop(self) -> None:
        self._end(lambda: self.fail('Interrupted', DROPPED))


VARIABLE_BOUNDS = {'name': 256, 'type': 256, 'size': 64, 'repr': 256}


def checked_variable(told) -> dict | None:
    if not isinstance(told, dict) or not all(isinstance(told.get(name), str) for name in VARIABLE_BOUNDS):
        return None
    return {name: clip(told[name], most) for name, most in VARIABLE_BOUNDS.items()} if told['name'] else None
