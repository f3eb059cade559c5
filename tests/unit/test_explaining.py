"""Why a series was flagged, or was not: from the record and from a running bank, in words and as data."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aiops.adapters.store import Store
from aiops.app import explaining
from aiops.app.service import Service
from aiops.core.detect.elsewhere import Elsewhere
from aiops.core.detect.sight import Rebased
from aiops.core.model import Finding, FindingKind
from aiops.core.policies import NewLevel, Rollouts, Side
from aiops.errors import NotFound
from tests.stored import FINDING, made
from tests.unit.fleet import WATCH, Days, a_set, a_watch, services

KEY = FINDING.series
EVIDENCE = {
    "distance_value": 4.0, "surprise_value": 4.0, "distance_shape": 5.0, "surprise_shape": 2.0, "surprise": 3.162,
    "allowed": 2.0, "budget_per_week": 1.0, "step_s": 60.0,
}  # fmt: skip


@pytest.fixture
def store(tmp_path):
    store = Store.open(f"sqlite:///{tmp_path / 'a.db'}")
    yield store
    store.close()


def note(store: Store, *findings: Finding) -> None:
    turn = made()
    for number, finding in enumerate(findings):
        tick = replace(turn.tick, id=f"T{number}", at=finding.at, decisions=(), findings=(finding,))
        store.journal.begin(tick, turn.state)


def test_the_record_says_neighbours_budget_and_who_was_called(store):
    note(store, replace(FINDING, evidence=EVIDENCE, alarm=True, reason="errors 9 is above", p_value=1e-9))
    answer = Service(store).explain("service=checkout", None)
    assert answer["text"].splitlines() == [
        "WatchPolicy/shop/errors  {service=checkout}  FLAGGED as point",
        "when       2026-03-02T11:13:20Z to 2026-03-02T11:13:20Z (0 s), at its worst 2026-03-02T11:13:20Z",
        "said       errors 9 is above",
        "sample     9; expected 1, usual 0 to 2",
        "rarity     a sample of it deviates so far with probability 1e-09",
        "value      4 from the nearest of all earlier values: surprise 4.00",
        "shape      5 from the nearest of all earlier stretches of four samples: surprise 2.00",
        "joined     surprise 3.16 (root mean square of -log10 p), 2.00 are allowed: 2^(3.16 - 2.00) = 2.24",
        "budget     1 false alarms a week, at a sample every 60 s",
        "alarm      people were called by this sample",
    ]
    assert (answer["flagged"], answer["finding"]["evidence"]) == (True, EVIDENCE)


def test_a_resting_series_says_until_when_and_what_would_call_again(store):
    rests = {"alarm_at": FINDING.at - 60, "alarm_score": 3.0, "step_s": 60.0}
    note(store, replace(FINDING, evidence=rests))
    last = Service(store).explain(KEY, None)["text"].splitlines()[-1]
    assert last == (
        "rest       last called 2026-03-02T11:12:20Z at score 3; rests until 2026-03-02T19:12:20Z, "
        "unless the score exceeds 6"
    )


def test_at_a_time_at_which_it_was_calm_it_says_when_it_was_not(store):
    note(store, FINDING)
    answer = Service(store).explain("checkout", FINDING.at + 600)
    assert not answer["flagged"]
    assert answer["text"].splitlines()[1].endswith("point, score 2")
    assert Service(store).explain("checkout", FINDING.at)["flagged"]


def test_a_part_of_a_name_that_several_series_have_lists_them(store):
    other = replace(FINDING, series="WatchPolicy/shop/latency#service=checkout")
    note(store, FINDING, other)
    with pytest.raises(NotFound, match=r"service=checkout could be .*latency.*, .*errors.*: give more|could be"):
        Service(store).explain("service=checkout", None)
    assert Service(store).explain(other.series, None)["series"] == other.series


def test_earlier_findings_of_the_series_are_listed(store):
    earlier = replace(
        FINDING, since=FINDING.since - 3600, at=FINDING.at - 3600, score=5.0, kind=FindingKind.LEVEL_SHIFT
    )
    note(store, earlier, FINDING)
    lines = Service(store).explain(KEY, None)["text"].splitlines()
    assert lines[-2] == "before     it was flagged"
    assert lines[-1].endswith("level-shift, score 5")


@pytest.mark.parametrize("at", [None, 0.0])
def test_a_series_that_the_record_has_nothing_of_is_said(store, at):
    with pytest.raises(NotFound, match="no finding of a series with 'nothing' in its name"):
        Service(store).explain("nothing", at)


def test_an_absent_series_has_no_sample_and_no_rarity(store):
    note(store, replace(FINDING, value=float("nan"), kind=FindingKind.ABSENCE))
    text = Service(store).explain(KEY, None)["text"]
    assert "sample     none; expected 1" in text
    assert "rarity" not in text


# -- a running daemon ----------------------------------------------------------------------------------------


def days(**rules: object) -> Days:
    one = Days(a_set(a_watch(**rules)), services("checkout", "cart"))
    one.learn_history(1.5)
    one.ticks(8)
    return one


def test_a_flagged_and_a_calm_series_are_told_from_the_last_tick():
    one = days()
    findings = one.tick([160.0, 100.0]).findings
    flagged = explaining.now(one.bank, "service=checkout", findings)
    calm = explaining.now(one.bank, "service=cart", findings)
    assert flagged["text"].startswith(f"{WATCH}  {{service=checkout}}  FLAGGED as point since ")
    assert calm["text"].splitlines()[0] == f"{WATCH}  {{service=cart}}  not flagged"
    assert "people have not been called for this series" in calm["text"]
    assert (flagged["look"]["score"] > 1, calm["finding"]) == (True, None)
    assert explaining.now(one.bank, "service=none", findings) is None
    with pytest.raises(NotFound, match="service could be"):
        explaining.now(one.bank, "service", findings)


def test_what_became_of_a_level_that_a_rollout_brought_is_told_with_when_by_how_much_and_why():
    moved, kept = (
        explaining.level_said(Rebased(at=0.0, level=100.0, by=by, why="a rollout of web", refused=refused))
        for by, refused in ((200.0, ""), (-40.0, "the policy's newLevel is up, and it went down"))
    )
    assert moved == ("rebased    1970-01-01T00:00:00Z: 300 instead of 100 (+200) is usual since then: a rollout of web")
    assert kept == (
        "rebased    1970-01-01T00:00:00Z: not, though it settled at 60 instead of 100: "
        "the policy's newLevel is up, and it went down (a rollout of web)"
    )


def test_a_series_that_was_rebased_says_so():
    policy = replace(a_watch(), rollouts=Rollouts(settle_s=600.0, new_level=NewLevel.UP))
    one = Days(a_set(policy), services("checkout"), step_s=60.0)
    one.ticks(70)
    why = Elsewhere(changed={("shop", "checkout"): "a rollout of checkout"})
    for tick in range(14):
        one.tick([400.0 + tick % 3], beside=why if tick < 2 else None)
    text = explaining.now(one.bank, "service=checkout", ())["text"]
    assert ") is usual since then: a rollout of checkout" in text


def test_the_signal_tier_tells_its_three_views():
    one = days(detector="novelty")
    text = explaining.now(one.bank, "service=checkout", one.tick([160.0, 100.0]).findings)["text"]
    assert [word in text for word in ("value  ", "shape  ", "context  ", "joined  ")] == [True] * 4


def test_a_series_that_is_not_learnt_yet_says_so():
    one = Days(a_set(a_watch()), services("checkout"))
    one.tick([100.0])
    text = explaining.now(one.bank, "checkout", ())["text"]
    assert "NOT JUDGED YET" in text
    assert "nothing is expected yet" in text


def test_one_side_that_does_not_count_is_no_number():
    one = days(side=Side.ABOVE)
    text = explaining.now(one.bank, "service=cart", one.tick([100.0, 100.0]).findings)["text"]
    assert "usual at most 1" in text
    assert "inf" not in text
