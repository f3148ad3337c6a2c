"""How the runs of a session ended, for those who ask again."""

from __future__ import annotations

from .bounds import KEPT_EXIT_BYTES, KEPT_EXITS, REMEMBERED_RUNS


class Exits:
    """The last lines of runs by id, bounded in number and bytes, and the ids of many more."""

    def __init__(self) -> None:
        self.lines: dict[str, bytes | None] = {}
        self.kept: dict[str, int] = {}
        self.bytes = 0

    def __contains__(self, run_id: str) -> bool:
        return run_id in self.lines

    def line(self, run_id: str) -> bytes | None:
        """None where only the id is remembered."""
        return self.lines[run_id]

    def keep(self, run_id: str, line: bytes) -> None:
        self.lines[run_id] = line
        self.kept[run_id] = len(line)
        self.bytes += len(line)
        while len(self.kept) > KEPT_EXITS or self.bytes > KEPT_EXIT_BYTES:
            oldest = next(iter(self.kept))
            self.bytes -= self.kept.pop(oldest)
            self.lines[oldest] = None
        if len(self.lines) > REMEMBERED_RUNS:
            del self.lines[next(iter(self.lines))]
