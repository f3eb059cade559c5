"""What `aiops store` says and does with a store on a real PostgreSQL: copies, migrations, and who has it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from aiops.adapters.store import REVISION, Store
from aiops.adapters.store.audit_check import check
from aiops.adapters.store.database import connect
from aiops.adapters.store.postgres import patient
from aiops.errors import CannotReach, InvalidInput
from tests.e2e.postgres import PASSWORD, another_url, free_tcp_port, fresh, server, url
from tests.store_copies_contract import filled
from tests.stored import as_of_first_version, opened, rows_of

__all__ = ["another_url", "free_tcp_port", "fresh", "opened", "server", "url"]
ROOT = Path(__file__).parents[2]


def aiops(url: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "aiops", "store", *words],
        cwd=ROOT,
        env={**os.environ, "AIOPS_STORE__URL": url},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_from_a_file_to_a_server_and_back_by_command(opened, url, another_url, tmp_path):
    file = f"sqlite:///{tmp_path / 'aiops.db'}"
    store = opened(url=file)
    filled(store)
    was = rows_of(store)
    assert aiops(file, "backup", str(tmp_path / "one.db")).returncode == 0
    assert "epoch 3" in aiops(url, "restore", str(tmp_path / "one.db")).stdout
    assert without_chain(rows_of(opened())) == without_chain(was)
    assert aiops(url, "backup", str(tmp_path / "two.db")).returncode == 0
    refused = aiops(file, "restore", str(tmp_path / "two.db"))
    assert (refused.returncode, "1 ticks" in refused.stderr) == (1, True)
    assert aiops(file, "restore", str(tmp_path / "two.db"), "--replace").returncode == 0
    assert without_chain(rows_of(store)) == without_chain(was)
    # each restore is a record of its own in the chain that it brought
    assert [len(rows_of(opened(url=one))["audit"]) - len(was["audit"]) for one in (url, file)] == [1, 2]
    assert check(store.engine).whole


def without_chain(rows: dict[str, list[str]]) -> dict[str, list[str]]:
    return {name: some for name, some in rows.items() if name not in ("audit", "meta")}


def test_migrate_says_from_where_to_where_and_shows_no_password(url, another_url):
    as_of_first_version(another_url)
    for address, said in (
        (url, f"was made with schema {REVISION}"),
        (url, f"was at schema {REVISION} already"),
        (another_url, f"went from schema 0001 to {REVISION}"),
    ):
        found = aiops(address, "migrate")
        assert (found.returncode, said in found.stdout) == (0, True), found.stderr
        assert PASSWORD not in found.stdout + found.stderr


def test_a_server_that_cannot_be_reached_ends_a_command_with_4(free_tcp_port):
    for words in (("migrate",), ("backup", "x.db")):
        found = aiops(f"postgresql://aiops@127.0.0.1:{free_tcp_port}/aiops", *words)
        assert (found.returncode, "refused" in found.stderr) == (4, True), found.stderr


def test_a_restore_says_who_has_the_store(opened, url, another_url, tmp_path):
    filled(opened())
    Store.backup(url, tmp_path / "copy.db")
    opened(url=another_url, writer=True)
    with pytest.raises(InvalidInput, match=r"a daemon at 127\.0\.0\.1 \(backend \d+\) has it"):
        Store.restore(another_url, tmp_path / "copy.db")


def test_no_daemon_begins_while_a_restore_goes_on(url):
    Store.open(url).close()
    engine = connect(url)
    with engine.begin() as connection, patient(connection):
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": 0x6169_6F70_7301})
        with pytest.raises(CannotReach, match="being restored"):
            Store.open(url, writer=True)
    engine.dispose()
