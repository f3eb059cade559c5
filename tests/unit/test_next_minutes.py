"""Versions of what foretells the next minutes: tried in the shadow, promoted, taken back, seen by people, kept."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from aiops.app import modelling
from aiops.core.bank import Bank
from aiops.core.capacity import Demand
from aiops.core.lineage.contest import KEPT
from aiops.core.lineage.next_minutes import NextMinutes
from aiops.core.lineage.version import Role
from aiops.core.lookahead import Lookahead
from aiops.core.nowcast import STEP_S
from aiops.errors import Conflict
from tests.unit.storefront import BEGIN, KEY, TEXT, Living, policies, rate

NAME = f"{KEY}/next-minutes"
OTHER = "ScalingPolicy/shop/cart"
SOON = int(BEGIN // 60) + 31
"""The minute after what `lived` has lived."""


def lived(steps: int = 120, *, others: tuple[str, ...] = (), follows: bool = False) -> Lookahead:
    """Return the next minutes of one policy or more after so many steps."""
    one = Lookahead("aiops test", follows_drift=follows)
    one.follow(policies(*others))
    return live(one, steps)


def live(one: Lookahead, steps: int, *, begin: int = 0, factor: float = 1.0) -> Lookahead:
    keys = [row.key for row in one._rows]
    for step in range(begin, begin + steps):
        seen = Demand(factor * rate(step), whole=True, latency=0.15, use_ratio=0.6, ready=10, lead_s=60.0)
        one.look(BEGIN + step * STEP_S, dict.fromkeys(keys, seen))
    return one


def said(one: Lookahead, step: int) -> tuple[float, ...]:
    seen = one.look(BEGIN + step * STEP_S, {KEY: Demand(rate(step), whole=True, lead_s=60.0)})
    return seen.nowcasts[KEY].demand


def test_the_first_version_is_what_learns_from_the_first_sample_on():
    versions = lived().lineages[NAME]
    assert [(one.number, one.role, one.why) for one in versions.versions] == [(1, Role.CHAMPION, "first")]
    assert versions.current.code == "nowcast-v1 of aiops test"
    assert versions.current.parameters["horizons"] == "45 s, 90 s"
    assert "season-move" in versions.current.parameters["mix"]
    assert versions.scores()[1].judged == pytest.approx(27, abs=1)


def minutes(versions: NextMinutes, count: int, losses: dict[int, float], begin: int = SOON) -> int:
    """Let so many minutes pass, in which each version (0 acts) lost so much; return the next one."""
    dice = np.random.default_rng(begin)
    for minute in range(begin, begin + count):
        noise = 1.0 + 0.2 * dice.standard_normal()
        seen = {number: (loss * noise, 0.8) for number, loss in losses.items()}
        versions.minute(minute, minute * 60.0, seen)
    return begin + count


def test_a_version_that_is_asked_for_is_judged_in_the_shadow_on_the_same_minutes():
    one = lived()
    versions = one.lineages[NAME]
    versions.refit("ada: after the sale")
    assert [each.role for each in versions.versions] == [Role.CHAMPION, Role.CHALLENGER]
    live(one, 260, begin=120)
    scores = versions.scores()
    assert scores[2].judged == pytest.approx(scores[1].judged - 28, abs=2)
    assert 0.5 < scores[2].ratio < 1.5


@pytest.mark.parametrize(("loss", "role"), [(0.0101, Role.CHAMPION), (0.012, Role.REFUSED)])
def test_what_is_no_worse_takes_over_after_an_hour_and_what_is_worse_is_refused_after_six(loss, role):
    one = lived()
    versions = one.lineages[NAME]
    versions.refit("asked")
    at = minutes(versions, 50, {0: 0.01, 2: loss})
    assert versions.versions[1].role is Role.CHALLENGER
    minutes(versions, 400, {0: 0.01, 2: loss, 1: 0.01}, begin=at)
    assert versions.versions[1].role is role
    assert [seat.number for seat in one.trials.shadows.seats] == ([1] if role is Role.CHAMPION else [])


def test_what_is_promoted_acts_and_what_is_rolled_back_acts_as_if_it_never_had_stood_aside():
    one, never = lived(), lived()
    versions = one.lineages[NAME]
    versions.refit("asked")
    live(one, 40, begin=120)
    live(never, 40, begin=120)
    versions.promote(2, "ada: now", BEGIN)
    assert (versions.current.number, versions.versions[0].role) == (2, Role.PREDECESSOR)
    live(one, 40, begin=160)
    live(never, 40, begin=160)
    assert said(one, 200) != said(never, 200)
    assert versions.roll_back("bob: back", BEGIN) == 1
    assert versions.current.detail == "bob: back"
    assert said(one, 201) == said(never, 201)
    with pytest.raises(Conflict, match="has no version 9"):
        versions.promote(9, "", BEGIN)


def test_a_shadow_changes_nothing_of_what_acts_and_nothing_of_other_policies():
    one, alone = lived(others=("cart",)), lived(others=("cart",))
    one.lineages[NAME].refit("asked")
    live(one, 50, begin=120)
    live(alone, 50, begin=120)
    for array, same in zip(one.nowcasts.arrays().values(), alone.nowcasts.arrays().values(), strict=True):
        np.testing.assert_array_equal(array, same)
    assert len(one.lineages[f"{OTHER}/next-minutes"].versions) == 1


def test_a_world_that_changed_makes_a_version_by_itself_and_no_second_one_soon():
    versions = lived(follows=True).lineages[NAME]
    at = minutes(versions, 1440, {0: 0.01})
    assert len(versions.versions) == 1
    minutes(versions, 700, {0: 0.04}, begin=at)
    made = [each for each in versions.versions if each.why.startswith("drift: ")]
    assert len(made) in (1, 2)
    assert "times what was usual (ADWIN)" in made[0].why
    assert versions.drift == made[-1].why.removeprefix("drift: ")
    assert np.diff([each.made_at for each in made]).min(initial=6 * 3600.0) >= 6 * 3600.0


def test_intervals_that_cover_too_little_are_drift_once_in_six_hours():
    versions = lived(follows=True).lineages[NAME]
    for minute in range(SOON, SOON + 1000):
        versions.minute(minute, minute * 60.0, {0: (0.01, 0.3)})
    made = [each for each in versions.versions if each.why.startswith("drift: 3")]
    assert "% of the values lay in the 80 % interval for " in made[0].why
    assert len(made) == 3
    assert np.diff([each.made_at for each in made]).min() >= 6 * 3600.0


def test_in_a_world_that_is_simulated_drift_makes_none():
    versions = lived().lineages[NAME]
    at = minutes(versions, 1440, {0: 0.01})
    minutes(versions, 700, {0: 0.04}, begin=at)
    assert len(versions.versions) == 1


def test_a_checkpoint_keeps_versions_records_and_rows_in_the_shadow():
    one = lived(others=("cart",))
    one.lineages[NAME].refit("asked")
    live(one, 80, begin=120)
    arrays = {name: np.array(array) for name, array in one.arrays().items()}
    back = Lookahead("aiops test")
    back.follow(policies("cart"))
    assert back.restore(arrays) == ()
    mine, theirs = back.lineages[NAME], one.lineages[NAME]
    assert [(each.number, each.role, each.why) for each in mine.versions] == [
        (each.number, each.role, each.why) for each in theirs.versions
    ]
    live(one, 40, begin=200)
    live(back, 40, begin=200)
    for array, same in zip(one.trials.shadows.arrays().values(), back.trials.shadows.arrays().values(), strict=True):
        np.testing.assert_array_equal(array, same)
    # of the minute that was open the half before is not known any more
    assert mine.scores()[2].judged == pytest.approx(theirs.scores()[2].judged, abs=1)
    assert mine.scores()[2].judged > 20
    assert mine.scores()[2].ratio == pytest.approx(theirs.scores()[2].ratio, rel=0.05)


def test_minutes_that_a_restart_missed_are_not_those_of_the_day_before():
    one = live(lived(), 4 * KEPT, begin=120)
    back = Lookahead("aiops test")
    back.follow(policies())
    back.restore({name: np.array(array) for name, array in one.arrays().items()})
    assert back.lineages[NAME].records()[1].judged == KEPT
    begin = 120 + 4 * (KEPT + 600)  # ten hours later
    for each in (one, back):
        live(each, 8, begin=begin)
        assert each.lineages[NAME].records()[1].judged == pytest.approx(KEPT - 600, abs=2)


def test_a_policy_that_is_gone_takes_its_versions_along_and_others_keep_theirs():
    one = lived(others=("cart",))
    one.lineages[NAME].refit("asked")
    one.lineages[f"{OTHER}/next-minutes"].refit("asked")
    one.follow(policies())
    assert list(one.lineages) == [NAME]
    assert [each.role for each in one.lineages[NAME].versions] == [Role.CHAMPION, Role.CHALLENGER]
    assert [seat.policy for seat in one.trials.shadows.seats] == [KEY]
    live(one, 20, begin=120)


def test_a_policy_that_asks_for_something_else_begins_with_a_first_version():
    one = lived(others=("cart",))
    one.lineages[NAME].refit("asked")
    other = TEXT.replace("name: storefront", "name: cart")
    one.follow(policies(text=TEXT.replace("http_requests_total", "orders_total") + "\n---\n" + other))
    assert one.trials.shadows.seats == ()
    live(one, 16, begin=120)
    assert [(each.number, each.why) for each in one.lineages[NAME].versions] == [(1, "first")]


def test_a_row_of_a_checkpoint_that_cannot_be_read_retires_its_version():
    one, back = lived(), lived()
    one.lineages[NAME].refit("asked")
    state = json.loads(json.dumps(one.lineages[NAME].state()))
    back.lineages[NAME].resume(state, one.lineages[NAME].records())
    assert [each.role for each in back.lineages[NAME].versions] == [Role.CHAMPION, Role.RETIRED]
    with pytest.raises(ValueError, match="cannot be read"):
        back.lineages[NAME].resume({"versions": [{"number": 1}]}, {})


def test_minutes_of_a_day_ago_are_forgotten():
    one = lived()
    record = one.lineages[NAME].records()[1]
    assert record.judged > 20
    live(one, 12, begin=120 + 4 * (KEPT + 10))
    assert record.judged <= 2


def test_people_see_them_beside_the_models_of_demand_and_order_them_about():
    living = Living()
    living.ticks(300)
    bank: Bank = living.bank
    told = {one["policy"]: one for one in modelling.models({}, bank.lineages)}
    assert set(told) == {KEY, NAME}
    assert (told[NAME]["model"], told[NAME]["version"]) == ("nowcast", 1)
    assert told[NAME]["coverage"] > 0.5
    wish = {"policy": "shop/storefront/next-minutes", "do": "refit", "by": "ada", "reason": "sale"}
    done = modelling.order(bank.lineages, wish, BEGIN)
    assert [one["state"] for one in done["versions"]] == ["challenger", "champion"]
    assert done["versions"][0]["why"] == "ada: sale"
    assert math.isfinite(done["versions"][0]["made_at"])
