"""Packages for a session: pip in a runner of its own, as confined as a program."""

from __future__ import annotations

import os
import time

from .bounds import KILL_AFTER, START_WITHIN
from .journal import Journal
from .lines import clip
from .run import Run

NAMES = {'name': 256, 'version': 128, 'message': 1024}


class Installation:
    """One call of pip. Ends with what went wrong, or None, and what is known of each package."""

    def __init__(self, session, order: dict, journal: Journal, finish) -> None:
        self.session = session
        self.order = order
        self.journal = journal
        self.finish = finish
        self.runner = None
        self.run: Run | None = None
        self.start_by = 0.0
        self.cause: str | None = None
        self.done = False

    def begin(self, now: float) -> None:
        self.start_by = now + START_WITHIN
        try:
            self.runner = self.session.make_runner([])
        except OSError as error:
            self._end(f'no process could be started: {error.strerror}', [])

    def keep_time(self, now: float) -> None:
        if self.done:
            return
        runner, run = self.runner, self.run
        if runner.status is not None:
            self._conclude(now)
        elif run is not None:
            run.keep_time(now)
        elif runner.ready:
            self._start(now)
        elif now >= self.start_by:
            runner.kill()
            self.start_by = now + KILL_AFTER

    def _start(self, now: float) -> None:
        order = {'id': '', 'language': 'pip', 'timeoutSeconds': 600, **self.order, 'packages': []}
        self.run = Run(order, self.runner, self.journal, now)
        if self.cause is not None:
            self.run.stop(self.cause, 0)
        asked = {name: self.order[name] for name in ('packages', 'packageIndexURL', 'allowSourceBuilds')}
        asked['quiet'] = self.order.get('quiet', False)
        self.runner.perform({'kind': 'install', 'memoryBytes': self.session.order['memoryBytes'], **asked})

    def _conclude(self, now: float) -> None:
        runner, run = self.runner, self.run
        code = os.waitstatus_to_exitcode(runner.status)
        if run is None:
            self._end('the installer ended before it was ready\n' + runner.last_words(), [])
            return
        run.drain()
        run.conclude(code, 0, 0, time.monotonic() - run.started)
        self.cause = self.cause or run.exit['cause']
        packages = [told for told in map(checked_package, run.packages) if told]
        tail = run.outputs[1].tail.decode('utf-8', 'replace')
        self._end(None if code == 0 else self._reason(code, tail), packages)

    def _reason(self, code: int, tail: str) -> str:
        if self.cause in ('Timeout', 'Interrupted'):
            return f'the installation was ended: {self.cause}'
        return clip(tail.strip()[-900:] or f'pip ended with exit code {code}', 1024)

    def _end(self, failure: str | None, packages: list[dict]) -> None:
        self.done = True
        if self.runner is not None:
            self.runner.kill()
            self.runner.close()
        self.finish(failure, packages)

    def prepare(self, wait, now: float) -> None:
        if self.done:
            return
        if self.run is not None:
            self.run.prepare(wait, now)
        else:
            wait.at(self.start_by)
            if self.runner.reporting:
                wait.read(self.runner.reports, self.runner.read_start)

    def take_end(self, pid: int, status: int, usage) -> None:
        if self.runner is not None:
            self.runner.take_end(pid, status, usage)

    def stop(self, cause: str) -> None:
        self.cause = self.cause or cause
        if self.run is not None:
            self.run.stop(cause, KILL_AFTER)

    def drop(self) -> None:
        self.cause = 'Interrupted'
        self._end('it was taken out of the queue', [])


def checked_package(told) -> dict | None:
    """What the installer says of a package: None where it says anything else."""
    if not isinstance(told, dict) or not isinstance(told.get('name'), str):
        return None
    version = told.get('version')
    return {
        'name': clip(told['name'], NAMES['name']),
        'version': clip(version, NAMES['version']) if isinstance(version, str) else None,
        'message': clip(str(told.get('message', '')), NAMES['message']),
    }
