"""A shell in which the commands of a page are typed one after the other, as its reader would."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from aiops.core.decide.quantities import duration_s
from tests import manual
from tests.manual import ROOT, Block, Typed

_END = "--end-of-this-command--"
WITHIN_S = 300.0
COPIED = ("policies", "config", "docs")
"""Folders that a reader may write to; the others are only looked at."""
LEFT_OUT = {"var", "out", ".git", ".venv", "scripts", *COPIED}
"""No command of a page may install anything into the environment that the tests run in."""
SHOWN_OF_A_FAILURE = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where commands are typed. environment: what is set there. swaps: what pages name, and what stands for it here."""

    environment: Mapping[str, str] = field(default_factory=dict)
    swaps: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended, and what it said."""

    code: int
    said: str


def checkout(folder: Path) -> Path:
    """Make a folder that looks like the repository after a clone, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for one in ROOT.iterdir():
        if one.name not in LEFT_OUT and not (folder / one.name).exists():
            (folder / one.name).symlink_to(one)
    for name in ("policies", "config"):
        subprocess.run(["cp", "-r", str(ROOT / name), str(folder / name)], check=True)
    (folder / ".venv").mkdir()
    (folder / ".venv/bin").symlink_to(Path(sys.executable).parent)
    (folder / ".venv/.installed").touch()
    (folder / "docs").mkdir()
    subprocess.run(["cp", "-r", str(ROOT / "docs/examples"), str(folder / "docs/examples")], check=True)
    return folder


@dataclass(slots=True)
class Shell:
    """A shell in a folder; `place` is where it is now. first: what comes first on PATH."""

    folder: Path
    place: Place = field(default_factory=Place)
    first: Path = Path(sys.executable).parent
    _process: subprocess.Popen[str] = field(init=False)

    def __enter__(self) -> Shell:
        own = {key: value for key, value in os.environ.items() if not key.startswith("AIOPS_")}
        paths = f"{self.first}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        variables = {**own, "NO_COLOR": "1", "COLUMNS": "200", "PYTHONPATH": str(ROOT), "PATH": paths}
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"], cwd=self.folder, env=variables, text=True, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, at: TracebackType | None) -> None:
        self._kill()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process.wait(10)

    def _kill(self) -> None:
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def go(self, place: Place) -> None:
        """Go to another place: what was set in the one before is not set there."""
        gone = " ".join(sorted(self.place.environment.keys() - place.environment.keys() - {"PATH"}))
        there = " ".join(f"{key}={shlex.quote(value)}" for key, value in place.environment.items())
        if gone or there:
            self.type((f"unset {gone}; " if gone else "") + (f"export {there}" if there else ""))
        self.place = place

    def type(self, command: str) -> Done:
        """Type a command, and return when it has ended; what takes too long ends the shell."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{{ {self._here(command)}\n}} </dev/null 2>&1\ncode=$?; echo; echo '{_END}' $code\n")
        self._process.stdin.flush()
        clock = threading.Timer(WITHIN_S, self._kill)
        clock.start()
        lines: list[str] = []
        try:
            for line in self._process.stdout:
                if line.startswith(_END):
                    return Done(int(line.split()[1]), self._there("".join(lines)))
                lines.append(line)
        finally:
            clock.cancel()
        raise AssertionError(f"`{command}` took more than {WITHIN_S:g} s\n{tail(''.join(lines))}")

    def _here(self, text: str) -> str:
        for there, here in self.place.swaps.items():
            text = text.replace(there, here)
        return text

    def _there(self, text: str) -> str:
        for there, here in self.place.swaps.items():
            text = text.replace(here, there)
        return text

    def save(self, block: Block) -> None:
        """Save a block under the name that its page gives it."""
        file = self.folder / block.marks["file"]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self._here(block.text), encoding="utf-8")

    def follow(self, block: Block) -> list[str]:
        """Type all of a console, and return what is otherwise than the page says."""
        if "beside" in block.marks:
            self.type(f"{block.marks['beside']} >beside.log 2>&1 &")
            self._until(lambda: self._clock() is not None, "the daemon beside to answer")
        if "later" in block.marks:
            began, wanted = self._clock() or 0.0, duration_s(block.marks["later"])
            self._until(lambda: (self._clock() or 0.0) >= began + wanted, f"{wanted:g} s to pass there")
        found = [said for one in manual.typed(block.text) for said in self._try(one, block)]
        return [f"{block.name}: {one}" for one in found]

    def _clock(self) -> float | None:
        """Return the time of the daemon that runs beside, None while it does not answer."""
        url = f"http://127.0.0.1:{self.place.environment['AIOPS_WEB__PORT']}/api/v1/status"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return float(json.loads(answer.read())["last_tick_at"])
        except (OSError, KeyError, TypeError):
            return None

    def _until(self, holds: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + WITHIN_S
        while not holds():
            if time.monotonic() > deadline:
                raise AssertionError(f"{what} took more than {WITHIN_S:g} s")
            time.sleep(0.2)

    def _try(self, one: Typed, block: Block) -> list[str]:
        fine = {0, *map(int, re.findall(r"\d+", block.marks.get("ends with", "")))}
        command = re.sub(r"\bID\b", self._first(block.marks.get("id of", "")), one.command)
        seconds = block.marks.get("stopped after")
        done = self.type(command) if seconds is None else self._stopped(command, one.shown, duration_s(seconds))
        wrong = [] if done.code in fine else [f"`{one.command}` ended with {done.code}\n{tail(done.said)}"]
        lacks = manual.missing(one.shown, done.said)
        return wrong + ([] if lacks is None else [f"`{one.command}` did not say\n  {lacks}\nbut\n{tail(done.said)}"])

    def _stopped(self, command: str, shown: Sequence[str], after_s: float) -> Done:
        """Let something run until it has said what is shown, for so long where nothing is, and stop it."""
        log = self.folder / "stopped.log"
        script = shlex.quote(self._here(command))
        log.touch()
        process = int(self.type(f"setsid bash -c {script} >{log.name} 2>&1 & echo $!").said.split()[-1])
        began = time.monotonic()

        def enough() -> bool:
            said = self._there(log.read_text(encoding="utf-8"))
            return manual.missing(shown, said) is None if shown else time.monotonic() > began + after_s

        here = Path(f"/proc/{process}")
        try:
            self._until(lambda: enough() or not here.exists(), f"what `{command}` is to say")
            early = not here.exists()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process, signal.SIGTERM)
        self._until(lambda: not here.exists(), f"`{command}` to stop")
        return Done(1 if early else 0, self._there(log.read_text(encoding="utf-8")))

    def _first(self, listing: str) -> str:
        """Return the id that stands first in a list of ours: what a reader would put in the place of ID."""
        if not listing:
            return "ID"
        rows = json.loads(self.type(f"aiops -o json {listing}").said)
        return str(rows[0]["id"])


def tail(text: str) -> str:
    """Return the end of what was said."""
    return "\n".join(f"  {line[:240]}" for line in text.rstrip().splitlines()[-SHOWN_OF_A_FAILURE:])
