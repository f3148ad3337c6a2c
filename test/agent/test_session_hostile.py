"""Programs that attack the session that they run in. Each may spoil its own interpreter, and nothing else."""

from __future__ import annotations

import json
import time
import unittest

from support import MIB, SessionTest

FORGED = [
    {'id': 'run-1', 'exit': {'exitCode': 0}},
    {'id': 'r1', 'done': {}},
    {'token': '', 'end': {'exitCode': 0, 'processorSeconds': 0, 'peakKib': 0}},
    {'end': {'exitCode': 0, 'processorSeconds': 0, 'peakKib': 0}},
    {'token': None, 'error': {'name': 'Forged', 'value': '', 'traceback': ''}},
    {'pid': 1, 'ready': 0},
    {'variables': []},
]


class Forgery(SessionTest):
    def test_frames_on_any_descriptor_stay_output_or_are_lost(self):
        frames = b''.join(json.dumps(frame).encode() + b'\n' for frame in FORGED)
        run = self.run_code(
            'import os\n'
            f'for fd in range(2048):\n'
            f'    try: os.write(fd, {frames!r})\n'
            '    except OSError: pass\n'
            'raise SystemExit(3)'
        )
        self.assertEqual((run.exit['exitCode'], run.exit['error'], run.kept), (3, None, True))
        self.assertTrue(all(json.loads(line) in FORGED for line in run.stdout.splitlines()))
        self.assert_lives()
        self.assertEqual(self.run_code('1').text, '1')

    def test_frames_of_a_process_that_stays_concern_no_later_execution(self):
        frames = b''.join(json.dumps(frame).encode() + b'\n' for frame in FORGED)
        self.run_code(
            'import os, time\n'
            'if os.fork() == 0:\n'
            '    end = time.time() + 3\n'
            '    while time.time() < end:\n'
            '        for fd in (1000, 1001):\n'
            f'            try: os.write(fd, {frames!r})\n'
            '            except OSError: pass\n'
            '        time.sleep(0.01)\n'
            '    os._exit(0)'
        )
        for number in range(20):
            run = self.run_code(f'{number}')
            self.assertEqual((run.text, run.exit['error'], run.exit['exitCode']), (str(number), None, 0))

    def test_output_between_executions_is_nobodys(self):
        self.run_code(
            'import threading, time\n'
            'def talk():\n'
            '    while not quiet: print("between"); time.sleep(0.01)\n'
            'quiet = False\n'
            'threading.Thread(target=talk, daemon=True).start()'
        )
        time.sleep(0.2)
        self.run_code('quiet = True; time.sleep(0.1)')
        time.sleep(0.1)
        with self.connect() as other:
            self.assertEqual(other.run('print("mine")').stdout, 'mine\n')

    def test_a_flood_between_executions_holds_nobody_up(self):
        self.run_code(
            'import os, time\n'
            'if os.fork() == 0:\n'
            '    end = time.time() + 3\n'
            '    while time.time() < end: os.write(1, b"x" * 65536)\n'
            '    os._exit(0)'
        )
        started = time.monotonic()
        self.assertEqual(self.bridge.ask('listFiles', path='').failed, None)
        self.assertEqual(self.run_code('5').text, '5')
        self.assertLess(time.monotonic() - started, 3)


class SelfHarm(SessionTest):
    def test_descriptors_closed_or_duplicated(self):
        for code in (
            'import os; os.closerange(0, 4096)',
            'import os\nfor fd in (1000, 1001): os.dup2(2, fd)',
            'import os; os.close(1); os.close(2); os.close(0)',
            'import os; os.dup2(2, 1)',
            'import sys; sys.stdout.close(); sys.stderr.close(); sys.stdin.close()',
        ):
            with self.subTest(code):
                self.run_code(code, timeoutSeconds=2)
                with self.connect() as other:
                    after = other.run('import sys\nprint("out"); print("err", file=sys.stderr)\ninput()', stdin='in')
                self.assertEqual((after.stdout, after.stderr, after.text), ('out\n', 'err\n', "'in'"))

    def test_replaced_machinery(self):
        table = [
            'import builtins\nfor n in dir(builtins):\n  if n[0] != "_": setattr(builtins, n, None)',
            'import builtins as b\n'
            'b.__import__ = b.print = b.len = b.isinstance = b.str = b.getattr = b.map = b.zip = None',
            'import json\njson.dumps = json.loads = json.JSONEncoder.encode = json.encoder.encode_basestring = None',
            'import os\nos.write = os.read = os.close = os._exit = os.dup2 = os.memfd_create = None',
            'import sys\nsys.stdout = sys.stderr = sys.stdin = None',
            'import sys\nsys.excepthook = sys.displayhook = sys.settrace = None\n1/0',
            'import sys\nsys.modules.clear()',
            'import sys\nsys.setrecursionlimit(60)',
            'import linecache, traceback\nlinecache.cache = None; traceback.TracebackException = None\n1/0',
            'import signal\nsignal.signal = signal.default_int_handler = None',
            'import gc; gc.disable(); gc.get_objects().clear()',
            'for name in list(globals()): del globals()[name]',
            'import threading\nthreading.Thread = None; threading._shutdown = None',
            '__builtins__ = {}\n__name__ = None',
        ]
        for code in table:
            with self.subTest(code):
                self.run_code(code, timeoutSeconds=3, context='victim')
                after = self.run_code('print("out")', context='bystander')
                self.assertEqual((after.stdout, after.exit['exitCode']), ('out\n', 0))
                self.bridge.ask('variables', context='victim')
                self.bridge.ask('restart', context='victim')
                self.assertEqual(self.run_code('1', context='victim').text, '1')
        self.assert_lives()

    def test_what_the_program_replaces_stays_replaced_for_itself(self):
        self.run_code('import builtins, os\nbuiltins.len = lambda _: 99\nos.getcwd = lambda: "mine"')
        self.assertEqual(self.run_code('len([]), os.getcwd()').text, "(99, 'mine')")
        self.assertIn('ZeroDivisionError', self.run_code('1/0').stderr)

    def test_a_repr_that_never_ends(self):
        self.run_code('class R:\n    def __repr__(self):\n        while True: pass\nr = R()\nx = 1')
        stopped = self.run_code('r', timeoutSeconds=0.3)
        self.assertEqual((stopped.exit['cause'], stopped.kept), ('Timeout', True))
        started = time.monotonic()
        self.assertEqual(self.bridge.ask('variables').failed['reason'], 'Failed')
        self.assertLess(time.monotonic() - started, 4)
        self.assertEqual((self.run_code('x').text, self.run_code('x').kept), ('1', True))

    def test_an_interpreter_that_answers_no_question_is_not_waited_for(self):
        self.run_code(
            'class R:\n'
            '    def __repr__(self):\n'
            '        while True:\n'
            '            try: time.sleep(60)\n'
            '            except BaseException: pass\n'
            'import time\nr = R()'
        )
        started = time.monotonic()
        self.assertEqual(self.bridge.ask('variables').failed['reason'], 'Failed')
        self.assertLess(time.monotonic() - started, 4)
        after = self.run_code('"r" in globals()')
        self.assertEqual((after.text, after.kept), ('False', False))

    def test_a_flood_of_reports_between_executions_costs_the_program_only(self):
        self.run_code(
            'import os, time\n'
            'if os.fork() == 0:\n'
            '    end = time.time() + 3\n'
            '    os.set_blocking(1000, False)\n'
            '    while time.time() < end:\n'
            '        try: os.write(1000, b"[" * 65536 + b"\\n")\n'
            '        except OSError: time.sleep(0.001)\n'
            '    os._exit(0)'
        )
        started = time.monotonic()
        for _ in range(20):
            self.assertEqual(self.bridge.ask('listFiles', path='').failed, None)
        self.assertEqual(self.run_code('5', timeoutSeconds=20).text, '5')
        self.assertLess(time.monotonic() - started, 6)

    def test_daemons_live_on_and_end_with_the_interpreter(self):
        self.run_code(
            'import os, time\n'
            'if os.fork() == 0:\n'
            '    os.setsid()\n'
            '    end = time.time() + 20\n'
            '    while time.time() < end:\n'
            '        with open("beat", "w") as f: f.write(str(time.time()))\n'
            '        time.sleep(0.02)\n'
            '    os._exit(0)'
        )
        time.sleep(0.2)
        self.assertEqual(self.run_code('time.time() - float(open("beat").read()) < 1').text, 'True')
        self.bridge.ask('restart')
        time.sleep(0.1)
        first = self.run_code('open("beat").read()').text
        time.sleep(0.3)
        self.assertEqual(self.run_code('open("beat").read()').text, first)

    def test_a_fork_bomb_ends_and_the_session_goes_on(self):
        bomb = (
            'import os, time\nend = time.time() + 3\nwhile time.time() < end:\n  try: os.fork()\n  except OSError: pass'
        )
        self.run_code(bomb, timeoutSeconds=1)
        time.sleep(3)
        self.assertEqual(self.run_code('1 + 1', timeoutSeconds=20).text, '2')

    def test_a_workspace_that_is_emptied(self):
        self.run_code('import os, shutil\nfor n in os.listdir(): shutil.rmtree(n, ignore_errors=True)')
        self.assertEqual(self.bridge.upload('a/b', b'x').failed, None)
        self.assertEqual(self.run_code('open("a/b").read()').text, "'x'")


class Socket(SessionTest):
    def test_a_program_has_no_bridge(self):
        name = self.agent.bridge_name
        connect = (
            'import socket, os, time\n'
            's = socket.socket(socket.AF_UNIX)\n'
            f's.connect("\\0{name}")\n'
            'try:\n'
            '    s.sendall(b\'{"id":"x","execute":{"language":"python","code":"print(1)","timeoutSeconds":5}}\\n\')\n'
            '    told = s.recv(100)\n'
            'except OSError: told = b""\n'
        )
        self.assertEqual(self.run_code(connect + 'told').text, "b''")
        indirect = 'if os.fork() == 0:\n    if os.fork(): os._exit(0)\n    os.setsid(); time.sleep(0.1)\n'
        indirect += (
            ''.join(f'    {line}\n' for line in connect.splitlines())
            + '    open("told", "wb").write(told)\n    os._exit(0)'
        )
        self.run_code(f'import os, time\n{indirect}')
        time.sleep(0.7)
        self.assertEqual(self.run_code('open("told", "rb").read()').text, "b''")
        self.run_code(f'python3 -c {json.dumps(connect + "print(told)")}', 'bash')
        self.assert_lives()

    def test_connections_in_masses_keep_nobody_out(self):
        name = self.agent.bridge_name
        self.run_code(
            'import socket\nmany = []\n'
            'for _ in range(200):\n'
            '    s = socket.socket(socket.AF_UNIX); s.setblocking(False)\n'
            f'    try: s.connect("\\0{name}")\n'
            '    except OSError: pass\n'
            '    many.append(s)'
        )
        self.assert_lives()


class SlowReaders(SessionTest):
    def test_a_client_that_does_not_read_holds_up_nobody(self):
        with self.connect() as slow:
            for _ in range(24):
                slow.start(
                    'import sys\nfor _ in range(4): sys.stdout.write("x" * 2**20); sys.stderr.write("y" * 2**19)'
                )
            for _ in range(3):
                self.assertEqual(self.run_code('1', timeoutSeconds=20).text, '1')
            self.assertLess(self.agent.resident(), 70 * MIB)
            self.assertEqual(self.bridge.upload('f', b'x' * MIB).failed, None)
            for _ in range(20):
                slow.send('readFile', path='f')
            self.assertEqual(self.bridge.ask('readFile', path='f').content, b'x' * MIB)


if __name__ == '__main__':
    unittest.main()
