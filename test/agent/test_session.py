"""A session: interpreters that stay, executions in their order, and what is said of state that is lost."""

from __future__ import annotations

import time
import unittest

from support import MIB, Agent, Bridge, SessionTest, encoded, in_gvisor, open_order, order
from test_python import PYPLOT

from agent import exits


class Opening(unittest.TestCase):
    def test_hello_tells_the_session(self):
        with Agent() as agent:
            self.assertIsNone(agent.hello()['session'])
            agent.send(open_order())
            self.assertEqual(agent.event(), {'id': 'session-1', 'opened': {'cause': None, 'message': ''}})
            hello = agent.hello()
            self.assertLess(hello['session'].pop('idleMilliseconds'), 5000)
            self.assertEqual(hello['session'], {'id': 'session-1', 'state': 'open', 'executions': 0, 'busy': False})
            self.assertIsNone(hello['run'])

    def test_opening_is_idempotent_by_id_and_another_id_is_refused(self):
        with Agent() as agent:
            for _ in range(2):
                agent.send(open_order())
                self.assertIn('opened', agent.event())
            agent.send(open_order(id='session-2'))
            self.assertEqual(agent.event()['refused']['reason'], 'Busy')

    def test_a_sandbox_that_has_run_something_is_no_sessions(self):
        with Agent() as agent:
            agent.send(order('import time; time.sleep(30)'))
            agent.until('started')
            agent.send(open_order())
            self.assertEqual(agent.event()['refused']['reason'], 'Busy')

    def test_files_and_variables_are_there(self):
        with Agent() as agent:
            files = [{'path': 'data/100%.txt', 'contentBase64': encoded(b'content')}]
            agent.send(open_order(files=files, env=[{'name': 'A', 'value': 'a'}]))
            agent.event()
            with Bridge(agent) as bridge:
                self.assertEqual(
                    bridge.run('import os; os.environ["A"], open("data/100%.txt").read()').text, "('a', 'content')"
                )
                self.assertEqual(bridge.run('echo $A', 'bash').stdout, 'a\n')

    def test_a_file_that_can_not_be_written_fails_the_opening(self):
        with Agent() as agent:
            files = [{'path': path, 'contentBase64': ''} for path in ('a', 'a/b')]
            agent.send(open_order(files=files))
            self.assertEqual(agent.event()['opened']['cause'], 'DiskLimit')
            self.assertEqual(agent.hello()['session']['state'], 'failed')
            agent.send(order('1'))
            self.assertEqual(agent.event()['refused']['reason'], 'Busy')

    def test_it_outlives_its_attachment_and_ends_by_shutdown(self):
        with Agent() as agent:
            agent.send(open_order())
            agent.event()
            with Bridge(agent) as bridge:
                agent.process.stdin.close()
                bridge.run('x = 1')
                time.sleep(0.1)
                self.assertEqual(bridge.run('x').text, '1')
            self.assertIsNone(agent.process.poll())
        with Agent() as agent:
            agent.send(open_order())
            agent.event()
            agent.send({'shutdown': {'epoch': 1}})
            self.assertEqual(agent.until_end().process_exit_code, 0)

    def test_nobody_is_served_before_it_is_open(self):
        with Agent() as agent:
            agent.hello()
            with Bridge(agent) as bridge:
                self.assertIsNone(bridge.event())


class Ends(unittest.TestCase):
    def test_exits_are_kept_within_bounds_and_ids_for_longer(self):
        kept = exits.Exits()
        for number in range(300):
            kept.keep(f'run-{number}', b'x' * 1000)
        self.assertIsNone(kept.line('run-43'))
        self.assertEqual(kept.line('run-44'), b'x' * 1000)
        for number in range(20):
            kept.keep(f'large-{number}', b'x' * MIB)
        self.assertEqual(sum(line is not None for line in kept.lines.values()), 8)
        for number in range(12_000):
            kept.keep(f'more-{number}', b'')
        self.assertEqual(len(kept.lines), 10_000)
        self.assertNotIn('run-0', kept)

    def test_a_run_whose_exit_is_not_kept_is_over_all_the_same(self):
        with Agent() as agent:
            agent.send(open_order())
            agent.event()
            for number in range(260):
                agent.send(order('1', id=f'run-{number}'))
                agent.until('exit')
            agent.send(order('1', id='run-1'))
            refused = agent.event()['refused']
            self.assertEqual(refused['reason'], 'Invalid')
            self.assertIn('is over', refused['message'])

    @in_gvisor
    def test_the_end_of_the_pod_is_obeyed_at_once(self):
        with Agent() as agent:
            agent.send(open_order())
            agent.event()
            with Bridge(agent) as bridge:
                bridge.start('import signal, time\nsignal.signal(2, signal.SIG_IGN)\ntime.sleep(60)')
                bridge.event()
                started = time.monotonic()
                agent.sandbox.kill('TERM')
                self.assertEqual(agent.process.wait(10), 0)
                self.assertLess(time.monotonic() - started, 5)


class State(SessionTest):
    def test_names_stay(self):
        self.run_code('import math\nx = 41\ndef f(): return x + 1\nclass C: pass')
        self.assertEqual(self.run_code('x += 1\nf(), C.__module__, math.floor(1.5)').text, "(43, '__main__', 1)")
        self.assertEqual(self.run_code('open("f", "w").write("kept")').text, '4')
        self.assertEqual(self.run_code('open("f").read()').text, "'kept'")

    def test_executions_are_counted_whoever_asks(self):
        counts = [self.run_code('1').exit['session']['executionCount'] for _ in range(3)]
        with self.connect() as other:
            counts.append(other.run('1', 'bash').exit['session']['executionCount'])
        self.assertEqual(counts, [1, 2, 3, 4])
        self.assertEqual(self.agent.hello()['session']['executions'], 4)

    def test_errors_are_told_with_the_lines_of_every_execution(self):
        self.run_code('def f(x):\n    return 1 / x')
        failed = self.run_code('f(0)')
        told = [line for line in failed.stderr.splitlines(True) if line.strip(' ~^\n')]  # marks differ by version
        self.assertEqual(
            ''.join(told),
            'Traceback (most recent call last):\n'
            '  File "<execution 2>", line 1, in <module>\n    f(0)\n'
            '  File "<execution 1>", line 2, in f\n    return 1 / x\n'
            'ZeroDivisionError: division by zero\n',
        )
        self.assertEqual(failed.exit['error']['name'], 'ZeroDivisionError')
        self.assertTrue(failed.kept)
        self.assertIn('line 2\n    if x\n', self.run_code('x = 1\nif x\n  pass').stderr)

    def test_top_level_await_keeps_its_loop(self):
        self.run_code(
            'import asyncio\n'
            'queue = asyncio.Queue()\n'
            'async def feed():\n'
            '    for n in range(3):\n'
            '        await asyncio.sleep(0.01)\n'
            '        await queue.put(n)\n'
            'task = asyncio.create_task(feed()); await asyncio.sleep(0)'
        )
        self.assertEqual(self.run_code('[await queue.get() for _ in range(3)]').text, '[0, 1, 2]')
        self.assertEqual(self.run_code('await task\ntask.done()').text, 'True')

    def test_an_interrupted_await_is_over(self):
        self.run_code('import asyncio\nended = []\nawait asyncio.sleep(0)')
        stopped = self.run_code(
            'try: await asyncio.sleep(30)\nfinally: ended.append(1)',
            timeoutSeconds=0.3,
        )
        self.assertEqual((stopped.exit['cause'], stopped.kept), ('Timeout', True))
        self.assertEqual(self.run_code('await asyncio.sleep(0)\nended, len(asyncio.all_tasks())').text, '([1], 1)')

    def test_exit_ends_the_execution_and_not_the_interpreter(self):
        self.run_code('x = 5')
        for code, exit_code in (('raise SystemExit(7)', 7), ('exit(3)', 3), ('import sys; sys.exit()', 0)):
            left = self.run_code(code)
            self.assertEqual((left.exit['exitCode'], left.exit['error'], left.kept), (exit_code, None, True))
        self.assertEqual(self.run_code('x').text, '5')

    def test_input_is_each_executions_own(self):
        self.assertEqual(self.run_code('input()', stdin='one\ntwo').text, "'one'")
        self.assertEqual(self.run_code('input()').exit['error']['name'], 'EOFError')
        self.assertEqual(self.run_code('import sys; sys.stdin.read()', stdin='three').text, "'three'")
        self.assertEqual(self.run_code('sys.argv').text, "['']")

    def test_main_can_be_pickled(self):
        self.run_code('import pickle\nclass C:\n    def __init__(self): self.x = 7\nsaved = pickle.dumps(C())')
        self.assertEqual(self.run_code('pickle.loads(saved).x').text, '7')

    def test_results_and_streams_are_apart_and_figures_come(self):
        both = self.run_code('import sys\nprint("out"); print("err", file=sys.stderr)\n"value"')
        self.assertEqual((both.stdout, both.stderr, both.text), ('out\n', 'err\n', "'value'"))

    def test_figures_come_with_the_execution_that_drew_them(self):
        for path, content in (('matplotlib/__init__.py', b''), ('matplotlib/pyplot.py', PYPLOT)):
            self.bridge.upload(path, content)
        drawn = self.run_code('import matplotlib.pyplot as plt\nplt.figure()\nprint("drawn")')
        self.assertEqual([mime['image/png'] for mime in drawn.results], [encoded(b'PNG1')])
        self.assertEqual(self.run_code('print("nothing")').results, [])
        drawn = self.run_code('plt.figure(7); plt.show()\n"and a value"')
        self.assertEqual(
            [mime.get('image/png', mime['text/plain']) for mime in drawn.results], [encoded(b'PNG7'), "'and a value'"]
        )

    def test_the_agents_modules_are_not_the_programs(self):
        found = self.run_code('import sys; [name for name in sys.modules if name.split(".")[0] == "agent"]')
        self.assertEqual(found.text, '[]')
        self.assertEqual(self.run_code('import agent').exit['error']['name'], 'ModuleNotFoundError')

    def test_bounds_are_each_executions_own(self):
        for _ in range(3):
            flood = self.run_code('print("x" * (3 * 2**20))')
            self.assertTrue(flood.exit['output']['stdoutTruncated'])
            self.assertGreater(len(flood.stdout), MIB)
        self.assertFalse(self.run_code('print("x" * 2**20)').exit['output']['stdoutTruncated'])

    def test_a_thousand_executions_keep_the_state(self):
        self.run_code('x = 0')
        for _ in range(300):
            self.bridge.start('x += 1')
            if self.bridge.count % 50 == 0:
                self.assertIsNotNone(self.bridge.run('x').text)
        self.assertEqual(self.run_code('x').text, '300')


class Contexts(SessionTest):
    def test_each_has_names_of_its_own(self):
        self.run_code('x = 1')
        self.run_code('x = 2', context='other')
        self.assertEqual((self.run_code('x').text, self.run_code('x', context='other').text), ('1', '2'))
        self.assertEqual(self.run_code('import os; open("f", "w").write("x")', context='other').text, '1')
        self.assertEqual(self.run_code('open("f").read()').text, "'x'")

    def test_there_are_not_too_many(self):
        answers = [self.run_code('1', context=str(number)) for number in range(9)]
        self.assertEqual(answers[6].text, '1')
        self.assertEqual(answers[8].exit['error']['name'], 'TooManyContexts')

    def test_bash_keeps_variables_functions_and_directory(self):
        self.run_code('x=5; f() { echo "f $x"; }; mkdir d; cd d', 'bash')
        self.assertEqual(self.run_code('f; basename "$PWD"', 'bash').stdout, 'f 5\nd\n')
        self.assertEqual(self.run_code('cat; read y; echo "[$y]"', 'bash', stdin='in').stdout, 'in[]\n')
        self.assertEqual(self.run_code('false', 'bash').exit['exitCode'], 1)
        self.assertEqual(self.run_code('if', 'bash').exit['exitCode'], 2)

    def test_a_shell_that_ends_leaves_its_state_to_the_next(self):
        self.run_code('x=5; f() { echo "f $x"; }', 'bash')
        for code, exit_code in (('exit 3', 3), ('set -e; false; echo no', 1), ('set +e', 0), ('exit', 0)):
            left = self.run_code(code, 'bash')
            self.assertEqual((left.exit['exitCode'], left.stdout, left.kept), (exit_code, '', True), code)
            self.assertEqual(self.run_code('f', 'bash').stdout, 'f 5\n')
        stopped = self.run_code('sleep 30', 'bash', timeoutSeconds=0.3)
        self.assertEqual((stopped.exit['cause'], stopped.kept), ('Timeout', True))
        self.assertEqual(self.run_code('f', 'bash').stdout, 'f 5\n')
        killed = self.run_code('kill -9 $$', 'bash')
        self.assertEqual((killed.exit['signal'], killed.kept), ('SIGKILL', False))
        self.assertEqual(self.run_code('f', 'bash').exit['exitCode'], 127)

    def test_restart_makes_a_fresh_interpreter_and_keeps_files(self):
        self.run_code('x = 1; open("f", "w").close()')
        self.run_code('y = 1', context='other')
        self.assertEqual(self.bridge.ask('restart', context='other').done, {})
        self.assertEqual(self.run_code('x').text, '1')
        self.assertEqual(self.run_code('y', context='other').exit['error']['name'], 'NameError')
        self.assertEqual(self.bridge.ask('restart').done, {})
        fresh = self.run_code('x')
        self.assertEqual((fresh.exit['error']['name'], fresh.kept), ('NameError', True))
        self.assertEqual(self.run_code('import os; os.path.exists("f")').text, 'True')


class Losses(SessionTest):
    def test_an_ignored_timeout_loses_the_state_and_says_so(self):
        self.run_code('x = 1')
        lost = self.run_code(
            'import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nprint("said")\nwhile True: pass',
            timeoutSeconds=0.3,
        )
        self.assertEqual((lost.exit['cause'], lost.stdout, lost.kept), ('Timeout', 'said\n', False))
        self.assertLess(lost.exit['durationMilliseconds'], 2500)
        fresh = self.run_code('x')
        self.assertEqual((fresh.exit['error']['name'], fresh.kept), ('NameError', True))

    def test_sudden_ends_are_told_and_the_next_execution_is_served(self):
        self.run_code('open("f", "w").write("kept")')
        table = [
            ('os._exit(4)', 4, None),
            ('os.kill(os.getpid(), 9)', None, 'SIGKILL'),
            ('import ctypes; ctypes.string_at(0)', None, 'SIGSEGV'),
            ('os.execv("/bin/true", ["true"])', 0, None),
            ('os.closerange(0, 4096)', 0, None),
        ]
        for code, exit_code, name in table:
            with self.subTest(code):
                died = self.run_code(f'import os\nprint("said")\n{code}')
                self.assertEqual((died.exit['exitCode'], died.exit['signal']), (exit_code, name))
                self.assertEqual((died.stdout, died.kept), ('said\n', False))
                self.assertEqual(self.run_code('open("f").read()').text, "'kept'")

    def test_a_death_between_executions_is_told_by_the_next(self):
        self.run_code('x = 1\nimport os, threading\nthreading.Timer(0.1, os._exit, (0,)).start()')
        time.sleep(0.4)
        fresh = self.run_code('"x" in globals()')
        self.assertEqual((fresh.text, fresh.kept), ('False', False))
        self.assertTrue(self.run_code('1').kept)

    def test_want_of_memory_keeps_the_state(self):
        self.run_code('x = 1')
        for _ in range(2):
            lacking = self.run_code('y = bytearray(2**30)')
            self.assertEqual(
                (lacking.exit['cause'], lacking.exit['error']['name'], lacking.kept),
                ('OutOfMemory', 'MemoryError', True),
            )
        limits = self.run_code('import resource\nsoft, hard = resource.getrlimit(resource.RLIMIT_AS)\nsoft < hard')
        self.assertEqual(limits.text, 'True')  # the reserve to tell it in is not the program's
        self.assertEqual(self.run_code('x').text, '1')
        self.assertEqual(self.run_code('len(bytearray(300 * 2**20))').text, str(300 * MIB))


class Interrupts(SessionTest):
    def test_an_interrupt_keeps_the_state(self):
        self.run_code('x = 1')
        running = self.bridge.start('print("up")\nwhile True: pass')
        self.assertIn('started', self.bridge.event())
        self.assertEqual(self.bridge.event()['stdout'], 'up\n')
        self.assertEqual(self.bridge.ask('interrupt', id=running).done, {})
        stopped = self.bridge.answer(running)
        self.assertEqual((stopped.exit['cause'], stopped.kept), ('Interrupted', True))
        self.assertEqual(self.run_code('x').text, '1')

    def test_what_waits_is_taken_out_of_the_queue(self):
        running = self.bridge.start('import time; time.sleep(0.5)')
        waiting = self.bridge.start('print("never")')
        self.bridge.ask('interrupt', id=waiting)
        self.assertEqual(self.bridge.answer(waiting).failed['reason'], 'Interrupted')
        self.assertEqual(self.bridge.answer(running).exit['cause'], None)
        self.assertEqual(self.bridge.ask('interrupt', id=waiting).failed['reason'], 'NotFound')

    def test_another_client_may_interrupt_whatever_runs(self):
        running = self.bridge.start('print("up"); import time; time.sleep(30)')
        self.bridge.event()
        self.bridge.event()
        with self.connect() as other:
            self.assertEqual(other.ask('interrupt').done, {})
        self.assertEqual(self.bridge.answer(running).exit['cause'], 'Interrupted')

    def test_a_client_that_goes_takes_its_executions_along(self):
        with self.connect() as other:
            other.start('open("ran", "w").close(); import time; time.sleep(30)')
            other.event()
            other.start('open("never", "w").close()')
        self.assertEqual(self.run_code('import os; os.path.exists("never")', timeoutSeconds=5).text, 'False')

    def test_a_detached_execution_goes_on(self):
        with self.connect() as other:
            other.start('import time; time.sleep(0.3); x = 7', detach=True)
            other.event()
        self.assertEqual(self.run_code('x').text, '7')

    def test_an_interrupt_that_comes_late_harms_nothing(self):
        for _ in range(50):
            self.bridge.start('x = 1')
            self.bridge.send('interrupt')
        self.assertEqual(self.run_code('x').text, '1')


class Queue(SessionTest):
    def test_executions_of_all_clients_run_one_at_a_time_in_order(self):
        others = [self.bridge, self.connect(), self.connect()]
        self.run_code('said = []')
        requests = []
        for number in range(12):
            client = others[number % 3]
            requests.append(
                (client, client.start(f'print({number}); said.append({number}); import time; time.sleep(0.02)'))
            )
        for number, (client, request) in enumerate(requests):
            self.assertEqual(client.answer(request).stdout, f'{number}\n')
        self.assertEqual(sorted(eval(self.run_code('said').text)), list(range(12)))

    def test_there_is_a_bound_on_those_that_wait(self):
        running = self.bridge.start('import time; time.sleep(1)')
        self.bridge.event()
        waiting = [self.bridge.start('1') for _ in range(65)]
        self.assertEqual(self.bridge.answer(waiting[-1]).failed['reason'], 'Busy')
        self.bridge.ask('interrupt', id=running)
        self.assertEqual(self.bridge.answer(waiting[-2]).text, '1')

    def test_idleness_and_business_are_told(self):
        self.run_code('1')
        time.sleep(0.3)
        state = self.agent.hello()['session']
        self.assertFalse(state['busy'])
        self.assertTrue(250 <= state['idleMilliseconds'] < 5000, state)
        self.bridge.ask('listFiles', path='')
        self.assertLess(self.agent.hello()['session']['idleMilliseconds'], 250)
        self.bridge.start('import time; time.sleep(30)')
        self.bridge.event()
        state = self.agent.hello()['session']
        self.assertEqual((state['busy'], state['idleMilliseconds']), (True, 0))


class Attached(SessionTest):
    """CodeRuns with a sessionRef, which come over attach."""

    def attached(self, code: str, **fields) -> list[dict]:
        self.agent.send(order(code, **fields))
        return self.agent.until('exit')

    def test_a_run_shares_the_sessions_state_and_brings_back_files(self):
        self.run_code('x = 40')
        events = self.attached(
            'import os, sys\nprint(x, sys.argv[1:], os.environ["A"], open("in").read())\n'
            'open("out.txt", "w").write("brought")\nx + 2',
            args=['a'],
            env=[{'name': 'A', 'value': 'v'}],
            files=[{'path': 'in', 'contentBase64': encoded(b'file')}],
            artifacts=['*.txt'],
        )
        self.assertEqual([list(event)[1] for event in events], ['started', 'stdout', 'result', 'artifact', 'exit'])
        self.assertTrue(all(event['id'] == 'run-1' for event in events))
        self.assertEqual(events[1]['stdout'], "40 ['a'] v file\n")
        self.assertEqual(events[-1]['exit']['session'], {'executionCount': 2, 'stateKept': True})
        self.assertEqual(self.run_code('os.environ.get("A"), sys.argv').text, "(None, [''])")

    def test_an_id_runs_once_and_is_answered_again(self):
        first = self.attached('x = globals().get("x", 0) + 1\nx')
        again = self.attached('x = 100')
        self.assertEqual(again, [first[0], first[-1]])
        self.assertEqual(self.run_code('x').text, '1')

    def test_an_id_that_waits_or_runs_is_not_run_twice(self):
        self.agent.send(order('import time; time.sleep(0.3); print("a")'))
        self.agent.send(order('print("b")', id='run-2'))
        for _ in range(2):
            self.agent.send(order('print("never")'))
            self.agent.send(order('print("never")', id='run-2'))
        self.agent.send(order('1', id='run-3'))
        events = []
        while not events or 'exit' not in events[-1] or events[-1]['id'] != 'run-3':
            events.append(self.agent.event())
        self.assertEqual([event['stdout'] for event in events if 'stdout' in event], ['a\n', 'b\n'])
        self.assertFalse(any('refused' in event for event in events))

    def test_an_interrupt_reaches_what_runs_and_what_waits(self):
        self.agent.send(order('print("up"); import time; time.sleep(30)'))
        self.agent.until('stdout')
        self.agent.send(order('1', id='run-2'))
        self.agent.send({'interrupt': {'id': 'run-2', 'epoch': 1}})
        event = self.agent.event()
        self.assertEqual((event['id'], event['exit']['cause']), ('run-2', 'Interrupted'))
        self.agent.send({'interrupt': {'id': 'run-1', 'epoch': 1}})
        self.assertEqual(self.agent.until('exit')[-1]['exit']['cause'], 'Interrupted')
        self.agent.send({'interrupt': {'id': 'run-3', 'epoch': 1}})
        self.assertEqual(self.agent.event()['refused']['reason'], 'Invalid')

    def test_the_queue_is_full_for_runs_too_and_javascript_is_refused(self):
        self.agent.send(order('1', id='js', language='javascript', command=['node']))
        self.assertEqual(self.agent.event()['refused']['reason'], 'Invalid')
        running = self.bridge.start('import time; time.sleep(30)')
        self.bridge.event()
        for number in range(65):
            self.agent.send(order('1', id=f'run-{number}'))
        refused = self.agent.event()['refused']
        self.assertEqual((refused['reason'], refused['id']), ('Busy', 'run-64'))
        self.bridge.ask('interrupt', id=running)


if __name__ == '__main__':
    unittest.main()
