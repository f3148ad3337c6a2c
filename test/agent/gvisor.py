"""Runs the agent as PID 1 of a gVisor sandbox on this machine, where AGENT_RUNSC names a runsc binary and root asks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import uuid

RUNSC = os.environ.get('AGENT_RUNSC')
FOLDERS = ('/usr', '/etc', *filter(None, os.environ.get('AGENT_MOUNTS', '').split(',')))


def memory(path: str, size: int) -> dict:
    return {'destination': path, 'type': 'tmpfs', 'source': 'tmpfs', 'options': ['mode=1777', f'size={size}']}


class Sandbox:
    """One container: the host's programs, read-only, no network, no capabilities, a workspace in memory."""

    def __init__(self, arguments: list[str], environment: dict[str, str], workspace_bytes: int) -> None:
        self.id = f'agent-{uuid.uuid4().hex[:12]}'
        self.folder = tempfile.mkdtemp(prefix='sandbox-')
        root = f'{self.folder}/root'
        for path in ('/proc', '/dev', '/workspace', *FOLDERS):
            os.makedirs(root + path)
        for name in ('bin', 'lib', 'lib64', 'sbin'):
            os.symlink(f'usr/{name}', f'{root}/{name}')
        spec = self._spec(root, arguments, environment, workspace_bytes)
        with open(f'{self.folder}/config.json', 'w') as file:
            json.dump(spec, file)
        flags = ['--rootless=false', '--network=none', '--platform=systrap', '--ignore-cgroups']
        self.runsc = ['timeout', '120', RUNSC, f'--root={self.folder}/state', *flags]
        self.command = [*self.runsc, 'run', '--bundle', self.folder, self.id]

    @staticmethod
    def _spec(root: str, arguments: list[str], environment: dict[str, str], workspace_bytes: int) -> dict:
        nobody = {'uid': 65534, 'gid': 65534}
        nothing = {kind: [] for kind in ('bounding', 'effective', 'inheritable', 'permitted')}
        shared = [{'destination': path, 'type': 'bind', 'source': path, 'options': ['rbind', 'ro']} for path in FOLDERS]
        return {
            'ociVersion': '1.0.0',
            'process': {
                'args': arguments,
                'env': [f'{name}={value}' for name, value in environment.items()],
                'cwd': '/workspace',
                'user': nobody,
                'capabilities': nothing,
                'noNewPrivileges': True,
            },
            'root': {'path': root, 'readonly': True},
            'mounts': [
                {'destination': '/proc', 'type': 'proc', 'source': 'proc'},
                {'destination': '/dev', 'type': 'dev', 'source': 'dev'},
                memory('/dev/shm', workspace_bytes),
                memory('/workspace', workspace_bytes),
                *shared,
            ],
            'linux': {'namespaces': [{'type': kind} for kind in ('pid', 'ipc', 'uts', 'mount', 'network')]},
        }

    def exec(self, arguments: list[str]) -> list[str]:
        """The command of another process in the sandbox, as a container runtime starts one."""
        return [*self.runsc, 'exec', '-user', '65534:65534', self.id, *arguments]

    def kill(self, signal: str) -> None:
        subprocess.run([*self.runsc, 'kill', self.id, signal], capture_output=True)

    def close(self) -> None:
        subprocess.run([*self.runsc, 'delete', '--force', self.id], capture_output=True)
        # runsc leaves an empty network namespace mounted there.
        subprocess.run(['umount', f'{self.folder}/state/null-netns'], capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)
