"""The variables of an interpreter, described in short."""

from __future__ import annotations

import reprlib
import types

from .bounds import LINE_LIMIT, MAX_VARIABLES
from .lines import clip, encode_json

BRIEF = reprlib.Repr()
BRIEF.maxstring = BRIEF.maxother = 240
BRIEF.maxlist = BRIEF.maxtuple = BRIEF.maxset = BRIEF.maxfrozenset = BRIEF.maxdict = BRIEF.maxdeque = 16


def describe_variables(names: dict) -> tuple[list[dict], bool]:
    """Those that the program has made: no modules, none with a leading underscore. Also whether some are left out."""
    shown = [
        (name, value)
        for name, value in list(names.items())
        if isinstance(name, str) and name and not name.startswith('_') and not isinstance(value, types.ModuleType)
    ]
    described, room = [], LINE_LIMIT - 64 * 1024
    for name, value in shown[:MAX_VARIABLES]:
        variable = describe(name, value)
        room -= len(encode_json(variable)) + 1
        if room < 0:
            break
        described.append(variable)
    return described, len(described) < len(shown)


def describe(name: str, value) -> dict:
    kind = type(value)
    return {
        'name': clip(name, 256),
        'type': clip(attempt(lambda: f'{kind.__name__}', ''), 256),
        'size': clip(size_of(value), 64),
        'repr': clip(attempt(lambda: BRIEF.repr(value), ''), 256),
    }


def size_of(value) -> str:
    if isinstance(value, (type, types.FunctionType)):
        return ''
    shape = attempt(lambda: value.shape, None)
    if isinstance(shape, tuple) and all(isinstance(each, int) for each in shape):
        return repr(tuple(map(int, shape)))
    return attempt(lambda: str(len(value)), '')


def attempt(ask, otherwise):
    try:
        return ask()
    except KeyboardInterrupt:
        raise
    except BaseException:
        return otherwise
