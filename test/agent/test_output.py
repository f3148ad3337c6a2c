"""Output of every kind: what is told of it, and within which bounds."""

from __future__ import annotations

import json
import unittest

from support import MIB, AgentTest

from agent import bounds, journal, lines


class Text(AgentTest):
    def test_output_is_valid_unicode_whatever_is_written(self):
        table = [
            (b'\xff\xfe', '\ufffd\ufffd'),
            (b'a\x00b', 'a\0b'),
            (b'\xed\xa0\x80', '\ufffd' * 3),
            (b'\x1b[31mred\x1b]52;c;\x07', '\x1b[31mred\x1b]52;c;\x07'),
            ('\u2028 \U0001f600 é'.encode(), '\u2028 \U0001f600 é'),
            (b'cut \xf0\x9f\x98', 'cut \ufffd'),
            (b'\xef\xbb\xbfbom', '\ufeffbom'),
            (b'cr\rlf\r\n', 'cr\rlf\r\n'),
        ]
        for written, told in table:
            with self.subTest(written):
                run = self.run_code(f'import os; os.write(1, {written!r}); os.write(2, {written!r})')
                self.assertEqual((run.stdout, run.stderr), (told, told))
                self.assertEqual(run.exit['output']['stdoutBytes'], len(written))

    def test_a_character_written_byte_by_byte_comes_whole(self):
        run = self.run_code('import os, time\nfor b in "é😀".encode():\n    os.write(1, bytes([b])); time.sleep(0.02)')
        self.assertEqual(run.stdout, 'é😀')

    def test_a_lone_surrogate_is_pythons_error_and_not_ours(self):
        run = self.run_code('print("before")\nprint("\\ud800")')
        self.assertEqual((run.stdout, run.exit['error']['name']), ('before\n', 'UnicodeEncodeError'))
        run = self.run_code('raise ValueError("\\ud800")')
        self.assertEqual(run.exit['error']['value'], '?')

    def test_output_comes_while_the_program_runs(self):
        run = self.run_code('import time\nprint("a"); time.sleep(0.2); print("b")')
        self.assertEqual([event['stdout'] for event in run.events if 'stdout' in event], ['a\n', 'b\n'])

    def test_a_trickle_is_gathered_into_few_events(self):
        run = self.run_code('for i in range(20000): print(i, flush=True)')
        self.assertEqual(run.stdout, ''.join(f'{i}\n' for i in range(20000)))
        self.assertLess(len(run.events), 500)


class Bounds(AgentTest):
    def assert_journal(self, run) -> None:
        sizes = [len(lines.encode_line(event)) for event in run.events]
        self.assertLessEqual(max(sizes), MIB)
        self.assertLessEqual(sum(sizes), bounds.JOURNAL_LIMIT)

    def test_a_flood_is_counted_and_cut_and_the_other_stream_is_kept(self):
        run = self.run_code(
            'import sys\nblock = "x" * 10**6\nfor _ in range(100): sys.stdout.write(block)\nsys.stdout.flush()\n1/0'
        )
        self.assertEqual(run.exit['output']['stdoutBytes'], 10**8)
        self.assertEqual((run.exit['output']['stdoutTruncated'], run.exit['output']['stderrTruncated']), (True, False))
        self.assertTrue(MIB < len(run.stdout) <= bounds.SHARES['stdout'])
        self.assertIn('ZeroDivisionError', run.stderr)
        self.assert_journal(run)

    def test_characters_that_json_swells_keep_the_bounds(self):
        for text in ('\x01', '\\', '\u2028', '\xff'):
            run = self.run_code(f'print({text!r} * (4 * 2**20))')
            self.assertTrue(run.exit['output']['stdoutTruncated'])
            self.assert_journal(run)

    def test_both_streams_flooded_with_results_and_artifacts_keep_the_journal(self):
        run = self.run_code(
            'import sys\n'
            'sys.stdout.write("\\x01" * 2**22); sys.stderr.write("\\x02" * 2**22)\n'
            'for n in range(300): open(f"{n:04}.bin", "wb").write(b"x" * 50_000)\n'
            'class R:\n    def __repr__(self): return "r" * 60000\n    def _repr_html_(self): return "\\x03" * 150000\n'
            'sys.excepthook = None\nR()',
            artifacts=['*.bin'],
        )
        self.assert_journal(run)
        self.assertEqual(len(run.artifacts), bounds.MAX_ARTIFACTS)
        self.assertIsNone(run.artifacts['0255.bin'])
        self.assertEqual(run.artifacts['0000.bin'], b'x' * 50_000)

    def test_the_largest_error_fits(self):
        run = self.run_code('raise type("\\x01" * 300, (Exception,), {})("\\x01" * 10**6)')
        error = run.exit['error']
        self.assertEqual((len(error['name']), len(error['value']), len(error['traceback'])), (256, 8192, 65536))
        self.assert_journal(run)

    def test_results_have_a_share_and_a_number(self):
        run = self.run_code(
            'import os, json\n'
            'for n in range(200): os.write(1000, json.dumps({"result": {"text/plain": str(n)}}).encode() + b"\\n")'
        )
        self.assertEqual(len(run.results), bounds.MAX_RESULTS)

    def test_what_is_still_in_the_pipe_at_a_sudden_end_is_told(self):
        run = self.run_code('import os\nos.write(1, b"x" * 10**6)\nos._exit(0)')
        self.assertEqual((len(run.stdout), run.exit['output']['stdoutTruncated']), (10**6, False))


class Pieces(unittest.TestCase):
    def test_no_number_takes_long_to_read(self):
        self.assertEqual(lines.parse_json(b'9' * 20), int('9' * 20))
        for digits in (21, 4000):
            with self.assertRaises(ValueError):
                lines.parse_json(b'9' * digits)

    def test_clip_counts_as_javascript_does_and_splits_no_character(self):
        for text, most, clipped in (
            ('abc', 2, 'ab'),
            ('😀😀', 3, '😀'),
            ('😀', 1, ''),
            ('\ud800x', 5, '?x'),
            ('', 0, ''),
        ):
            self.assertEqual(lines.clip(text, most), clipped)

    def test_the_reader_finds_lines_however_they_are_cut(self):
        data = b'one\n\n' + b'x' * (2 * MIB) + b'\nlast\nrest'
        for size in (1000, 65_537, MIB, 10 * MIB):
            reader = lines.LineReader()
            found = []
            for start in range(0, len(data), size):
                found += reader.feed(data[start : start + size])
            self.assertEqual(found, [b'one', b'', None, b'last'])

    def test_a_journal_share_that_is_spent_stays_shut(self):
        own = journal.Journal(journal.Writer(1), 'x')
        self.assertTrue(own.tell_within('stderr', {'a': 'x'}))
        while own.tell_within('stderr', {'a': 'x' * 100_000}):
            pass
        self.assertFalse(own.tell_within('stderr', {'a': 'x'}))
        self.assertTrue(own.tell_within('stdout', {'a': 'x'}))

    def test_an_encoded_line_is_valid_and_single(self):
        line = lines.encode_line({'a': '\ud800\n\u2028é\0'})
        self.assertEqual(line.count(b'\n'), 1)
        self.assertEqual(json.loads(line), {'a': '?\n\u2028é\0'})


if __name__ == '__main__':
    unittest.main()
