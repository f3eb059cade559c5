"""Daemons as processes of their own: killed, stopped, let go on, looked at, and under a clock that the test sets."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


class Process:
    """One process in a session of its own, whose output is appended to a file. environment: beside what is there."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.command = tuple(command)
        self.log = log
        variables = {**os.environ, **(environment or {})}
        with log.open("ab") as file:
            self.popen = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, cwd=cwd, env=variables,
                start_new_session=True,
            )  # fmt: skip
        self.pid = self.popen.pid

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    # -- signals ---------------------------------------------------------------------------------------

    def poll(self) -> int | None:
        """Return the exit code (minus the signal that ended it), None while it runs."""
        return self.popen.poll()

    def kill9(self) -> None:
        """Kill it and what it started, as a node that loses its power does."""
        self._signal(signal.SIGKILL)
        self.popen.wait(10)

    def stop_signal(self) -> None:
        """Stop it where it stands (SIGSTOP), and return when it stands."""
        self._signal(signal.SIGSTOP)
        eventually(self.stopped, 5, f"process {self.pid} to stand")

    def cont(self) -> None:
        """Let it go on (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def term(self, within_s: float = 20.0) -> int:
        """Ask it to end (SIGTERM), and return its exit code; fail with its log when it does not end in time."""
        self._signal(signal.SIGTERM)
        try:
            return self.popen.wait(within_s)
        except subprocess.TimeoutExpired:
            self.kill9()
            raise AssertionError(f"it did not end within {within_s:.0f} s of SIGTERM\n{self.tail()}") from None

    def end(self) -> None:
        """Make sure that it is gone, whatever its state."""
        if self.poll() is None:
            self.kill9()

    def _signal(self, which: signal.Signals) -> None:
        if self.poll() is None:
            os.killpg(self.pid, which)

    # -- looks -----------------------------------------------------------------------------------------

    def stopped(self) -> bool:
        """Return whether it stands (SIGSTOP)."""
        return self._stat()[0] == "T"

    def rss_bytes(self) -> int:
        """Return its resident memory."""
        return int(self._proc("statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def descriptors(self) -> int:
        """Return how many files and sockets it holds open."""
        return len(os.listdir(self._proc("fd")))

    def threads(self) -> int:
        """Return how many threads it has."""
        return len(os.listdir(self._proc("task")))

    def cpu_seconds(self) -> float:
        """Return how long it has computed, in its own code and in the kernel."""
        return sum(int(ticks) for ticks in self._stat()[11:13]) / os.sysconf("SC_CLK_TCK")

    def _proc(self, name: str) -> Path:
        return Path(f"/proc/{self.pid}/{name}")

    def _stat(self) -> list[str]:
        """Return the fields of /proc/PID/stat from the state on: the name before it may hold anything."""
        return self._proc("stat").read_text().rpartition(")")[2].split()

    def log_lines(self) -> list[dict[str, Any]]:
        """Return the log's JSON lines; other lines, and one that is not whole yet, are left out."""
        found = []
        for line in self._text().splitlines():
            try:
                parsed = json.loads(line)
            except ValueError:
                continue
            if isinstance(parsed, dict):
                found.append(parsed)
        return found

    def tail(self, lines: int = 25) -> str:
        """Return the log's end, with how the process is, for people."""
        code = self.poll()
        state = f"runs as {self.pid}" if code is None else f"ended with {code}"
        return "\n".join([f"-- {self.log.name} ({state})", *self._text().splitlines()[-lines:]])

    def _text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""


def eventually(look: Callable[[], T | None], within_s: float, what: str, *processes: Process) -> T:
    """Return what `look` finds, once it finds something; fail with what it saw last and the processes' logs."""
    deadline = time.monotonic() + within_s
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    logs = "\n".join(process.tail() for process in processes)
    raise AssertionError(f"waited {within_s:.0f} s for {what}; last seen: {found!r}\n{logs}".rstrip())


# -- a clock that the test sets ----------------------------------------------------------------------------


def library() -> Path | None:
    """Return Debian's libfaketime for programs with threads, None when it is not installed."""
    return next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)


_SLEEP = """\
# libfaketime 0.9.10 spoils clock_nanosleep() until a monotonic instant, which is what time.sleep() calls
import select, time
_wait = select.select
def sleep(seconds):
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    _wait([], [], [], seconds)
time.sleep = sleep
"""


@dataclass(frozen=True, slots=True)
class FakeClock:
    """The wall clock of Python processes that are started through it: the real one and an offset that can be stepped.

    file: where the offset is written; a folder beside it mends what libfaketime breaks. Only the wall clock is shifted:
    CLOCK_MONOTONIC and CLOCK_BOOTTIME go on as they do. A process sees a step within two seconds.
    """

    file: Path

    def __post_init__(self) -> None:
        if not self.file.exists():
            self.step(0.0)

    def step(self, offset_s: float) -> None:
        """Set the clock to the real one and so many seconds more, or fewer."""
        made = self.file.with_name(f"{self.file.name}.new")
        made.write_text(f"{offset_s:+.3f}\n")
        made.replace(self.file)

    def wrap(
        self, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> tuple[list[str], dict[str, str]]:
        """Return the command and its environment under this clock."""
        preload = library()
        assert preload is not None, "libfaketime is missing: apt-get install libfaketime"
        mended = self.file.with_name(f"{self.file.name}.site")
        mended.mkdir(exist_ok=True)
        (mended / "sitecustomize.py").write_text(_SLEEP)
        given = dict(environment or {})
        python_path = given.get("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
        variables = {
            **given,
            "PYTHONPATH": os.pathsep.join(filter(None, [str(mended), python_path])),
            "LD_PRELOAD": str(preload),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
            # with the fix, a thread that waits for the interpreter's lock spins
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
        }
        return list(command), variables


def faketime(
    command: Sequence[str], environment: Mapping[str, str] | None, file: Path, *, log: Path, cwd: Path | None = None
) -> tuple[Process, FakeClock]:
    """Start a command under a clock of its own, and return both; see FakeClock."""
    clock = FakeClock(file)
    wrapped, variables = clock.wrap(command, environment)
    return Process(wrapped, log=log, environment=variables, cwd=cwd), clock
