"""`aiops` for the shells of the manual: each command is a fork of one process that has imported what commands import.

It is the entry point of the package with the words, environment, folder and streams of who typed it; what is spared is
a second of imports for each. What runs until it is stopped, and so is sent signals, is a process of its own.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
LEFT_OUT = (".__main__", ".migrations", ".ray")
"""Modules that run something when they are imported, and those that few commands need."""
STARTS_WITHIN_S = 90.0

_CLIENT = """\
#!{python} -IS
import json, os, socket, sys
if {{"run", "follow"}} & set(sys.argv[1:]):
    os.execv({python!r}, [{python!r}, "-m", "aiops", *sys.argv[1:]])
asked = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
with socket.socket(socket.AF_UNIX) as one:
    one.connect({address!r})
    socket.send_fds(one, [len(asked).to_bytes(8, "big")], [0, 1, 2])
    one.sendall(asked)
    answer = one.recv(16)
sys.exit(int(answer) if answer else 70)
"""


@contextmanager
def quick_aiops(folder: Path) -> Iterator[Path]:
    """Yield a folder for PATH, in which `aiops` is."""
    folder.mkdir()
    address, log = folder / "socket", folder / "log"
    (folder / "aiops").write_text(_CLIENT.format(python=sys.executable, address=str(address)))
    (folder / "aiops").chmod(0o755)
    with log.open("w") as file:
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.manual_commands", str(address)], cwd=ROOT, stdin=subprocess.DEVNULL,
            stdout=file, stderr=file, start_new_session=True,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + STARTS_WITHIN_S
        while not address.exists():
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, "the imports of all commands took too long"
            time.sleep(0.05)
        yield folder
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait(10)


def serve(address: str) -> None:
    """Import what there is, then fork for each that asks."""
    import aiops
    import simulators

    for package in (aiops, simulators):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not any(part in found.name for part in LEFT_OUT):
                importlib.import_module(found.name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{address}.new")
    listener.listen(8)
    os.rename(f"{address}.new", address)
    while True:
        one, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            answer(one)
            os._exit(0)
        one.close()


def answer(one: socket.socket) -> None:
    """Be the command that is asked for, and say how it ended."""
    from aiops.app.cli import app
    from aiops.app.output import guarded

    length, streams, _, _ = socket.recv_fds(one, 8, 3)
    asked = b""
    while len(asked) < int.from_bytes(length, "big"):
        asked += one.recv(1 << 16)
    words, folder, environment = json.loads(asked)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["aiops", *words]
    code = guarded(app)
    for stream_of in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream_of.flush()
    one.sendall(str(code).encode())


if __name__ == "__main__":
    serve(sys.argv[1])
