"""The shell of a session: one bash executes script after script. Where one ends the shell, the next has its state."""

from __future__ import annotations

import os
import select
import shlex
import signal
from contextlib import suppress

from . import reports
from .bounds import (
    SHELL_INPUT_FD,
    SHELL_LINES_FD,
    SHELL_SCRIPT_FD,
    SHELL_STATE_FD,
    SHELL_STATUS_FD,
    STDIN_FD,
    STDERR_FD,
    STDOUT_FD,
)
from .kernel import read_available, write_all
from .orders import Orders
from .packages import use_packages
from .reports import report, used_by_now

SAVED = b'\n# saved\n'
# Reads lines and evaluates them. Variables, functions, options and directory outlive it by a file in memory.
LOOP = f"""
source /dev/fd/{SHELL_STATE_FD} 2>/dev/null
: >|/dev/fd/{SHELL_STATE_FD}
trap '{{
    declare -p; declare -f; alias -p; shopt -p; set +o
    printf "cd -- %q\\n# saved\\n" "$PWD"
}} >|/dev/fd/{SHELL_STATE_FD} 2>/dev/null' EXIT
while IFS= read -r -d '' -u {SHELL_LINES_FD} REPLY; do eval "$REPLY"; done
trap - EXIT
"""


def serve_shell(orders: Orders, workspace: str) -> None:
    """The life of a runner whose interpreter is bash. Never returns."""
    signal.signal(signal.SIGINT, lambda *_: None)
    os.dup2(STDIN_FD, 0)
    shell = Shell(workspace)
    while True:
        order = orders.next()
        reports.stamp = {'token': order['token']}
        if 'execute' in order:
            if order['packages']:
                use_packages(workspace)
            code, kept = shell.execute(order['execute'])
            used = used_by_now()
            used['processorSeconds'] += shell.processor_seconds()
            report(end={'exitCode': code, 'stateKept': kept, **used})


class Shell:
    def __init__(self, workspace: str) -> None:
        self.workspace = workspace
        self.pid = 0
        self.wakeup, wake = os.pipe()
        for fd in (self.wakeup, wake):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for fd in (SHELL_SCRIPT_FD, SHELL_INPUT_FD, SHELL_STATE_FD):
            os.dup2(os.memfd_create('shell'), fd)

    def execute(self, order: dict) -> tuple[int, bool]:
        """Returns the exit code, negative for a signal, and whether the shell's state is kept."""
        rewrite(SHELL_SCRIPT_FD, order['code'].encode())
        rewrite(SHELL_INPUT_FD, order['stdin'].encode())
        self.reap()
        if not self.pid:
            self._start()
        variables = [f'{variable["name"]}={shlex.quote(variable["value"])}' for variable in order['env']]
        words = [*variables, 'source', f'/dev/fd/{SHELL_SCRIPT_FD}', *map(shlex.quote, order['args'])]
        line = f'{" ".join(words)} </dev/fd/{SHELL_INPUT_FD}; printf "%d\\n" $? >&{SHELL_STATUS_FD}'
        with suppress(BrokenPipeError):
            write_all(self.lines, line.encode() + b'\0')
        return self._await_end()

    def _start(self) -> None:
        lines, self.lines = os.pipe()
        self.status, status = os.pipe()
        os.set_blocking(self.status, False)
        self.pid = os.fork()
        if self.pid == 0:
            os.dup2(lines, SHELL_LINES_FD)
            os.dup2(status, SHELL_STATUS_FD)
            os.dup2(STDOUT_FD, 1)
            os.dup2(STDERR_FD, 2)
            for each in (signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD):
                signal.signal(each, signal.SIG_DFL)
            try:
                os.execvpe('bash', ['bash', '-c', LOOP, 'bash'], os.environ)
            except OSError as error:
                write_all(2, f'bash: {error.strerror}\n'.encode())
            os._exit(127)
        os.close(lines)
        os.close(status)

    def _await_end(self) -> tuple[int, bool]:
        poller = select.poll()
        told = b''
        for fd in (self.wakeup, self.status):
            poller.register(fd, select.POLLIN)
        while True:
            poller.poll()
            told += read_available(self.status, 64) or b''
            if b'\n' in told:
                return status_of(told.split(b'\n')[0]), True
            ended = self.reap()
            if ended is not None:
                return ended, saved()

    def reap(self) -> int | None:
        """Takes leave of processes that have ended. Returns the shell's exit code, where it is among them."""
        read_available(self.wakeup, 4096)
        code = None
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return code
            if pid == 0:
                return code
            if pid == self.pid:
                code = os.waitstatus_to_exitcode(status)
                self.pid = 0
                os.close(self.lines)
                os.close(self.status)

    def processor_seconds(self) -> float:
        """What the shell that lives and its children have used, which the kernel tells of no process before its end."""
        try:
            with open(f'/proc/{self.pid}/stat', 'rb') as file:
                ticks = sum(map(int, file.read().rpartition(b')')[2].split()[11:15]))
        except (OSError, ValueError):
            return 0
        return ticks / os.sysconf('SC_CLK_TCK')


def status_of(digits: bytes) -> int:
    return int(digits) & 0xFF if digits.isdigit() else 1


def rewrite(fd: int, content: bytes) -> None:
    os.ftruncate(fd, 0)
    os.lseek(fd, 0, os.SEEK_SET)
    write_all(fd, content)


def saved() -> bool:
    size = os.fstat(SHELL_STATE_FD).st_size
    return os.pread(SHELL_STATE_FD, len(SAVED), max(0, size - len(SAVED))) == SAVED
