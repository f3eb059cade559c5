"""The store on a real PostgreSQL: the same body as on SQLite, and what only a server can do to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import psycopg
import pytest
from sqlalchemy import text

from aiops.adapters.store import Store
from aiops.app.weekly import asked_of, weekly
from aiops.core.model import LoopState
from aiops.errors import CannotReach, StoreUnavailable
from tests.builders import NOW
from tests.e2e.postgres import PASSWORD, another_url, free_tcp_port, fresh, server, url
from tests.shard_vault_contract import ShardVaultContract
from tests.store_access_contract import AccessContract
from tests.store_audit_contract import AuditContract, entry
from tests.store_contract import StoreContract
from tests.store_copies_contract import CopiesContract, filled
from tests.store_costs_contract import CostsContract
from tests.store_fence_contract import FenceContract
from tests.stored import acting, opened, rows_of
from tests.unit.test_following import Channels, following, pause

__all__ = ["another_url", "free_tcp_port", "fresh", "opened", "server", "url"]
TICK_S = 12.0
"""How long a tick may hang on its store: about ten seconds."""


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
