"""Bash, JavaScript, and Python packages: programs that are more than the runner's own interpreter."""

from __future__ import annotations

import http.server
import io
import shutil
import subprocess
import tarfile
import threading
import unittest
import zipfile

from support import MIB, PYTHON, AgentTest, encoded, on_the_host


class Bash(AgentTest):
    def bash(self, code: str, **fields):
        return self.run_code(code, language='bash', command=['bash'], **fields)

    def test_a_script_has_arguments_input_environment_and_files(self):
        run = self.bash(
            'echo "$0 $1 $A $(cat) $(cat data)"; echo err >&2; exit 3',
            args=['one two'],
            stdin='input',
            env=[{'name': 'A', 'value': 'a'}],
            files=[{'path': 'data', 'contentBase64': encoded(b'file')}],
        )
        self.assertRegex(run.stdout, r'^.*/main\.sh one two a input file\n$')
        self.assertEqual((run.stderr, run.exit['exitCode'], run.exit['error'], run.results), ('err\n', 3, None, []))

    def test_signals_work_as_in_a_shell(self):
        self.assertEqual(self.bash('yes | head -n 1').stdout, 'y\n')
        self.assertEqual(self.bash('kill -TERM $$').exit['signal'], 'SIGTERM')
        run = self.bash('echo up; sleep 60', timeoutSeconds=0.5)
        self.assertEqual((run.exit['cause'], run.stdout, run.process_exit_code), ('Timeout', 'up\n', 124))
        self.assertLess(run.exit['durationMilliseconds'], 1400)

    def test_background_jobs_delay_nothing(self):
        run = self.bash('sleep 60 & (setsid sleep 60 &) ; echo done')
        self.assertEqual(run.stdout, 'done\n')
        self.assertLess(run.exit['durationMilliseconds'], 3000)

    def test_want_of_memory_is_told(self):
        for code in ('x=$(head -c 300M /dev/zero | tr "\\0" x); echo ${#x}', f'{PYTHON} -c "bytearray(2**40)"'):
            run = self.bash(code, memoryBytes=128 * MIB)
            self.assertEqual(run.exit['cause'], 'OutOfMemory', run.stderr)
        self.assertEqual(self.bash('echo MemoryError >&2').exit['cause'], None)

    def test_a_command_that_is_not_there(self):
        run = self.run_code('x', language='bash', command=['no-such-shell'])
        self.assertEqual((run.exit['exitCode'], run.stderr), (127, 'no-such-shell: No such file or directory\n'))

    def test_the_script_is_no_artifact(self):
        self.assertEqual(self.bash('echo x > y', artifacts=['*']).artifacts, {'y': b'x\n'})


@unittest.skipUnless(shutil.which('node', path='/usr/local/bin:/usr/bin'), 'needs Node')
class JavaScript(AgentTest):
    def node(self, code: str, **fields):
        return self.run_code(code, language='javascript', command=['node'], **fields)

    def test_a_script_runs_beside_its_files(self):
        files = [{'path': 'helper.js', 'contentBase64': encoded(b'module.exports = 41')}]
        run = self.node('console.log(require("./helper.js") + 1, process.argv[2])', args=['x'], files=files)
        self.assertEqual((run.stdout, run.stderr), ('42 x\n', ''))

    def test_want_of_memory_is_told(self):
        run = self.node(
            'const a = []; while (true) a.push(new Array(1e6).fill(1.5))', memoryBytes=128 * MIB, timeoutSeconds=20
        )
        self.assertEqual(run.exit['cause'], 'OutOfMemory', run.stderr[-500:])


def wheel(name: str, version: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, 'w') as archive:
        archive.writestr(f'{name}.py', f'version = "{version}"')
        info = f'{name}-{version}.dist-info'
        archive.writestr(f'{info}/METADATA', f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n')
        archive.writestr(
            f'{info}/WHEEL', 'Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n'
        )
        archive.writestr(f'{info}/RECORD', '')
    return content.getvalue()


def source_distribution(name: str) -> bytes:
    """A package without a wheel, which builds its own and needs nothing for it."""
    files = {
        'pyproject.toml': '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
        'PKG-INFO': f'Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n',
        'backend.py': 'import base64\n'
        'def build_wheel(folder, *_):\n'
        f'    wheel = "{name}-1.0-py3-none-any.whl"\n'
        f'    open(folder + "/" + wheel, "wb").write(base64.b64decode("{encoded(wheel(name, "1.0"))}"))\n'
        '    return wheel\n',
    }
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode='w:gz') as archive:
        for path, text in files.items():
            member = tarfile.TarInfo(f'{name}-1.0/{path}')
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return content.getvalue()


class Index(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        pages = {
            '/simple/tiny/': b'<a href="/tiny-1.0-py3-none-any.whl">tiny-1.0-py3-none-any.whl</a>',
            '/tiny-1.0-py3-none-any.whl': wheel('tiny', '1.0'),
            '/simple/source/': b'<a href="/source-1.0.tar.gz">source-1.0.tar.gz</a>',
            '/source-1.0.tar.gz': source_distribution('source'),
        }
        page = pages.get(self.path)
        self.send_response(200 if page else 404)
        self.send_header('Content-Type', 'text/html')
        self.send_header('Content-Length', str(len(page or b'')))
        self.end_headers()
        self.wfile.write(page or b'')

    def log_message(self, *_) -> None:
        pass


HAS_PIP = subprocess.run([PYTHON, '-I', '-m', 'pip', '--version'], capture_output=True).returncode == 0


@on_the_host
@unittest.skipUnless(HAS_PIP, 'needs pip')
class Packages(AgentTest):
    def setUp(self) -> None:
        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Index)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.index = f'http://127.0.0.1:{self.server.server_port}/simple/'

    def test_a_package_is_there_for_the_program_and_its_children(self):
        run = self.run_code(
            'import subprocess, sys, tiny\nprint(tiny.version)\n'
            'subprocess.run([sys.executable, "-c", "import tiny; print(tiny.version)"])',
            packages=['tiny==1.0'],
            packageIndexURL=self.index,
            artifacts=['**'],
            timeoutSeconds=60,
        )
        self.assertEqual((run.stdout, run.stderr, run.artifacts), ('1.0\n1.0\n', '', {}))

    def test_a_failure_is_told_and_the_program_does_not_run(self):
        for package in ('missing', 'tiny==2.0', 'source'):
            run = self.run_code('print("ran")', packages=[package], packageIndexURL=self.index, timeoutSeconds=60)
            self.assertEqual((run.exit['cause'], run.stdout, run.exit['exitCode']), ('PackageInstallFailed', '', 1))
            self.assertIn(package, run.stderr)

    def test_a_package_without_a_wheel_is_built_where_that_is_allowed(self):
        asked = {'packages': ['source'], 'packageIndexURL': self.index, 'timeoutSeconds': 60}
        run = self.run_code('import source; print(source.version)', **asked, allowSourceBuilds=True)
        self.assertEqual((run.stdout, run.stderr), ('1.0\n', ''))
        run = self.run_code('print("ran")', **asked, allowSourceBuilds=False)
        self.assertEqual((run.exit['cause'], run.stdout), ('PackageInstallFailed', ''))

    def test_the_clock_counts_the_installation(self):
        with http.server.HTTPServer(('127.0.0.1', 0), Index) as silent:  # accepts, and never answers
            index = f'http://127.0.0.1:{silent.server_port}/simple/'
            run = self.run_code('print("ran")', packages=['tiny'], packageIndexURL=index, timeoutSeconds=2)
        self.assertEqual((run.exit['cause'], run.stdout), ('Timeout', ''))
        self.assertLess(run.exit['durationMilliseconds'], 4500)


if __name__ == '__main__':
    unittest.main()
