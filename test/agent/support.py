"""Drives the agent as a cluster does: a process of its own with pipes, under a user that may do nothing special."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import pathlib
import select
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
import uuid
import zlib

import gvisor

SOURCE = pathlib.Path(__file__).parents[2] / 'src' / 'sandbox' / 'agent'
sys.path.insert(0, str(SOURCE.parent))
PYTHON = os.environ.get('AGENT_PYTHON') or next(
    (path for path in ('/usr/bin/python3.11', '/usr/bin/python3') if os.access(path, os.X_OK)), sys.executable
)
NOBODY = 65534
MIB = 1024 * 1024
WORKSPACE_BYTES = 64 * MIB
ANSWER_WITHIN = 20.0


PROGRAMS = ('bootstrap.py', 'connect.py')


def agent_command() -> list[str]:
    """As agentCommand() in src/sandbox/agent.ts makes it."""
    files = {f'agent.{path.stem}': path.read_text() for path in SOURCE.glob('*.py') if path.name not in PROGRAMS}
    packer = zlib.compressobj(9, wbits=-15)
    packed = packer.compress(json.dumps({'agent': '', **files}).encode()) + packer.flush()
    return [PYTHON, '-I', '-S', '-c', (SOURCE / 'bootstrap.py').read_text(), base64.b64encode(packed).decode()]


def order(code: object, /, **fields) -> dict:
    given = {'id': 'run-1', 'epoch': 1, 'language': 'python', 'timeoutSeconds': 10, 'memoryBytes': 512 * MIB, **fields}
    return {'execute': {'code': code, **given}}


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


class Outcome:
    """The events of a run, and what they say taken together."""

    def __init__(self, events: list[dict], exit_code: int | None) -> None:
        self.events = events
        self.process_exit_code = exit_code
        self.stdout = ''.join(event['stdout'] for event in events if 'stdout' in event)
        self.stderr = ''.join(event['stderr'] for event in events if 'stderr' in event)
        self.results = [event['result']['mime'] for event in events if 'result' in event]
        self.artifact_events = [event['artifact'] for event in events if 'artifact' in event]
        exits = [event['exit'] for event in events if 'exit' in event]
        self.exit = exits[-1] if exits else None

    @property
    def artifacts(self) -> dict[str, bytes | None]:
        """Content by path; None where it was left out."""
        found: dict[str, bytes | None] = {}
        for event in self.artifact_events:
            content = event['contentBase64']
            known = found.get(event['path'], b'')
            found[event['path']] = None if content is None else known + base64.b64decode(content)
        return found


class Agent:
    """One agent in a folder of its own, or in a sandbox. Use as a context manager: nothing of it is left behind."""

    def __init__(self, preload: str = '', environment: dict | None = None) -> None:
        self.buffer = b''
        self.bridge_name = f'agent-{uuid.uuid4().hex}'
        self.folder = tempfile.mkdtemp(prefix='agent-')
        self.workspace = '/workspace' if gvisor.RUNSC else f'{self.folder}/workspace'
        command = agent_command()
        variables = {
            'PATH': '/usr/local/bin:/usr/bin:/bin',
            'TMPDIR': f'{self.workspace}/.tmp',
            'CODERUN_WORKSPACE': self.workspace,
            'CODERUN_PRELOAD': preload,
            'CODERUN_BRIDGE': self.bridge_name,
            **(environment or {}),
        }
        user = {}
        if gvisor.RUNSC:
            self.sandbox = gvisor.Sandbox(command, variables, WORKSPACE_BYTES)
            command = self.sandbox.command
        else:
            os.mkdir(self.workspace)
            if os.getuid() == 0:
                user = {'user': NOBODY, 'group': NOBODY, 'extra_groups': []}
                for path in (self.folder, self.workspace):
                    os.chown(path, NOBODY, NOBODY)
        pipes = {name: subprocess.PIPE for name in ('stdin', 'stdout', 'stderr')}
        self.process = subprocess.Popen(command, bufsize=0, env=variables, **pipes, **user)

    def __enter__(self) -> Agent:
        return self

    def __exit__(self, *_) -> None:
        if gvisor.RUNSC:
            self.sandbox.close()
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            try:
                stream.close()
            except BrokenPipeError:
                pass
        shutil.rmtree(self.folder, ignore_errors=True)

    def send(self, command: dict) -> None:
        self.send_bytes(json.dumps(command).encode() + b'\n')

    def send_bytes(self, data: bytes) -> None:
        while data:
            data = data[self.process.stdin.write(data) :]

    def event(self, within: float = ANSWER_WITHIN) -> dict | None:
        """The next event, or None at the end of the output."""
        until = time.monotonic() + within
        while b'\n' not in self.buffer:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, until - time.monotonic()))
            if not ready:
                raise AssertionError('the agent said nothing in time')
            data = os.read(self.process.stdout.fileno(), MIB)
            if not data:
                return None
            self.buffer += data
        line, self.buffer = self.buffer.split(b'\n', 1)
        return json.loads(line.decode('utf-8', 'strict'))

    def hello(self, epoch: int = 1) -> dict:
        self.send({'hello': {'epoch': epoch}})
        return self.event()['hello']

    def until(self, key: str) -> list[dict]:
        """The events up to the first that has the key, which is the last of them."""
        events = []
        while not events or key not in events[-1]:
            event = self.event()
            if event is None:
                raise AssertionError(f'the agent ended without {key}')
            events.append(event)
        return events

    def until_end(self) -> Outcome:
        events = list(iter(self.event, None))
        return Outcome(events, self.process.wait(ANSWER_WITHIN))

    def resident(self) -> int:
        """Bytes that the agent holds, where that can be seen."""
        if gvisor.RUNSC:
            return 0
        with open(f'/proc/{self.process.pid}/statm') as file:
            return int(file.read().split()[1]) * 4096

    def diagnostics(self) -> str:
        """What the agent itself said on stderr, once it has ended."""
        return self.process.stderr.read().decode()


def open_order(**fields) -> dict:
    return {'open': {'id': 'session-1', 'epoch': 1, 'memoryBytes': 512 * MIB, **fields}}


class Bridge:
    """A client of the agent's bridge, as the gateway is one. What the events of a request say is an Answer."""

    def __init__(self, agent: Agent) -> None:
        command = [PYTHON, '-I', '-S', '-c', (SOURCE / 'connect.py').read_text(), agent.bridge_name]
        if gvisor.RUNSC:
            command = agent.sandbox.exec(command)
        self.process = subprocess.Popen(command, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.buffer = bytearray()
        self.events: list[dict] = []
        self.count = 0

    def __enter__(self) -> Bridge:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        for stream in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                stream.close()
        self.process.wait(10)

    def send_bytes(self, data: bytes) -> None:
        data = memoryview(data)
        while data:
            data = data[self.process.stdin.write(data) :]

    def send(self, name: str, **fields) -> str:
        """Sends a request, and returns its id."""
        self.count += 1
        request = f'r{self.count}'
        self.send_as(request, name, **fields)
        return request

    def send_as(self, request: str, name: str, **fields) -> None:
        self.send_bytes(json.dumps({'id': request, name: fields}).encode() + b'\n')

    def event(self, within: float = ANSWER_WITHIN) -> dict | None:
        """The next event, whatever its request. None at the end of the connection."""
        until = time.monotonic() + within
        while b'\n' not in self.buffer:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, until - time.monotonic()))
            if not ready:
                raise AssertionError('the bridge said nothing in time')
            data = os.read(self.process.stdout.fileno(), MIB)
            if not data:
                return None
            self.buffer += data
        line, _, rest = self.buffer.partition(b'\n')
        self.buffer = rest
        return json.loads(line.decode('utf-8', 'strict'))

    def answer(self, request: str, within: float = ANSWER_WITHIN) -> Answer:
        """The events of the request up to its last. Those of other requests are kept for later."""
        mine = [event for event in self.events if event['id'] == request]
        self.events = [event for event in self.events if event['id'] != request]
        while not mine or not {'done', 'failed'} & mine[-1].keys():
            event = self.event(within)
            if event is None:
                raise AssertionError('the bridge ended')
            (mine if event['id'] == request else self.events).append(event)
        return Answer(mine)

    def ask(self, name: str, within: float = ANSWER_WITHIN, **fields) -> Answer:
        return self.answer(self.send(name, **fields), within)

    def run(self, code: str, language: str = 'python', **fields) -> Answer:
        return self.ask('execute', code=code, language=language, **{'timeoutSeconds': 10, **fields})

    def start(self, code: str, language: str = 'python', **fields) -> str:
        return self.send('execute', code=code, language=language, **{'timeoutSeconds': 10, **fields})

    def upload(self, path: str, content: bytes, size: int = 192 * 1024) -> Answer:
        request = self.send('writeFile', path=path, bytes=len(content))
        first = self.event()
        if 'failed' in first:
            return Answer([first])
        pieces = [content[start : start + size] for start in range(0, len(content), size)] or [b'']
        for number, piece in enumerate(pieces):
            last = number == len(pieces) - 1
            self.send_as(request, 'chunk', contentBase64=encoded(piece), last=last)
        return self.answer(request)


class Answer(Outcome):
    def __init__(self, events: list[dict]) -> None:
        super().__init__(events, None)
        self.done = events[-1].get('done')
        self.failed = events[-1].get('failed')
        self.exit = (self.done or {}).get('exit')
        self.content = b''.join(base64.b64decode(e['chunk']['contentBase64']) for e in events if 'chunk' in e)

    @property
    def text(self) -> str | None:
        """The last result in plain text."""
        return self.results[-1]['text/plain'] if self.results else None

    @property
    def kept(self) -> bool:
        return self.exit['session']['stateKept']


on_the_host = unittest.skipIf(gvisor.RUNSC, 'looks at the agent from the host')
in_gvisor = unittest.skipUnless(gvisor.RUNSC, 'needs gVisor: AGENT_RUNSC')


class SessionTest(unittest.TestCase):
    """Each test has a session of its own, and a client."""

    agent_options: dict = {}
    order: dict = {}

    def setUp(self) -> None:
        self.agent = Agent(**self.agent_options)
        self.addCleanup(self.agent.__exit__)
        self.agent.send(open_order(**self.order))
        self.assertEqual(self.agent.event()['opened']['cause'], None)
        self.bridge = self.connect()

    def connect(self) -> Bridge:
        bridge = Bridge(self.agent)
        self.addCleanup(bridge.close)
        return bridge

    def run_code(self, code: str, language: str = 'python', **fields) -> Answer:
        return self.bridge.run(code, language, **fields)

    def assert_lives(self) -> None:
        """A hostile program has spoilt nothing of this: another client, and an interpreter that it did not have."""
        with Bridge(self.agent) as other:
            self.assertEqual(other.run('1 + 1', context='untouched').text, '2')
            self.assertEqual(other.ask('listFiles', path='').failed, None)
        self.assertEqual(self.agent.hello()['session']['state'], 'open')


class AgentTest(unittest.TestCase):
    def run_code(self, code: str, agent: dict | None = None, **fields) -> Outcome:
        """One agent, one run, to the end of both. The agent itself never complains."""
        with Agent(**(agent or {})) as driven:
            driven.send(order(code, **fields))
            outcome = driven.until_end()
            self.assertEqual(driven.diagnostics(), '')
        self.assertIsNotNone(outcome.exit, 'no exit event')
        return outcome
