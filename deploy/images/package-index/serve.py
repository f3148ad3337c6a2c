"""Serves the wheels of /packages as a package index. Its clients are hostile: each is given little, and not waited for."""

import pathlib
import signal

import pypiserver
import waitress

signal.signal(signal.SIGTERM, signal.default_int_handler)  # PID 1 would not hear it otherwise
index = pypiserver.app(
    roots=[pathlib.Path("/packages")],
    disable_fallback=True,  # what isn't here is not looked for elsewhere: nobody here has a way out
    authenticate=["update"],
    password_file=None,  # so nobody is authenticated, and nothing is uploaded
)
waitress.serve(
    index,
    listen="*:8080",
    threads=4,
    connection_limit=1000,
    channel_timeout=20,  # seconds without a byte
    cleanup_interval=5,
    max_request_header_size=16 * 1024,
    max_request_body_size=1,  # pip only ever GETs
    asyncore_use_poll=True,  # select() knows no file descriptor beyond 1024
    ident=None,
)
