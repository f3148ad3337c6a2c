"""PID 1 of the sandbox: one loop over commands, the program's outputs and reports, ended processes, and the clock."""

from __future__ import annotations

import binascii
import itertools
import os
import select
import signal
import stat
import sys
import time
from contextlib import suppress

from .artifacts import find_files, matches
from .bounds import (
    ARTIFACT_CHUNK,
    ARTIFACT_NAMES_SHARE,
    FLUSH_FOR,
    JOURNAL_LIMIT,
    KILL_AFTER,
    LINE_LIMIT,
    MAX_ARTIFACTS,
    MAX_RESULTS,
    NEVER,
    PIPE_SIZE,
    STAY_FOR,
)
from .commands import Invalid, parse_command
from .journal import Journal, Output
from .kernel import descendants, open_beneath, read_available
from .lines import LineReader, clip, encode_line, parse_json
from .run import Run
from .runners import Runner

class Agent:
    """PID 1: one loop over its commands, the program's outputs and reports, ended processes, and the clock."""

    def __init__(self, runner: Runner, workspace: str, gvisor: bool) -> None:
        self.runner = runner
        self.workspace = os.open(workspace, os.O_RDONLY | os.O_DIRECTORY)  # whatever the program puts in its place
        self.gvisor = gvisor
        self.epoch = 0
        self.run: Run | None = None
        self.commands = LineReader()
        self.journal = Journal(1)
        self.readable = {0, runner.reports}
        self.leaving = False
        self.flush_until = NEVER
        self.stay_until = 0.0
        self.runner_status: int | None = None
        self.processor_seconds = 0.0
        self.peak_kib = 0
        self.wakeup, wake = os.pipe()
        for fd in (0, 1, self.wakeup, wake):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        if runner.isolated:  # then it comes from outside: a program can't reach the agent
            signal.signal(signal.SIGTERM, lambda *_: self._leave())

    def serve(self) -> int:
        """Obeys until the run is over and told, or nobody is left to obey. Returns the exit code of the sandbox."""
        self._reap()
        while True:
            now = time.monotonic()
            self._keep_time(now)
            self.journal.flush()
            if self._is_over(now):
                return self.run.exit_code if self.run else 0
            self._wait(now)

    def _is_over(self, now: float) -> bool:
        if self.run is not None and self.run.exit is None:
            return False
        if self._is_wanted() or now < self.stay_until:
            return False
        return not self.journal.waiting or now >= self.flush_until

    def _is_wanted(self) -> bool:
        """Whether there may be another command that it would obey."""
        return 0 in self.readable and not self.leaving and self.run is None

    def _keep_time(self, now: float) -> None:
        run = self.run
        if run is None:
            if self.runner_status is not None:
                raise SystemExit('the runner ended while it waited')
        elif run.exit is not None:
            pass
        elif self.runner_status is not None:
            self.end_processes()
            self._finish(run, os.waitstatus_to_exitcode(self.runner_status), self.processor_seconds, self.peak_kib)
        elif run.end is not None and not run.artifacts:
            self._finish(run, *run.end)  # the kernel takes as long again to end the process, and who waits needs not
        elif now >= run.kill_at:
            self.runner.signal(signal.SIGKILL)
            run.kill_at = now + KILL_AFTER
        elif now >= run.interrupt_at:
            self._stop(run, 'Timeout', KILL_AFTER)

    def _stop(self, run: Run, cause: str, patience: float) -> None:
        if run.exit is None and run.cause is None:
            run.cause = cause
            run.interrupt_at = NEVER
            self.runner.signal(signal.SIGINT)
        run.kill_at = min(run.kill_at, time.monotonic() + patience)

    def _leave(self) -> None:
        self.leaving = True
        self.flush_until = time.monotonic() + FLUSH_FOR
        if self.run is not None:
            self._stop(self.run, 'Interrupted', 0)

    def _wait(self, now: float) -> None:
        """Waits for the first thing to do, and does what there is."""
        handlers = {self.wakeup: self._reap}
        if 0 in self.readable and len(self.journal.waiting) < JOURNAL_LIMIT + LINE_LIMIT:
            handlers[0] = self._read_commands
        run = self.run
        if run is not None and run.exit is None:
            wake_at = [run.interrupt_at, run.kill_at]
            if self.runner.reports in self.readable:
                handlers[self.runner.reports] = lambda: self._read_reports(run)
            for output in run.outputs:
                if output.read_at <= now:
                    handlers[output.fd] = lambda output=output: self._read_output(run, output)
                else:
                    wake_at.append(output.read_at)
        else:
            wake_at = [NEVER if self._is_wanted() else self.stay_until if now < self.stay_until else self.flush_until]
        poller = select.poll()
        for fd in handlers:
            poller.register(fd, select.POLLIN)
        if self.journal.waiting:
            poller.register(1, select.POLLOUT)
            handlers[1] = self.journal.flush
        first = min(wake_at)
        for fd, _ in poller.poll(None if first == NEVER else max(0, first - now) * 1000 + 1):
            handlers[fd]()

    def _reap(self) -> bool:
        """Takes leave of the processes that have ended, orphans too. Returns whether others are left."""
        read_available(self.wakeup, 4096)
        while True:
            try:
                pid, status, used = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            self.processor_seconds += used.ru_utime + used.ru_stime
            self.peak_kib = max(self.peak_kib, used.ru_maxrss)
            if pid == self.runner.pid:
                self.runner_status = status

    # Commands

    def _read_commands(self) -> None:
        data = read_available(0, PIPE_SIZE)
        if data == b'':
            self.readable.discard(0)
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
            'shutdown': lambda _: self._leave(),
        }
        obey[name](command)

    def _refuse(self, reason: str, message: str, run_id: str | None = None) -> None:
        self.journal.tell({'refused': {'reason': reason, 'message': clip(message, 1024), 'id': run_id}})

    def _hello(self, _: dict) -> None:
        run = self.run
        state = run and {'id': run.id, 'state': 'running' if run.exit is None else 'finished'}
        hello = {'protocol': 1, 'epoch': self.epoch, 'kernel': os.uname().release[:128], 'gvisor': self.gvisor}
        python = '.'.join(map(str, sys.version_info[:3]))
        self.journal.tell({'hello': {**hello, 'python': python, 'run': state}})

    def _execute(self, order: dict) -> None:
        run = self.run
        if run is None:
            self._start(order)
        elif run.id != order['id']:
            self._refuse('Busy', 'another run is or was here', order['id'])
        else:
            self.journal.tell({'id': run.id, 'started': {}})
            if run.exit is not None:
                self.journal.tell({'id': run.id, 'exit': run.exit})

    def _start(self, order: dict) -> None:
        name = 'main.' + {'python': 'py', 'bash': 'sh', 'javascript': 'js'}[order['language']]
        taken = any(file['path'] == name for file in order['files'])
        order['program'] = f'.{name}' if taken else name
        self.run = Run(order, self.runner, time.monotonic())
        self.journal.tell_within('started', {'id': self.run.id, 'started': {}})
        self.runner.perform(order)

    def _interrupt(self, command: dict) -> None:
        if self.run is None or self.run.id != command['id']:
            self._refuse('Invalid', 'interrupt.id is not the run that is here', command['id'])
        else:
            self._stop(self.run, 'Interrupted', KILL_AFTER)

    # The run

    def _read_output(self, run: Run, output: Output) -> bool:
        """Tells what there is to read. Returns whether there may be more."""
        text = output.read(time.monotonic())
        self._tell_output(run, output, text)
        return text is not None and output.read_at != NEVER

    def _tell_output(self, run: Run, output: Output, text: str | None) -> None:
        if text and not self.journal.tell_within(output.name, {'id': run.id, output.name: text}):
            output.truncated = True

    def _read_reports(self, run: Run) -> bool:
        data = read_available(self.runner.reports, PIPE_SIZE)  # all that the pipe can hold
        if data == b'':
            self.readable.discard(self.runner.reports)
        for line in run.reports.feed(data or b''):
            try:
                message = parse_json(line or b'')
            except ValueError:
                continue
            if isinstance(message, dict):
                self._take_report(run, message)
        return bool(data)

    def _take_report(self, run: Run, message: dict) -> None:
        """Until packages are installed the runner is still ours; what comes later may be the program's forgery."""
        if run.installing and 'installed' in message:
            run.installing, run.used_before = False, message['installed']
        if 'error' in message:
            run.take_error(message['error'], message.get('cause'))
        if 'end' in message:
            run.take_end(message['end'])
        mime = message.get('result')
        if isinstance(mime, dict) and run.results < MAX_RESULTS:
            told = {name: form for name, form in mime.items() if 0 < len(name) <= 64 and isinstance(form, str)}
            run.results += 1
            self.journal.tell_within('result', {'id': run.id, 'result': {'mime': told}})

    def _finish(self, run: Run, code: int, processor_seconds: float, peak_kib: int) -> None:
        """Tells the rest of a program that has ended, with a code that is negative for a signal."""
        duration = time.monotonic() - run.started
        for output in run.outputs:
            last = output.bytes + PIPE_SIZE  # more can't have been in the pipe
            while self._read_output(run, output) and output.bytes <= last:
                pass
            self._tell_output(run, output, output.decode(b'', final=True))
        self._read_reports(run)
        self._tell_artifacts(run)
        stdout, stderr = run.outputs
        cause = run.cause_at_end(code)
        run.exit_code = 124 if cause == 'Timeout' else code if code >= 0 else 128 - code
        run.exit = {
            'exitCode': code if code >= 0 else None,
            'signal': None if code >= 0 else signal_name(-code),
            'cause': cause,
            'error': run.error,
            'durationMilliseconds': round(duration * 1000),
            'usage': {
                'cpuMilliseconds': max(0, round((processor_seconds - run.used_before) * 1000)),
                'peakMemoryBytes': peak_kib * 1024,
            },
            'output': {
                'stdoutBytes': stdout.bytes,
                'stderrBytes': stderr.bytes,
                'stdoutTruncated': stdout.truncated,
                'stderrTruncated': stderr.truncated,
            },
        }
        self.journal.tell({'id': run.id, 'exit': run.exit})
        self.flush_until = time.monotonic() + FLUSH_FOR
        if os.getpid() == 1:
            self.stay_until = time.monotonic() + STAY_FOR

    def end_processes(self) -> None:
        """Ends what the program has left behind. Nothing of it is left when PID 1 ends, or in a namespace."""
        give_up = time.monotonic() + 2
        while self._reap() and time.monotonic() < give_up:
            for pid in [-1] if os.getpid() == 1 else descendants():
                with suppress(OSError):  # it may have ended
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.001)

    def _tell_artifacts(self, run: Run) -> None:
        """Tells the files that the patterns name. By now no process is left that could change one under its reader."""
        if not run.artifacts:
            return
        patterns = [pattern.split('/') for pattern in run.artifacts]
        hidden = any(part.startswith('.') for pattern in patterns for part in pattern)
        named = (
            path
            for path in find_files(self.workspace, hidden)
            if path != run.program and any(matches(path.split('/'), pattern) for pattern in patterns)
        )
        for path in itertools.islice(named, MAX_ARTIFACTS):
            try:
                fd = open_beneath(self.workspace, path, os.O_RDONLY | os.O_NONBLOCK)
            except OSError:
                continue
            self._tell_artifact(run, path, fd)
            os.close(fd)

    def _tell_artifact(self, run: Run, path: str, fd: int) -> None:
        found = os.fstat(fd)
        shown = os.fsencode(path).decode('utf-8', 'replace')
        if not stat.S_ISREG(found.st_mode) or clip(shown, 1024) != shown:
            return
        size = found.st_size
        told = {'path': shown, 'bytes': size, 'offset': 0, 'contentBase64': None}
        offsets = range(0, max(size, 1), ARTIFACT_CHUNK)
        frame = len(encode_line({'id': run.id, 'artifact': told})) + 20
        if size * 4 // 3 + len(offsets) * (frame + 4) > self.journal.left - ARTIFACT_NAMES_SHARE:
            self.journal.tell_within('artifact', {'id': run.id, 'artifact': told})
            return
        for offset in offsets:
            content = binascii.b2a_base64(os.pread(fd, ARTIFACT_CHUNK, offset), newline=False).decode()
            part = {**told, 'offset': offset, 'contentBase64': content}
            self.journal.tell_within('artifact', {'id': run.id, 'artifact': part})


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f'SIG{number}'
