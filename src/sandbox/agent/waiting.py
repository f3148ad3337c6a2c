"""The runner as it waits: a forked process, its modules imported, that becomes the program."""

from __future__ import annotations

import gc
import importlib
import os
import signal
import site
import sys
from contextlib import suppress

from .forms import PyplotFinder
from .intact import keep_intact
from .interpreter import serve_session
from .kernel import LIBC, PR_SET_DUMPABLE, PR_SET_PDEATHSIG
from .limits import limit_resources
from .namespaces import enter_namespaces
from .orders import Orders
from .packages import install
from .program import perform
from .python import compile_program
from .reports import report, used_by_now
from .surroundings import open_streams, program_environment, set_environment


def live_as_runner(workspace: str, preload: list[str], gvisor: bool) -> None:
    """The life of the forked process. Never returns."""
    LIBC.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
    if not (gvisor and enter_namespaces()):
        report(pid=os.getpid())
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    os.setsid()
    reset_signals()
    set_environment(program_environment(dict(os.environ), workspace))
    open_streams()
    import_modules(preload)
    keep_intact()
    hide_agent()
    gc.collect()
    gc.freeze()  # so that the collection at a program's end is of its own objects only
    compile_program('0', '')  # what has run once runs faster
    present = limit_resources()
    os.chdir(workspace)
    folder = os.open('.', os.O_RDONLY | os.O_DIRECTORY)
    report(ready=used_by_now()['processorSeconds'])
    orders = Orders(0)
    order = orders.next()
    try:
        if order.get('kind') == 'session':
            serve_session(order, orders, workspace, present)
        elif order.get('kind') == 'install':
            install(order, workspace, present)
        else:
            perform(order, workspace, folder, present)
    finally:
        os._exit(1)


def reset_signals() -> None:
    """As Python has them at its start, where the agent had ignored all."""
    for each in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(each, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def import_modules(preload: list[str]) -> None:
    site.main()
    sys.dont_write_bytecode = True
    sys.meta_path.insert(0, PyplotFinder())
    for name in preload:
        with suppress(ImportError):  # a class may name modules that not all its images have
            importlib.import_module(name)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()


def hide_agent() -> None:
    """Leaves the names of the agent's modules to the program. They need none of them any more."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if getattr(finder, '__module__', '') != '__main__']
    for name in [name for name in sys.modules if name.partition('.')[0] == __package__]:
        del sys.modules[name]
