"""What the fence promises on every database: of several processes only the newest leader writes (S6)."""

from __future__ import annotations

import threading

import pytest

from aiops.adapters.store.database import writing
from aiops.adapters.store.fence import standing
from aiops.adapters.store.postgres import patient
from aiops.core.model import LoopState, StepResult, StepStatus
from aiops.errors import Fenced, StoreUnavailable
from tests.builders import NOW
from tests.stored import acting, made, rows_of


class FenceContract:
    """Leaders one after the other, and two that both believe to be the one."""

    def test_the_epoch_is_0_at_first_and_then_the_highest_that_was_claimed_s6(self, opened):
        store = opened()
        assert store.journal.epoch() == 0
        for epoch in (3, 7):
            store.journal.claim(epoch, "a", NOW)
            assert opened().journal.epoch() == epoch

    def test_a_claim_returns_what_the_predecessor_committed_s6(self, opened):
        old, new = opened(), opened()
        assert old.journal.claim(1, "a", NOW) == LoopState()
        turn = acting()
        old.journal.begin(turn.tick, turn.state)
        assert new.journal.claim(2, "b", NOW) == turn.state
        assert [action.id for action in new.journal.unsettled()] == [turn.tick.actions[0].id]

    def test_a_leader_that_was_succeeded_writes_nothing_s6(self, opened):
        old, new = opened(), opened()
        old.journal.claim(1, "a", NOW)
        first = acting()
        old.journal.begin(first.tick, first.state)
        new.journal.claim(2, "b", NOW)
        was = rows_of(new)
        late = acting(15)
        with pytest.raises(Fenced, match="epoch 2"):
            old.journal.begin(late.tick, late.state)
        result = StepResult(action_id=first.tick.actions[0].id, status=StepStatus.DONE, at=NOW)
        with pytest.raises(Fenced):
            old.journal.settle([result], (), first.state)
        old.close()
        assert rows_of(new) == was

    def test_a_lower_epoch_and_the_same_of_another_holder_are_refused_s6(self, opened):
        store, other = opened(), opened()
        store.journal.claim(5, "a", NOW)
        for epoch in (4, 5):
            with pytest.raises(Fenced, match="epoch 5 was claimed by a"):
                other.journal.claim(epoch, "b", NOW)
        assert store.journal.epoch() == 5
        turn = acting()
        with pytest.raises(Fenced):
            other.journal.begin(turn.tick, turn.state)
        store.journal.begin(turn.tick, turn.state)
        assert store.journal.load() == turn.state

    def test_the_same_holder_claims_its_epoch_again_s6(self, opened):
        store = opened()
        store.journal.claim(5, "a", NOW)
        turn = acting()
        store.journal.begin(turn.tick, turn.state)
        assert store.journal.claim(5, "a", NOW + 9) == turn.state
        assert len(rows_of(store)["claims"]) == 1

    def test_a_claim_forgets_what_was_gathered_under_the_one_before_s6(self, opened):
        store = opened(batch=50)
        store.journal.claim(1, "a", NOW)
        turn = made()
        store.journal.begin(turn.tick, turn.state)
        assert store.journal.claim(2, "a", NOW) == LoopState()
        store.close()
        assert opened().journal.load() == LoopState()

    def test_who_never_claimed_is_checked_against_nothing(self, opened):
        store = opened()
        opened().journal.claim(9, "a", NOW)
        turn = acting()
        store.journal.begin(turn.tick, turn.state)
        assert store.journal.load() == turn.state

    def test_fenced_is_a_store_that_cannot_be_written(self):
        assert issubclass(Fenced, StoreUnavailable)

    def test_a_claim_waits_for_a_commit_that_has_begun_and_sees_it_s6(self, opened):
        """The old leader has checked the fence and is about to commit: either order is well, nothing in between is."""
        old, new = opened(), opened()
        old.journal.claim(1, "a", NOW)
        claimed: list[LoopState] = []
        turn = acting()
        with writing(old.engine) as connection, patient(connection):
            assert standing(connection, hold=True) == 1
            thread = threading.Thread(target=lambda: claimed.append(new.journal.claim(2, "b", NOW)))
            thread.start()
            thread.join(0.5)
            assert claimed == []
        thread.join(20)
        assert claimed == [LoopState()]
        with pytest.raises(Fenced):
            old.journal.begin(turn.tick, turn.state)

    def test_of_many_claims_at_once_the_fence_ends_at_the_highest_s6(self, opened):
        stores = [opened() for _ in range(4)]
        refused: list[int] = []

        def claim(epoch: int) -> None:
            try:
                stores[epoch - 1].journal.claim(epoch, f"h{epoch}", NOW)
            except Fenced:
                refused.append(epoch)

        threads = [threading.Thread(target=claim, args=(epoch,)) for epoch in (1, 2, 3, 4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert stores[0].journal.epoch() == 4
        assert 4 not in refused
