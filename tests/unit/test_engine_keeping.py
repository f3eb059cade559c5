"""What a shard does with what was kept of it: whole, unreadable for now, of another program, by another leader."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from aiops.app.settings import Settings
from aiops.app.sharding import vault as vault_of
from aiops.core.detect.fleet import Learnt
from aiops.engine.placing import Place
from aiops.engine.shard import RESTORE_TRIES, Means, Shard
from aiops.engine.told import Ask, Driver
from tests.unit.test_engine_sharded import NOW, STEP_S, a_source, policies

PROMETHEUS = {"url": "http://127.0.0.1:9090"}


@dataclass(slots=True)
class Memory:
    """A vault that can be away. kept: by name, what, under which epoch, as of when."""

    kept: dict[str, tuple[Learnt, int | None, float]] = field(default_factory=dict)
    away: int = 0

    def keep(self, name: str, arrays: Learnt, epoch: int | None, at: float) -> None:
        self.kept[name] = (dict(arrays), epoch, at)

    def load(self, name: str) -> Learnt:
        return self.kept[name][0]

    def names(self) -> Sequence[str]:
        if self.away:
            self.away -= 1
            raise OSError("the store is away")
        return tuple(self.kept)

    def drop(self, name: str) -> None:
        del self.kept[name]


def a_shard(vault: Memory, name: str = "born") -> Shard:
    return Shard(Place(number=0, of=1), Means(source=a_source, vault=vault), name)


def asked(at: float, driver: Driver) -> Ask:
    given = policies()
    return Ask(at=at, driver=driver, digest="d", watches=given.watches)


ELECTED = Driver(epoch=4, name="a", elected=True)


def lived(vault: Memory, driver: Driver = ELECTED) -> Shard:
    shard = a_shard(vault)
    for step in range(3):
        shard.turn(asked(NOW + STEP_S * step, driver))
    shard.keep(driver)
    return shard


@pytest.mark.parametrize(("driver", "epoch"), [(ELECTED, 4), (Driver(epoch=1, name="a"), None)])
def test_what_is_kept_says_for_which_leader_and_until_when_it_was_learnt(driver, epoch):
    vault = Memory()
    lived(vault, driver)
    assert vault.kept["shard-0-of-1"][1:] == (epoch, NOW + 2 * STEP_S)


def test_a_daemon_that_begins_again_after_its_clock_was_set_back_is_answered_at_once():
    shard = a_shard(Memory())
    assert not shard.turn(asked(NOW, ELECTED)).refused
    again = Driver(epoch=4, name="b", elected=True)
    assert "asks this shard, too" in shard.turn(asked(NOW - STEP_S, again)).refused, "its clock is a little behind"
    assert not shard.turn(asked(NOW - 3_600.0, again)).refused


def test_a_shard_that_cannot_read_for_now_what_it_kept_says_so_and_tries_again():
    vault = Memory()
    was = lived(vault)._fleet.arrays()
    vault.away = RESTORE_TRIES
    shard, at = a_shard(vault, "again"), NOW + 3 * STEP_S
    for _ in range(RESTORE_TRIES):
        with pytest.raises(OSError, match="the store is away"):
            shard.turn(asked(at, ELECTED))
        shard.keep(ELECTED)
    assert vault.kept["shard-0-of-1"][2] == NOW + 2 * STEP_S  # nothing that was learnt is lost by it
    shard.turn(asked(at, ELECTED))
    assert shard._learnt_to == NOW + 2 * STEP_S
    assert shard._fleet.arrays().keys() == was.keys()


def test_a_shard_that_can_read_nothing_for_longer_begins_without():
    vault = Memory()
    lived(vault)
    vault.away = RESTORE_TRIES + 1
    shard, at = a_shard(vault, "again"), NOW + 3 * STEP_S
    for _ in range(RESTORE_TRIES):
        with pytest.raises(OSError, match="away"):
            shard.turn(asked(at, ELECTED))
    assert shard.turn(asked(at, ELECTED)).series > 0
    assert shard._learnt_to == 0.0


def test_what_a_program_of_another_format_kept_is_learnt_again():
    vault = Memory()
    lived(vault)
    arrays, epoch, at = vault.kept["shard-0-of-1"]
    about = json.loads(bytes(arrays["about"].astype(np.uint8))) | {"format": 99}
    other = {**arrays, "about": np.frombuffer(json.dumps(about).encode(), np.uint8)}
    vault.kept["shard-0-of-1"] = (other, epoch, at)
    shard = a_shard(vault, "again")
    assert shard.turn(asked(NOW + 3 * STEP_S, ELECTED)).series > 0
    assert shard._learnt_to == 0.0


def test_a_postgresql_store_keeps_for_shards_unless_a_folder_is_said():
    def kind(**given: object) -> str:
        return type(vault_of(Settings(prometheus=PROMETHEUS, **given))).__name__

    server = {"url": "postgresql+psycopg://aiops@db/aiops"}
    assert kind(store=server) == "StoreVault"
    assert kind() == "FolderVault"
    assert kind(store=server, engine={"checkpoints": "/shared"}) == "FolderVault"
