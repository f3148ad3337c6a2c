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
import os
import resource
import signal
import traceback

_kept: list[tuple[dict, dict]] = []


def keep_intact() -> None:
    """Remembers what telling the end of a program needs."""
    modules = (ast, atexit, binascii, builtins, errno, gc, io, json.encoder, linecache, os, resource, signal, traceback)
    _kept[:] = [(vars(module), dict(vars(module))) for module in modules]


def restore() -> list[tuple[dict, dict]]:
    """Puts everything back, and returns what the program had there instead: names, and their values."""
    replaced = []
    for names, kept in _kept:
        others = {name: names[name] for name, value in kept.items() if name in names and names[name] is not value}
        names.update(kept)
        if others:
            replaced.append((names, others))
    return replaced
