"""Lines of JSON, either way: bounded, and valid whatever stands in them."""

from __future__ import annotations

import codecs
import json

from .bounds import LINE_LIMIT


codecs.lookup('utf-16-le')  # now, and not from the disk while somebody waits
encode_json = json.JSONEncoder(ensure_ascii=False, separators=(',', ':')).encode


def encode_line(message: dict) -> bytes:
    """The message on a line: valid UTF-8, whatever its strings hold."""
    return encode_json(message).encode('utf-8', 'replace') + b'\n'


def parse_json(line: bytes):
    """The value of a line. Raises ValueError for any other line, soon, however long its numbers or deep its lists."""
    try:
        return json.loads(line.decode(), parse_int=_short_integer)
    except RecursionError:
        raise ValueError('nested too deeply') from None


def _short_integer(digits: str) -> int:
    if len(digits) > 20:
        raise ValueError('a number is too long')
    return int(digits)


def clip(text: str, most: int) -> str:
    """The beginning of the text, at most so many UTF-16 units, which is what JavaScript counts."""
    return text[:most].encode('utf-16-le', 'replace')[: 2 * most].decode('utf-16-le', 'ignore')


class LineReader:
    """Cuts bytes into lines. A line that is too long comes as None."""

    def __init__(self) -> None:
        self.rest = bytearray()
        self.overlong = False

    def feed(self, data: bytes) -> list[bytes | None]:
        lines: list[bytes | None] = []
        *ends, rest = data.split(b'\n')
        for end in ends:
            self._append(end)
            lines.append(None if self.overlong else bytes(self.rest))
            self.rest, self.overlong = bytearray(), False
        self._append(rest)
        return lines

    def _append(self, piece: bytes) -> None:
        if len(self.rest) + len(piece) >= LINE_LIMIT:
            self.rest, self.overlong = bytearray(), True
        elif not self.overlong:
            self.rest += piece
