"""How a Python program ended, told as Python tells it, whatever the program has replaced."""

from __future__ import annotations

import errno
import signal
import sys
import traceback
from contextlib import suppress

from .bounds import FORM_LIMIT
from .forms import forms, safe_text, show_figures, tell_forms
from .intact import restore
from .kernel import write_all
from .limits import lift_memory
from .lines import clip
from .reports import report


class PackageInstallFailed(Exception):
    pass


def conclude(value, error: BaseException | None, program: str) -> int:
    """Tells value, figures and error, and returns the exit code."""
    restore()
    if isinstance(error, MemoryError):
        lift_memory()
    try:
        tell_value(value)
    except BaseException as raised:
        error = error or raised
    try:
        return tell_end(error, program)
    except BaseException:
        return 1  # the program has broken what it takes to tell its error


def tell_value(value) -> None:
    if value is not None:
        tell_forms(forms(value))
    show_figures()


def tell_end(error: BaseException | None, program: str) -> int:
    """Does with an uncaught error what Python does, and reports it."""
    if error is None:
        return 0
    with suppress(BaseException):
        sys.stderr.flush()
    if isinstance(error, SystemExit):
        return exit_code_of(error.code)
    frames = error.__traceback__
    while frames and frames.tb_frame.f_code.co_filename != program:
        frames = frames.tb_next
    told = ''.join(traceback.TracebackException(type(error), error, frames, limit=-1000).format())
    described = {'name': type(error).__name__, 'value': safe_text(error, str), 'traceback': clip(told, FORM_LIMIT)}
    report(error=described, cause=cause_of(error))
    if sys.excepthook is not sys.__excepthook__:
        with suppress(BaseException):
            sys.excepthook(type(error), error, frames)
    else:
        write_all(2, told.encode('utf-8', 'backslashreplace'))
    return 128 + signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1


def exit_code_of(code) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    write_all(2, f'{code}\n'.encode('utf-8', 'backslashreplace'))
    return 1


def cause_of(error: BaseException) -> str | None:
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, MemoryError) or number == errno.ENOMEM:
        return 'OutOfMemory'
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return 'DiskLimit'
    return 'PackageInstallFailed' if isinstance(error, PackageInstallFailed) else None
