"""A client of the bridge: its requests, and their answers at the speed at which it reads."""

from __future__ import annotations

import binascii
import os
import time
from collections import deque

from .bounds import JOURNAL_LIMIT, MAX_QUEUED, MAX_REQUESTS, MAX_TRANSFERS, PIPE_SIZE, READ_AHEAD, TURN, WINDOW
from .commands import Invalid
from .files import Download, Removal, Upload, list_files
from .install import Installation
from .jobs import Execution, Restart, Variables
from .journal import Journal, Writer
from .kernel import read_available
from .lines import LineReader, clip, encode_line
from .paths import Failure
from .requests import parse_request


class Answers(Journal):
    """The events of one request. The last of them is `done` or `failed`."""

    def __init__(self, client: Client, request: str) -> None:
        super().__init__(client.writer, request)
        self.client = client

    def told_started(self, count: int | None) -> None:
        self.writer.send_soon(encode_line({'id': self.id, 'started': {'executionCount': count}}))

    def told_exit(self, outcome: dict) -> None:
        self.done({'exit': outcome})

    def done(self, answer: dict) -> None:
        self.client.finish(self.id, 'done', answer)

    def failed(self, reason: str, message: str) -> None:
        self.client.finish(self.id, 'failed', {'reason': reason, 'message': clip(message, 1024)})


class Client:
    """One connection. What it has begun ends with it, but for an execution that it has detached."""

    def __init__(self, session, fd: int) -> None:
        self.session = session
        self.fd = fd
        self.gone = False
        self.lines = LineReader()
        self.unread: deque = deque()  # lines that are still to be obeyed
        self.writer = Writer(fd)
        self.requests: dict = {}  # what is under way, by the id of its request

    def prepare(self, wait, now: float) -> None:
        if self.unread:
            self._obey_all()
        for request, each in list(self.requests.items()):
            if isinstance(each, Download):
                self._send_chunks(request, each)
            elif isinstance(each, Removal):
                self._remove(request, each)
        self.writer.prepare(wait, now)
        self.gone = self.gone or self.writer.broken
        full = len(self.writer.waiting) >= JOURNAL_LIMIT
        removing = any(isinstance(each, Removal) for each in self.requests.values())
        if self.gone or removing or (self.unread and not full):
            wait.at(0)
        if not (self.gone or self.unread or full):
            wait.read(self.fd, self._read)

    def close(self) -> None:
        os.close(self.fd)
        self.writer.broken = True
        for each in list(self.requests.values()):
            if isinstance(each, (Download, Upload, Removal)):
                each.close()
            elif not getattr(each, 'detached', False):
                self.session.drop(each)
        self.requests.clear()

    def finish(self, request: str, kind: str, answer: dict) -> None:
        if self.requests.pop(request, None) is not None:
            self.session.touch()
            self.writer.tell({'id': request, kind: answer})

    # Requests

    def _read(self) -> None:
        data = read_available(self.fd, PIPE_SIZE)
        if data == b'':
            self.gone = True
        self.unread.extend(self.lines.feed(data or b''))
        self._obey_all()

    def _obey_all(self) -> None:
        """Obeys what it has read, while the answers are read too, and not for longer than the others can wait."""
        until = time.monotonic() + TURN
        while self.unread and not self.gone and len(self.writer.waiting) < JOURNAL_LIMIT:
            self._obey(self.unread.popleft())
            if time.monotonic() >= until:
                return

    def _obey(self, line: bytes | None) -> None:
        try:
            request, name, fields = parse_request(line)
        except Invalid as invalid:
            if invalid.request is None:
                self.gone = True  # nobody could be answered
            else:
                message = {'reason': 'Invalid', 'message': clip(str(invalid), 1024)}
                self.writer.tell({'id': invalid.request, 'failed': message})
            return
        if name == 'chunk':
            self._take_chunk(request, fields)
            return
        busy = self._busy(request, name)
        if busy:
            self.writer.tell({'id': request, 'failed': {'reason': 'Busy', 'message': busy}})
            return
        self.session.touch()
        answers = Answers(self, request)
        self.requests[request] = answers
        with_failure(answers, lambda: getattr(self, f'_{name}')(answers, **fields))

    def _busy(self, request: str, name: str) -> str:
        """Why the request can't be met now, if it can't."""
        if request in self.requests:
            return 'the id is in use'
        transfers = sum(isinstance(each, (Download, Upload, Removal)) for each in self.requests.values())
        many = len(self.requests) >= MAX_REQUESTS or (name.endswith('File') and transfers >= MAX_TRANSFERS)
        return 'too many requests are under way' if many else ''

    def _enqueue(self, answers: Answers, job) -> None:
        self.requests[answers.id] = job
        if not self.session.enqueue(job):
            answers.failed('Busy', f'{MAX_QUEUED} executions wait already')

    def _execute(self, answers: Answers, detach: bool, **fields) -> None:
        order = {'id': answers.id, **fields, 'args': [], 'env': [], 'files': [], 'packages': [], 'artifacts': []}
        job = Execution(self.session, order, answers)
        job.detached = detach
        self._enqueue(answers, job)

    def _install(self, answers: Answers, **order) -> None:
        def finish(failure: str | None, packages: list) -> None:
            if failure is None:
                answers.done({'packages': packages})
            else:
                reasons = {'Interrupted': 'Interrupted', 'DiskLimit': 'DiskLimit'}
                answers.failed(reasons.get(job.cause, 'Failed'), failure)

        job = Installation(self.session, order, answers, finish)
        self._enqueue(answers, job)

    def _interrupt(self, answers: Answers, id: str | None) -> None:
        job = self.session.job if id is None else self.requests.get(id)
        if isinstance(job, (Execution, Installation)):
            self.session.drop(job)
        elif id is not None:
            answers.failed('NotFound', 'interrupt.id is no execution of this client')
            return
        answers.done({})

    def _restart(self, answers: Answers, context: str | None) -> None:
        self._enqueue(answers, Restart(self.session, context, answers.done))

    def _variables(self, answers: Answers, context: str) -> None:
        self._enqueue(answers, Variables(self.session, context, answers.done, answers.failed))

    # Files

    def _listFiles(self, answers: Answers, path: str) -> None:
        answers.done(list_files(self.session.workspace, path))

    def _readFile(self, answers: Answers, path: str) -> None:
        download = Download(self.session.workspace, path)
        self.requests[answers.id] = download
        if not download.bytes:
            self._send_chunk(answers.id, download)

    def _send_chunks(self, request: str, download: Download) -> None:
        while request in self.requests and len(self.writer.waiting) < READ_AHEAD:
            self._send_chunk(request, download)

    def _send_chunk(self, request: str, download: Download) -> None:
        try:
            content = download.next()
        except Failure as failure:
            download.close()
            self._fail(request, failure)
            return
        self.session.touch()
        # The line as encode_line makes it, without a look at each character of what is base64.
        head = encode_line({'id': request, 'chunk': {'bytes': download.bytes, 'contentBase64': ''}})[:-5]
        self.writer.send(b'%b"%b"}}\n' % (head, content))
        if not download.left:
            download.close()
            self.finish(request, 'done', {'bytes': download.bytes})

    def _writeFile(self, answers: Answers, path: str, bytes: int | None) -> None:
        self.requests[answers.id] = Upload(self.session.workspace, path, bytes)
        answers.tell('window', {'bytes': WINDOW})

    def _take_chunk(self, request: str, chunk: dict) -> None:
        upload = self.requests.get(request)
        if not isinstance(upload, Upload):
            return  # it has failed already
        self.session.touch()
        content = binascii.a2b_base64(chunk['contentBase64'])
        try:
            upload.write(content)
            if chunk['last']:
                upload.finish()
        except Failure as failure:
            upload.close()
            self._fail(request, failure)
            return
        if chunk['last']:
            upload.close()
            self.finish(request, 'done', {})
        else:
            self.writer.tell({'id': request, 'window': {'bytes': len(content)}})

    def _removeFile(self, answers: Answers, path: str) -> None:
        removal = Removal(self.session.workspace, path)
        self.requests[answers.id] = removal
        self._remove(answers.id, removal)

    def _remove(self, request: str, removal: Removal) -> None:
        try:
            if removal.advance():
                self.finish(request, 'done', {})
        except Failure as failure:
            self._fail(request, failure)

    def _fail(self, request: str, failure: Failure) -> None:
        self.finish(request, 'failed', {'reason': failure.reason, 'message': clip(failure.message, 1024)})


def with_failure(answers: Answers, act) -> None:
    """Acts, and tells what stands in the way."""
    try:
        act()
    except Failure as failure:
        answers.failed(failure.reason, failure.message)
