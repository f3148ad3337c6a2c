"""The end of an interpreter as far as a program notices it."""

from __future__ import annotations

import atexit
import gc
import sys
import types
from contextlib import suppress


def finalise(workspace: str) -> None:
    """What the interpreter does at its end as far as a program notices; the rest would only cost time."""
    last_steps = [
        getattr(sys.modules.get('threading'), '_shutdown', None),
        atexit._run_exitfuncs,
        lambda: let_go(workspace),
        *(getattr(stream, 'flush', None) for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)),
    ]
    for step in last_steps:
        with suppress(BaseException):
            step()


def let_go(workspace: str) -> None:
    """Empties the program's own modules, so that files close and finalisers run. These still find what they may call:
    functions, classes and modules stay."""
    staying = (types.FunctionType, types.ModuleType, type)
    for module in list(sys.modules.values()):
        names = getattr(module, '__dict__', {})
        path = str(names.get('__file__'))
        if path.startswith(f'{workspace}/') and not path.startswith(f'{workspace}/.packages/'):
            names.update({name: None for name, value in names.items() if not issubclass(type(value), staying)})
    gc.collect()
