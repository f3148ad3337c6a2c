"""What a client of the bridge may ask, and what is wrong with the rest."""

from __future__ import annotations

from .bounds import LINE_LIMIT
from .commands import Invalid, any_text, base64, boolean, identifier, index, number, packages, record, text, timeout
from .lines import parse_json

_context = text(64, least=1)
_file_path = text(16_384)

REQUESTS = {
    'execute': record(
        {
            'language': text(16, 0, 'python|bash', 'must be python or bash'),
            'code': text(512 * 1024, pattern=r'.*'),
            'timeoutSeconds': timeout,
            'context': _context,
            'stdin': any_text,
            'detach': boolean,
        },
        defaults={'context': 'default', 'stdin': '', 'detach': False},
    ),
    'interrupt': record({'id': identifier}, defaults={'id': None}),
    'restart': record({'context': _context}, defaults={'context': None}),
    'variables': record({'context': _context}, defaults={'context': 'default'}),
    'listFiles': record({'path': _file_path}),
    'readFile': record({'path': _file_path}),
    'writeFile': record({'path': _file_path, 'bytes': number(0, 2**53 - 1, int)}, defaults={'bytes': None}),
    'chunk': record({'contentBase64': base64, 'last': boolean}),
    'removeFile': record({'path': _file_path}),
    'install': record(
        {'packages': packages, 'packageIndexURL': index, 'allowSourceBuilds': boolean, 'timeoutSeconds': timeout},
        defaults={'allowSourceBuilds': False},
    ),
}


def parse_request(line: bytes | None) -> tuple[str, str, dict]:
    """The request's id, the command's name and its fields. Raises Invalid, and only that, for any other line."""
    if line is None:
        raise Invalid(f'a line must be shorter than {LINE_LIMIT} bytes')
    try:
        message = parse_json(line)
    except ValueError:
        raise Invalid('a line must be JSON in UTF-8') from None
    if not isinstance(message, dict):
        raise Invalid('a request must be an object')
    request = identifier(message.pop('id', None), 'id')
    try:
        if len(message) != 1 or not REQUESTS.keys() & message:
            raise Invalid(f'a request must have an id and one of {", ".join(REQUESTS)}')
        name, fields = message.popitem()
        fields = REQUESTS[name](fields, name)
        if name == 'install' and not (fields['packages'] and fields['packageIndexURL']):
            raise Invalid('install.packages and install.packageIndexURL are required')
    except Invalid as invalid:
        invalid.request = request
        raise
    return request, name, fields
