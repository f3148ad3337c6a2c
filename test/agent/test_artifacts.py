"""Files that are brought back: which, how, and never more than the workspace has."""

from __future__ import annotations

import base64
import os
import tempfile
import unittest
import unittest.mock

from support import AgentTest

from agent import artifacts, kernel


class Collected(AgentTest):
    def test_files_that_a_pattern_names_come_whole_and_sorted(self):
        run = self.run_code(
            'import os\nos.makedirs("out/deep")\n'
            'for p in ("b.txt", "a.txt", "c.png", "out/d.txt", "out/deep/e.txt"): open(p, "w").write(p)\n'
            'open("empty.txt", "w")',
            artifacts=['*.txt', 'out/**/*.txt'],
        )
        self.assertEqual(list(run.artifacts), ['a.txt', 'b.txt', 'empty.txt', 'out/d.txt', 'out/deep/e.txt'])
        self.assertEqual((run.artifacts['out/d.txt'], run.artifacts['empty.txt']), (b'out/d.txt', b''))

    def test_a_large_file_comes_in_chunks_in_order(self):
        content = bytes(range(256)) * 8192
        run = self.run_code('open("large", "wb").write(bytes(range(256)) * 8192)', artifacts=['large'])
        self.assertEqual(run.artifacts['large'], content)
        self.assertGreater(len(run.artifact_events), 1)
        self.assertEqual({event['bytes'] for event in run.artifact_events}, {len(content)})
        joined = ''.join(event['contentBase64'] for event in run.artifact_events)
        self.assertEqual(base64.b64decode(joined, validate=True), content)
        offset = 0
        for event in run.artifact_events:
            self.assertEqual(event['offset'], offset)
            offset += len(base64.b64decode(event['contentBase64']))

    def test_what_has_no_room_is_named_without_content(self):
        run = self.run_code(
            'open("sparse", "wb").truncate(2**30); open("small", "w").write("x")', artifacts=['*s*', 'small']
        )
        self.assertEqual(run.artifacts, {'small': b'x', 'sparse': None})
        self.assertEqual(
            run.artifact_events[-1], {'path': 'sparse', 'bytes': 2**30, 'offset': 0, 'contentBase64': None}
        )

    def test_nothing_but_regular_files_of_the_workspace(self):
        run = self.run_code(
            'import os, socket\n'
            'os.symlink("/etc/passwd", "a"); os.symlink("/etc", "b"); os.symlink("real", "c")\n'
            'os.symlink(".", "loop")\n'
            'os.mkfifo("d"); socket.socket(socket.AF_UNIX).bind("e"); open("real", "w").write("x"); os.mkdir("f")\n'
            'open("shut", "w"); os.chmod("shut", 0); os.mkdir("g"); open("g/x", "w"); os.chmod("g", 0)',
            artifacts=['*', '**/*', 'b/passwd', 'loop/real', '../*', '/etc/passwd', 'f/..'],
        )
        self.assertEqual(set(run.artifacts) - {'shut', 'g/x'}, {'real'})  # which root may read

    def test_the_workspace_itself_may_become_a_link(self):
        run = self.run_code(
            'import os, shutil\nw = os.getcwd(); os.rename(w, w + "2"); os.symlink("/etc", w)',
            artifacts=['passwd', 'host*'],
        )
        self.assertEqual(run.artifacts, {})

    def test_neither_the_program_nor_hidden_files_unless_named(self):
        code = 'open(".hidden", "w").write("h"); open("shown", "w").write("s")'
        self.assertEqual(self.run_code(code, artifacts=['*', '**']).artifacts, {'shown': b's'})
        self.assertEqual(self.run_code(code, artifacts=['.h*', 'main.py']).artifacts, {'.hidden': b'h'})

    def test_names_are_told_as_valid_text(self):
        run = self.run_code(
            'import os\n'
            'for name in (b"\\xff.x", "é\\n.x".encode(), b"-rf.x", "\\u202e.x".encode()): open(name, "w")\n'
            'deep = "/".join(["d" * 200] * 6); os.makedirs(deep)\n'
            'open(deep + "/n.x", "w")',
            artifacts=['*.x', '**/*.x'],
        )
        self.assertEqual(set(run.artifacts), {'\ufffd.x', 'é\n.x', '-rf.x', '\u202e.x'})

    def test_after_an_error_a_timeout_and_a_kill(self):
        for ending in ('1/0', 'while True: pass', 'import os; os.kill(os.getpid(), 9)'):
            run = self.run_code(f'open("kept", "w").write("x")\n{ending}', artifacts=['kept'], timeoutSeconds=0.5)
            self.assertEqual(run.artifacts, {'kept': b'x'})


class Globs(unittest.TestCase):
    def test_patterns(self):
        table = [
            ('a.txt', '*.txt', True),
            ('d/a.txt', '*.txt', False),
            ('d/a.txt', 'd/*.txt', True),
            ('d/a.txt', '*/*.txt', True),
            ('d/a.txt', '**', True),
            ('a.txt', '**/*.txt', True),
            ('a/b/c.txt', '**/*.txt', True),
            ('a/b/c.txt', 'a/**/c.txt', True),
            ('a/c.txt', 'a/**/c.txt', True),
            ('a/b/c.txt', '**/b/**', True),
            ('a/b/c.txt', '**/x/**', False),
            ('a1', 'a[0-9]', True),
            ('ab', 'a?', True),
            ('a', 'A', False),
            ('.h', '*', False),
            ('.h', '.*', True),
            ('.d/x', '**', False),
            ('.d/x', '.d/**', True),
            ('.d/x', '*/x', False),
            ('a/b', '', False),
        ]
        for path, pattern, expected in table:
            with self.subTest(f'{path} {pattern}'):
                self.assertEqual(artifacts.matches(path.split('/'), pattern.split('/')), expected)

    def test_no_pattern_is_slow(self):
        path = ['a'] * 500 + ['b']
        self.assertFalse(artifacts.matches(path, ['**', 'a'] * 60 + ['c']))
        self.assertFalse(artifacts.matches(['a' * 200], ['*a' * 60 + 'b']))


class Walk(unittest.TestCase):
    def test_a_tree_without_end_ends(self):
        with tempfile.TemporaryDirectory() as folder, unittest.mock.patch.object(artifacts, 'MAX_ENTRIES', 50):
            for number in range(100):
                os.mkdir(f'{folder}/{number:03}')
            os.makedirs(folder + '/a' * 60)
            root = os.open(folder, os.O_RDONLY)
            self.assertEqual(artifacts.find_files(root, hidden=True), [])
            os.close(root)

    def test_a_folder_without_end_ends(self):
        with tempfile.TemporaryDirectory() as folder, unittest.mock.patch.object(artifacts, 'MAX_ENTRIES', 50):
            for number in range(100):
                open(f'{folder}/{number:03}', 'w').close()
            root = os.open(folder, os.O_RDONLY)
            self.assertEqual(len(artifacts.find_files(root, hidden=True)), 50)
            os.close(root)

    def test_depth_has_an_end(self):
        with tempfile.TemporaryDirectory() as folder:
            for depth in (10, 100):
                path = folder + '/a' * depth
                os.makedirs(path, exist_ok=True)
                open(f'{path}/file', 'w').close()
            root = os.open(folder, os.O_RDONLY)
            self.assertEqual(artifacts.find_files(root, hidden=True), ['a/' * 10 + 'file'])
            os.close(root)


class Beneath(unittest.TestCase):
    def test_no_link_is_followed_on_any_part(self):
        with tempfile.TemporaryDirectory() as folder:
            os.symlink('/etc', f'{folder}/link')
            os.symlink('/etc/hostname', f'{folder}/file')
            os.mkdir(f'{folder}/real')
            root = os.open(folder, os.O_RDONLY)
            for path in ('link/hostname', 'file', 'link/new/x'):
                with self.assertRaises(OSError):
                    kernel.open_beneath(root, path, os.O_WRONLY | os.O_CREAT, make_folders=True)
            os.close(kernel.open_beneath(root, 'real/new/x', os.O_WRONLY | os.O_CREAT, make_folders=True))
            self.assertTrue(os.path.exists(f'{folder}/real/new/x'))
            os.close(root)


if __name__ == '__main__':
    unittest.main()
