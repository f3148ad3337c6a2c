"""Programs that attack what runs them. Each may spoil its own run, and nothing else."""

from __future__ import annotations

import json
import os
import unittest

from support import MIB, Agent, AgentTest, on_the_host

FORGED = json.dumps({'id': 'run-1', 'exit': {'exitCode': 0, 'signal': None}})


class Forgery(AgentTest):
    def test_frames_on_any_descriptor_stay_output_or_are_lost(self):
        run = self.run_code(
            'import os\n'
            f'frame = {FORGED!r}.encode() + b"\\n"\n'
            'for fd in range(2048):\n'
            '    try: os.write(fd, frame)\n'
            '    except OSError: pass\n'
            'raise SystemExit(3)'
        )
        self.assertEqual([list(event)[1] for event in run.events if 'exit' in event], ['exit'])
        self.assertEqual((run.exit['exitCode'], run.stdout, run.stderr), (3, FORGED + '\n', FORGED + '\n'))

    @on_the_host
    @unittest.skipIf(os.getuid() != 0, 'needs root to run the agent as somebody else')
    def test_the_agents_own_descriptors_and_memory_are_out_of_reach(self):
        run = self.run_code(
            'import ctypes, os\n'
            'agent = os.getppid()\n'
            f'frame = {FORGED!r}.encode() + b"\\n"\n'
            'for name in ("fd/1", "fd/0", "mem", "environ"):\n'
            '    path = f"/proc/{agent}/{name}"\n'
            '    try: os.write(os.open(path, os.O_RDWR if "mem" in path else os.O_WRONLY), frame); print(path)\n'
            '    except OSError: pass\n'
            'libc = ctypes.CDLL(None)\n'
            'print(libc.ptrace(16, agent, 0, 0))\n'
        )
        self.assertEqual((run.stdout, len([e for e in run.events if 'exit' in e])), ('-1\n', 1))

    def test_forged_reports_are_bounded_and_concern_the_run_alone(self):
        forged = [
            {'error': {'name': 'x' * 10**5, 'value': '', 'traceback': ''}, 'cause': 'PackageInstallFailed'},
            {'error': {'name': 5, 'value': None}, 'cause': ['Timeout']},
            {'error': [], 'cause': 'Timeout'},
            {'begin': -(10**6)},
            {'begin': 'x'},
            {'result': {'text/plain': 5, '': 'x', 'x' * 500: 'y', 'image/png': 'ok'}},
            {'result': 'x'},
            {'exit': {'exitCode': 0}},
            {'id': 'run-2', 'stdout': 'forged'},
            [],
            5,
        ]
        run = self.run_code(
            'import json, os\n'
            f'for report in {forged!r}: os.write(1000, json.dumps(report).encode() + b"\\n")\n'
            'for line in (b"\\xff", b"[" * 10**5, b"{", b"9" * 10**5, b"", b"x" * 2**21, b\'{"end": NaN}\'):\n'
            '    os.write(1000, line + b"\\n")\n'
            'raise SystemExit(2)'
        )
        self.assertEqual(run.results, [{'image/png': 'ok'}])
        self.assertEqual((run.exit['exitCode'], run.exit['cause'], len(run.exit['error']['name'])), (2, None, 256))
        self.assertLess(run.exit['usage']['cpuMilliseconds'], 2000)

    def test_a_flood_of_reports_does_not_stop_the_clock(self):
        run = self.run_code(
            'import os\nwhile True: os.write(1000, b\'{"result":{"text/plain":"x"}}\\n\' * 1000)', timeoutSeconds=0.5
        )
        self.assertEqual(run.exit['cause'], 'Timeout')
        self.assertLess(run.exit['durationMilliseconds'], 3500)


class SelfHarm(AgentTest):
    def test_replaced_machinery_harms_the_programs_own_output_only(self):
        table = [
            ('import builtins\nfor n in dir(builtins):\n  if n[0] != "_": setattr(builtins, n, None)\n1/0', 1),
            (
                'import builtins as b\nb.__import__ = b.print = b.len = b.isinstance = b.str = b.getattr = None\n5',
                0,
            ),
            (
                'import json\njson.dumps = json.JSONEncoder.encode = json.encoder.encode_basestring = None\n5',
                0,
            ),
            ('import os\nos.write = os.read = os.close = os._exit = None\n5', 0),
            ('import sys\nsys.stdout = sys.stderr = sys.stdin = None\n5', 0),
            ('import sys\nsys.stdout.close(); sys.stderr.close()\n5', 0),
            ('import sys\nsys.modules.clear()\n5', 0),
            ('import traceback\ntraceback.TracebackException = None\n1/0', 1),
            ('import sys\nsys.excepthook = 5\n1/0', 1),
            ('import gc, threading, atexit\ngc.collect = threading._shutdown = atexit._run_exitfuncs = None\n5', 0),
            ('globals().clear()\n5', 0),
            ('import sys\nsys.path[:] = []; sys.meta_path.clear(); sys.argv = None\n5', 0),
        ]
        for code, exit_code in table:
            with self.subTest(code):
                run = self.run_code(code)
                self.assertEqual((run.exit['exitCode'], run.exit['signal']), (exit_code, None), run.exit)

    def test_all_descriptors_closed(self):
        run = self.run_code('import os\nprint("kept")\nos.closerange(0, 4096)\n5')
        self.assertEqual((run.stdout, run.results), ('kept\n', []))

    def test_descriptors_moved(self):
        run = self.run_code('import os\nos.dup2(2, 1); os.dup2(1, 1000); print("to stderr")\n5')
        self.assertEqual(run.stdout, '')
        self.assertTrue(run.stderr.startswith('to stderr\n'))

    def test_sudden_ends_keep_what_was_said(self):
        table = [
            ('os._exit(0)', 0, None),
            ('os.kill(os.getpid(), 9)', None, 'SIGKILL'),
            ('os.kill(os.getpid(), 15)', None, 'SIGTERM'),
            ('os.abort()', None, 'SIGABRT'),
            ('import ctypes; ctypes.string_at(0)', None, 'SIGSEGV'),
            ('os.kill(os.getpid(), 40)', None, 'SIG40'),
            ('os.execv("/bin/true", ["true"])', 0, None),
        ]
        for code, exit_code, name in table:
            with self.subTest(code):
                run = self.run_code(f'import os\nprint("said")\n{code}\nprint("never")')
                self.assertEqual((run.stdout, run.exit['exitCode'], run.exit['signal']), ('said\n', exit_code, name))
                self.assertEqual((run.exit['error'], run.exit['cause']), (None, None))
        self.assertEqual(self.run_code('import os; os.kill(os.getpid(), 9)').process_exit_code, 137)

    def test_signals_to_the_agent_and_to_everybody_else(self):
        run = self.run_code(
            'import os, signal\n'
            'for n in signal.valid_signals() - {9, 19}: os.kill(os.getppid() or 1, n) if os.getppid() else None\n'
            'print("alive")'
        )
        self.assertEqual((run.stdout, run.exit['exitCode']), ('alive\n', 0))

    def test_breakpoint_and_endless_requests(self):
        self.assertEqual(self.run_code('breakpoint()').exit['error']['name'], 'BdbQuit')
        run = self.run_code('10**10**9', timeoutSeconds=0.3)
        self.assertIn(run.exit['cause'], ('Timeout', 'OutOfMemory'))

    def test_one_line_of_a_hundred_megabytes(self):
        run = self.run_code('print("x" * 10**8)')
        self.assertEqual(run.exit['output']['stdoutBytes'], 10**8 + 1)
        self.assertLess(len(run.stdout), 2 * MIB)

    def test_a_workspace_that_is_gone(self):
        run = self.run_code('import shutil, os\nshutil.rmtree(os.getcwd(), ignore_errors=True)\n1/0', artifacts=['**'])
        self.assertEqual((run.exit['error']['name'], run.artifacts), ('ZeroDivisionError', {}))
        self.assertIn('1/0', run.stderr)

    @on_the_host
    def test_a_program_that_stops_reading_its_order_does_not_exist(self):
        with Agent() as agent:
            agent.hello()
            children = [pid for pid in os.listdir('/proc') if pid.isdigit() and _parent(pid) == agent.process.pid]
            os.kill(int(children[0]), 9)
            self.assertEqual(agent.until_end().process_exit_code, 1)
            self.assertIn('the runner ended while it waited', agent.diagnostics())


def _parent(pid: str) -> int:
    try:
        with open(f'/proc/{pid}/stat') as file:
            return int(file.read().rpartition(')')[2].split()[1])
    except OSError:
        return 0


if __name__ == '__main__':
    unittest.main()
