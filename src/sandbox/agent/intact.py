"""The standard library as it was before the program came, which may replace anything."""

from __future__ import annotations

import ast
import atexit
import binascii
import builtins
import errno
import gc
import io
import json.encoder
import linecache
import operator
import os
import resource
import signal
import traceback

_kept: list[tuple[dict, list, list]] = []  # names of a module, and what they stand for
_map, _zip, _is_not = map, zip, operator.is_not  # which the program may replace too


def keep_intact() -> None:
    """Remembers what telling the end of a program needs."""
    modules = (ast, atexit, binascii, builtins, errno, gc, io, json.encoder, linecache, os, resource, signal, traceback)
    _kept[:] = [(vars(module), [*vars(module)], [*vars(module).values()]) for module in modules]


def restore() -> list[tuple[dict, dict]]:
    """Puts everything back, and returns what the program had there instead: names, and their values."""
    replaced = []
    for names, kept, values in _kept:
        if True in _map(_is_not, _map(names.get, kept), values):
            others = {name: names[name] for name, value in _zip(kept, values) if names.get(name, value) is not value}
            names.update(_zip(kept, values))
            replaced.append((names, others))
    return replaced
