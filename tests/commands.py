"""The command line as a user meets it: in this process, or in one of its own where that is what is tried."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import structlog

from aiops.app.cli import app
from aiops.app.output import guarded

ROOT = Path(__file__).parents[1]


def aiops(*words: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command in this process, which has what it imports already, and return what a shell would see of it."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="") for _ in range(3)]
    given, out, err = streams
    with (
        mock.patch.dict(os.environ, {"NO_COLOR": "1", **environment}),
        mock.patch("sys.stdin", given),
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        warnings.catch_warnings(),
        _logging_kept(),
    ):
        warnings.resetwarnings()
        code = guarded(lambda: app(args=[str(word) for word in words], prog_name="aiops"))
    said = [_read(one) for one in (out, err)]
    return subprocess.CompletedProcess([*words], code, *said)


def printed(*words: str, code: int = 0) -> str:
    """Run a command in this process, and return what it prints: as a result, or as an error where one is expected."""
    done = aiops(*words)
    assert done.returncode == code, f"aiops {' '.join(words)} ended with {done.returncode}: {done.stderr}"
    return done.stdout if code == 0 else done.stderr


def process(*words: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "aiops", *words],
        cwd=cwd,
        env={**os.environ, "NO_COLOR": "1", **environment},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


@contextlib.contextmanager
def _logging_kept() -> Iterator[None]:
    """What a command says of logging is over with it."""
    root = logging.getLogger()
    level, handlers, made = root.level, [*root.handlers], structlog.get_config()
    try:
        yield
    finally:
        root.setLevel(level)
        root.handlers[:] = handlers
        structlog.configure(**made)


def _read(stream: io.TextIOWrapper) -> str:
    stream.flush()
    stream.seek(0)
    return stream.read().replace("\r\n", "\n")
