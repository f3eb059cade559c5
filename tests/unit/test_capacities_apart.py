"""What replicas carry is learnt for every policy that asks for it, also where no SLO says how far ahead it is."""

from __future__ import annotations

import pytest

from aiops.core.bank import Bank
from aiops.core.policies import PolicySet
from tests.unit.storefront import KEY, TEXT, Living, policies

PLAIN = TEXT.replace("  forecast: {history: 14d, quantile: slo, leadTime: 60s}\n", "")
QUANTILE = TEXT.replace("quantile: slo", "quantile: 0.95")
ENOUGH = 60


def asking(text: str) -> PolicySet:
    return policies(text=text)


@pytest.mark.parametrize("text", [PLAIN, QUANTILE], ids=["no forecast", "a quantile"])
def test_what_is_learnt_is_what_is_learnt_beside_the_next_minutes(text: str) -> None:
    steered, plain = Living(), Living(asking(text))
    ours, theirs = plain.ticks(ENOUGH), steered.ticks(ENOUGH)
    assert ours.capacities[KEY].learned
    assert ours.capacities[KEY] == theirs.capacities[KEY]
    assert not ours.nowcasts


def test_capacity_survives_a_restart_and_one_of_another_query_does_not() -> None:
    living = Living(asking(PLAIN))
    living.ticks(ENOUGH)
    kept = living.bank.arrays()
    before = living.tick().capacities[KEY]
    again = Living(living.policies)
    again.step = ENOUGH
    assert again.bank.restore(kept) == ()
    learnt = again.tick().capacities[KEY]
    assert learnt.learned
    assert learnt.busy == pytest.approx(before.busy, rel=1e-3)
    other = Bank(asking(PLAIN.replace('service="storefront"', 'service="other"')))
    assert other.restore(kept) == (f"what replicas of {KEY} carry: nothing that fits",)


def test_another_version_of_a_policy_knows_what_was_learnt() -> None:
    living = Living(asking(PLAIN))
    learnt = living.ticks(ENOUGH).capacities[KEY]
    living.policies = asking(PLAIN.replace("minReplicas: 2", "minReplicas: 3"))
    assert living.tick().capacities[KEY].busy == pytest.approx(learnt.busy, 0.01)


def test_two_turns_of_one_step_teach_once() -> None:
    once, twice = Living(asking(PLAIN)), Living(asking(PLAIN))
    for _ in range(ENOUGH):
        once.tick()
        twice.tick()
        twice.step -= 1
        twice.tick()
    assert once.bank.arrays().keys() == twice.bank.arrays().keys()
    assert once.tick().capacities[KEY] == twice.tick().capacities[KEY]


def test_whoever_gives_the_capacity_has_none_learnt() -> None:
    living = Living(asking(PLAIN.replace("perReplica: learn\n    utilisation: use", "perReplica: 80")))
    assert not living.ticks(ENOUGH).capacities


@pytest.mark.parametrize("name", ["busy", "mean"])
def test_a_checkpoint_that_lacks_rows_is_told_and_nothing_of_it_is_taken(name: str) -> None:
    living = Living(asking(PLAIN))
    living.ticks(ENOUGH)
    kept = living.bank.arrays()
    whole = f"soon/apart/{name}"
    for wrong in (kept[whole][:0], kept[whole][..., :0]):
        again = Living(living.policies)
        (said,) = again.bank.restore({**kept, whole: wrong})
        assert said.startswith("what replicas carry, of every policy that looks no minutes ahead: ")
        assert not again.tick().capacities[KEY].learned
