"""What a program finds around it: environment variables and standard streams."""

from __future__ import annotations

import _io
import os
import re
import sys
from contextlib import suppress

from .bounds import OUTPUT_BLOCK, SHARES, STDERR_FD, STDIN_FD, STDOUT_FD
from .kernel import memory_file


def program_environment(container: dict[str, str], workspace: str) -> dict[str, str]:
    """The image's variables, without those that Kubernetes and the controller add, and what programs count on."""
    added = re.compile(r'CODERUN_.*|KUBERNETES_.*|.*_SERVICE_.*|.*_PORT(_.*)?', re.DOTALL)
    image = {name: value for name, value in container.items() if not added.fullmatch(name)}
    temporary = image.get('TMPDIR') or ('/tmp' if os.access('/tmp', os.W_OK) else f'{workspace}/.tmp')
    return {
        'PATH': '/usr/local/bin:/usr/bin:/bin',
        'LANG': 'C.UTF-8',
        'OPENBLAS_NUM_THREADS': '1',  # each further thread takes 40 MiB of address space
        'MALLOC_ARENA_MAX': '1',  # each further one takes 64 MiB of it, and so a thread
        **image,
        'HOME': workspace,
        'TMPDIR': temporary,
        'MPLBACKEND': 'agg',
        'MPLCONFIGDIR': f'{temporary}/matplotlib',
        'PYTHONDONTWRITEBYTECODE': '1',
    }


def set_environment(environment: dict[str, str]) -> None:
    of_image, own = os.environ.get('MPLCONFIGDIR'), environment['MPLCONFIGDIR']
    os.environ.clear()
    os.environ.update(environment)
    with suppress(OSError):
        os.makedirs(own, exist_ok=True)
        for name in os.listdir(of_image) if of_image else ():  # a list of fonts, which takes a second to make
            os.symlink(f'{of_image}/{name}', f'{own}/{name}')


class Printed(_io.TextIOWrapper):
    """Standard output: line by line, so that what a program has printed is out however it ends. Beyond its share of the
    journal, where nothing is kept of it, in blocks: a system call a line would take a minute for a gigabyte."""

    left = SHARES['stdout']

    def begin(self) -> None:
        """Has its share again, for another execution."""
        self.left = SHARES['stdout']
        if not self.line_buffering:
            self.reconfigure(line_buffering=True)

    def write(self, text: str) -> int:
        self.left -= len(text)
        if self.left < 0 and self.line_buffering:
            self.reconfigure(line_buffering=False)
        return super().write(text)


def open_streams() -> None:
    sys.stdin = sys.__stdin__ = open(0, encoding='utf-8', closefd=False)
    sys.stdout = sys.__stdout__ = Printed(open(1, 'wb', OUTPUT_BLOCK, closefd=False), 'utf-8', line_buffering=True)
    sys.stderr = sys.__stderr__ = open(2, 'w', 1, encoding='utf-8', errors='backslashreplace', closefd=False)


class Streams:
    """Standard streams in a session: they stay, but for what the program has closed or put in their place."""

    def __init__(self) -> None:
        self.stdin, self.stdout, self.stderr = sys.stdin, sys.stdout, sys.stderr
        self.had_input = True

    def renew(self, stdin: str) -> None:
        """Makes the three descriptors and the three streams those of an execution, with no more input than it has."""
        for number, fd in enumerate((STDIN_FD, STDOUT_FD, STDERR_FD)):
            os.dup2(fd, number)
        if stdin:
            content = memory_file(stdin.encode())
            os.dup2(content, 0)
            os.close(content)
        if stdin or self.had_input or self.stdin.closed:
            self.stdin = open(0, encoding='utf-8', closefd=False)
        self.had_input = bool(stdin)
        if self.stdout.closed or self.stderr.closed:
            open_streams()
            self.stdout, self.stderr = sys.stdout, sys.stderr
        self.stdout.begin()
        sys.stdin = sys.__stdin__ = self.stdin
        sys.stdout = sys.__stdout__ = self.stdout
        sys.stderr = sys.__stderr__ = self.stderr

    def flush(self) -> None:
        for stream in (sys.stdout, sys.stderr, self.stdout, self.stderr):
            with suppress(BaseException):
                stream.flush()
