"""Time, memory, disk and processes: what a program may use, and what is said when it wants more."""

from __future__ import annotations

import unittest

from support import MIB, Agent, AgentTest, on_the_host, order


class Time(AgentTest):
    def test_a_timeout_interrupts_and_keeps_what_was_said(self):
        run = self.run_code('print("before")\nwhile True: pass', timeoutSeconds=0.3)
        self.assertEqual((run.exit['cause'], run.stdout, run.process_exit_code), ('Timeout', 'before\n', 124))
        self.assertEqual((run.exit['error']['name'], run.exit['exitCode']), ('KeyboardInterrupt', 130))
        self.assertIn('line 2', run.stderr)
        self.assertLess(run.exit['durationMilliseconds'], 1200)

    def test_a_program_that_ignores_the_interrupt_is_killed_a_second_later(self):
        table = [
            'import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nprint("up")\nwhile True: pass',
            'print("up")\nwhile True:\n  try:\n    import time; time.sleep(60)\n  except BaseException: pass',
            'import os\nprint("up")\nos.kill(os.getpid(), 19)',
        ]
        for code in table:
            run = self.run_code(code, timeoutSeconds=0.8)
            self.assertEqual(
                (run.exit['cause'], run.exit['signal'], run.exit['exitCode']), ('Timeout', 'SIGKILL', None)
            )
            self.assertEqual(run.stdout, 'up\n')
            self.assertTrue(1700 <= run.exit['durationMilliseconds'] < 3500, run.exit)

    def test_the_clock_is_the_agents(self):
        run = self.run_code(
            'import time\ntime.time = time.monotonic = lambda: 0\ntime.sleep(2**30)', timeoutSeconds=0.3
        )
        self.assertEqual(run.exit['cause'], 'Timeout')

    def test_endings_that_hang_time_out(self):
        table = [
            'import atexit\n@atexit.register\ndef f():\n  while True: pass',
            'class R:\n  def __repr__(self):\n    while True: pass\nR()',
            'import threading\nthreading.Thread(target=threading.Event().wait).start()',
            'class D:\n  def __del__(self):\n    while True: pass\nd = D()',
            'import asyncio\nawait asyncio.sleep(60)',
        ]
        for code in table:
            with self.subTest(code):
                run = self.run_code(code, timeoutSeconds=0.3)
                self.assertEqual(run.exit['cause'], 'Timeout')

    def test_an_interrupt_ends_a_run_by_its_id_only(self):
        with Agent() as agent:
            agent.send(order('print("up")\nimport time; time.sleep(60)'))
            agent.until('stdout')
            agent.send({'interrupt': {'id': 'other', 'epoch': 1}})
            self.assertEqual(agent.event()['refused']['reason'], 'Invalid')
            agent.send({'interrupt': {'id': 'run-1', 'epoch': 1}})
            run = agent.until_end()
            self.assertEqual((run.exit['cause'], run.exit['error']['name']), ('Interrupted', 'KeyboardInterrupt'))

    def test_children_are_interrupted_too(self):
        run = self.run_code('import subprocess\nsubprocess.run(["sleep", "60"])', timeoutSeconds=0.3)
        self.assertLess(run.exit['durationMilliseconds'], 1200)


class Memory(AgentTest):
    def test_an_allocation_beyond_the_limit_fails_at_once(self):
        run = self.run_code('x = bytearray(2**30)', memoryBytes=256 * MIB)
        self.assertEqual(
            (run.exit['cause'], run.exit['error']['name'], run.exit['exitCode']), ('OutOfMemory', 'MemoryError', 1)
        )
        self.assertIn('line 1', run.stderr)

    def test_threads_take_little_of_the_address_space(self):
        code = (
            'import threading\n'
            'done = threading.Event()\n'
            'threads = [threading.Thread(target=done.wait) for _ in range(24)]\n'
            'for each in threads: each.start()\n'
            'done.set()\n'
            'print(len(threads))'
        )
        self.assertEqual(self.run_code(code, memoryBytes=512 * MIB).stdout, '24\n')
        inner = f'import subprocess, sys; subprocess.run([sys.executable, "-c", {code!r}])'
        self.assertEqual(self.run_code(inner, memoryBytes=512 * MIB).stdout, '24\n')

    def test_memory_up_to_the_limit_is_there(self):
        run = self.run_code('x = bytearray(200 * 2**20); print(len(x))', memoryBytes=256 * MIB)
        self.assertEqual((run.stdout, run.exit['cause']), ('209715200\n', None))
        self.assertTrue(200 * MIB < run.exit['usage']['peakMemoryBytes'] < 256 * MIB, run.exit['usage'])

    def test_every_way_out_of_memory_has_the_cause(self):
        table = [
            'x = []\nwhile True: x.append(b"A" * 10**6)',
            'x = []\nwhile True: x.append(object())',
            'import mmap\nmmap.mmap(-1, 2**30)',
            '" " * 10**12',
            'class Mine(MemoryError): pass\nraise Mine("numpy does so")',
            'raise OSError(12, "Cannot allocate memory")',
            'class R:\n  def __repr__(self): return "r" * 2**30\nR()',
        ]
        for code in table:
            with self.subTest(code):
                run = self.run_code(code, memoryBytes=128 * MIB)
                if 'repr' in code:
                    self.assertIn('MemoryError', run.results[0]['text/plain'])
                else:
                    self.assertEqual(run.exit['cause'], 'OutOfMemory', run.exit)
                    self.assertIn('line', run.exit['error']['traceback'])

    def test_a_caught_memory_error_is_no_cause(self):
        run = self.run_code('try:\n  x = bytearray(2**40)\nexcept MemoryError: print("caught")')
        self.assertEqual((run.stdout, run.exit['cause'], run.exit['exitCode']), ('caught\n', None, 0))

    def test_recursion_ends_as_python_ends_it(self):
        run = self.run_code('def f(): f()\nf()')
        self.assertEqual((run.exit['error']['name'], run.exit['cause']), ('RecursionError', None))
        self.assertLess(len(run.stderr), 2000)
        run = self.run_code('import sys\nsys.setrecursionlimit(10**9)\nf = lambda: [*map(lambda _: f(), [1])]\nf()')
        endings = (run.exit['signal'], run.exit['cause'], (run.exit['error'] or {}).get('name'))
        self.assertTrue({'SIGSEGV', 'OutOfMemory', 'RecursionError'} & {*endings}, endings)


class Disk(AgentTest):
    def test_a_full_disk_and_a_huge_file_have_the_cause(self):
        for code in ('raise OSError(28, "No space left on device")', 'open("f", "wb").truncate(1 << 40)'):
            run = self.run_code(code)
            self.assertEqual((run.exit['cause'], run.exit['error']['name']), ('DiskLimit', 'OSError'), code)


class Usage(AgentTest):
    def test_processor_time_is_the_programs_and_its_childrens(self):
        idle = self.run_code('pass', agent={'preload': 'decimal,asyncio,unittest'})
        self.assertLess(idle.exit['usage']['cpuMilliseconds'], 30)
        burn = 'import time\nend = time.process_time() + 0.2\nwhile time.process_time() < end: pass\n'
        run = self.run_code(burn)
        self.assertTrue(180 <= run.exit['usage']['cpuMilliseconds'] < 400, run.exit['usage'])
        run = self.run_code(f'import subprocess, sys\nsubprocess.run([sys.executable, "-c", {burn!r}])')
        self.assertTrue(180 <= run.exit['usage']['cpuMilliseconds'] < 500, run.exit['usage'])

    def test_peak_memory_is_the_largest_processs(self):
        run = self.run_code(
            'import subprocess, sys\nsubprocess.run([sys.executable, "-c", "x = bytearray(100 * 2**20)"])'
        )
        self.assertTrue(100 * MIB < run.exit['usage']['peakMemoryBytes'] < 160 * MIB, run.exit['usage'])


class Processes(AgentTest):
    def test_limits_are_set(self):
        run = self.run_code(
            'import resource as r\n'
            'print([r.getrlimit(k)[1] for k in (r.RLIMIT_NPROC, r.RLIMIT_NOFILE, r.RLIMIT_FSIZE, r.RLIMIT_CORE)])'
        )
        self.assertEqual(run.stdout, f'{[256, 1024, 1024 * MIB, 0]}\n')

    def test_a_fork_bomb_ends(self):
        # It gives up by itself: without a namespace around it, nobody could be sure to have caught every process.
        bomb = (
            'import os, time\nend = time.time() + 3\nwhile time.time() < end:\n  try: os.fork()\n  except OSError: pass'
        )
        run = self.run_code(bomb, timeoutSeconds=1)
        self.assertEqual(run.exit['cause'], 'Timeout')

    @on_the_host
    def test_daemons_delay_nothing_and_are_killed(self):
        daemon = (
            'import os, signal, sys, time\n'
            'for _ in range(2):\n'
            '    if os.fork(): break\n'
            '    os.setsid()\n'
            'else:\n'
            '    for n in signal.valid_signals() - {9, 19}: signal.signal(n, signal.SIG_IGN)\n'
            '    open("pid", "w").write(str(os.getpid()))\n'
            '    time.sleep(60)\n'
            'while not os.path.exists("pid") or not open("pid").read(): time.sleep(0.01)\n'
            'print("done")\n'
        )
        run = self.run_code(daemon, artifacts=['pid'])
        self.assertLess(run.exit['durationMilliseconds'], 5000)
        with self.assertRaises(FileNotFoundError):
            open(f'/proc/{int(run.artifacts["pid"])}/stat')

    @on_the_host
    def test_orphans_are_reaped_while_the_program_runs(self):
        run = self.run_code(
            'import os, time\n'
            'if os.fork() == 0:\n'
            '    if os.fork() == 0: time.sleep(0.05)\n'
            '    os._exit(0)\n'
            'os.wait(); time.sleep(0.3)\n'
            'for p in filter(str.isdigit, os.listdir("/proc")):\n'
            '    try:\n'
            '        mine = os.stat(f"/proc/{p}").st_uid == os.getuid()\n'
            '        if mine and " Z " in open(f"/proc/{p}/stat").read(): print(p)\n'
            '    except OSError: pass'
        )
        self.assertEqual(run.stdout, '')


if __name__ == '__main__':
    unittest.main()
