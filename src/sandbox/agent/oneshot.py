"""The one run of a sandbox that is no session: from its order to its exit, files that are brought back included."""

from __future__ import annotations

import os
import time

from .artifacts import tell_artifacts
from .bounds import FLUSH_FOR, KILL_AFTER, NEVER, STAY_FOR
from .journal import Journal, Writer
from .processes import end_processes
from .run import Run
from .runners import Runner


class OneShot:
    """Ends with the agent, whose exit code is the program's."""

    session_id = None

    def __init__(self, order: dict, runner: Runner, writer: Writer, workspace: int, reap) -> None:
        name = 'main.' + {'python': 'py', 'bash': 'sh', 'javascript': 'js'}[order['language']]
        taken = any(file['path'] == name for file in order['files'])
        order['program'] = f'.{name}' if taken else name
        self.order = order
        self.runner = runner
        self.workspace = workspace
        self.reap = reap
        self.stay_until = 0.0
        self.flush_until = NEVER
        self.processor_seconds = 0.0
        self.peak_kib = 0
        self.run = Run(order, runner, Journal(writer, order['id']), time.monotonic())
        self.run.journal.tell_within('started', {})
        runner.perform(order)

    def state(self) -> dict:
        return {'id': self.run.id, 'state': 'running' if self.run.exit is None else 'finished'}

    def keep_time(self, now: float) -> None:
        run = self.run
        if run.exit is not None:
            return
        if self.runner.status is not None:
            end_processes(self.reap)
            self._finish(os.waitstatus_to_exitcode(self.runner.status), self.processor_seconds, self.peak_kib)
        elif run.end is not None and not self.order['artifacts']:
            # The kernel takes as long again to end the process, and who waits needs not.
            self._finish(run.end['exitCode'], run.end['processorSeconds'], run.end['peakKib'])
        else:
            run.keep_time(now)

    def prepare(self, wait, now: float) -> None:
        if self.run.exit is None:
            self.run.prepare(wait, now)
        else:
            wait.at(self.stay_until if now < self.stay_until else self.flush_until)

    def is_over(self, now: float) -> bool:
        return self.run.exit is not None and now >= self.stay_until

    def take_end(self, pid: int, status: int, usage) -> None:
        self.processor_seconds += usage.ru_utime + usage.ru_stime
        self.peak_kib = max(self.peak_kib, usage.ru_maxrss)
        self.runner.take_end(pid, status, usage)

    def execute(self, order: dict, refuse) -> None:
        if self.run.id != order['id']:
            refuse('Busy', 'another run is or was here', order['id'])
            return
        self.run.journal.tell('started', {})
        if self.run.exit is not None:
            self.run.journal.tell('exit', self.run.exit)

    def interrupt(self, run_id: str, refuse) -> None:
        if self.run.id != run_id:
            refuse('Invalid', 'interrupt.id is not the run that is here', run_id)
        elif self.run.exit is None:
            self.run.stop('Interrupted', KILL_AFTER)

    def leave(self) -> None:
        if self.run.exit is None:
            self.run.stop('Interrupted', 0)

    def _finish(self, code: int, processor_seconds: float, peak_kib: int) -> None:
        duration = time.monotonic() - self.run.started
        self.run.drain()
        tell_artifacts(self.run.journal, self.workspace, self.order)
        self.run.conclude(code, processor_seconds, peak_kib, duration)
        self.run.journal.tell('exit', self.run.exit)
        self.flush_until = time.monotonic() + FLUSH_FOR
        if os.getpid() == 1:
            self.stay_until = time.monotonic() + STAY_FOR
