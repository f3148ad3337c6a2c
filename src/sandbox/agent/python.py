"""Python programs, compiled and run as `python main.py` does."""

from __future__ import annotations

import ast
import builtins
import linecache
import os
import sys
import types


VALUE = '<value>'  # a name that no program can write
CO_COROUTINE = 0x80


def run_python(order: dict, program: str):
    """Runs the program as `python main.py` does. Returns the value of its last expression, where it ends in one."""
    module = types.ModuleType('__main__')
    module.__file__, module.__builtins__ = program, builtins
    sys.modules['__main__'] = module
    sys.argv = [program, *order['args']]
    sys.path.insert(0, os.path.dirname(program))
    source = order['code']
    remember_source(program, source)
    names = vars(module)
    code = compile_program(source, program)
    outcome = eval(code, names)
    if code.co_flags & CO_COROUTINE:
        import asyncio

        asyncio.run(outcome)
    return names.pop(VALUE, None)


def remember_source(file: str, source: str) -> None:
    """Keeps the lines for tracebacks. Each ends in a newline, which the marks below a line count on."""
    linecache.cache[file] = len(source), None, [f'{line}\n' for line in source.splitlines()], file


def compile_program(source: str, program: str) -> types.CodeType:
    """Compiles a module that may await, and that keeps the value of its last expression."""
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    tree = compile(source, program, 'exec', flags | ast.PyCF_ONLY_AST, dont_inherit=True)
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        last = tree.body[-1]
        target = ast.copy_location(ast.Name(VALUE, ast.Store()), last)
        tree.body[-1] = ast.copy_location(ast.Assign([target], last.value), last)
    return compile(tree, program, 'exec', flags, dont_inherit=True)
