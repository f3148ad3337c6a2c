"""What the agent answers to those who command it."""

from __future__ import annotations

import json
import signal
import time
import unittest

import gvisor
from support import MIB, Agent, AgentTest, on_the_host, order

from agent import commands


class Conversation(AgentTest):
    def test_hello_says_what_is_here(self):
        with Agent() as agent:
            hello = agent.hello(epoch=3)
            self.assertRegex(hello['python'], r'^3\.\d+\.\d+$')
            self.assertEqual((hello['protocol'], hello['epoch'], hello['run']), (1, 3, None))
            self.assertEqual(hello['gvisor'], bool(gvisor.RUNSC))
            self.assertEqual('gvisor' in hello['kernel'], bool(gvisor.RUNSC))
            agent.send(order('import time; time.sleep(30)', epoch=3))
            agent.until('started')
            self.assertEqual(agent.hello(3)['run'], {'id': 'run-1', 'state': 'running'})

    def test_a_runner_that_does_not_come_up_says_why(self):
        with Agent(environment={'CODERUN_WORKSPACE': '/no/such/folder'}) as agent:
            self.assertEqual(agent.until_end().process_exit_code, 1)
            self.assertRegex(agent.diagnostics(), r"the runner ended before it was ready\n[^$]*'/no/such/folder'")

    def test_the_exit_comes_last_and_the_agent_ends_with_the_programs_code(self):
        run = self.run_code('print(1)\nraise SystemExit(5)')
        self.assertEqual([list(event)[1] for event in run.events], ['started', 'stdout', 'exit'])
        self.assertTrue(all(event['id'] == 'run-1' for event in run.events))
        self.assertEqual(run.process_exit_code, 5)
        self.assertGreaterEqual(run.exit['durationMilliseconds'], 0)

    def test_an_id_that_runs_is_answered_with_started(self):
        with Agent() as agent:
            agent.send(order('input()\nprint("x")', stdin='\n' * 2, timeoutSeconds=5))
            agent.send(order('other'))
            events = agent.until_end().events
            self.assertEqual(sum('started' in event for event in events), 2)
            self.assertEqual(sum('exit' in event for event in events), 1)

    def test_a_lower_epoch_is_refused_whatever_the_command(self):
        with Agent() as agent:
            agent.hello(epoch=7)
            for command in (
                {'hello': {'epoch': 6}},
                order('1', epoch=6),
                {'interrupt': {'id': 'run-1', 'epoch': 6}},
                {'shutdown': {'epoch': 6}},
            ):
                agent.send(command)
                self.assertEqual(agent.event()['refused']['reason'], 'StaleEpoch', command)
            self.assertEqual(agent.hello(epoch=8)['epoch'], 8)

    def test_shutdown_and_end_of_input_end_an_idle_agent(self):
        for leave in (lambda agent: agent.send({'shutdown': {'epoch': 1}}), lambda agent: agent.process.stdin.close()):
            with Agent() as agent:
                agent.hello()
                leave(agent)
                self.assertEqual(agent.until_end().process_exit_code, 0)

    def test_shutdown_ends_the_run_and_tells_it(self):
        with Agent() as agent:
            agent.send(
                order('import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nprint(1)\ntime.sleep(60)')
            )
            agent.until('stdout')
            agent.send({'shutdown': {'epoch': 1}})
            self.assertEqual(agent.until_end().exit['cause'], 'Interrupted')

    def test_a_run_goes_on_when_nobody_is_attached(self):
        with Agent() as agent:
            agent.send(order('import time; time.sleep(0.2); print("done")'))
            agent.process.stdin.close()
            self.assertEqual(agent.until_end().stdout, 'done\n')

    def test_an_agent_without_a_reader_ends_all_the_same(self):
        with Agent() as agent:
            agent.send(order('print("x" * 10)'))
            agent.process.stdout.close()
            self.assertEqual(agent.process.wait(10), 0)

    def test_a_reader_that_stands_still_holds_up_no_program(self):
        with Agent() as agent:
            agent.send(order('print("x" * (3 * 2**20))', artifacts=['a']))
            time.sleep(0.5)
            agent.send({'hello': {'epoch': 1}})
            run = agent.until_end()
            self.assertEqual((run.exit['exitCode'], run.exit['output']['stdoutBytes']), (0, 3 * MIB + 1))

    @on_the_host
    def test_signals_from_outside_do_not_end_it(self):
        with Agent() as agent:
            agent.hello()
            for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
                agent.process.send_signal(number)
            self.assertEqual(agent.hello()['run'], None)


class Lines(AgentTest):
    def test_a_wrong_line_is_refused_and_the_next_is_read(self):
        wrong = [
            b'',
            b'{',
            b'nonsense',
            b'\xff\xfe',
            b'[]',
            b'{}',
            b'null',
            b'{"hello":{"epoch":1},"shutdown":{"epoch":1}}',
            b'{"unknown":{}}',
            b'{"hello":{"epoch":NaN}}',
            b'{"hello":{"epoch":' + b'9' * 100_000 + b'}}',
            b'[' * 100_000,
            b'x' * (MIB - 1),
            b'x' * MIB,
            b'x' * (3 * MIB),
        ]
        with Agent() as agent:
            for line in wrong:
                agent.send_bytes(line + b'\n')
                self.assertEqual(agent.event()['refused']['reason'], 'Invalid', line[:60])
            self.assertEqual(agent.hello()['epoch'], 1)

    def test_lines_may_come_in_pieces_and_together(self):
        with Agent() as agent:
            for byte in b'{"hello":{"epoch":1}}\n':
                agent.send_bytes(bytes([byte]))
            agent.send_bytes(b'{"hello":{"epoch":2}}\n{"hello":{"epoch":3}}\n')
            self.assertEqual([agent.event()['hello']['epoch'] for _ in range(3)], [1, 2, 3])

    def test_the_longest_line_is_obeyed(self):
        line = json.dumps(order('print(len(__import__("sys").stdin.read()))', stdin='')).encode()
        fill = MIB - 1 - len(line)
        with Agent() as agent:
            agent.send(order('print(len(__import__("sys").stdin.read()))', stdin='x' * fill))
            self.assertEqual(agent.until_end().stdout, f'{fill}\n')


class Fields(unittest.TestCase):
    def refusal(self, **fields) -> str:
        given = order('1', **fields)
        for name, value in fields.items():
            if value is ...:
                del given['execute'][name]
        try:
            commands.parse_command(json.dumps(given).encode())
        except commands.Invalid as invalid:
            return str(invalid)
        raise AssertionError(f'{fields} passed')

    def test_wrong_fields_are_refused_by_name(self):
        table = [
            ({'id': ''}, 'execute.id'),
            ({'id': 'x' * 65}, 'execute.id'),
            ({'id': '😀' * 33}, 'execute.id'),
            ({'id': 5}, 'execute.id'),
            ({'id': ...}, 'execute.id is required'),
            ({'epoch': -1}, 'execute.epoch'),
            ({'epoch': 1.5}, 'execute.epoch'),
            ({'epoch': True}, 'execute.epoch'),
            ({'language': 'ruby'}, 'execute.language'),
            ({'language': 'bash'}, 'execute.command is required'),
            ({'language': 'bash', 'command': []}, 'execute.command is required'),
            ({'command': ['a\0']}, 'execute.command[0]'),
            ({'code': '\ud800'}, 'execute.code must be valid Unicode'),
            ({'code': None}, 'execute.code'),
            ({'timeoutSeconds': 0}, 'execute.timeoutSeconds'),
            ({'timeoutSeconds': '1'}, 'execute.timeoutSeconds'),
            ({'timeoutSeconds': 10**18}, 'execute.timeoutSeconds'),
            ({'memoryBytes': 0}, 'execute.memoryBytes'),
            ({'memoryBytes': 1e9}, 'execute.memoryBytes'),
            ({'stdin': []}, 'execute.stdin'),
            ({'args': 'x'}, 'execute.args'),
            ({'args': ['ok', 'a\0b']}, 'execute.args[1]'),
            ({'args': ['x'] * 257}, 'execute.args'),
            ({'env': [{'name': 'A'}]}, 'execute.env[0].value is required'),
            ({'env': [{'name': 'A=B', 'value': ''}]}, 'execute.env[0].name'),
            ({'env': [{'name': 'A\n', 'value': ''}]}, 'execute.env[0].name'),
            ({'env': [{'name': 'A', 'value': '\0'}]}, 'execute.env[0].value'),
            ({'files': [{'path': 'a', 'contentBase64': '_'}]}, 'execute.files[0].contentBase64'),
            ({'files': [{'path': 'a', 'contentBase64': 'abc'}]}, 'execute.files[0].contentBase64'),
            ({'packages': ['humanize']}, 'execute.packageIndexURL is required'),
            ({'packages': ['humanize'], 'packageIndexURL': 'file:///x'}, 'execute.packageIndexURL'),
            ({'packageIndexURL': 'https://x y'}, 'execute.packageIndexURL'),
            ({'allowSourceBuilds': 'yes'}, 'execute.allowSourceBuilds'),
            ({'artifacts': ['']}, 'execute.artifacts[0]'),
            ({'shell': True}, "execute has no field 'shell'"),
        ]
        for fields, start in table:
            with self.subTest(str(fields)[:80]):
                self.assertTrue(self.refusal(**fields).startswith(start), self.refusal(**fields))

    def test_forbidden_variables(self):
        for name in ('PATH', 'LD_PRELOAD', 'LD_', 'PYTHONPATH', 'PYTHON', 'KUBERNETES_SERVICE_HOST', '1A', 'a-b', 'é'):
            self.assertIn('env[0].name', self.refusal(env=[{'name': name, 'value': ''}]), name)
        for name in ('PATHS', 'LD', 'MY_PYTHON', '_a1'):
            commands.parse_command(json.dumps(order('1', env=[{'name': name, 'value': ''}])).encode())

    def test_paths_stay_below_the_workspace(self):
        for path in ('/etc/passwd', '../x', 'a/../x', 'a//b', './a', 'a/', 'a/.', '..', '', 'a\0', 'x' * 1025):
            self.assertIn('files[0].path', self.refusal(files=[{'path': path, 'contentBase64': ''}]), path)
        for path in ('a', 'a/b.c', '.hidden', '..a', 'a..', 'sp ace', 'é'):
            commands.parse_command(json.dumps(order('1', files=[{'path': path, 'contentBase64': ''}])).encode())

    def test_packages_are_names_and_versions_only(self):
        index = {'packageIndexURL': 'https://index/simple'}
        for package in (
            '--index-url=http://evil',
            '-r requirements.txt',
            'git+https://x/y',
            'file:///x',
            './x',
            '../x',
            'pkg; rm -rf /',
            'a @ https://x',
            'a b',
            'a==1.0 --hash',
            'a[',
            'a==',
            '.a',
            'a\n',
            'a==1\n',
            '',
        ):
            self.assertIn('packages[0]', self.refusal(packages=[package], **index), package)
        for package in ('humanize', 'humanize==4.9.0', 'a.b-c_d', 'x[y,z]>=1,<2', 'a~=1.0', 'a===1!2.0+local.*', 'A1'):
            commands.parse_command(json.dumps(order('1', packages=[package], **index)).encode())

    def test_a_refusal_fits_its_bound(self):
        self.assertLess(len(self.refusal(**{'x' * 5000: 1})), 1024)

    def test_what_may_be_left_out_has_a_default(self):
        _, command = commands.parse_command(json.dumps(order('1')).encode())
        self.assertEqual((command['args'], command['stdin'], command['files'], command['artifacts']), ([], '', [], []))


if __name__ == '__main__':
    unittest.main()
