"""What may be asked of the agent, and what is wrong with the rest."""

from __future__ import annotations

import re

from .bounds import LINE_LIMIT, MIB
from .lines import clip, parse_json


class Invalid(Exception):
    """A command that can't be obeyed. The text names the field, and is the answer, to the request where it is known."""

    request: str | None = None


def text(most: int, least: int = 0, pattern: str = r'[^\0]*', rule: str = 'must not hold NUL'):
    expression = re.compile(pattern, re.DOTALL)

    def check(value, field):
        if not isinstance(value, str):
            raise Invalid(f'{field} must be a string')
        try:
            length = len(value.encode('utf-16-le')) // 2
        except UnicodeEncodeError:
            raise Invalid(f'{field} must be valid Unicode') from None
        if not least <= length <= most:
            raise Invalid(f'{field} must have {least} to {most} characters')
        if not expression.fullmatch(value):
            raise Invalid(f'{field} {rule}')
        return value

    return check


def number(least: float, most: float, *kinds: type):
    def check(value, field):
        if type(value) not in kinds or not least <= value <= most:
            raise Invalid(f'{field} must be a number from {least} to {most}')
        return value

    return check


def boolean(value, field):
    if not isinstance(value, bool):
        raise Invalid(f'{field} must be true or false')
    return value


def array(item, most: int):
    def check(value, field):
        if not isinstance(value, list) or len(value) > most:
            raise Invalid(f'{field} must be an array of at most {most}')
        return [item(element, f'{field}[{index}]') for index, element in enumerate(value)]

    return check


def record(fields: dict, defaults: dict | None = None):
    """An object with these fields and no others; those that have a default may be left out."""
    defaults = defaults or {}

    def check(value, field):
        if not isinstance(value, dict):
            raise Invalid(f'{field} must be an object')
        for name in value:
            if name not in fields:
                raise Invalid(f'{field} has no field {clip(name, 64)!r}')
        for name in fields:
            if name not in value and name not in defaults:
                raise Invalid(f'{field}.{name} is required')
        return {**defaults, **{name: fields[name](value[name], f'{field}.{name}') for name in value}}

    return check


def relative_path(value, field):
    if any(part in ('', '.', '..') for part in _path(value, field).split('/')):
        raise Invalid(f'{field} must be relative, without ".", ".." or empty parts')
    return value


def base64(value, field):
    if len(_base64(value, field)) % 4:
        raise Invalid(f'{field} must be base64')
    return value


_path = text(1024, least=1)
_base64 = text(LINE_LIMIT, pattern=r'[A-Za-z0-9+/]*={0,2}', rule='must be base64')
_version = r'(===|==|~=|!=|<=|>=|<|>)[A-Za-z0-9.*+!_-]+'
_package = (
    r'[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?'
    r'(\[[A-Za-z0-9._-]+(,[A-Za-z0-9._-]+)*\])?'
    rf'({_version}(,{_version})*)?'
)
_variable = r'(?!(LD_.*|PYTHON.*|KUBERNETES_.*|PATH)\Z)[A-Za-z_][A-Za-z0-9_]*'
any_text = text(LINE_LIMIT, pattern=r'.*')
identifier = text(64, least=1)
_epoch = number(0, 2**53 - 1, int)

_env = array(record({'name': text(256, 1, _variable, 'is not permitted'), 'value': text(32_768)}), 128)
_files = array(record({'path': relative_path, 'contentBase64': base64}), 64)
packages = array(text(256, 1, _package, 'must be a package name with optional extras and versions'), 32)
index = text(2048, 0, '(https?://[!-~]+)?', 'must be a URL')
timeout = number(0.001, 86_400, int, float)
_memory = number(MIB, 2**53 - 1, int)

COMMANDS = {
    'hello': record({'epoch': _epoch}),
    'interrupt': record({'id': identifier, 'epoch': _epoch}),
    'shutdown': record({'epoch': _epoch}),
    'execute': record(
        {
            'id': identifier,
            'epoch': _epoch,
            'language': text(16, 0, 'python|bash|javascript', 'must be python, bash or javascript'),
            'command': array(text(1024, least=1), 16),
            'code': any_text,
            'timeoutSeconds': timeout,
            'memoryBytes': _memory,
            'stdin': any_text,
            'args': array(text(8192), 256),
            'env': _env,
            'files': _files,
            'packages': packages,
            'packageIndexURL': index,
            'allowSourceBuilds': boolean,
            'artifacts': array(text(256, least=1), 32),
        },
        defaults={
            **{name: [] for name in ('command', 'args', 'env', 'files', 'packages', 'artifacts')},
            'stdin': '',
            'packageIndexURL': '',
            'allowSourceBuilds': False,
        },
    ),
    'open': record(
        {
            'id': identifier,
            'epoch': _epoch,
            'memoryBytes': _memory,
            'env': _env,
            'files': _files,
            'packages': packages,
            'packageIndexURL': index,
            'allowSourceBuilds': boolean,
        },
        defaults={'env': [], 'files': [], 'packages': [], 'packageIndexURL': '', 'allowSourceBuilds': False},
    ),
}


def parse_command(line: bytes | None) -> tuple[str, dict]:
    """The command's name and its fields, checked and complete. Raises Invalid, and only that, for any other line."""
    if line is None:
        raise Invalid(f'a line must be shorter than {LINE_LIMIT} bytes')
    try:
        message = parse_json(line)
    except ValueError:
        raise Invalid('a line must be JSON in UTF-8') from None
    if not isinstance(message, dict) or len(message) != 1 or not COMMANDS.keys() & message:
        raise Invalid('a command must be an object with one key: hello, execute, interrupt, open or shutdown')
    name, fields = message.popitem()
    command = COMMANDS[name](fields, name)
    if name == 'execute' and command['language'] != 'python' and not command['command']:
        raise Invalid(f'execute.command is required for {command["language"]}')
    if command.get('packages') and not command['packageIndexURL']:
        raise Invalid(f'{name}.packageIndexURL is required for packages')
    return name, command
