"""The store on a real PostgreSQL: the same body as on SQLite, and what only a server can do to it."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from aiops.adapters.store import REVISION, Store
from aiops.adapters.store.audit_check import check
from aiops.adapters.store.database import connect
from aiops.adapters.store.postgres import patient
from aiops.app.weekly import asked_of, weekly
from aiops.core.model import LoopState
from aiops.errors import CannotReach, InvalidInput, StoreUnavailable
from tests.builders import NOW
from tests.e2e.postgres import PASSWORD, PostgresServer, running_postgres
from tests.shard_vault_contract import ShardVaultContract
from tests.store_access_contract import AccessContract
from tests.store_audit_contract import AuditContract, entry
from tests.store_contract import StoreContract
from tests.store_copies_contract import CopiesContract, filled
from tests.store_costs_contract import CostsContract
from tests.store_fence_contract import FenceContract
from tests.stored import acting, as_of_first_version, opened, rows_of
from tests.unit.test_following import Channels, following, pause

__all__ = ["opened"]
ROOT = Path(__file__).parents[2]
_COUNT = itertools.count(1)
TICK_S = 12.0
"""How long a tick may hang on its store: about ten seconds."""


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


class TestStore(StoreContract):
    """On a server."""


class TestShardVault(ShardVaultContract):
    """On a server."""


class TestAccess(AccessContract):
    """On a server."""


class TestFence(FenceContract):
    """On a server."""


class TestCosts(CostsContract):
    """On a server."""


class TestCopies(CopiesContract):
    """From server to server."""


class TestAudit(AuditContract):
    """On a server."""


class TestFromFileToServer(CopiesContract):
    """The way that a store takes which has outgrown its file."""

    @pytest.fixture
    def url(self, tmp_path) -> str:
        return f"sqlite:///{tmp_path / 'aiops.db'}"


class TestFromServerToFile(CopiesContract):
    """And back."""

    @pytest.fixture
    def another_url(self, tmp_path) -> str:
        return f"sqlite:///{tmp_path / 'another.db'}"


# -- several processes ---------------------------------------------------------------------------------


def test_several_daemons_open_one_store(opened):
    one, two = opened(writer=True), opened(writer=True)
    one.journal.claim(1, "a", NOW)
    two.journal.claim(2, "b", NOW)
    assert one.journal.epoch() == 2


def test_a_leader_that_is_stopped_in_its_transaction_does_not_keep_its_successor_waiting_s6(opened, url):
    code = """
import sys
from sqlalchemy import event
from aiops.adapters.store import Store
from tests.builders import NOW
from tests.store_audit_contract import AuditContract, entry
from tests.stored import acting
store = Store.open(sys.argv[1])
store.journal.claim(1, "a", NOW)
@event.listens_for(store.engine, "commit")
def stay(connection):
    print("holds", flush=True)
    sys.stdin.read()
turn = acting()
try:
    store.journal.begin(turn.tick, turn.state)
except Exception as err:
    print(type(err).__name__, flush=True)
"""
    process = subprocess.Popen([sys.executable, "-c", code, url], stdout=subprocess.PIPE, stdin=subprocess.PIPE)
    assert process.stdout.readline() == b"holds\n"
    os.kill(process.pid, signal.SIGSTOP)
    began = time.monotonic()
    assert opened().journal.claim(2, "b", NOW) == LoopState()
    assert time.monotonic() - began < TICK_S
    os.kill(process.pid, signal.SIGCONT)
    out, _ = process.communicate(timeout=20)
    assert out == b"StoreUnavailable\n"
    assert opened().journal.load() == LoopState()


def test_the_store_is_backed_up_and_pruned_while_it_is_written(opened, url, tmp_path):
    store = opened(writer=True)
    filled(store)
    stop = threading.Event()
    written: list[float] = []

    def write() -> None:
        while not stop.is_set():
            turn = acting(15.0 * (len(written) + 1))
            store.journal.begin(turn.tick, turn.state)
            written.append(turn.tick.at)

    thread = threading.Thread(target=write)
    thread.start()
    copies = [Store.backup(url, tmp_path / f"{number}.db").rows for number in range(3)]
    store.prune(NOW, 0.0, 10**9)
    stop.set()
    thread.join(20)
    for rows in copies:
        assert rows["ticks"] == rows["decisions"] == rows["actions"] == rows["samples"]
    assert copies[0]["ticks"] < copies[-1]["ticks"] <= len(written) + 1


# -- the server goes, hangs and comes back ----------------------------------------------------------------


def test_a_server_that_is_not_there_is_said_without_the_password(free_tcp_port):
    with pytest.raises(CannotReach, match="refused") as caught:
        Store.open(f"postgresql://aiops:{PASSWORD}@127.0.0.1:{free_tcp_port}/aiops")
    assert PASSWORD not in str(caught.value)


def test_a_wrong_password_is_said_and_not_shown(url):
    with pytest.raises(CannotReach, match="authentication failed") as caught:
        Store.open(url.replace(PASSWORD, "not-that-one"))
    assert "not-that-one" not in str(caught.value)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_while_the_server_is_away_ticks_fail_and_then_go_on_by_themselves_s2(opened, server, end):
    store = opened(writer=True)
    turn = filled(store)
    getattr(server, end)()
    try:
        for number in (1, 2):
            late = acting(15.0 * number)
            with pytest.raises(StoreUnavailable):
                store.journal.begin(late.tick, late.state)
            with pytest.raises(StoreUnavailable):
                store.people.pauses(NOW)
    finally:
        server.start()
    time.sleep(2.1)  # a server that was away is asked again after two seconds
    assert store.journal.load() == turn.state
    after = acting(60)
    store.journal.begin(after.tick, after.state)
    assert store.journal.load() == after.state
    assert store.journal.epoch() == 3


def test_a_server_that_hangs_does_not_hang_a_tick_s2(opened, server):
    store = opened()
    turn = filled(store)
    server.freeze()
    try:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match=r"did not answer|timeout"):
            store.people.pauses(NOW)
        late = acting(15)
        with pytest.raises(StoreUnavailable):
            store.journal.begin(late.tick, late.state)
        assert time.monotonic() - began < TICK_S
    finally:
        server.thaw()
    time.sleep(2.1)
    assert store.journal.load() == turn.state
    after = acting(60)
    store.journal.begin(after.tick, after.state)
    assert store.journal.load() == after.state


def test_a_server_that_hangs_in_the_middle_of_a_tick_does_not_hang_it_s2(opened, server):
    store = opened()
    filled(store)
    with store.engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        server.freeze()
        try:
            began = time.monotonic()
            with pytest.raises(Exception, match="did not answer within 9 s"):
                connection.execute(text("SELECT 1"))
            assert time.monotonic() - began < TICK_S
        finally:
            server.thaw()


def test_a_lock_that_somebody_holds_does_not_hang_a_tick_s2(opened, url):
    store = opened()
    filled(store)
    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE ticks IN ACCESS EXCLUSIVE MODE")
        began = time.monotonic()
        late = acting(15)
        with pytest.raises(StoreUnavailable, match="timeout"):
            store.journal.begin(late.tick, late.state)
        assert time.monotonic() - began < TICK_S
    store.journal.begin(late.tick, late.state)


def test_a_server_that_is_killed_in_the_middle_of_a_restore_leaves_the_store_as_it_was(opened, server, url, tmp_path):
    store = opened()
    filled(store)
    Store.backup(url, tmp_path / "copy.db")
    late = acting(60)
    store.journal.begin(late.tick, late.state)
    was = rows_of(store)
    with psycopg.connect(url) as other:
        other.execute(
            "CREATE FUNCTION stay() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(30); RETURN NEW; END'"
        )
        other.execute("CREATE TRIGGER stay BEFORE INSERT ON ticks FOR EACH ROW EXECUTE FUNCTION stay()")
    failed: list[Exception] = []

    def restore() -> None:
        try:
            Store.restore(url, tmp_path / "copy.db", replace=True)
        except StoreUnavailable as err:
            failed.append(err)

    thread = threading.Thread(target=restore)
    thread.start()
    with psycopg.connect(url, autocommit=True) as other:
        asked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        eventually(lambda: other.execute(asked).fetchone() == (1,))
    server.kill()
    server.start()
    thread.join(30)
    assert len(failed) == 1
    time.sleep(2.1)
    assert rows_of(store) == was


def eventually(said) -> None:
    ends_at = time.monotonic() + 20
    while not said():
        assert time.monotonic() < ends_at
        time.sleep(0.05)


# -- what follows the chain, and the report of a week, on a server ---------------------------------------------


def test_the_report_of_a_week_is_the_same_from_a_file_and_from_a_server(opened, url, tmp_path):
    file = opened(url=f"sqlite:///{tmp_path / 'aiops.db'}")
    for number in range(20):
        turn = acting(600.0 * number)
        file.journal.begin(turn.tick, turn.state)
        file.journal.settle([], [], turn.state)
    file.audit.note(entry(1))
    Store.backup(file.url, tmp_path / "copy.db")
    Store.restore(url, tmp_path / "copy.db")
    asked = asked_of({"days": 2}, NOW + 20_000, 15.0)
    here, there = weekly(file, asked), weekly(opened(), asked)
    assert there == here
    assert (there["actions"]["sent"], there["reliability"]["turns"], len(there["people"])) == (20, 20, 1)


def test_what_waits_to_be_told_survives_on_a_server(opened):
    channels = Channels(down={"ops"})
    before = following(opened(), channels)
    before.store.audit.note(pause("p1", channels.now))
    channels.run(before, 300)
    channels.down.clear()
    channels.now += 700
    channels.run(following(opened(), channels), channels.now - 1_772_450_000.0 + 60)
    assert [title for _, _, title, _ in channels.got] == ["[aiops] everything is stopped: *"]


# -- what the command line says ------------------------------------------------------------------------------


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


@pytest.fixture
def free_tcp_port() -> int:
    from tests.integration.prometheus_server import free_port

    return free_port()
