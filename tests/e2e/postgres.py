"""A real PostgreSQL on loopback: Debian's, with a cluster of its own that can be stopped, killed and frozen."""

from __future__ import annotations

import itertools
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.integration.prometheus_server import free_port

VERSIONS = Path("/usr/lib/postgresql")
USER, PASSWORD = "aiops", "hush-hush"
START_S = 30.0
_COUNT = itertools.count(1)
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
}


@dataclass(slots=True)
class PostgresServer:
    """One cluster: `folder` belongs to the user that it runs as. log: for people, when something went wrong."""

    binaries: Path
    folder: Path
    log: Path
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = "postgres") -> str:
        """Return the URL of a database, as users write it."""
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        """Make an empty database and return its URL."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{database}"')
        return self.url(database)

    def start(self) -> None:
        """Start it, on the same data and port as before; returns when it answers."""
        settings = {**_SETTINGS, "port": str(self.port), "unix_socket_directories": str(self.folder)}
        flags = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        ends_at = time.monotonic() + START_S
        while time.monotonic() < ends_at:
            with self.log.open("ab") as log:
                command = [str(self.binaries / "postgres"), "-D", str(self.folder / "data"), *flags]
                self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, **_as_user())
            if self._answers(ends_at):
                return
            # killed just now, its last children may still hold the memory
            time.sleep(0.2)
        pytest.fail(f"PostgreSQL did not start, see {self.log}:\n{self.log.read_text()[-2000:]}")

    def _answers(self, ends_at: float) -> bool:
        while time.monotonic() < ends_at and self._process is not None and self._process.poll() is None:
            with suppress(psycopg.OperationalError):
                psycopg.connect(self.url(), connect_timeout=2).close()
                return True
            time.sleep(0.05)
        return False

    def stop(self) -> None:
        """Stop it as its operator would: sessions are ended, everything is written."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End it as a loss of power would end it."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            processes = self._processes() if how is signal.SIGKILL else [self._process.pid]
            for pid in processes:
                with suppress(ProcessLookupError):
                    os.kill(pid, how)
            self._process.wait(30)
            self._process = None

    def freeze(self) -> None:
        """Let it hang: connections are accepted by the machine, and nobody answers."""
        for pid in self._processes():
            os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        for pid in self._processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def _processes(self) -> list[int]:
        """Return the server's process and those that it has for its sessions."""
        assert self._process is not None
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [pid, *map(int, children.split())]


@contextmanager
def running_postgres(folder: Path) -> Iterator[PostgresServer]:
    """Yield a new cluster that runs; its log lies in `folder`, its data where its user can reach it."""
    home = Path(tempfile.mkdtemp(prefix="aiops-pg-"))
    server = PostgresServer(_binaries(), home, folder / "postgres.log")
    try:
        (home / "password").write_text(PASSWORD)
        user = _as_user()
        if user:
            entry = pwd.getpwnam("postgres")
            for path in (home, home / "password"):
                os.chown(path, entry.pw_uid, entry.pw_gid)
        flags = ["-U", USER, "--pwfile", str(home / "password"), "--auth=scram-sha-256", "--encoding=UTF8"]
        command = [str(server.binaries / "initdb"), "-D", str(home / "data"), "--locale=C", "--no-sync", *flags]
        done = subprocess.run(command, cwd=home, capture_output=True, text=True, check=False, **user)
        if done.returncode:
            pytest.fail(f"initdb failed: {done.stderr}")
        server.start()
        yield server
    finally:
        if server._process is not None:
            server.thaw()
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


def _binaries() -> Path:
    found = [path for path in VERSIONS.glob("*/bin") if (path / "initdb").exists()]
    if not found:
        pytest.fail("Debian's postgresql is missing: make e2e installs it")
    return max(found, key=lambda path: [int(part) for part in re.findall(r"\d+", path.parent.name)])


def _as_user() -> dict[str, Any]:
    """Return how a process is started that PostgreSQL takes: it refuses root."""
    if os.getuid() != 0:
        return {}
    return {"user": "postgres", "group": "postgres", "extra_groups": []}


# -- what tests of the store import --------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    with running_postgres(tmp_path_factory.mktemp("postgres")) as made:
        yield made


@pytest.fixture
def fresh(server: PostgresServer):
    return lambda: server.create(f"t{next(_COUNT)}")


@pytest.fixture
def url(fresh) -> str:
    return fresh()


@pytest.fixture
def another_url(fresh) -> str:
    return fresh()


@pytest.fixture
def free_tcp_port() -> int:
    return free_port()
