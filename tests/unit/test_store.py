"""The store on SQLite: what it promises on every database, and what only a file has."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import event

from aiops.adapters.store import Store
from aiops.adapters.store.database import shown
from aiops.errors import ConfigurationError, StoreUnavailable
from tests.shard_vault_contract import ShardVaultContract
from tests.store_access_contract import AccessContract
from tests.store_audit_contract import AuditContract
from tests.store_contract import StoreContract
from tests.store_copies_contract import CopiesContract
from tests.store_costs_contract import CostsContract
from tests.store_fence_contract import FenceContract
from tests.stored import acting, made, opened

__all__ = ["made", "opened"]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'aiops.db'}"


@pytest.fixture
def another_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'another.db'}"


class TestStore(StoreContract):
    """On a file."""


class TestShardVault(ShardVaultContract):
    """On a file."""


class TestAccess(AccessContract):
    """On a file."""


class TestFence(FenceContract):
    """On a file."""


class TestCosts(CostsContract):
    """On a file."""


class TestCopies(CopiesContract):
    """From file to file."""


class TestAudit(AuditContract):
    """On a file."""


def test_one_file_has_one_writer(opened):
    store = opened(writer=True)
    with pytest.raises(ConfigurationError, match="another daemon"):
        opened(writer=True)
    store.close()
    opened(writer=True)


def test_a_file_that_is_no_database_is_refused_by_name(tmp_path):
    path = tmp_path / "aiops.db"
    path.write_text("this is no database, but a text that is long enough to be looked at")
    with pytest.raises(ConfigurationError, match="not a database"):
        Store.open(f"sqlite:///{path}")


def test_after_a_full_disk_the_next_tick_writes_again(opened):
    store = opened()
    full = _limit(store, pages=1)  # SQLite takes this as: not one page more than there are
    written, refused = [], None
    for number in range(200):
        turn = acting(15.0 * number)
        try:
            store.journal.begin(turn.tick, turn.state)
        except StoreUnavailable as err:
            refused = err
            break
        written.append(turn)
    assert "full" in str(refused)
    assert store.journal.load() == written[-1].state
    event.remove(store.engine, "connect", full)
    _limit(store, pages=10**6)
    after = acting(9999.0)
    store.journal.begin(after.tick, after.state)
    assert store.journal.load() == after.state
    assert store.reader.status()["stored"]["ticks"] == len(written) + 1


def _limit(store: Store, pages: int):
    def pragma(connection, _):
        connection.execute(f"PRAGMA max_page_count={pages}")

    store.engine.dispose()
    event.listen(store.engine, "connect", pragma)
    return pragma


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense", "no database URL"),
        ("postgresql://aiops:hush@db:port/aiops", "no database URL"),
        ("postgresql://aiops:hu@sh@db/aiops", "%40"),
        ("mysql://aiops:hush@db/aiops", "mysql is not kept here"),
    ],
)
def test_what_is_wrong_with_a_url_is_said_without_its_password(url, said):
    with pytest.raises(ConfigurationError, match=said) as caught:
        Store.open(url)
    assert "hush" not in str(caught.value)


def test_a_url_is_shown_without_its_password():
    assert shown("postgresql://aiops:hush@db/aiops") == "postgresql://aiops:***@db/aiops"
    assert "hush" not in shown("postgresql://aiops@db/aiops?password=hush")
