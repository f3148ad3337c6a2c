"""The bridge itself: requests and their ids, garbage, clients in numbers, variables, and packages."""

from __future__ import annotations

import http.server
import json
import random
import threading
import time
import unittest

import gvisor
from support import MIB, Agent, Bridge, SessionTest, on_the_host, open_order, order
from test_fuzz import any_value
from test_languages import HAS_PIP, Index

from agent import commands, requests


class Requests(SessionTest):
    def test_a_wrong_request_is_refused_by_its_id(self):
        table = [
            ({'execute': {'language': 'ruby', 'code': '', 'timeoutSeconds': 1}}, 'execute.language'),
            ({'execute': {'language': 'python', 'code': 5, 'timeoutSeconds': 1}}, 'execute.code'),
            ({'execute': {'language': 'python', 'code': '', 'timeoutSeconds': 0}}, 'execute.timeoutSeconds'),
            ({'execute': {'language': 'python', 'code': 'x' * (512 * 1024 + 1), 'timeoutSeconds': 1}}, 'execute.code'),
            ({'readFile': {'path': '\ud800'}}, 'readFile.path'),
            ({'chunk': {'contentBase64': '_', 'last': False}}, 'chunk.contentBase64'),
            ({'chunk': {'contentBase64': '', 'last': 1}}, 'chunk.last'),
            ({'install': {'packages': [], 'packageIndexURL': 'http://x', 'timeoutSeconds': 1}}, 'install.packages'),
            (
                {'install': {'packages': ['--x'], 'packageIndexURL': 'http://x', 'timeoutSeconds': 1}},
                'install.packages[0]',
            ),
            (
                {
                    'install': {
                        'packages': ['x'],
                        'packageIndexURL': 'http://x',
                        'timeoutSeconds': 1,
                        'allowSourceBuilds': 1,
                    }
                },
                'install.allowSourceBuilds',
            ),
            ({'nothing': {}}, 'a request must'),
            ({'interrupt': {}, 'restart': {}}, 'a request must'),
            ({}, 'a request must'),
        ]
        for fields, start in table:
            self.bridge.send_bytes(json.dumps({'id': 'x', **fields}).encode() + b'\n')
            failed = self.bridge.answer('x').failed
            self.assertEqual(failed['reason'], 'Invalid')
            self.assertTrue(failed['message'].startswith(start), failed)
        self.assertEqual(self.run_code('1').text, '1')

    def test_requests_of_one_client_overlap_and_an_id_is_used_once_at_a_time(self):
        running = self.bridge.start('import time; time.sleep(0.5); "done"')
        self.bridge.send_as(running, 'listFiles', path='')
        self.assertIn('listFiles', [*self.bridge_failures(running)])
        self.assertEqual(self.bridge.ask('listFiles', path='').failed, None)

    def bridge_failures(self, request: str):
        while True:
            event = self.bridge.event()
            if 'failed' in event and event['id'] == request:
                self.assertEqual(event['failed']['reason'], 'Busy')
                yield 'listFiles'
                return

    def test_a_line_that_nobody_could_be_answered_for_ends_the_connection(self):
        for line in (b'x' * (2 * MIB), b'{"id":5}', b'[]', b'\xff', b'{}'):
            with self.connect() as other:
                other.send_bytes(line + b'\n')
                self.assertIsNone(other.event())
        self.assert_lives()

    def test_a_flood_of_requests_is_answered_as_it_is_read(self):
        self.run_code('import os\nfor n in range(2000): open(f"{n:04}" + "x" * 200, "w").close()')
        with self.connect() as other:
            count = 20 if gvisor.RUNSC else 100
            flood = b''.join(b'{"id":"f%d","listFiles":{"path":""}}\n' % number for number in range(count))
            other.send_bytes(flood)
            self.assertEqual(self.run_code('1').text, '1')
            time.sleep(1)
            self.assertLess(self.agent.resident(), 60 * MIB)
            for number in range(count):
                self.assertEqual(other.answer(f'f{number}').failed, None)

    def test_there_are_not_too_many_clients(self):
        others = [self.connect() for _ in range(15)]
        for other in others:
            self.assertEqual(other.ask('interrupt').done, {})
        with self.connect() as one_more:
            self.assertIsNone(one_more.event())
        others[0].close()
        time.sleep(0.2)
        self.assertEqual(self.connect().ask('interrupt').done, {})


class Fuzz(SessionTest):
    def garbage(self, source: random.Random) -> bytes:
        name = source.choice([*requests.REQUESTS])
        return source.choice(
            [
                lambda: source.randbytes(source.randrange(200)),
                lambda: json.dumps(any_value(source)).encode(),
                lambda: json.dumps({'id': 'x', name: any_value(source)}).encode(),
                lambda: json.dumps({'id': any_value(source), name: {}}).encode(),
                lambda: b'{"id":' * source.randrange(1, 50_000),
                lambda: b'x' * source.randrange(MIB - 5, 2 * MIB),
            ]
        )().replace(b'\n', b' ')

    def test_no_line_raises_anything_but_invalid(self):
        source = random.Random(3)
        for _ in range(3000):
            try:
                requests.parse_request(self.garbage(source))
            except commands.Invalid as invalid:
                self.assertLess(len(str(invalid)), 1024)

    def test_the_agent_serves_others_after_any_garbage(self):
        source = random.Random(4)
        for _ in range(15):
            with self.connect() as other:
                try:
                    for _ in range(5):
                        other.send_bytes(self.garbage(source) + b'\n')
                except OSError:
                    pass  # it has hung up already
            self.assertEqual(self.bridge.ask('listFiles', path='').failed, None)
        self.assertEqual(self.run_code('1').text, '1')


class Variables(SessionTest):
    def variables(self, **fields) -> dict:
        return {each.pop('name'): each for each in self.bridge.ask('variables', **fields).done['variables']}

    def test_they_are_told_with_type_size_and_repr(self):
        self.run_code(
            'import math\nx = 5\ntext = "t" * 1000\nitems = list(range(10**6))\n_hidden = 1\ndef f(): pass\n'
            'class Shaped:\n    shape = (2, 3)\n    def __repr__(self): return "shaped"\nshaped = Shaped()'
        )
        told = self.variables()
        self.assertEqual(set(told), {'x', 'text', 'items', 'f', 'Shaped', 'shaped'})
        self.assertEqual(told['x'], {'type': 'int', 'size': '', 'repr': '5'})
        self.assertEqual((told['items']['size'], told['items']['type']), ('1000000', 'list'))
        self.assertEqual((told['shaped']['size'], told['shaped']['repr']), ('(2, 3)', 'shaped'))
        self.assertLessEqual(len(told['text']['repr']), 256)

    def test_broken_values_and_many_of_them_are_told_in_bounds(self):
        self.run_code(
            'class B:\n'
            '    def __repr__(self): raise KeyError\n'
            '    def __len__(self): raise ValueError\n'
            '    def __getattr__(self, name): raise OSError\n'
            'broken = B()\n'
            'globals().update({f"v{n}": "\\x01" * 1000 for n in range(3000)}); globals()[5] = 1'
        )
        answer = self.bridge.ask('variables').done
        self.assertTrue(answer['truncated'])
        self.assertTrue(100 < len(answer['variables']) <= 1000)
        self.assertIn('broken', [each['name'] for each in answer['variables']])

    def test_contexts_are_asked_by_name(self):
        self.assertEqual(self.variables(), {})
        self.run_code('y = 1', context='other')
        self.assertEqual(set(self.variables(context='other')), {'y'})
        self.assertEqual(self.bridge.ask('variables', context='none').failed['reason'], 'NotFound')


@on_the_host
@unittest.skipUnless(HAS_PIP, 'needs pip')
class Packages(SessionTest):
    def setUp(self) -> None:
        super().setUp()
        server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Index)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.index = f'http://127.0.0.1:{server.server_port}/simple/'

    def install(self, *packages: str, **fields):
        given = {'packages': [*packages], 'packageIndexURL': self.index, 'timeoutSeconds': 60, **fields}
        return self.bridge.ask('install', within=60, **given)

    def test_a_package_is_importable_at_once_and_after_a_restart(self):
        self.assertEqual(self.run_code('import tiny').exit['error']['name'], 'ModuleNotFoundError')
        installed = self.install('tiny==1.0')
        self.assertEqual(installed.done, {'packages': [{'name': 'tiny', 'version': '1.0', 'message': 'installed'}]})
        self.assertIn('Successfully installed tiny', installed.stdout)
        self.assertEqual(self.run_code('import tiny; tiny.version').text, "'1.0'")
        self.bridge.ask('restart')
        self.assertEqual(self.run_code('import tiny; tiny.version').text, "'1.0'")
        self.assertEqual(self.run_code('python3 -c "import tiny; print(tiny.version)"', 'bash').stdout, '1.0\n')
        self.assertEqual(self.install('tiny').done['packages'][0]['version'], '1.0')

    def test_a_run_over_attach_may_bring_its_packages(self):
        fields = {'packageIndexURL': self.index, 'timeoutSeconds': 60}
        self.agent.send(order('import tiny; print(tiny.version)', packages=['tiny'], **fields))
        events = self.agent.until('exit')
        self.assertEqual([event['stdout'] for event in events if 'stdout' in event], ['1.0\n'])
        self.agent.send(order('print("ran")', id='run-2', packages=['missing'], **fields))
        events = self.agent.until('exit')
        self.assertEqual(events[-1]['exit']['cause'], 'PackageInstallFailed')
        self.assertFalse(any('stdout' in event for event in events))

    def test_a_session_may_be_opened_with_packages(self):
        for package, cause in (('tiny', None), ('missing', 'PackageInstallFailed')):
            with Agent() as agent:
                agent.send(open_order(packages=[package], packageIndexURL=self.index))
                self.assertEqual(agent.hello()['session']['state'], 'opening')
                opened = agent.until('opened')[-1]['opened']
                self.assertEqual(opened['cause'], cause)
                if cause is None:
                    with Bridge(agent) as bridge:
                        self.assertEqual(bridge.run('import tiny; tiny.version').text, "'1.0'")
                else:
                    self.assertIn('missing', opened['message'])

    def test_a_failure_is_told_in_pips_words(self):
        for package in ('missing', 'tiny==2.0', 'source'):
            failed = self.install(package).failed
            self.assertEqual(failed['reason'], 'Failed')
            self.assertIn(package.partition('=')[0], failed['message'])
            self.assertLessEqual(len(failed['message']), 1024)
        self.assertEqual(self.run_code('1').text, '1')

    def test_a_package_without_a_wheel_is_built_where_that_is_allowed(self):
        installed = self.install('source', allowSourceBuilds=True)
        self.assertEqual(installed.done['packages'], [{'name': 'source', 'version': '1.0', 'message': 'installed'}])
        self.assertEqual(self.run_code('import source; source.version').text, "'1.0'")

    def test_a_session_is_opened_with_packages_built_where_that_is_allowed(self):
        for allowed, cause in ((True, None), (False, 'PackageInstallFailed')):
            with Agent() as agent:
                asked = {'packages': ['source'], 'packageIndexURL': self.index, 'allowSourceBuilds': allowed}
                agent.send(open_order(**asked))
                self.assertEqual(agent.event(within=60)['opened']['cause'], cause)

    def test_an_installation_has_a_time_and_can_be_interrupted(self):
        with http.server.HTTPServer(('127.0.0.1', 0), Index) as silent:  # accepts, and never answers
            index = f'http://127.0.0.1:{silent.server_port}/simple/'
            failed = self.install('tiny', packageIndexURL=index, timeoutSeconds=1).failed
            self.assertIn('Timeout', failed['message'])
            request = self.bridge.send('install', packages=['tiny'], packageIndexURL=index, timeoutSeconds=60)
            time.sleep(0.5)
            self.bridge.ask('interrupt', id=request)
            self.assertEqual(self.bridge.answer(request).failed['reason'], 'Interrupted')
        self.assertEqual(self.run_code('1').text, '1')


if __name__ == '__main__':
    unittest.main()
