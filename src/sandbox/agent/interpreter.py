"""The interpreter of a session: executes one thing after another, and keeps what they leave behind.

Between two executions the standard library is as it was, so that the next order is read and the last one told by code
that the program has not replaced; its replacements come back with its next execution.
"""

from __future__ import annotations

import builtins
import gc
import importlib
import linecache
import os
import signal
import sys
import types
from collections import deque

from . import reports
from .bounds import CONTROL_FD, KEPT_SOURCES, STDERR_FD, STDIN_FD, STDOUT_FD
from .intact import restore
from .limits import lift_memory, limit_memory, lower_memory
from .orders import Orders
from .packages import use_packages
from .python import CO_COROUTINE, VALUE, compile_program, remember_source
from .reports import report, used_by_now
from .shell import serve_shell
from .surroundings import Streams
from .telling import tell_end, tell_value
from .variables import describe_variables

ANYTHING = BaseException  # by a name that the program doesn't know


def serve_session(order: dict, orders: Orders, workspace: str, present: int) -> None:
    """The life of a runner that belongs to a session. Never returns."""
    limit_memory(order['memoryBytes'], present)
    os.environ.update((variable['name'], variable['value']) for variable in order['env'])
    orders.fd = os.dup2(0, CONTROL_FD, inheritable=False)
    os.dup2(os.open(os.devnull, os.O_RDONLY), STDIN_FD, inheritable=False)
    os.dup2(1, STDOUT_FD, inheritable=False)
    os.dup2(2, STDERR_FD, inheritable=False)
    if order['language'] == 'bash':
        serve_shell(orders, workspace)
    Interpreter(orders, workspace).serve()


def ignore(*_) -> None:
    """A handler and not SIG_IGN, which processes that the program starts meanwhile would inherit."""


class Interpreter:
    def __init__(self, orders: Orders, workspace: str) -> None:
        self.orders = orders
        self.workspace = workspace
        self.module = types.ModuleType('__main__')
        self.names = vars(self.module)
        self.streams = Streams()
        self.sources: deque = deque()
        self.replaced: list = []  # what the program has in place of the standard library
        self.loop = None
        sys.path.insert(0, workspace)

    def serve(self) -> None:
        signal.signal(signal.SIGINT, ignore)
        while True:
            order = self.orders.next()
            reports.stamp = {'token': order['token']}
            if 'variables' in order:
                self.describe()
            else:
                self.execute(order['count'], order['packages'], order['execute'])

    def describe(self) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            variables, truncated = describe_variables(self.names)
        except ANYTHING:
            variables, truncated = None, True  # one of them took too long
        signal.signal(signal.SIGINT, ignore)
        report(variables=variables, truncated=truncated)

    def execute(self, count: int, packages: bool, order: dict) -> None:
        file = f'<execution {count}>'
        before = self._prepare(packages, order)
        value = error = None
        try:
            code = compile_program(order['code'], file)
            self._remember(file, order['code'])
            for names, others in self.replaced:
                names.update(others)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            value = self._run(code)
        except ANYTHING as raised:
            error = raised
        exit_code = self._conclude(value, error, file)
        del value, error
        for name, old in before.items():
            restore_variable(name, old)
        try:
            report(end={'exitCode': exit_code, **used_by_now()})
        except OSError:
            os._exit(exit_code)  # the program has closed the way to the agent

    def _prepare(self, packages: bool, order: dict) -> dict:
        """Makes things as an execution expects them. Returns its own environment variables, as they were before."""
        sys.modules['__main__'] = self.module
        self.names.update(__name__='__main__', __builtins__=builtins)
        sys.argv = ['', *order['args']]
        self.streams.renew(order['stdin'])
        if packages:
            use_packages(self.workspace)
            importlib.invalidate_caches()
        before = {variable['name']: os.environ.get(variable['name']) for variable in order['env']}
        os.environ.update((variable['name'], variable['value']) for variable in order['env'])
        return before

    def _remember(self, file: str, source: str) -> None:
        """Keeps the source for tracebacks, and lets the oldest go."""
        remember_source(file, source)
        self.sources.append((file, len(source)))
        while len(self.sources) > 1 and sum(size for _, size in self.sources) > KEPT_SOURCES:
            linecache.cache.pop(self.sources.popleft()[0], None)

    def _run(self, code: types.CodeType):
        self.names.pop(VALUE, None)
        outcome = eval(code, self.names)
        if code.co_flags & CO_COROUTINE:
            self._complete(outcome)
        return self.names.pop(VALUE, None)

    def _complete(self, coroutine) -> None:
        """Runs a coroutine in the one loop of this interpreter. Interrupted, it ends before the next begins."""
        import asyncio

        if self.loop is None or self.loop.is_closed():
            self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        task = self.loop.create_task(coroutine)
        try:
            self.loop.run_until_complete(task)
        except ANYTHING:
            if not task.done():
                task.cancel()
                self.loop.run_until_complete(asyncio.wait([task]))
            raise

    def _conclude(self, value, error, file: str) -> int:
        """Tells value, figures and error, with the standard library as it was, and returns the exit code."""
        self.replaced = restore()
        limit = lift_memory() if isinstance(error, MemoryError) else None
        try:
            tell_value(value)
        except ANYTHING as raised:
            error = error or raised
        signal.signal(signal.SIGINT, ignore)
        try:
            exit_code = tell_end(error, file)
        except ANYTHING:
            exit_code = 1
        self.streams.flush()
        if limit is not None:
            error = None
            gc.collect()
            lower_memory(limit)
        return exit_code


def restore_variable(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value
