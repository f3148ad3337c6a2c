"""Files that are brought back: which the patterns name."""

from __future__ import annotations

import fnmatch
import itertools
import os

from .bounds import MAX_DEPTH, MAX_ENTRIES
from .kernel import open_beneath


def find_files(root: int, hidden: bool) -> list[str]:
    """Paths of the regular files below the folder. Follows no link, and gives up on a tree that has no end."""
    found, folders, left = [], [''], MAX_ENTRIES
    while folders and left > 0:
        folder = folders.pop()
        try:
            fd = open_beneath(root, f'{folder}.', os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            continue  # closed to its own owner
        with os.scandir(fd) as entries:
            for entry in itertools.islice(entries, left):
                left -= 1
                path = f'{folder}{entry.name}'
                if entry.name.startswith('.') and not hidden:
                    continue
                if entry.is_file(follow_symlinks=False):
                    found.append(path)
                elif entry.is_dir(follow_symlinks=False) and path.count('/') < MAX_DEPTH:
                    folders.append(f'{path}/')
        os.close(fd)
    return sorted(found)


def matches(path: list[str], pattern: list[str]) -> bool:
    """Whether the pattern names the path, part by part as in a shell. `**` is any folders, and a hidden name needs a
    pattern that says its dot. All ways through are taken at once, so that no pattern is slow."""
    reached = past_folders({0}, pattern)
    for part in path:
        visible = not part.startswith('.')
        stay = {place for place in reached if visible and pattern[place : place + 1] == ['**']}
        step = {place + 1 for place in reached if place < len(pattern) and fits(part, pattern[place])}
        reached = past_folders(stay | step, pattern)
    return len(pattern) in reached


def past_folders(places: set[int], pattern: list[str]) -> set[int]:
    for place in sorted(places):
        while pattern[place : place + 1] == ['**']:
            place += 1
            places.add(place)
    return places


def fits(name: str, glob: str) -> bool:
    return glob != '**' and fnmatch.fnmatchcase(name, glob) and (glob.startswith('.') or not name.startswith('.'))
