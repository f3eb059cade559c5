"""Promoting on evidence, taking back, and comparing versions, from a record that the real loop's core wrote."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest

from aiops.adapters.store import Store
from aiops.app.comparing import runs
from aiops.app.evidence import Evidence, lacking
from aiops.app.promotion import Gate, resolved
from aiops.app.service import Service
from aiops.app.versions import Terms
from aiops.core.model import Effect, LoopState, Mode, OwnerKind, Percepts, Snapshot, TargetRef
from aiops.core.pipeline import Turn, decide, settled
from aiops.core.policies import PolicySet, ScalingPolicy
from aiops.core.record.codec import to_text
from aiops.core.versions import as_shadow, in_mode
from aiops.errors import InvalidInput, NotFound
from tests.builders import KEY, NOW, TARGET, answer, hpa, loaded, owner, snapshot, workload
from tests.unit.test_promotion import word

STEP_S = 15.0
LIVE = loaded()
EDITED = loaded(objective={"demand": "demand", "perReplica": 40})
BESIDE = as_shadow(EDITED)


class Rehearsed:
    """A record of some ticks. The world follows the policy that acts; everything else is only decided."""

    def __init__(self) -> None:
        self.store = Store.open("sqlite://")
        self.state = LoopState()
        self.at = NOW
        self.replicas = 8
        self.service = Service(self.store, Terms(step_s=STEP_S, needed_s=600.0))

    def ticks(self, policies: Sequence[ScalingPolicy], demands: Iterable[float], price: float = 0.04) -> None:
        found = PolicySet(digest="".join(one.key + one.digest for one in policies), scaling=tuple(policies))
        self.store.journal.note_policies(found)
        for demand in demands:
            self.turn(found, demand, price)

    def turn(self, policies: PolicySet, demand: float, price: float) -> None:
        self.at += STEP_S
        seen = replace(answer(demand), newest_at=self.at)
        shot = snapshot(
            at=self.at,
            answers={policy.key: {"demand": seen} for policy in policies.scaling},
            workloads={TARGET.key: workload(replicas=self.replicas, ready=self.replicas, as_of=self.at)},
            replica_usd_per_hour={TARGET.key: price},
        )
        made = decide(self.state, Turn(snapshot=shot, percepts=Percepts(), policies=policies, code="c", platform="p"))
        self.store.journal.note_inputs(made.tick, {key: to_text(one) for key, one in made.inputs.items()})
        self.store.journal.begin(made.tick, made.state)
        self.state = made.state
        for action in made.tick.actions:
            if not action.dry_run:
                self.replicas = action.change.after

    def promote(self, **wish) -> dict:
        return self.service.promote({"policy": "checkout", "to": "approve", "by": "ann", "reason": "well", **wish})


@pytest.fixture
def record() -> Rehearsed:
    return Rehearsed()


# -- evidence --------------------------------------------------------------------------------------------------


def test_a_promotion_without_evidence_is_refused_and_not_written_s6(record):
    record.ticks([in_mode(LIVE, Mode.DRY_RUN)], [390.0] * 10)
    refused = record.promote()
    assert (refused["promoted"], refused["missing"]) == (
        False,
        ["it ran for 2 min 30 s, 10 min are needed (promotion.evidence_for)"],
    )
    assert refused["evidence"]["ticks"] == 10
    assert record.store.promotions.every() == ()


def test_a_promotion_keeps_who_why_and_what_was_known_s6(record):
    record.ticks([in_mode(LIVE, Mode.DRY_RUN)], [390.0] * 40)
    assert record.promote()["promoted"]
    (word,) = record.store.promotions.every()
    assert (word.policy, word.spec_hash, word.mode, word.by, word.reason, word.forced) == (
        KEY,
        LIVE.spec_hash,
        Mode.APPROVE,
        "ann",
        "well",
        False,
    )
    assert json.loads(word.evidence)["ran_s"] == {"dry-run": 600.0}


def test_what_is_promoted_acts_and_what_is_taken_back_does_not_s6(record):
    record.ticks([in_mode(LIVE, Mode.DRY_RUN)], [390.0] * 40)
    assert record.promote(to="enforce")["promoted"]
    assert acting(record) == {KEY: Mode.ENFORCE}
    record.service.promote({"policy": "shop/checkout", "to": "dry-run", "by": "bob", "reason": "a sale"})
    assert acting(record) == {KEY: Mode.DRY_RUN}
    assert [one["by"] for one in record.service.promotions()["promotions"]] == ["bob", "ann"]


def acting(record: Rehearsed, policy: ScalingPolicy = LIVE) -> dict[str, Mode]:
    made = resolved(PolicySet(digest="", scaling=(policy,)), record.store.promotions.every(), Gate.EVIDENCE)
    return {one.key: one.reach for one in made.policies.scaling}


def test_a_forced_promotion_is_kept_as_one_s6(record):
    record.ticks([in_mode(LIVE, Mode.DRY_RUN)], [390.0] * 10)
    made = record.promote(force=True)
    assert (made["promoted"], made["forced"], len(made["missing"])) == (True, True, 1)
    record.ticks([in_mode(LIVE, Mode.DRY_RUN)], [390.0] * 40)
    assert not record.promote(force=True)["forced"]  # there was nothing to force any more


def test_the_time_in_the_shadow_counts_and_the_edited_version_is_what_is_promoted_s6(record):
    record.ticks([LIVE, BESIDE], [390.0] * 45)
    made = record.promote(to="enforce")
    assert (made["promoted"], made["spec_hash"]) == (True, EDITED.spec_hash)
    assert made["evidence"]["ran_s"] == {"dry-run": 45 * STEP_S}
    assert made["evidence"]["compared"]["compared_s"] == 45 * STEP_S
    assert acting(record, EDITED) == {KEY: Mode.ENFORCE}
    assert acting(record, LIVE) == {KEY: Mode.ENFORCE, as_shadow(LIVE).key: Mode.DRY_RUN}


def test_the_time_of_a_candidate_counts_for_the_policy_that_takes_its_spec(record):
    spec = json.loads(EDITED.document)["spec"]
    candidate = loaded("next", **{**spec, "candidateFor": "checkout"})
    record.ticks([LIVE, candidate], [390.0] * 45)
    with pytest.raises(InvalidInput, match="is a candidate and never acts: write its spec into checkout"):
        record.promote(policy="next")
    record.ticks([LIVE, BESIDE], [390.0])
    made = record.promote()
    assert (made["promoted"], made["evidence"]["ticks"]) == (True, 46)


def test_an_edit_that_was_taken_away_again_is_not_what_is_promoted(record):
    record.ticks([LIVE, BESIDE], [390.0] * 45)
    record.ticks([LIVE], [390.0] * 10)
    assert record.promote()["spec_hash"] == LIVE.spec_hash


def test_names_are_asked_for_and_the_right_ones_are_offered(record):
    record.ticks([LIVE], [390.0])
    with pytest.raises(NotFound, match="no policy till has decided anything yet; there are shop/checkout"):
        record.promote(policy="till")
    with pytest.raises(InvalidInput, match="to: 'full' is not one of observe, dry-run, approve, enforce"):
        record.promote(to="full")
    for missing in ("by", "reason", "policy"):
        with pytest.raises(InvalidInput, match=f"{missing} is missing"):
            record.promote(**{missing: " "})


@pytest.mark.parametrize(
    ("ran", "to", "enough"),
    [
        ({"dry-run": 700.0}, Mode.APPROVE, True),
        ({"dry-run": 300.0, "approve": 300.0}, Mode.ENFORCE, True),
        ({"enforce": 700.0}, Mode.APPROVE, True),
        ({"enforce": 700.0}, Mode.ENFORCE, False),
        ({"dry-run": 599.0}, Mode.APPROVE, False),
    ],
)
def test_how_long_is_long_enough(ran, to, enough):
    assert (not lacking(Evidence(ran_s=ran, ticks=40), to, 600.0)) is enough


def test_a_bug_is_no_recommendation():
    found = Evidence(ran_s={"dry-run": 700.0}, ticks=40, bugs=2)
    assert lacking(found, Mode.APPROVE, 600.0) == ["2 of its ticks ended in a bug"]
    assert "has not decided anything yet" in lacking(Evidence(), Mode.APPROVE, 0.0)[0]


# -- comparing ---------------------------------------------------------------------------------------------------


def test_where_two_versions_differ_is_told_with_cost_and_risk(record):
    # 8 replicas: 50 req/s each are enough for 390, 40 req/s each are not
    record.ticks([LIVE, BESIDE], [300.0] * 4 + [390.0] * 20 + [300.0] * 16)
    made = record.service.diff({"live": "shop/checkout"})
    assert (made["live_policy"], made["candidate_policy"], made["compared_s"]) == (KEY, BESIDE.key, 40 * STEP_S)
    first = made["differences"][0]
    assert (first["seconds"], first["live"]["wanted"], first["candidate"]["wanted"]) == (20 * STEP_S, [8, 8], [10, 10])
    assert first["replica_hours"] == pytest.approx(2 * 20 * STEP_S / 3600)
    live, candidate = made["live"], made["candidate"]
    assert candidate["replica_hours"] - live["replica_hours"] == pytest.approx(
        sum(one["replica_hours"] for one in made["differences"])
    )
    assert candidate["usd"] == pytest.approx(candidate["replica_hours"] * 0.04)
    assert made["differed_s"] == sum(one["seconds"] for one in made["differences"])


def test_the_risk_is_the_share_of_ticks_with_less_than_the_demand_that_came(record):
    low = as_shadow(loaded(objective={"demand": "demand", "perReplica": 100}))
    record.ticks([LIVE, low], [390.0] * 60)
    made = record.service.diff({"live": "shop/checkout"})
    # in the end it would have brought 390 req/s down to 4 replicas of 50 req/s each, as the one that acts knows
    down = [one for one in made["differences"] if one["candidate"]["wanted"][1] * 50 < 390]
    short = sum(one["seconds"] for one in down)
    assert short > 0
    assert made["live"]["slo_risk"] == 0.0
    judged = made["candidate"]["judged_ticks"]
    lost_at_the_end = 60 - judged
    assert made["candidate"]["slo_risk"] * judged == pytest.approx(short / STEP_S - lost_at_the_end, abs=1)


def test_the_same_rules_do_not_differ(record):
    same = as_shadow(loaded(timeZone="Europe/Berlin"))
    record.ticks([LIVE, same], [300.0, 390.0, 500.0, 620.0, 500.0, 390.0] * 6)
    made = record.service.diff({"live": "checkout"})
    assert (made["differences"], made["differed_s"]) == ([], 0)
    assert made["live"]["replica_hours"] == pytest.approx(made["candidate"]["replica_hours"])


def test_what_nobody_saw_is_not_compared(record):
    record.ticks([LIVE, BESIDE], [390.0] * 10)
    record.at += 3600.0
    record.ticks([LIVE, BESIDE], [390.0] * 10)
    assert record.service.diff({"live": "checkout"})["compared_s"] == pytest.approx(20 * STEP_S, abs=STEP_S)


def test_a_policy_is_not_compared_with_itself_or_with_nobody(record):
    record.ticks([LIVE], [390.0])
    with pytest.raises(InvalidInput, match="one and the same"):
        record.service.diff({"live": "checkout", "candidate": "shop/checkout"})
    with pytest.raises(NotFound, match="no version of"):
        record.service.diff({"live": "checkout"})


def test_a_shadows_decisions_are_explained_and_made_again(record):
    record.ticks([LIVE, BESIDE], [390.0] * 3)
    row = next(one for one in record.service.decisions({"limit": 10}) if one["policy"] == BESIDE.key)
    assert row["story"].startswith(f"shadow {BESIDE.key.rpartition('/')[2]}: ")
    assert f"ScalingPolicy/{BESIDE.key.partition('/')[2]}" in record.service.decision(row["id"])["text"]
    assert record.service.replay(row["id"])["differences"] == []


# -- effects, S6 and S9 ----------------------------------------------------------------------------------------------


FLOORED = loaded(lever="hpa-floor")


def standing(word_for: ScalingPolicy, file: ScalingPolicy | None, at: float = NOW) -> tuple[LoopState, Turn]:
    """Return a floor that a promoted policy raised, and the turn with a file that says something now."""
    raised = hpa(min_replicas=7, owners=(owner(OwnerKind.AIOPS, field="minReplicas"),))
    shot: Snapshot = snapshot(workloads={TARGET.key: workload(hpas=(raised,))})
    effect = Effect(
        policy=KEY,
        target=TARGET,
        object=TargetRef(
            namespace="shop", api_version="autoscaling/v2", kind="HorizontalPodAutoscaler", name="checkout"
        ),
        attribute="minReplicas",
        original=4,
        written=7,
        action_id="A",
        since=at - 900.0,
        written_at=at - 900.0,
    )
    files = PolicySet(digest="f", scaling=() if file is None else (file,))
    made = resolved(files, (word(word_for),), Gate.EVIDENCE)
    answers = {one.key: shot.answers[KEY] for one in made.policies.scaling}
    turn = Turn(
        snapshot=replace(shot, answers=answers), percepts=Percepts(), policies=made.policies, code="c", platform="p"
    )
    return LoopState(effects={"e": effect}), turn


def handed_back(state: LoopState, turn: Turn) -> list[int]:
    return [one.change.after for one in decide(state, turn).tick.actions if one.change.after == 4 and not one.dry_run]


def edited(**changes) -> ScalingPolicy:
    return loaded(lever="hpa-floor", bounds={"minReplicas": 2, "maxReplicas": 30}, **changes)


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (FLOORED, []),
        (edited(), []),
        (in_mode(FLOORED, Mode.DRY_RUN), [4]),
        (in_mode(edited(), Mode.DRY_RUN), [4]),
        (None, [4]),
    ],
    ids=["unchanged", "edited", "lowered", "edited and lowered", "deleted"],
)
def test_what_stands_is_handed_back_when_nothing_acts_and_not_when_a_file_is_edited_s6_s9(file, expected):
    assert handed_back(*standing(FLOORED, file)) == expected


def test_no_promotion_no_effect_is_kept_s9():
    state, turn = standing(loaded("other"), FLOORED)
    assert handed_back(state, turn) == [4]


def test_what_a_shadow_would_do_is_never_settled_as_done_s9():
    state, turn = standing(FLOORED, edited())
    made = decide(state, turn)
    after = settled(made.state, made.tick, {}, turn.snapshot).state
    assert {one.policy for one in after.effects.values()} == {KEY}


def test_a_run_says_what_the_verdict_says(record):
    held = loaded(behavior={"scaleDown": {"stabilizationWindowSeconds": 60, "tolerance": 0}})
    record.ticks([held], [390.0, 800.0, 800.0, 100.0, 100.0, 2500.0] * 4)
    decided = record.store.versions.decided(KEY, 0.0, record.at)
    found = runs(decided, STEP_S)
    assert len(found) > 10
    for run, (body, _) in zip(found, decided, strict=True):
        verdict = record.store.reader.decision(body["id"]).decision.verdict
        bound = verdict.binding
        assert (run.word, run.before, run.wanted) == (verdict.word.value, verdict.change.before, verdict.change.after)
        assert run.reason == ("" if bound is None else bound.ruling.reason.value)
        assert run.wished == verdict.proposal.change.after
