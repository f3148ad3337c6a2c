"""The agent of a sandbox: runs one program and tells what it does, in lines of JSON on standard input and output.

Two processes run this file. The agent (PID 1) speaks the protocol, keeps the clock and the bounds, and runs nothing
of the program's. The runner is forked ahead and waits, its modules imported, for the one program. From then on it is
as hostile as the program: what it reports is bounded and checked, and concerns nothing but the run.

The protocol is in protocol.ts. The agent needs Python 3.9 and no file, not even this one:

    python3 -I -S -c "$(cat agent.py)"

-I keeps environment and working directory out of PID 1's imports, -S the image's own start-up code; site-packages
are for the runner alone. Configuration is in CODERUN_WORKSPACE, CODERUN_PRELOAD (modules, by comma) and CODERUN_KEEP.
"""

from __future__ import annotations

import _io
import atexit
import binascii
import builtins
import codecs
import ctypes
import errno
import fcntl
import fnmatch
import gc
import itertools
import json
import os
import re
import resource
import select
import signal
import stat
import sys
import time
from contextlib import suppress

# --- Bounds -----------------------------------------------------------------------------------------------------------

MIB = 1024 * 1024
NEVER = float('inf')

# A line of the protocol, either way, newline included.
LINE_LIMIT = MIB

# All lines of a run. Stdout, stderr and results have a share each, so that a flood of one takes nothing from another;
# the exit's is kept free; artifacts come last and get all that is left, 2.5 MiB or more, a part of it for names only.
# More than a journal is never waiting to be written, so that a reader who stands still holds up no program.
JOURNAL_LIMIT = 8 * MIB
SHARES = {'stdout': 2 * MIB, 'stderr': MIB, 'result': 2 * MIB}
EXIT_SHARE = MIB // 2
ARTIFACT_NAMES_SHARE = MIB // 4

# Output in one event: a line keeps its limit even where JSON escapes each byte sixfold.
CHUNK = 128 * 1024
# Seconds between events of an output that trickles, or a program that flushes each number spends its share on frames.
PAUSE = 0.01
OUTPUT_BLOCK = 64 * 1024
# What a pipe holds, where the kernel grants it: a flood is soon over when it comes in large pieces.
PIPE_SIZE = MIB
ARTIFACT_CHUNK = 384 * 1024  # of three bytes each, so that the base64 of chunks can be joined
FORM_LIMIT = 64 * 1024
ERROR_BOUNDS = {'name': 256, 'value': 8192, 'traceback': 65_536}
MAX_RESULTS, MAX_ARTIFACTS, MAX_ENTRIES, MAX_DEPTH = 64, 256, 20_000, 32
# The end of stderr, where a program that is not Python says what it lacked.
TAIL = 2048

KILL_AFTER = 1.0
FLUSH_FOR = 30.0
# To take a sandbox down costs its node as much as a short program: the results of those who wait come first.
STAY_FOR = 0.25

LIMITS = {
    resource.RLIMIT_NPROC: 256,  # gVisor's kernel panics at the control group's limit, so this one comes first
    resource.RLIMIT_NOFILE: 1024,
    resource.RLIMIT_FSIZE: 1024 * MIB,
    resource.RLIMIT_CORE: 0,
}
# Beyond the program's memory, to tell a MemoryError in.
TELLING_RESERVE = 32 * MIB
# Address space that a JavaScript engine reserves and hardly uses.
V8_RESERVE = 1024 * MIB

# The runner's own pipe to the agent, away from the numbers that programs close or count on.
REPORT_FD = 1000

# --- Text -------------------------------------------------------------------------------------------------------------

codecs.lookup('utf-16-le')  # now, and not from the disk while somebody waits
encode_json = json.JSONEncoder(ensure_ascii=False, separators=(',', ':')).encode


def encode_line(message: dict) -> bytes:
    """The message on a line: valid UTF-8, whatever its strings hold."""
    return encode_json(message).encode('utf-8', 'replace') + b'\n'


def parse_json(line: bytes):
    """The value of a line. Raises ValueError for any other line, soon, however long its numbers or deep its lists."""
    try:
        return json.loads(line.decode(), parse_int=_short_integer)
    except RecursionError:
        raise ValueError('nested too deeply') from None


def _short_integer(digits: str) -> int:
    if len(digits) > 20:
        raise ValueError('a number is too long')
    return int(digits)


def clip(text: str, most: int) -> str:
    """The beginning of the text, at most so many UTF-16 units, which is what JavaScript counts."""
    return text[:most].encode('utf-16-le', 'replace')[: 2 * most].decode('utf-16-le', 'ignore')


class LineReader:
    """Cuts bytes into lines. A line that is too long comes as None."""

    def __init__(self) -> None:
        self.rest = bytearray()
        self.overlong = False

    def feed(self, data: bytes) -> list[bytes | None]:
        lines: list[bytes | None] = []
        *ends, rest = data.split(b'\n')
        for end in ends:
            self._append(end)
            lines.append(None if self.overlong else bytes(self.rest))
            self.rest, self.overlong = bytearray(), False
        self._append(rest)
        return lines

    def _append(self, piece: bytes) -> None:
        if len(self.rest) + len(piece) >= LINE_LIMIT:
            self.rest, self.overlong = bytearray(), True
        elif not self.overlong:
            self.rest += piece


# --- Commands ---------------------------------------------------------------------------------------------------------


class Invalid(Exception):
    """A command that can't be obeyed. The text names the field, and is the answer."""


def text(most: int, least: int = 0, pattern: str = r'[^\0]*', rule: str = 'must not hold NUL'):
    expression = re.compile(pattern, re.DOTALL)

    def check(value, field):
        if not isinstance(value, str):
            raise Invalid(f'{field} must be a string')
        try:
            length = len(value.encode('utf-16-le')) // 2
        except UnicodeEncodeError:
            raise Invalid(f'{field} must be valid Unicode') from None
        if not least <= length <= most:
            raise Invalid(f'{field} must have {least} to {most} characters')
        if not expression.fullmatch(value):
            raise Invalid(f'{field} {rule}')
        return value

    return check


def number(least: float, most: float, *kinds: type):
    def check(value, field):
        if type(value) not in kinds or not least <= value <= most:
            raise Invalid(f'{field} must be a number from {least} to {most}')
        return value

    return check


def array(item, most: int):
    def check(value, field):
        if not isinstance(value, list) or len(value) > most:
            raise Invalid(f'{field} must be an array of at most {most}')
        return [item(element, f'{field}[{index}]') for index, element in enumerate(value)]

    return check


def record(fields: dict, defaults: dict | None = None):
    """An object with these fields and no others; those that have a default may be left out."""
    defaults = defaults or {}

    def check(value, field):
        if not isinstance(value, dict):
            raise Invalid(f'{field} must be an object')
        for name in value:
            if name not in fields:
                raise Invalid(f'{field} has no field {clip(name, 64)!r}')
        for name in fields:
            if name not in value and name not in defaults:
                raise Invalid(f'{field}.{name} is required')
        return {**defaults, **{name: fields[name](value[name], f'{field}.{name}') for name in value}}

    return check


def relative_path(value, field):
    if any(part in ('', '.', '..') for part in _path(value, field).split('/')):
        raise Invalid(f'{field} must be relative, without ".", ".." or empty parts')
    return value


def base64(value, field):
    if len(_base64(value, field)) % 4:
        raise Invalid(f'{field} must be base64')
    return value


_path = text(1024, least=1)
_base64 = text(LINE_LIMIT, pattern=r'[A-Za-z0-9+/]*={0,2}', rule='must be base64')
_version = r'(===|==|~=|!=|<=|>=|<|>)[A-Za-z0-9.*+!_-]+'
_package = (
    r'[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?'
    r'(\[[A-Za-z0-9._-]+(,[A-Za-z0-9._-]+)*\])?'
    rf'({_version}(,{_version})*)?'
)
_variable = r'(?!(LD_.*|PYTHON.*|KUBERNETES_.*|PATH)\Z)[A-Za-z_][A-Za-z0-9_]*'
_any_text = text(LINE_LIMIT, pattern=r'.*')
_id = text(64, least=1)
_epoch = number(0, 2**53 - 1, int)

COMMANDS = {
    'hello': record({'epoch': _epoch}),
    'interrupt': record({'id': _id, 'epoch': _epoch}),
    'shutdown': record({'epoch': _epoch}),
    'execute': record(
        {
            'id': _id,
            'epoch': _epoch,
            'language': text(16, 0, 'python|bash|javascript', 'must be python, bash or javascript'),
            'command': array(text(1024, least=1), 16),
            'code': _any_text,
            'timeoutSeconds': number(0.001, 86_400, int, float),
            'memoryBytes': number(MIB, 2**53 - 1, int),
            'stdin': _any_text,
            'args': array(text(8192), 256),
            'env': array(record({'name': text(256, 1, _variable, 'is not permitted'), 'value': text(32_768)}), 128),
            'files': array(record({'path': relative_path, 'contentBase64': base64}), 64),
            'packages': array(text(256, 1, _package, 'must be a package name with optional extras and versions'), 32),
            'packageIndexURL': text(2048, 0, '(https?://[!-~]+)?', 'must be a URL'),
            'artifacts': array(text(256, least=1), 32),
        },
        defaults={
            **{name: [] for name in ('command', 'args', 'env', 'files', 'packages', 'artifacts')},
            'stdin': '',
            'packageIndexURL': '',
        },
    ),
}


def parse_command(line: bytes | None) -> tuple[str, dict]:
    """The command's name and its fields, checked and complete. Raises Invalid, and only that, for any other line."""
    if line is None:
        raise Invalid(f'a line must be shorter than {LINE_LIMIT} bytes')
    try:
        message = parse_json(line)
    except ValueError:
        raise Invalid('a line must be JSON in UTF-8') from None
    if not isinstance(message, dict) or len(message) != 1 or not COMMANDS.keys() & message:
        raise Invalid('a command must be an object with one key: hello, execute, interrupt or shutdown')
    name, fields = message.popitem()
    command = COMMANDS[name](fields, name)
    if name == 'execute' and command['language'] != 'python' and not command['command']:
        raise Invalid(f'execute.command is required for {command["language"]}')
    if name == 'execute' and command['packages'] and not command['packageIndexURL']:
        raise Invalid('execute.packageIndexURL is required for packages')
    return name, command


# --- Kernel -----------------------------------------------------------------------------------------------------------

LIBC = ctypes.CDLL(None, use_errno=True)

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 4, 24, 36, 38
CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID = 0x0002_0000, 0x1000_0000, 0x2000_0000
CAPABILITY_VERSION_3 = 0x2008_0522
SYSLOG_ACTION_READ_ALL = 3
F_SETPIPE_SZ = 1031


def runs_in_gvisor() -> bool:
    """Whether the kernel's log begins as gVisor's does. A kernel that hides its log is not gVisor's."""
    log = ctypes.create_string_buffer(4096)
    length = LIBC.klogctl(SYSLOG_ACTION_READ_ALL, log, len(log))
    return length > 0 and b'Starting gVisor' in log.raw[:length]


def enter_namespaces() -> bool:
    """Goes on in a new process, the first of a PID namespace of its own, and tells the agent its number.

    gVisor doesn't protect PID 1: a program of the same user could kill or stop the agent. From within the namespace
    it can't even name it, and when the program ends, the kernel ends all that it has started. Only for gVisor: Linux
    keeps signals from the first process of a namespace, which the program would notice.
    """
    user, group = os.getuid(), os.getgid()
    if LIBC.unshare(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS) != 0:
        return False
    for name, value in (('setgroups', 'deny'), ('uid_map', f'{user} {user} 1'), ('gid_map', f'{group} {group} 1')):
        with open(f'/proc/self/{name}', 'w') as file:
            file.write(value)
    child = os.fork()
    if child:
        report(pid=child)
        os._exit(0)
    LIBC.mount(b'proc', b'/proc', b'proc', 0, None)
    LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    for capability in range(64):
        LIBC.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    LIBC.capset((ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0), (ctypes.c_uint32 * 6)())
    return True


def descendants() -> list[int]:
    """The processes that come from this one."""
    parents = {}
    for entry in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{entry}/stat', 'rb') as file:
                parents[int(entry)] = int(file.read().rpartition(b')')[2].split()[1])
        except OSError:
            continue  # it has ended
    found = [os.getpid()]
    for parent in found:
        found += [pid for pid in parents if parents[pid] == parent]
    return found[1:]


def output_pipe() -> tuple[int, int]:
    """A pipe with room for a flood between two reads, where the kernel grants it. Its reader doesn't block."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    with suppress(OSError):
        fcntl.fcntl(writer, F_SETPIPE_SZ, PIPE_SIZE)
    return reader, writer


def read_available(fd: int, most: int) -> bytes | None:
    """Bytes from a descriptor that doesn't block: empty at its end, None where there are none now."""
    try:
        return os.read(fd, most)
    except BlockingIOError:
        return None
    except OSError:
        return b''


def write_all(fd: int, data: bytes, write=os.write) -> None:
    while data:
        data = data[write(fd, data) :]


def memory_file(content: bytes) -> int:
    fd = os.memfd_create('stdin')
    write_all(fd, content)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def open_beneath(folder: int, path: str, flags: int, make_folders: bool = False) -> int:
    """Opens a path below the folder part by part, so that no symbolic link is followed."""
    part, _, rest = path.partition('/')
    if not rest:
        return os.open(part, flags | os.O_NOFOLLOW, 0o644, dir_fd=folder)
    if make_folders:
        with suppress(FileExistsError):
            os.mkdir(part, dir_fd=folder)
    inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
    try:
        return open_beneath(inner, rest, flags, make_folders)
    finally:
        os.close(inner)


# --- Runner: waiting --------------------------------------------------------------------------------------------------


def live_as_runner(workspace: str, preload: list[str], gvisor: bool) -> None:
    """The life of the forked process. Never returns."""
    LIBC.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
    if not (gvisor and enter_namespaces()):
        report(pid=os.getpid())
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    os.setsid()
    reset_signals()
    set_environment(program_environment(dict(os.environ), workspace))
    open_streams()
    import_modules(preload)
    keep_intact()
    gc.collect()
    gc.freeze()  # so that the collection at a program's end is of its own objects only
    compile_program('0', '')  # what has run once runs faster
    present = limit_resources()
    os.chdir(workspace)
    folder = os.open('.', os.O_RDONLY | os.O_DIRECTORY)
    report(ready=used_by_now()['processorSeconds'])
    order = b''
    while not order.endswith(b'\n'):
        data = os.read(0, 64 * 1024)
        if not data:
            os._exit(0)  # the agent has ended
        order += data
    try:
        perform(json.loads(order), workspace, folder, present)
    finally:
        os._exit(1)


def report(**message) -> None:
    write_all(REPORT_FD, encode_line(message))


def used_by_now() -> dict:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    seconds = sum(each.ru_utime + each.ru_stime for each in used)
    return {'processorSeconds': seconds, 'peakKib': max(each.ru_maxrss for each in used)}


def reset_signals() -> None:
    """As Python has them at its start, where the agent had ignored all."""
    for each in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(each, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def program_environment(container: dict[str, str], workspace: str) -> dict[str, str]:
    """The image's variables, without those that Kubernetes and the controller add, and what programs count on."""
    added = re.compile(r'CODERUN_.*|KUBERNETES_.*|.*_SERVICE_.*|.*_PORT(_.*)?', re.DOTALL)
    image = {name: value for name, value in container.items() if not added.fullmatch(name)}
    temporary = image.get('TMPDIR') or ('/tmp' if os.access('/tmp', os.W_OK) else f'{workspace}/.tmp')
    return {
        'PATH': '/usr/local/bin:/usr/bin:/bin',
        'LANG': 'C.UTF-8',
        'OPENBLAS_NUM_THREADS': '1',  # each further thread takes 40 MiB of address space
        **image,
        'HOME': workspace,
        'TMPDIR': temporary,
        'MPLBACKEND': 'agg',
        'MPLCONFIGDIR': f'{temporary}/matplotlib',
        'PYTHONDONTWRITEBYTECODE': '1',
    }


def set_environment(environment: dict[str, str]) -> None:
    of_image, own = os.environ.get('MPLCONFIGDIR'), environment['MPLCONFIGDIR']
    os.environ.clear()
    os.environ.update(environment)
    with suppress(OSError):
        os.makedirs(own, exist_ok=True)
        for name in os.listdir(of_image) if of_image else ():  # a list of fonts, which takes a second to make
            os.symlink(f'{of_image}/{name}', f'{own}/{name}')


class Printed(_io.TextIOWrapper):
    """Standard output: line by line, so that what a program has printed is out however it ends. Beyond its share of the
    journal, where nothing is kept of it, in blocks: a system call a line would take a minute for a gigabyte."""

    left = SHARES['stdout']

    def write(self, text: str) -> int:
        self.left -= len(text)
        if self.left < 0 and self.line_buffering:
            self.reconfigure(line_buffering=False)
        return super().write(text)


def open_streams() -> None:
    sys.stdin = sys.__stdin__ = open(0, encoding='utf-8', closefd=False)
    sys.stdout = sys.__stdout__ = Printed(open(1, 'wb', OUTPUT_BLOCK, closefd=False), 'utf-8', line_buffering=True)
    sys.stderr = sys.__stderr__ = open(2, 'w', 1, encoding='utf-8', errors='backslashreplace', closefd=False)


def import_modules(preload: list[str]) -> None:
    global ast, importlib, io, linecache, traceback, types  # only a runner needs them, and it has the time
    import ast, importlib.util, io, linecache, site, traceback, types

    site.main()
    sys.dont_write_bytecode = True
    sys.meta_path.insert(0, PyplotFinder())
    for name in preload:
        with suppress(ImportError):  # a class may name modules that not all its images have
            importlib.import_module(name)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()


def limit_resources() -> int:
    """Sets the limits that are the same for every program, and returns the address space that is in use."""
    for kind, most in LIMITS.items():
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))
    with open('/proc/self/statm') as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def keep_intact() -> None:
    """Remembers what telling the end of a program needs: the program may replace anything."""
    global intact
    modules = (ast, atexit, binascii, builtins, errno, gc, io, json.encoder, linecache, os, resource, signal, traceback)
    intact = [(vars(module), dict(vars(module))) for module in modules]


# --- Runner: running --------------------------------------------------------------------------------------------------


class PackageInstallFailed(Exception):
    pass


def perform(order: dict, workspace: str, folder: int, present: int) -> None:
    """Does what the order says and ends the process. An error on the way to the program is told like one of its own."""
    program = f'{workspace}/{order["program"]}'
    value = error = None
    try:
        limit_memory(order, present)
        prepare_files(order, folder)
        if order['packages']:
            install_packages(order, workspace)
            report(installed=used_by_now()['processorSeconds'])
        if order['stdin']:  # otherwise it is where the order came from, and at its end
            os.dup2(memory_file(order['stdin'].encode()), 0)
        if order['language'] != 'python':
            replace_process(order, program)
        value = run_python(order, program)
    except BaseException as raised:
        error = raised
    exit_code = conclude(value, error, program)
    del value, error
    finalise(workspace)
    with suppress(BaseException):
        report(end={'exitCode': exit_code, **used_by_now()})
    os._exit(exit_code)


def limit_memory(order: dict, present: int) -> None:
    """Limits address space: RLIMIT_DATA is nearer to what a program uses, but in gVisor it counts no mappings."""
    most = present + order['memoryBytes'] + (V8_RESERVE if order['language'] == 'javascript' else 0)
    resource.setrlimit(resource.RLIMIT_AS, (most, most + TELLING_RESERVE))


def prepare_files(order: dict, folder: int) -> None:
    os.environ.update((variable['name'], variable['value']) for variable in order['env'])
    files = [(file['path'], binascii.a2b_base64(file['contentBase64'])) for file in order['files']]
    for path, content in [(order['program'], order['code'].encode()), *files]:
        fd = open_beneath(folder, path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, make_folders=True)
        write_all(fd, content)
        os.close(fd)
    os.close(folder)


def install_packages(order: dict, workspace: str) -> None:
    """Installs wheels, which run no code of their own, to be found before the image's packages."""
    target = f'{workspace}/.packages'
    pip = [sys.executable, '-I', '-m', 'pip', '--isolated', '--quiet', '--no-input', '--disable-pip-version-check']
    pip += ['install', '--only-binary=:all:', '--no-cache-dir', '--no-warn-script-location', '--progress-bar=off']
    pip += ['--target', target, '--index-url', order['packageIndexURL'], '--', *order['packages']]
    to_stderr = [(os.POSIX_SPAWN_DUP2, 2, 1)]
    pid = os.posix_spawn(pip[0], pip, os.environ, file_actions=to_stderr, setsigdef=[signal.SIGPIPE, signal.SIGXFSZ])
    exit_code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if exit_code != 0:
        raise PackageInstallFailed(f'pip ended with exit code {exit_code}')
    image = [index for index, path in enumerate(sys.path) if path.endswith('-packages')]
    sys.path.insert(image[0] if image else len(sys.path), target)
    os.environ['PYTHONPATH'] = target
    os.environ['PATH'] = f'{target}/bin:{os.environ["PATH"]}'


def replace_process(order: dict, program: str) -> None:
    os.environ.setdefault('NODE_OPTIONS', f'--max-old-space-size={order["memoryBytes"] // MIB}')
    for each in (signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(each, signal.SIG_DFL)
    command = order['command']
    try:
        os.execvpe(command[0], [*command, program, *order['args']], os.environ)
    except OSError as error:
        write_all(2, f'{command[0]}: {error.strerror}\n'.encode())
        os._exit(127)


VALUE = '<value>'  # a name that no program can write
CO_COROUTINE = 0x80


def run_python(order: dict, program: str):
    """Runs the program as `python main.py` does. Returns the value of its last expression, where it ends in one."""
    module = types.ModuleType('__main__')
    module.__file__, module.__builtins__ = program, builtins
    sys.modules['__main__'] = module
    sys.argv = [program, *order['args']]
    sys.path.insert(0, os.path.dirname(program))
    source = order['code']
    linecache.cache[program] = len(source), None, source.splitlines(True), program
    names = vars(module)
    code = compile_program(source, program)
    outcome = eval(code, names)
    if code.co_flags & CO_COROUTINE:
        import asyncio

        asyncio.run(outcome)
    return names.pop(VALUE, None)


def compile_program(source: str, program: str) -> types.CodeType:
    """Compiles a module that may await, and that keeps the value of its last expression."""
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    tree = compile(source, program, 'exec', flags | ast.PyCF_ONLY_AST, dont_inherit=True)
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        last = tree.body[-1]
        target = ast.copy_location(ast.Name(VALUE, ast.Store()), last)
        tree.body[-1] = ast.copy_location(ast.Assign([target], last.value), last)
    return compile(tree, program, 'exec', flags, dont_inherit=True)


# --- Runner: telling --------------------------------------------------------------------------------------------------


def conclude(value, error: BaseException | None, program: str) -> int:
    """Tells value, figures and error, and returns the exit code."""
    for names, kept in intact:
        names.update(kept)
    if isinstance(error, MemoryError):
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
    try:
        if value is not None:
            tell_forms(forms(value))
        show_figures()
    except BaseException as raised:
        error = error or raised
    try:
        return tell_end(error, program)
    except BaseException:
        return 1  # the program has broken what it takes to tell its error


def tell_end(error: BaseException | None, program: str) -> int:
    """Does with an uncaught error what Python does, and reports it."""
    if error is None:
        return 0
    with suppress(BaseException):
        sys.stderr.flush()
    if isinstance(error, SystemExit):
        return exit_code_of(error.code)
    frames = error.__traceback__
    while frames and frames.tb_frame.f_code.co_filename != program:
        frames = frames.tb_next
    told = ''.join(traceback.TracebackException(type(error), error, frames, limit=-1000).format())
    described = {'name': type(error).__name__, 'value': safe_text(error, str), 'traceback': clip(told, FORM_LIMIT)}
    report(error=described, cause=cause_of(error))
    if sys.excepthook is not sys.__excepthook__:
        with suppress(BaseException):
            sys.excepthook(type(error), error, frames)
    else:
        write_all(2, told.encode('utf-8', 'backslashreplace'))
    return 128 + signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1


def exit_code_of(code) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    write_all(2, f'{code}\n'.encode('utf-8', 'backslashreplace'))
    return 1


def cause_of(error: BaseException) -> str | None:
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, MemoryError) or number == errno.ENOMEM:
        return 'OutOfMemory'
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return 'DiskLimit'
    return 'PackageInstallFailed' if isinstance(error, PackageInstallFailed) else None


METHODS = {
    '_repr_html_': 'text/html',
    '_repr_markdown_': 'text/markdown',
    '_repr_latex_': 'text/latex',
    '_repr_json_': 'application/json',
    '_repr_svg_': 'image/svg+xml',
    '_repr_png_': 'image/png',
    '_repr_jpeg_': 'image/jpeg',
}


def forms(value) -> dict[str, str]:
    """The value by MIME type, in every form that its class offers to notebooks."""
    found = {mime: ask(value, method) for method, mime in METHODS.items()}
    bundle = ask(value, '_repr_mimebundle_')
    found.update(bundle if isinstance(bundle, dict) else {})
    if isinstance(value, getattr(sys.modules.get('matplotlib.figure'), 'Figure', ())):
        found['image/png'] = picture(value)
    found['text/plain'] = found.get('text/plain') or safe_text(value, repr)
    return {mime: as_text(form) for mime, form in found.items() if form is not None}


def ask(value, method: str):
    """What the method says, found in the class as Python finds its own protocols; None where it fails."""
    try:
        answer = getattr(type(value), method)(value)
    except Exception:
        return None
    return answer[0] if isinstance(answer, tuple) and answer else answer  # the rest is metadata


def as_text(form) -> str:
    if isinstance(form, bytes):
        return binascii.b2a_base64(form, newline=False).decode()
    return form if isinstance(form, str) else encode_json(form)


def safe_text(value, convert) -> str:
    try:
        return clip(convert(value), FORM_LIMIT)
    except Exception as error:
        return f'<{type(value).__name__}: {convert.__name__}() raised {type(error).__name__}>'


def tell_forms(mime: dict[str, str]) -> None:
    """Reports a result, without the forms that are too large for a line."""
    while mime:
        line = encode_line({'result': mime})
        if len(line) <= LINE_LIMIT - 1024:
            write_all(REPORT_FD, line)
            return
        del mime[max(mime, key=lambda name: len(mime[name]))]


def picture(figure) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format='png', bbox_inches='tight')
    return content.getvalue()


def show_figures(*_, **__) -> None:
    """Reports the open figures in order, and closes them as somebody closes a window. It is plt.show() as well."""
    pyplot = sys.modules.get('matplotlib.pyplot')
    for number in pyplot.get_fignums() if pyplot else ():
        figure = pyplot.figure(number)
        tell_forms(forms(figure))
        pyplot.close(figure)


class PyplotFinder:
    """Finds matplotlib.pyplot where it is, and makes its show() ours once it is imported."""

    def find_spec(self, name, path=None, target=None):
        if name != 'matplotlib.pyplot':
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module

        def execute_and_replace(module):
            execute(module)
            module.show = show_figures

        spec.loader.exec_module = execute_and_replace
        return spec


def finalise(workspace: str) -> None:
    """What the interpreter does at its end as far as a program notices; the rest would only cost time."""
    last_steps = [
        getattr(sys.modules.get('threading'), '_shutdown', None),
        atexit._run_exitfuncs,
        lambda: let_go(workspace),
        *(getattr(stream, 'flush', None) for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)),
    ]
    for step in last_steps:
        with suppress(BaseException):
            step()


def let_go(workspace: str) -> None:
    """Empties the program's own modules, so that files close and finalisers run. These still find what they may call:
    functions, classes and modules stay."""
    staying = (types.FunctionType, types.ModuleType, type)
    for module in list(sys.modules.values()):
        names = getattr(module, '__dict__', {})
        path = str(names.get('__file__'))
        if path.startswith(f'{workspace}/') and not path.startswith(f'{workspace}/.packages/'):
            names.update({name: None for name, value in names.items() if not issubclass(type(value), staying)})
    gc.collect()


# --- Agent: its parts -------------------------------------------------------------------------------------------------


class Runner:
    """The agent's ends of the process that waits for a program and becomes it."""

    def __init__(self, workspace: str, preload: list[str], gvisor: bool) -> None:
        """Forks, and returns once the runner waits."""
        orders, self.orders = os.pipe()
        self.reports, report = output_pipe()
        self.stdout, stdout = output_pipe()
        self.stderr, stderr = output_pipe()
        forked = os.fork()
        if forked == 0:
            try:
                for number, fd in enumerate((orders, stdout, stderr)):
                    os.dup2(fd, number)
                os.dup2(report, REPORT_FD, inheritable=False)
                os.closerange(3, REPORT_FD)
                live_as_runner(workspace, preload, gvisor)
            except BaseException:
                sys.excepthook(*sys.exc_info())
            finally:
                os._exit(1)
        for fd in (orders, stdout, stderr, report):
            os.close(fd)
        told = self._await_ready()
        self.pid, self.used = told['pid'], told['ready']
        self.isolated = self.pid != forked
        if self.isolated:
            os.waitpid(forked, 0)
        for fd in (self.stdout, self.stderr):
            read_available(fd, PIPE_SIZE)  # what modules said when they were imported

    def _await_ready(self) -> dict:
        told, lines = {}, LineReader()
        os.set_blocking(self.reports, True)
        while not {'pid', 'ready'} <= told.keys():
            data = os.read(self.reports, 1024)
            if not data:
                last_words = read_available(self.stderr, PIPE_SIZE) or b''
                raise SystemExit('the runner ended before it was ready\n' + last_words.decode('utf-8', 'replace'))
            for line in lines.feed(data):
                told.update(parse_json(line))
        os.set_blocking(self.reports, False)
        return told

    def perform(self, order: dict) -> None:
        """Hands the order over. It waits for the runner, which is still ours, to read it."""
        with suppress(BrokenPipeError):  # if it has died, the kernel tells as well
            write_all(self.orders, encode_line(order))
        os.close(self.orders)

    def signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)


class Journal:
    """Lines on their way out: those of a run within its bounds, all of them at the reader's speed."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.waiting = bytearray()
        self.left = JOURNAL_LIMIT - EXIT_SHARE
        self.shares = dict(SHARES)

    def tell(self, message: dict) -> None:
        self.waiting += encode_line(message)

    def tell_within(self, share: str, message: dict) -> bool:
        """Tells the message where there is room for it. Where there is not, nothing more of its share is told."""
        line = encode_line(message)
        room = min(LINE_LIMIT, self.left, self.shares.get(share, self.left))
        if len(line) > room:
            self.shares[share] = 0
            return False
        if share in self.shares:
            self.shares[share] -= len(line)
        self.left -= len(line)
        self.waiting += line
        return True

    def flush(self) -> None:
        try:
            if self.waiting:
                del self.waiting[: os.write(self.fd, self.waiting[:PIPE_SIZE])]
        except BlockingIOError:
            pass
        except OSError:
            self.waiting.clear()  # nobody will ever read it


class Output:
    """Stdout or stderr of the program: counted whole, told as far as its share goes."""

    def __init__(self, name: str, fd: int) -> None:
        self.name = name
        self.fd = fd
        self.decoder = codecs.getincrementaldecoder('utf-8')('replace')
        self.bytes = 0
        self.tail = b''
        self.truncated = False
        self.read_at = 0.0

    def read(self, now: float) -> str | None:
        """The next text, which never ends within a character. None where there is nothing to read now."""
        data = read_available(self.fd, PIPE_SIZE if self.truncated else CHUNK)
        if data is None:
            return None
        self.bytes += len(data)
        self.tail = (self.tail + data[-TAIL:])[-TAIL:]
        if not data:
            self.read_at = NEVER
        elif len(data) < CHUNK // 8:
            self.read_at = now + PAUSE
        return self.decode(data)

    def decode(self, data: bytes, final: bool = False) -> str:
        return '' if self.truncated else self.decoder.decode(data, final)


class Run:
    """What the agent knows of the one program."""

    def __init__(self, order: dict, runner: Runner, now: float) -> None:
        self.id = order['id']
        self.language = order['language']
        self.program = order['program']
        self.artifacts = order['artifacts']
        self.started = now
        self.interrupt_at = now + order['timeoutSeconds']
        self.kill_at = NEVER
        self.outputs = [Output('stdout', runner.stdout), Output('stderr', runner.stderr)]
        self.reports = LineReader()
        self.results = 0
        self.used_before = runner.used  # processor seconds
        self.installing = bool(order['packages'])
        self.cause: str | None = None
        self.reported_cause: str | None = None
        self.error: dict | None = None
        self.end: tuple[int, float, int] | None = None
        self.exit: dict | None = None
        self.exit_code = 0

    def take_error(self, error, cause) -> None:
        if isinstance(error, dict) and all(isinstance(error.get(name), str) for name in ERROR_BOUNDS):
            self.error = {name: clip(error[name], most) for name, most in ERROR_BOUNDS.items()}
        if cause in ('OutOfMemory', 'DiskLimit') or (cause == 'PackageInstallFailed' and self.installing):
            self.reported_cause = cause

    def take_end(self, end) -> None:
        with suppress(Invalid):
            told = END(end, 'end')
            self.end = told['exitCode'], told['processorSeconds'], told['peakKib']

    def cause_at_end(self, exit_code: int) -> str | None:
        """Why it ended. A program that told nothing of it by itself is judged by the end of its stderr."""
        silent = self.error is None and (self.language != 'python' or exit_code < 0)
        seen = lack_told_in(self.outputs[1].tail) if silent and exit_code != 0 else None
        return self.cause or self.reported_cause or seen


# What the runner says of itself when it is about to exit: as true as the program lets it be.
END = record(
    {
        'exitCode': number(0, 255, int),
        'processorSeconds': number(0, 2**40, int, float),
        'peakKib': number(0, 2**40, int),
    }
)

LACKS = {
    'OutOfMemory': re.compile(rb'cannot allocate|memoryerror|out of memory|bad_alloc|enomem', re.IGNORECASE),
    'DiskLimit': re.compile(rb'no space left on device|file too large|enospc', re.IGNORECASE),
}


def lack_told_in(tail: bytes) -> str | None:
    return next((cause for cause, words in LACKS.items() if words.search(tail)), None)


# --- Agent: artifacts -------------------------------------------------------------------------------------------------


def find_files(root: int, hidden: bool) -> list[str]:
    """Paths of the regular files below the folder. Follows no link, and gives up on a tree that has no end."""
    found, folders, left = [], [''], MAX_ENTRIES
    while folders and left > 0:
        folder = folders.pop()
        try:
            fd = open_beneath(root, f'{folder}.', os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            continue  # closed to its own owner
        with os.scandir(fd) as entries:
            for entry in itertools.islice(entries, left):
                left -= 1
                path = f'{folder}{entry.name}'
                if entry.name.startswith('.') and not hidden:
                    continue
                if entry.is_file(follow_symlinks=False):
                    found.append(path)
                elif entry.is_dir(follow_symlinks=False) and path.count('/') < MAX_DEPTH:
                    folders.append(f'{path}/')
        os.close(fd)
    return sorted(found)


def matches(path: list[str], pattern: list[str]) -> bool:
    """Whether the pattern names the path, part by part as in a shell. `**` is any folders, and a hidden name needs a
    pattern that says its dot. All ways through are taken at once, so that no pattern is slow."""
    reached = past_folders({0}, pattern)
    for part in path:
        visible = not part.startswith('.')
        stay = {place for place in reached if visible and pattern[place : place + 1] == ['**']}
        step = {place + 1 for place in reached if place < len(pattern) and fits(part, pattern[place])}
        reached = past_folders(stay | step, pattern)
    return len(pattern) in reached


def past_folders(places: set[int], pattern: list[str]) -> set[int]:
    for place in sorted(places):
        while pattern[place : place + 1] == ['**']:
            place += 1
            places.add(place)
    return places


def fits(name: str, glob: str) -> bool:
    return glob != '**' and fnmatch.fnmatchcase(name, glob) and (glob.startswith('.') or not name.startswith('.'))


# --- Agent: the loop --------------------------------------------------------------------------------------------------


class Agent:
    """PID 1: one loop over its commands, the program's outputs and reports, ended processes, and the clock."""

    def __init__(self, runner: Runner, workspace: str, gvisor: bool, keep: bool) -> None:
        self.runner = runner
        self.workspace = os.open(workspace, os.O_RDONLY | os.O_DIRECTORY)  # whatever the program puts in its place
        self.gvisor = gvisor
        self.keep = keep
        self.epoch = 0
        self.run: Run | None = None
        self.commands = LineReader()
        self.journal = Journal(1)
        self.readable = {0, runner.reports}
        self.leaving = False
        self.flush_until = NEVER
        self.stay_until = 0.0
        self.runner_status: int | None = None
        self.processor_seconds = 0.0
        self.peak_kib = 0
        self.wakeup, wake = os.pipe()
        for fd in (0, 1, self.wakeup, wake):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        if runner.isolated:  # then it comes from outside: a program can't reach the agent
            signal.signal(signal.SIGTERM, lambda *_: self._leave())

    def serve(self) -> int:
        """Obeys until the run is over and told, or nobody is left to obey. Returns the exit code of the sandbox."""
        self._reap()
        while True:
            now = time.monotonic()
            self._keep_time(now)
            self.journal.flush()
            if self._is_over(now):
                return self.run.exit_code if self.run else 0
            self._wait(now)

    def _is_over(self, now: float) -> bool:
        if self.run is not None and self.run.exit is None:
            return False
        if self._is_wanted() or now < self.stay_until:
            return False
        return not self.journal.waiting or now >= self.flush_until

    def _is_wanted(self) -> bool:
        """Whether there may be another command that it would obey."""
        return 0 in self.readable and not self.leaving and (self.run is None or self.keep)

    def _keep_time(self, now: float) -> None:
        run = self.run
        if run is None:
            if self.runner_status is not None:
                raise SystemExit('the runner ended while it waited')
        elif run.exit is not None:
            pass
        elif self.runner_status is not None:
            self.end_processes()
            self._finish(run, os.waitstatus_to_exitcode(self.runner_status), self.processor_seconds, self.peak_kib)
        elif run.end is not None and not (run.artifacts or self.keep):
            self._finish(run, *run.end)  # the kernel takes as long again to end the process, and who waits needs not
        elif now >= run.kill_at:
            self.runner.signal(signal.SIGKILL)
            run.kill_at = now + KILL_AFTER
        elif now >= run.interrupt_at:
            self._stop(run, 'Timeout', KILL_AFTER)

    def _stop(self, run: Run, cause: str, patience: float) -> None:
        if run.exit is None and run.cause is None:
            run.cause = cause
            run.interrupt_at = NEVER
            self.runner.signal(signal.SIGINT)
        run.kill_at = min(run.kill_at, time.monotonic() + patience)

    def _leave(self) -> None:
        self.leaving = True
        self.flush_until = time.monotonic() + FLUSH_FOR
        if self.run is not None:
            self._stop(self.run, 'Interrupted', 0)

    def _wait(self, now: float) -> None:
        """Waits for the first thing to do, and does what there is."""
        handlers = {self.wakeup: self._reap}
        if 0 in self.readable and len(self.journal.waiting) < JOURNAL_LIMIT + LINE_LIMIT:
            handlers[0] = self._read_commands
        run = self.run
        if run is not None and run.exit is None:
            wake_at = [run.interrupt_at, run.kill_at]
            if self.runner.reports in self.readable:
                handlers[self.runner.reports] = lambda: self._read_reports(run)
            for output in run.outputs:
                if output.read_at <= now:
                    handlers[output.fd] = lambda output=output: self._read_output(run, output)
                else:
                    wake_at.append(output.read_at)
        else:
            wake_at = [NEVER if self._is_wanted() else self.stay_until if now < self.stay_until else self.flush_until]
        poller = select.poll()
        for fd in handlers:
            poller.register(fd, select.POLLIN)
        if self.journal.waiting:
            poller.register(1, select.POLLOUT)
            handlers[1] = self.journal.flush
        first = min(wake_at)
        for fd, _ in poller.poll(None if first == NEVER else max(0, first - now) * 1000 + 1):
            handlers[fd]()

    def _reap(self) -> bool:
        """Takes leave of the processes that have ended, orphans too. Returns whether others are left."""
        read_available(self.wakeup, 4096)
        while True:
            try:
                pid, status, used = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            self.processor_seconds += used.ru_utime + used.ru_stime
            self.peak_kib = max(self.peak_kib, used.ru_maxrss)
            if pid == self.runner.pid:
                self.runner_status = status

    # Commands

    def _read_commands(self) -> None:
        data = read_available(0, PIPE_SIZE)
        if data == b'':
            self.readable.discard(0)
            self.flush_until = time.monotonic() + FLUSH_FOR
        for line in self.commands.feed(data or b''):
            self._obey(line)

    def _obey(self, line: bytes | None) -> None:
        try:
            name, command = parse_command(line)
        except Invalid as invalid:
            self._refuse('Invalid', str(invalid))
            return
        if command['epoch'] < self.epoch:
            self._refuse('StaleEpoch', f'epoch {self.epoch} has been seen', command.get('id'))
            return
        self.epoch = command['epoch']
        obey = {
            'hello': self._hello,
            'execute': self._execute,
            'interrupt': self._interrupt,
            'shutdown': lambda _: self._leave(),
        }
        obey[name](command)

    def _refuse(self, reason: str, message: str, run_id: str | None = None) -> None:
        self.journal.tell({'refused': {'reason': reason, 'message': clip(message, 1024), 'id': run_id}})

    def _hello(self, _: dict) -> None:
        run = self.run
        state = run and {'id': run.id, 'state': 'running' if run.exit is None else 'finished'}
        hello = {'protocol': 1, 'epoch': self.epoch, 'kernel': os.uname().release[:128], 'gvisor': self.gvisor}
        python = '.'.join(map(str, sys.version_info[:3]))
        self.journal.tell({'hello': {**hello, 'python': python, 'run': state}})

    def _execute(self, order: dict) -> None:
        run = self.run
        if run is None:
            self._start(order)
        elif run.id != order['id']:
            self._refuse('Busy', 'another run is or was here', order['id'])
        else:
            self.journal.tell({'id': run.id, 'started': {}})
            if run.exit is not None:
                self.journal.tell({'id': run.id, 'exit': run.exit})

    def _start(self, order: dict) -> None:
        name = 'main.' + {'python': 'py', 'bash': 'sh', 'javascript': 'js'}[order['language']]
        taken = any(file['path'] == name for file in order['files'])
        order['program'] = f'.{name}' if taken else name
        self.run = Run(order, self.runner, time.monotonic())
        self.journal.tell_within('started', {'id': self.run.id, 'started': {}})
        self.runner.perform(order)

    def _interrupt(self, command: dict) -> None:
        if self.run is None or self.run.id != command['id']:
            self._refuse('Invalid', 'interrupt.id is not the run that is here', command['id'])
        else:
            self._stop(self.run, 'Interrupted', KILL_AFTER)

    # The run

    def _read_output(self, run: Run, output: Output) -> bool:
        """Tells what there is to read. Returns whether there may be more."""
        text = output.read(time.monotonic())
        self._tell_output(run, output, text)
        return text is not None and output.read_at != NEVER

    def _tell_output(self, run: Run, output: Output, text: str | None) -> None:
        if text and not self.journal.tell_within(output.name, {'id': run.id, output.name: text}):
            output.truncated = True

    def _read_reports(self, run: Run) -> bool:
        data = read_available(self.runner.reports, PIPE_SIZE)  # all that the pipe can hold
        if data == b'':
            self.readable.discard(self.runner.reports)
        for line in run.reports.feed(data or b''):
            try:
                message = parse_json(line or b'')
            except ValueError:
                continue
            if isinstance(message, dict):
                self._take_report(run, message)
        return bool(data)

    def _take_report(self, run: Run, message: dict) -> None:
        """Until packages are installed the runner is still ours; what comes later may be the program's forgery."""
        if run.installing and 'installed' in message:
            run.installing, run.used_before = False, message['installed']
        if 'error' in message:
            run.take_error(message['error'], message.get('cause'))
        if 'end' in message:
            run.take_end(message['end'])
        mime = message.get('result')
        if isinstance(mime, dict) and run.results < MAX_RESULTS:
            told = {name: form for name, form in mime.items() if 0 < len(name) <= 64 and isinstance(form, str)}
            run.results += 1
            self.journal.tell_within('result', {'id': run.id, 'result': {'mime': told}})

    def _finish(self, run: Run, code: int, processor_seconds: float, peak_kib: int) -> None:
        """Tells the rest of a program that has ended, with a code that is negative for a signal."""
        duration = time.monotonic() - run.started
        for output in run.outputs:
            last = output.bytes + PIPE_SIZE  # more can't have been in the pipe
            while self._read_output(run, output) and output.bytes <= last:
                pass
            self._tell_output(run, output, output.decode(b'', final=True))
        self._read_reports(run)
        self._tell_artifacts(run)
        stdout, stderr = run.outputs
        cause = run.cause_at_end(code)
        run.exit_code = 124 if cause == 'Timeout' else code if code >= 0 else 128 - code
        run.exit = {
            'exitCode': code if code >= 0 else None,
            'signal': None if code >= 0 else signal_name(-code),
            'cause': cause,
            'error': run.error,
            'durationMilliseconds': round(duration * 1000),
            'usage': {
                'cpuMilliseconds': max(0, round((processor_seconds - run.used_before) * 1000)),
                'peakMemoryBytes': peak_kib * 1024,
            },
            'output': {
                'stdoutBytes': stdout.bytes,
                'stderrBytes': stderr.bytes,
                'stdoutTruncated': stdout.truncated,
                'stderrTruncated': stderr.truncated,
            },
        }
        self.journal.tell({'id': run.id, 'exit': run.exit})
        self.flush_until = time.monotonic() + FLUSH_FOR
        if os.getpid() == 1:
            self.stay_until = time.monotonic() + STAY_FOR

    def end_processes(self) -> None:
        """Ends what the program has left behind. Nothing of it is left when PID 1 ends, or in a namespace."""
        give_up = time.monotonic() + 2
        while self._reap() and time.monotonic() < give_up:
            for pid in [-1] if os.getpid() == 1 else descendants():
                with suppress(OSError):  # it may have ended
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.001)

    def _tell_artifacts(self, run: Run) -> None:
        """Tells the files that the patterns name. By now no process is left that could change one under its reader."""
        if not run.artifacts:
            return
        patterns = [pattern.split('/') for pattern in run.artifacts]
        hidden = any(part.startswith('.') for pattern in patterns for part in pattern)
        named = (
            path
            for path in find_files(self.workspace, hidden)
            if path != run.program and any(matches(path.split('/'), pattern) for pattern in patterns)
        )
        for path in itertools.islice(named, MAX_ARTIFACTS):
            try:
                fd = open_beneath(self.workspace, path, os.O_RDONLY | os.O_NONBLOCK)
            except OSError:
                continue
            self._tell_artifact(run, path, fd)
            os.close(fd)

    def _tell_artifact(self, run: Run, path: str, fd: int) -> None:
        found = os.fstat(fd)
        shown = os.fsencode(path).decode('utf-8', 'replace')
        if not stat.S_ISREG(found.st_mode) or clip(shown, 1024) != shown:
            return
        size = found.st_size
        told = {'path': shown, 'bytes': size, 'offset': 0, 'contentBase64': None}
        offsets = range(0, max(size, 1), ARTIFACT_CHUNK)
        frame = len(encode_line({'id': run.id, 'artifact': told})) + 20
        if size * 4 // 3 + len(offsets) * (frame + 4) > self.journal.left - ARTIFACT_NAMES_SHARE:
            self.journal.tell_within('artifact', {'id': run.id, 'artifact': told})
            return
        for offset in offsets:
            content = binascii.b2a_base64(os.pread(fd, ARTIFACT_CHUNK, offset), newline=False).decode()
            part = {**told, 'offset': offset, 'contentBase64': content}
            self.journal.tell_within('artifact', {'id': run.id, 'artifact': part})


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f'SIG{number}'


def main() -> None:
    workspace = os.environ.get('CODERUN_WORKSPACE', '/workspace')
    preload = [name for name in os.environ.get('CODERUN_PRELOAD', '').split(',') if name]
    LIBC.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)  # the program, of the same user, can't open what the agent has open
    if os.getpid() != 1:
        LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for each in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}:
        signal.signal(each, signal.SIG_IGN)
    gvisor = runs_in_gvisor()
    runner = Runner(workspace, preload, gvisor)
    agent = Agent(runner, workspace, gvisor, keep=os.environ.get('CODERUN_KEEP') == '1')
    exit_code = agent.serve()
    if os.getpid() != 1:
        agent.end_processes()
    os._exit(exit_code)


if __name__ == '__main__':
    main()
