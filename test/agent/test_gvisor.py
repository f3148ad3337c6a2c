"""What only gVisor's kernel shows. Run the other tests there too: AGENT_RUNSC=/path/to/runsc."""

from __future__ import annotations

import signal
import unittest

from support import MIB, AgentTest, in_gvisor


@in_gvisor
class Isolation(AgentTest):
    def test_no_signal_reaches_the_agent(self):
        for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV):
            run = self.run_code(
                f'import os\nprint(os.getpid(), os.getppid(), [p for p in os.listdir("/proc") if p.isdigit()])\n'
                f'for pid in (1, -1, *range(2, 20)):\n'
                f'    try: os.kill(pid, {number})\n'
                f'    except OSError: pass\n',
                timeoutSeconds=1,
            )
            self.assertEqual(run.stdout, "1 0 ['1']\n", number)
            self.assertIsNotNone(run.exit)

    def test_the_program_has_no_capability_and_gains_none(self):
        run = self.run_code(
            'import ctypes\n'
            'print({line.split()[1] for line in open("/proc/self/status") if line.startswith("Cap")})\n'
            'libc = ctypes.CDLL(None)\n'
            'print(libc.mount(b"x", b"/workspace", b"tmpfs", 0, None), libc.sethostname(b"x", 1), libc.setuid(0))'
        )
        self.assertEqual(run.stdout, "{'0000000000000000'}\n-1 -1 -1\n")

    def test_daemons_end_with_the_program_and_hold_nothing_up(self):
        run = self.run_code(
            'import os, signal, time\n'
            'if os.fork() == 0:\n'
            '    os.setsid()\n'
            '    for n in signal.valid_signals() - {9, 19}: signal.signal(n, signal.SIG_IGN)\n'
            '    while True: print("daemon"); time.sleep(0.1)\n'
            'time.sleep(0.3)'
        )
        self.assertIn('daemon', run.stdout)
        self.assertLess(run.exit['durationMilliseconds'], 2500)

    def test_processes_and_threads_have_a_limit(self):
        run = self.run_code(
            'import os, time\nn = 0\n'
            'try:\n    while n < 400:\n        if os.fork() == 0: time.sleep(60)\n        n += 1\n'
            'except BlockingIOError: print(n)',
            timeoutSeconds=30,
        )
        self.assertTrue(200 < int(run.stdout) < 257, run.stdout)

    def test_a_full_workspace_is_told(self):
        run = self.run_code('with open("f", "wb") as f:\n    while True: f.write(b"x" * 2**20)')
        self.assertEqual((run.exit['cause'], run.exit['error']['name']), ('DiskLimit', 'OSError'))
        run = self.run_code('dd if=/dev/zero of=f bs=1M count=200', language='bash', command=['bash'])
        self.assertEqual(run.exit['cause'], 'DiskLimit')
        run = self.run_code('1', files=[{'path': 'f', 'contentBase64': 'AAAA' * 1000}])
        self.assertEqual(run.exit['cause'], None)

    def test_a_gigabyte_is_printed_in_seconds(self):
        run = self.run_code('block = "x" * 10**6\nfor _ in range(1000): print(block)', timeoutSeconds=30)
        self.assertEqual(run.exit['output']['stdoutBytes'], 1000 * (10**6 + 1))
        self.assertLess(run.exit['durationMilliseconds'], 10_000)

    def test_memory_is_limited_whatever_maps_it(self):
        for code in (
            'bytearray(2**30)',
            'import mmap; mmap.mmap(-1, 2**30)',
            '[bytearray(2**20) for _ in range(2000)]',
        ):
            self.assertEqual(self.run_code(code, memoryBytes=256 * MIB).exit['cause'], 'OutOfMemory', code)


if __name__ == '__main__':
    unittest.main()
