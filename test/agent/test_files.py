"""Files of a session's working directory, as clients of the bridge list, read, write and remove them."""

from __future__ import annotations

import os
import tempfile
import time
import unittest

from support import MIB, SessionTest, encoded, in_gvisor

from agent import files, paths


class Files(SessionTest):
    def names(self, path: str = '') -> list[str]:
        return [entry['name'] for entry in self.bridge.ask('listFiles', path=path).done['entries']]

    def reason(self, name: str, **fields) -> str:
        return self.bridge.ask(name, **fields).failed['reason']

    def test_a_file_comes_back_as_it_went(self):
        for size in (0, 1, 384 * 1024, 3 * MIB + 17):
            content = os.urandom(size)
            self.assertEqual(self.bridge.upload('new/deep/f.bin', content).done, {})
            read = self.bridge.ask('readFile', path='new/deep/f.bin')
            self.assertEqual((read.content, read.done), (content, {'bytes': size}))
            self.assertEqual({event['chunk']['bytes'] for event in read.events if 'chunk' in event}, {size})
        self.assertEqual(self.names('new/deep'), ['f.bin'])
        self.assertEqual(self.run_code('import os; os.path.getsize("new/deep/f.bin")').text, str(3 * MIB + 17))

    def test_entries_tell_kind_size_and_time(self):
        self.run_code('import os\nopen("f", "w").write("abc"); os.mkdir("d"); os.symlink("/etc", "l"); os.mkfifo("p")')
        answer = self.bridge.ask('listFiles', path='').done
        entries = {entry['name']: entry for entry in answer['entries']}
        kinds = {name: entry['kind'] for name, entry in entries.items() if not name.startswith('.')}
        self.assertEqual(kinds, {'f': 'file', 'd': 'folder', 'l': 'link', 'p': 'other'})
        self.assertEqual((entries['f']['bytes'], answer['truncated']), (3, False))
        self.assertLess(abs(entries['f']['modified'] / 1000 - time.time()), 600)

    def test_any_legal_name_survives(self):
        names = [
            b'\xff\xfe.bin',
            'é😀'.encode(),
            b'100%',
            b'%41',
            b'a\nb',
            b'-rf',
            b' ',
            b'\xed\xa0\x80',
            b'x' * 255,
            b'\xff' * 255,
        ]
        self.run_code(
            f'import os\nos.mkdir("d"); os.chdir("d")\nfor n in {names!r}: open(n, "wb").write(n)\nos.chdir("..")'
        )
        listed = self.names('d')
        self.assertEqual(len(listed), len(names))
        for name in listed:
            content = self.bridge.ask('readFile', path=f'd/{name}').content
            self.assertIn(content, names)
            self.assertEqual(self.bridge.upload(f'd/{name}', content + b'!').failed, None)
            self.assertEqual(self.bridge.ask('removeFile', path=f'd/{name}').failed, None)
        self.assertEqual(self.names('d'), [])

    def test_no_path_leads_out(self):
        self.run_code(
            'import os\nos.symlink("/etc", "etc"); os.symlink("/etc/hostname", "host")\n'
            'os.mkdir("d"); os.symlink("..", "d/up")'
        )
        for path in (
            '/etc/hostname',
            '../x',
            'd/../../x',
            'd//x',
            './d',
            'd/.',
            '..',
            'a%2fb',
            'a%00',
            'etc/hostname',
            'host',
            'd/up/d',
        ):
            with self.subTest(path):
                self.assertEqual(self.reason('readFile', path=path), 'PathNotAllowed')
                self.assertEqual(self.bridge.upload(path, b'x').failed['reason'], 'PathNotAllowed')
        self.assertEqual(self.reason('listFiles', path='etc'), 'PathNotAllowed')
        self.assertEqual(self.reason('removeFile', path='etc/hostname'), 'PathNotAllowed')
        self.assertEqual(self.reason('readFile', path='50%'), 'Invalid')
        self.assertEqual(self.bridge.ask('removeFile', path='etc').failed, None)  # the link itself

    def test_a_folder_that_becomes_a_link_at_times_leads_nowhere(self):
        self.run_code(
            'import os, threading, time\n'
            'os.makedirs("real"); open("real/hostname", "w").write("mine"); os.symlink("/etc", "out")\n'
            'os.symlink("real", "switch")\n'
            'end = time.time() + 3\n'
            'def swap():\n'
            '    while time.time() < end:\n'
            '        os.rename("real", "in"); os.rename("out", "real")\n'
            '        os.rename("real", "out"); os.rename("in", "real")\n'
            'threading.Thread(target=swap).start()'
        )
        seen = set()
        for _ in range(300):
            answer = self.bridge.ask('readFile', path='real/hostname')
            seen.add(answer.content if answer.failed is None else answer.failed['reason'])
        self.assertLessEqual(seen, {b'mine', 'NotFound', 'NotAFolder', 'PathNotAllowed'})
        self.assertIn(b'mine', seen)

    def test_what_is_no_file_is_refused_at_once(self):
        self.run_code(
            'import os, socket\nos.mkfifo("fifo"); os.mkdir("d"); s = socket.socket(socket.AF_UNIX); s.bind("socket")'
        )
        for path in ('fifo', 'socket', 'd'):
            self.assertEqual(self.reason('readFile', path=path), 'NotAFile', path)
            self.assertEqual(self.bridge.upload(path, b'x').failed['reason'], 'NotAFile', path)
        self.assertEqual(self.reason('readFile', path=''), 'NotAFile')
        self.assertEqual(self.bridge.upload('', b'x').failed['reason'], 'NotAFile')
        self.assertEqual(self.reason('removeFile', path=''), 'Invalid')
        self.assertEqual(self.reason('readFile', path='missing'), 'NotFound')
        self.assertEqual(self.reason('removeFile', path='missing'), 'NotFound')
        self.run_code('open("f", "w").close()')
        self.assertEqual(self.reason('listFiles', path='f'), 'NotAFolder')
        self.assertEqual(self.bridge.upload('f/g', b'x').failed['reason'], 'NotAFolder')
        self.assertEqual(self.reason('readFile', path='x' * 300), 'Invalid')

    def test_a_file_is_there_whole_or_not_at_all(self):
        self.bridge.upload('f', b'old')
        request = self.bridge.send('writeFile', path='f', bytes=10)
        self.bridge.event()
        self.bridge.send_as(request, 'chunk', contentBase64=encoded(b'new'), last=False)
        self.bridge.event()
        with self.connect() as other:
            self.assertEqual(other.ask('readFile', path='f').content, b'old')
        for last, content in ((True, b'short'), (True, b'x' * 8), (False, b'x' * 8)):
            self.bridge.send_as(request, 'chunk', contentBase64=encoded(content), last=last)
            if request != '':
                self.assertEqual(self.bridge.answer(request).failed['reason'], 'Invalid')
            request = self.bridge.send('writeFile', path='f', bytes=7)
            self.bridge.event()
        with self.connect() as other:
            left = other.send('writeFile', path='g/h', bytes=10)
            other.event()
            other.send_as(left, 'chunk', contentBase64=encoded(b'new'), last=False)
            other.event()
        self.bridge.send_as(request, 'chunk', contentBase64=encoded(b'xxxxxxxx'), last=True)
        self.bridge.answer(request)
        time.sleep(0.2)
        self.assertEqual(self.bridge.ask('readFile', path='f').content, b'old')
        self.assertEqual(self.names('g'), [])
        self.assertEqual([name for name in self.names() if name.startswith('.coderun')], [])

    def test_a_file_is_written_without_its_length_being_known(self):
        request = self.bridge.send('writeFile', path='f')
        self.bridge.event()
        for content, last in ((b'one', False), (b'two', False), (b'', True)):
            self.bridge.send_as(request, 'chunk', contentBase64=encoded(content), last=last)
        self.assertEqual(self.bridge.answer(request).done, {})
        self.assertEqual(self.bridge.ask('readFile', path='f').content, b'onetwo')

    def test_chunks_after_a_failure_are_passed_over(self):
        request = self.bridge.send('writeFile', path='f', bytes=1)
        for _ in range(3):
            self.bridge.send_as(request, 'chunk', contentBase64=encoded(b'xx'), last=False)
        self.assertEqual(self.bridge.answer(request).failed['reason'], 'Invalid')
        self.assertEqual(self.bridge.ask('interrupt').done, {})

    def test_permissions_of_a_file_that_is_replaced_stay(self):
        self.run_code('import os\nopen("s", "w").close(); os.chmod("s", 0o750)')
        self.bridge.upload('s', b'x')
        self.assertEqual(self.run_code('oct(os.stat("s").st_mode & 0o777)').text, "'0o750'")

    def test_too_much_is_refused_before_it_is_sent(self):
        self.assertEqual(self.reason('writeFile', path='f', bytes=100 * MIB + 1), 'Invalid')

    def test_a_folder_goes_with_all_that_is_in_it(self):
        self.run_code(
            'import os\nos.makedirs("d/e/f")\n'
            'for n in range(1500): open(f"d/e/{n}", "w").close()\n'
            'os.symlink("/etc", "d/link"); open("d/shut", "w"); os.mkdir("d/closed"); open("d/closed/x", "w")\n'
            'os.chmod("d/shut", 0); os.chmod("d/closed", 0)\n'
            'deep = "d"\n'
            'for n in range(300):\n    deep += "/n"; os.mkdir(deep)'
        )
        self.assertEqual(self.bridge.ask('removeFile', path='d').done, {})
        self.assertNotIn('d', self.names())

    @in_gvisor
    def test_a_full_disk_is_told_and_can_be_emptied(self):
        self.run_code(
            'try:\n    with open("fill", "wb") as f:\n        while True: f.write(b"x" * 2**20)\nexcept OSError: pass'
        )
        self.assertEqual(self.bridge.upload('f', os.urandom(MIB)).failed['reason'], 'DiskLimit')
        self.assertNotIn('f', self.names())
        self.assertEqual(self.bridge.ask('removeFile', path='fill').failed, None)
        self.assertEqual(self.bridge.upload('f', os.urandom(MIB)).failed, None)

    def test_files_do_not_wait_for_executions(self):
        running = self.bridge.start('import time; time.sleep(30)')
        self.bridge.event()
        self.assertEqual(self.bridge.upload('f', b'x').done, {})
        self.assertEqual(self.bridge.ask('readFile', path='f').content, b'x')
        self.bridge.ask('interrupt', id=running)

    def test_a_folder_without_end_is_cut(self):
        self.run_code(
            'import os\nos.mkdir("d")\nfor n in range(10_050): open(f"d/{n:05}", "w").close()', timeoutSeconds=60
        )
        answer = self.bridge.ask('listFiles', path='d').done
        self.assertTrue(answer['truncated'])
        self.assertLessEqual(len(answer['entries']), 10_000)

    def test_a_file_that_shrinks_while_it_is_read_fails(self):
        self.run_code('open("f", "wb").truncate(20 * 2**20)')
        request = self.bridge.send('readFile', path='f')
        first = self.bridge.event()
        self.assertIn('chunk', first)
        self.run_code_elsewhere('open("f", "wb").truncate(0)')
        self.assertEqual(self.bridge.answer(request).failed['reason'], 'Failed')

    def run_code_elsewhere(self, code: str) -> None:
        with self.connect() as other:
            other.run(code)

    def test_ten_mebibytes_go_either_way_within_a_second(self):
        content = os.urandom(10 * MIB)
        started = time.monotonic()
        self.bridge.upload('f', content, size=384 * 1024)
        self.assertEqual(self.bridge.ask('readFile', path='f').content, content)
        self.assertLess(time.monotonic() - started, 5)  # a fifth of it where nothing else runs


class Names(unittest.TestCase):
    def test_every_name_is_decoded_as_it_was_encoded(self):
        for name in (
            b'a',
            b'\xff',
            b'%',
            b'%41',
            'é'.encode(),
            b'\xc3',
            b'\xf0\x9f\x98',
            bytes(range(1, 47)) + bytes(range(48, 256)),
        ):
            self.assertEqual(paths.decode_path(paths.encode_name(name)), [name])
        self.assertEqual(paths.encode_name(b'a%\xff'), 'a%25%FF')
        self.assertEqual(paths.decode_path(''), [])

    def test_a_removal_gives_up_on_what_never_ends(self):
        with tempfile.TemporaryDirectory() as folder:
            root = os.open(folder, os.O_RDONLY)
            os.makedirs(f'{folder}/d/e')
            removal = files.Removal(root, 'd')
            removal.give_up = 0
            with self.assertRaises(paths.Failure):
                removal.advance()
            removal.close()
            os.close(root)


if __name__ == '__main__':
    unittest.main()
