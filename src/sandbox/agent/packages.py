"""Packages in the working directory, found before the image's."""

from __future__ import annotations

import os
import re
import signal
import sys

from .limits import limit_memory
from .reports import report, used_by_now

FOLDER = '.packages'


def run_pip(order: dict, workspace: str, quiet: bool) -> int:
    """Installs wheels, which run no code of their own, or what the order allows. Returns pip's exit code."""
    from urllib.parse import urlsplit  # few need it, and all would wait for it

    pip = [sys.executable, '-I', '-m', 'pip', '--isolated', '--no-input', '--disable-pip-version-check']
    pip += ['install', '--no-cache-dir', '--no-compile', '--no-warn-script-location', '--progress-bar=off']
    pip += ['--upgrade', '--target', f'{workspace}/{FOLDER}', '--index-url', order['packageIndexURL']]
    # An index inside the cluster may speak plain HTTP: who it is, is a matter of the address in the pod.
    pip += ['--trusted-host', urlsplit(order['packageIndexURL']).netloc]
    pip += [] if order['allowSourceBuilds'] else ['--only-binary=:all:']
    pip += [*(['--quiet'] if quiet else []), '--', *order['packages']]
    to_stderr = [(os.POSIX_SPAWN_DUP2, 2, 1)] if quiet else []
    pid = os.posix_spawn(pip[0], pip, os.environ, file_actions=to_stderr, setsigdef=[signal.SIGPIPE, signal.SIGXFSZ])
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def use_packages(workspace: str) -> None:
    """Makes what was installed importable, by this process and those that it starts."""
    target = f'{workspace}/{FOLDER}'
    if target not in sys.path:
        image = [index for index, path in enumerate(sys.path) if path.endswith('-packages')]
        sys.path.insert(image[0] if image else len(sys.path), target)
    os.environ['PYTHONPATH'] = target
    if not os.environ.get('PATH', '').startswith(f'{target}/bin:'):
        os.environ['PATH'] = f'{target}/bin:{os.environ.get("PATH", "")}'


def install(order: dict, workspace: str, present: int) -> None:
    """The life of a runner that installs, and says what is there then."""
    limit_memory(order['memoryBytes'], present)
    exit_code = run_pip(order, workspace, order['quiet'])
    if exit_code == 0:
        report(packages=[describe(package, f'{workspace}/{FOLDER}') for package in order['packages']])
    report(end={'exitCode': exit_code, **used_by_now()})
    os._exit(exit_code)


def describe(package: str, target: str) -> dict:
    """The version that is there now of a package, which is asked for by name, extras and versions."""
    name = re.match(r'[A-Za-z0-9._-]*', package)[0]
    try:
        version = _version(name, target)
    except Exception as error:
        return {'name': name, 'version': None, 'message': f'{type(error).__name__}: {error}'}
    return {'name': name, 'version': version, 'message': 'installed'}


def _version(name: str, target: str) -> str:
    import importlib.metadata  # which takes as long to import as all the rest

    canonical = re.sub(r'[-_.]+', '-', name).lower()
    for found in importlib.metadata.distributions(path=[target]):
        if re.sub(r'[-_.]+', '-', found.metadata['Name'] or '').lower() == canonical:
            return found.version
    raise importlib.metadata.PackageNotFoundError(name)
