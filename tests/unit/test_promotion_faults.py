"""A store that fails at any one moment of a promotion: nothing acts unpromoted, and what was promoted goes on (S6)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aiops.adapters.store import Store
from aiops.app.policies import FolderPolicySource, Watching
from aiops.app.promoted import PromotedPolicySource, Promoting
from aiops.app.promotion import Gate, standing_words
from aiops.core.model import Mode
from aiops.core.policies import ScalingPolicy
from aiops.errors import StoreUnavailable
from tests.builders import KEY, NOW, loaded
from tests.unit.test_promotion import word

FIRST, EDITED = loaded(), loaded(bounds={"minReplicas": 3, "maxReplicas": 50})
MOST_CALLS = 60


@dataclass
class Faults:
    """Lets one call fail, or all from it on. at: which one. lost: it is done, and its answer does not come back."""

    at: int
    lost: bool
    lasting: bool
    calls: int = 0

    def on(self, real: object) -> Any:
        return Failing(real, self)

    def falls(self) -> bool:
        self.calls += 1
        return self.calls >= self.at if self.lasting else self.calls == self.at

    def heal(self) -> None:
        self.at = MOST_CALLS * 100


class Failing:
    """Stands before a part of a store."""

    def __init__(self, real: object, faults: Faults) -> None:
        self._real, self._faults = real, faults

    def __getattr__(self, name: str) -> Callable[..., Any]:
        real = getattr(self._real, name)

        def call(*args: Any) -> Any:
            fails = self._faults.falls()
            if fails and not self._faults.lost:
                raise StoreUnavailable(f"{name} fails")
            made = real(*args)
            if fails:
                raise StoreUnavailable(f"the answer of {name} is lost")
            return made

        return call


class World:
    """A file, a store, and the daemon that reads both. gate: what makes a spec act."""

    def __init__(self, folder: Path, faults: Faults, gate: Gate) -> None:
        self.file = folder / "checkout.yaml"
        self.store = Store.open("sqlite://")
        self.faults, self.gate = faults, gate
        self.promotions = faults.on(self.store.promotions)
        self.journal = faults.on(self.store.journal)
        self.source: PromotedPolicySource | None = None

    def write(self, policy: ScalingPolicy) -> None:
        self.file.write_text(json.dumps(json.loads(policy.document)))
        self.turn()

    def promote(self, policy: ScalingPolicy, mode: Mode = Mode.ENFORCE) -> None:
        # whoever is told that it failed says it again
        for _ in range(2):
            with suppress(StoreUnavailable):
                self.promotions.add(word(policy, mode))
                break
        self.turn()

    def turn(self) -> None:
        for _ in range(2):
            with suppress(StoreUnavailable):
                if self.source is None:
                    self.source = self.begun()
                self.source.reload(force=True)
            self.check()

    def begun(self) -> PromotedPolicySource:
        keep = self.journal.note_policies
        folder = FolderPolicySource((self.file,), 15.0, Watching(adopted=keep))
        return PromotedPolicySource(folder, self.promotions, Promoting(gate=self.gate, adopted=keep, now=lambda: NOW))

    @property
    def acting(self) -> list[ScalingPolicy]:
        found = () if self.source is None else self.source.current().scaling
        return [one for one in found if one.reach.rank >= Mode.APPROVE.rank]

    def check(self) -> None:
        """Nothing acts for which there is no word, and what acts can be replayed."""
        words = standing_words(self.store.promotions.every()).get(KEY, ())
        ever = {one.spec_hash for one in self.store.promotions.every() if one.mode.rank >= Mode.APPROVE.rank}
        for one in self.acting:
            assert one.key == KEY
            assert one.spec_hash in ever
            assert self.store.reader.policy_document(one.digest) == one.document
        if self.source is not None and self.gate is Gate.EVIDENCE and len({one.spec_hash for one in words}) == 1:
            assert {one.spec_hash for one in self.acting} <= {words[0].spec_hash}


def moments() -> Iterator[Faults]:
    for lost in (False, True):
        for lasting in (False, True):
            yield from (Faults(at, lost, lasting) for at in range(1, MOST_CALLS))


def named(faults: Faults) -> str:
    return f"{'lost' if faults.lost else 'refused'}-{'from' if faults.lasting else 'at'}-{faults.at}"


@pytest.mark.parametrize("faults", list(moments()), ids=named)
def test_nothing_acts_unpromoted_and_nothing_promoted_is_lost_s6(tmp_path, faults):
    world = World(tmp_path, faults, Gate.EVIDENCE)
    world.write(FIRST)
    assert world.acting == []
    world.promote(FIRST)
    acted = [one.spec_hash for one in world.acting]
    world.write(EDITED)
    # from here on it goes on acting, whatever the store does; it never stops, and is no other
    assert [one.spec_hash for one in world.acting] in ([FIRST.spec_hash], acted)
    world.promote(EDITED)
    assert {one.spec_hash for one in world.acting} <= {FIRST.spec_hash, EDITED.spec_hash}
    assert not acted or world.acting
    world.faults.heal()
    world.promote(EDITED)
    assert [(one.spec_hash, one.reach) for one in world.acting] == [(EDITED.spec_hash, Mode.ENFORCE)]
    world.promote(EDITED, Mode.DRY_RUN)
    assert world.acting == []
    world.store.close()


@pytest.mark.parametrize("faults", [one for one in moments() if one.at < 20], ids=named)
def test_a_file_that_is_its_own_word_acts_once_that_is_written_down_s6(tmp_path, faults):
    world = World(tmp_path, faults, Gate.FILE)
    world.write(FIRST)
    acted = [one.spec_hash for one in world.acting]
    world.write(EDITED)
    assert not acted or world.acting
    world.faults.heal()
    world.turn()
    assert [(one.spec_hash, one.reach) for one in world.acting] == [(EDITED.spec_hash, Mode.ENFORCE)]
    assert [one.by for one in world.store.promotions.every()][-1] == "file"
    world.store.close()


def test_a_word_that_is_taken_back_is_followed_while_no_document_can_be_kept_s6(tmp_path):
    faults = Faults(MOST_CALLS * 100, lost=False, lasting=True)
    world = World(tmp_path, faults, Gate.EVIDENCE)
    world.write(FIRST)
    world.promote(FIRST)
    assert world.acting
    full = FolderPolicySource((world.file,), 15.0, Watching(adopted=refusing(set())))
    world.source = PromotedPolicySource(full, world.promotions, Promoting(gate=Gate.EVIDENCE))
    assert world.acting
    world.file.write_text(EDITED.document)
    world.promotions.add(word(FIRST, Mode.DRY_RUN))
    assert world.source.reload()
    assert world.acting == []
    world.store.close()


def refusing(known: set[str]) -> Callable[[Any], None]:
    """Return what keeps the first set that it sees, and no other: the disk is full."""

    def keep(policies: Any) -> None:
        if known and policies.digest not in known:
            raise StoreUnavailable("the disk is full")
        known.add(policies.digest)

    return keep
