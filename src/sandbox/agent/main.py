"""Where the agent begins."""

from __future__ import annotations

import os
import signal

from .kernel import LIBC, PR_SET_CHILD_SUBREAPER, PR_SET_DUMPABLE, runs_in_gvisor
from .processes import end_processes
from .runners import Runner


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
    from .attach import Agent  # while the runner imports what it needs

    runner.wait_until_ready()
    agent = Agent(runner, workspace, lambda modules=preload: Runner(workspace, modules, gvisor), gvisor)
    exit_code = agent.serve()
    if os.getpid() != 1:
        end_processes(agent.reap)
    os._exit(exit_code)
