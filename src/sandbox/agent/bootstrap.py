"""Becomes the agent, whose modules come in the first argument: name to source, JSON, deflated, base64. No file needed.

-I keeps environment and working directory out of PID 1's imports, -S the image's own start-up code.
"""

import base64
import json
import sys
import zlib
from _frozen_importlib import ModuleSpec

sources = json.loads(zlib.decompress(base64.b64decode(sys.argv[1]), -15))


class Finder:
    """Finds the modules of the package `agent`, each compiled when it is first imported."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        return ModuleSpec(name, Finder, is_package=name == 'agent') if name in sources else None

    @staticmethod
    def create_module(spec):
        return None

    @staticmethod
    def exec_module(module):
        exec(compile(sources[module.__name__], f'<{module.__name__}>', 'exec', dont_inherit=True), vars(module))


sys.meta_path.insert(0, Finder)
from agent.main import main  # noqa: E402

main()
