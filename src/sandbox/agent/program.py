"""A run of its own: one program, from its order to the end of the process."""

from __future__ import annotations

import binascii
import os
import signal
from contextlib import suppress

from .bounds import MIB, V8_RESERVE
from .ending import finalise
from .kernel import memory_file, open_beneath, write_all
from .limits import limit_memory
from .packages import run_pip, use_packages
from .python import run_python
from .reports import report, used_by_now
from .telling import PackageInstallFailed, conclude


def perform(order: dict, workspace: str, folder: int, present: int) -> None:
    """Does what the order says and ends the process. An error on the way to the program is told like one of its own."""
    program = f'{workspace}/{order["program"]}'
    value = error = None
    try:
        limit_memory(order['memoryBytes'], present, V8_RESERVE if order['language'] == 'javascript' else 0)
        prepare_files(order, folder)
        if order['packages']:
            exit_code = run_pip(order, workspace, quiet=True)
            if exit_code != 0:
                raise PackageInstallFailed(f'pip ended with exit code {exit_code}')
            use_packages(workspace)
            report(installed=used_by_now()['processorSeconds'])
        if order['stdin']:  # otherwise it is where the order came from, and at its end
            os.dup2(memory_file(order['stdin'].encode()), 0)
        if order['language'] != 'python':
            replace_process(order, program)
        value = run_python(order, program)
    except BaseException as raised:
        error = raised
    exit_code = conclude(value, error, program)
    del value, error
    finalise(workspace)
    with suppress(BaseException):
        report(end={'exitCode': exit_code, **used_by_now()})
    os._exit(exit_code)


def prepare_files(order: dict, folder: int) -> None:
    os.environ.update((variable['name'], variable['value']) for variable in order['env'])
    files = [(file['path'], binascii.a2b_base64(file['contentBase64'])) for file in order['files']]
    for path, content in [(order['program'], order['code'].encode()), *files]:
        fd = open_beneath(folder, path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, make_folders=True)
        write_all(fd, content)
        os.close(fd)
    os.close(folder)


def replace_process(order: dict, program: str) -> None:
    os.environ.setdefault('NODE_OPTIONS', f'--max-old-space-size={order["memoryBytes"] // MIB}')
    for each in (signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(each, signal.SIG_DFL)
    command = order['command']
    try:
        os.execvpe(command[0], [*command, program, *order['args']], os.environ)
    except OSError as error:
        write_all(2, f'{command[0]}: {error.strerror}\n'.encode())
        os._exit(127)
