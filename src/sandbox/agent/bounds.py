"""How much of everything there may be."""

from __future__ import annotations

import resource

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
HOLD = 0.004
OUTPUT_BLOCK = 64 * 1024
# What a pipe holds, where the kernel grants it: a flood is soon over when it comes in large pieces.
PIPE_SIZE = MIB
WRITE_SIZE = MIB // 4
# What a reader may leave unread before further output is dropped. More than one run's, which is always told whole.
WAITING_LIMIT = 2 * JOURNAL_LIMIT
ARTIFACT_CHUNK = 384 * 1024  # of three bytes each, so that the base64 of chunks can be joined
FORM_LIMIT = 64 * 1024
ERROR_BOUNDS = {'name': 256, 'value': 8192, 'traceback': 65_536}
MAX_RESULTS, MAX_ARTIFACTS, MAX_ENTRIES, MAX_DEPTH = 64, 256, 20_000, 32
# The end of stderr, where a program that is not Python says what it lacked.
TAIL = 2048

# An interpreter that is not ready by then never will be.
START_WITHIN = 30.0
KILL_AFTER = 1.0
FLUSH_FOR = 30.0
# To take a sandbox down costs its node as much as a short program: the results of those who wait come first.
STAY_FOR = 0.25
# An agent that has waited so long for a run may well be a session's.
IDLE_AFTER = 0.3

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
# In a session: its orders, and the standard streams as they were, whatever the program makes of them.
CONTROL_FD, STDIN_FD, STDOUT_FD, STDERR_FD = 1001, 1002, 1003, 1004
# What the runner and its shell share: lines to execute, the script, its input, exit statuses, and the shell's state.
SHELL_LINES_FD, SHELL_SCRIPT_FD, SHELL_INPUT_FD, SHELL_STATUS_FD, SHELL_STATE_FD = 1005, 1006, 1007, 1008, 1009

# A session.
BRIDGE_NAME = 'coderun-agent'
MAX_CONTEXTS, MAX_QUEUED, MAX_CLIENTS, MAX_REQUESTS, MAX_TRANSFERS = 8, 64, 16, 128, 16
KEPT_EXITS, KEPT_EXIT_BYTES, REMEMBERED_RUNS = 256, 8 * MIB, 10_000
MAX_VARIABLES = 1000
KEPT_SOURCES = 8 * MIB
ASK_FOR = 2.0  # seconds for an interpreter to name its variables

# Files of a session. A reader gets the next chunk when it has read most of the last.
FILE_LIMIT = 100 * MIB
FILE_CHUNK = 384 * 1024
READ_AHEAD = MIB
WINDOW = 4 * MIB
MAX_LISTED = 10_000
REMOVE_WITHIN = 20.0
TURN = 0.01  # seconds of one turn of the loop that a long task takes
