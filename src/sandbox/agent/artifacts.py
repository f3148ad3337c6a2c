"""Files that are brought back: which the patterns name."""

from __future__ import annotations

import binascii
import fnmatch
import itertools
import os
import stat

from .bounds import ARTIFACT_CHUNK, ARTIFACT_NAMES_SHARE, MAX_ARTIFACTS, MAX_DEPTH, MAX_ENTRIES
from .journal import Journal
from .kernel import open_beneath
from .lines import clip, encode_line


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


def tell_artifacts(journal: Journal, workspace: int, order: dict) -> None:
    """Tells the files that the patterns name."""
    if not order['artifacts']:
        return
    patterns = [pattern.split('/') for pattern in order['artifacts']]
    hidden = any(part.startswith('.') for pattern in patterns for part in pattern)
    named = (
        path
        for path in find_files(workspace, hidden)
        if path != order.get('program') and any(matches(path.split('/'), pattern) for pattern in patterns)
    )
    for path in itertools.islice(named, MAX_ARTIFACTS):
        try:
            fd = open_beneath(workspace, path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            continue
        tell_artifact(journal, path, fd)
        os.close(fd)


def tell_artifact(journal: Journal, path: str, fd: int) -> None:
    """Tells one file in chunks. In a session, a process may change it meanwhile: then it has no further content."""
    found = os.fstat(fd)
    shown = os.fsencode(path).decode('utf-8', 'replace')
    if not stat.S_ISREG(found.st_mode) or clip(shown, 1024) != shown:
        return
    size = found.st_size
    told = {'path': shown, 'bytes': size, 'offset': 0, 'contentBase64': None}
    offsets = range(0, max(size, 1), ARTIFACT_CHUNK)
    frame = len(encode_line({'id': journal.id, 'artifact': told})) + 20
    if size * 4 // 3 + len(offsets) * (frame + 4) > journal.left - ARTIFACT_NAMES_SHARE:
        journal.tell_within('artifact', told)
        return
    for offset in offsets:
        content = os.pread(fd, ARTIFACT_CHUNK, offset)
        if len(content) != min(ARTIFACT_CHUNK, size - offset):
            journal.tell_within('artifact', {**told, 'offset': offset})
            return
        encoded = binascii.b2a_base64(content, newline=False).decode()
        journal.tell_within('artifact', {**told, 'offset': offset, 'contentBase64': encoded})
