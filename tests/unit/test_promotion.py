"""Which version acts: by promotions, keyed by the hash of the spec (S6)."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime

import pytest

from aiops.app.promotion import Gate, Place, Resolved, resolved
from aiops.core.ids import digest
from aiops.core.model import Mode
from aiops.core.policies import PolicySet, ScalingPolicy
from aiops.core.selection import Member
from aiops.core.versions import Promotion, in_mode, rules_hash, shadow_key, spec_hash
from aiops.policy import parse, recompile
from aiops.policy.members import member_policy
from tests.builders import KEY, NOW, loaded
from tests.unit.chosen import template

FIRST = loaded()
EDITED = loaded(bounds={"minReplicas": 3, "maxReplicas": 50})
BESIDE = shadow_key(KEY, EDITED.spec_hash)


def of(*policies: ScalingPolicy) -> PolicySet:
    return PolicySet(digest=digest("".join(one.key + one.digest for one in policies)), scaling=policies)


def word(policy: ScalingPolicy = FIRST, mode: Mode = Mode.ENFORCE, at: float = NOW, **changes) -> Promotion:
    made = Promotion(
        policy=policy.key,
        spec_hash=policy.spec_hash,
        mode=mode,
        by="ann",
        at=at,
        reason="a good week",
        forced=False,
        evidence="{}",
        document=policy.document,
    )
    return replace(made, **changes)


def modes(made: Resolved) -> dict[str, Mode]:
    return {policy.key: policy.reach for policy in made.policies.scaling}


def place(made: Resolved, key: str = KEY) -> Place:
    return made.standings[key].place


# -- the hash ------------------------------------------------------------------------------------------------


def test_a_member_whose_template_cannot_be_read_acts_on_by_the_templates_word_s9():
    """Its kind may not be read now: what stood is kept under its own key, and is not handed back for want of a word."""
    web = template()
    member = member_policy(web, Member(name="checkout"))
    made = resolved(of(member), [word(web)], Gate.EVIDENCE)
    assert (modes(made), place(made, member.key)) == ({member.key: Mode.ENFORCE}, Place.PROMOTED)
    assert modes(resolved(of(member), [], Gate.EVIDENCE)) == {member.key: Mode.DRY_RUN}


def test_templates_are_resolved_as_policies_are_and_stand_apart_from_them_s6():
    web, edited = template(), template(("maxReplicas: 10", "maxReplicas: 20"))
    made = resolved(replace(of(), templates=(edited,)), [word(web)], Gate.EVIDENCE)
    assert made.policies.scaling == ()
    acting, beside = made.policies.templates
    assert (acting.key, acting.reach, acting.bounds.max_replicas) == (web.key, Mode.ENFORCE, 10)
    assert (beside.key, beside.reach) == (shadow_key(web.key, edited.spec_hash), Mode.DRY_RUN)
    assert place(made, web.key) is Place.EDITED


def test_the_hash_is_of_the_rules_and_not_of_the_mode_s6():
    assert loaded(mode="dry-run").spec_hash == FIRST.spec_hash == spec_hash(FIRST.document) != EDITED.spec_hash
    assert loaded("next").spec_hash != FIRST.spec_hash


def test_a_policy_in_another_mode_is_what_its_document_says():
    lowered = in_mode(FIRST, Mode.DRY_RUN)
    assert (lowered.document, lowered.digest) == (loaded(mode="dry-run").document, loaded(mode="dry-run").digest)
    assert lowered.spec_hash == FIRST.spec_hash


def test_a_candidate_is_known_by_its_rules_whatever_its_name():
    same = loaded("next", target={"name": "checkout"}, signals=json.loads(FIRST.document)["spec"]["signals"])
    assert rules_hash(same.document) == rules_hash(FIRST.document) != rules_hash(EDITED.document)


# -- what acts -------------------------------------------------------------------------------------------------


def test_what_nobody_promoted_runs_dry_and_says_so_s6():
    made = resolved(of(FIRST), (), Gate.EVIDENCE)
    assert modes(made) == {KEY: Mode.DRY_RUN}
    assert made.standings[KEY].notice == (
        "not promoted, runs as dry-run; promote with: aiops policy promote shop/checkout"
    )


@pytest.mark.parametrize("mode", ["observe", "dry-run"])
def test_what_does_not_act_needs_no_word_s6(mode):
    made = resolved(of(loaded(mode=mode)), (), Gate.EVIDENCE)
    assert (modes(made), place(made)) == ({KEY: Mode(mode)}, Place.AS_WRITTEN)


@pytest.mark.parametrize(
    ("written", "promoted", "acts"),
    [
        ("enforce", Mode.ENFORCE, Mode.ENFORCE),
        ("enforce", Mode.APPROVE, Mode.APPROVE),
        ("approve", Mode.ENFORCE, Mode.APPROVE),
        ("dry-run", Mode.ENFORCE, Mode.DRY_RUN),
    ],
)
def test_the_stricter_of_file_and_word_counts_s6(written, promoted, acts):
    policy = loaded(mode=written)
    made = resolved(of(policy), (word(policy, promoted),), Gate.EVIDENCE)
    assert modes(made) == {KEY: acts}


def test_an_edited_policy_runs_beside_the_one_that_was_promoted_s6():
    made = resolved(of(EDITED), (word(FIRST),), Gate.EVIDENCE)
    acting, shadow = made.policies.scaling
    assert (acting.key, acting.spec_hash, acting.reach) == (KEY, FIRST.spec_hash, Mode.ENFORCE)
    assert (shadow.key, shadow.candidate_for, shadow.reach) == (BESIDE, KEY, Mode.DRY_RUN)
    assert {spec.query.policy for spec in shadow.signals.values()} == {BESIDE}
    assert (place(made), made.standings[KEY].shadow) == (Place.EDITED, BESIDE)


def test_the_mode_of_an_edited_file_binds_the_version_that_acts_s6():
    edited = loaded(mode="approve", bounds={"maxReplicas": 50})
    made = resolved(of(edited), (word(FIRST, Mode.ENFORCE),), Gate.EVIDENCE)
    assert modes(made)[KEY] is Mode.APPROVE


def test_an_edited_file_that_acts_no_more_is_one_version():
    made = resolved(of(in_mode(EDITED, Mode.DRY_RUN)), (word(FIRST),), Gate.EVIDENCE)
    assert (modes(made), place(made)) == ({KEY: Mode.DRY_RUN}, Place.AS_WRITTEN)


def test_going_back_to_what_was_promoted_needs_no_word():
    words = (word(FIRST), word(EDITED, at=NOW + 60))
    made = resolved(of(FIRST), words, Gate.EVIDENCE)
    assert (modes(made), made.standings[KEY].acting_hash) == ({KEY: Mode.ENFORCE}, FIRST.spec_hash)


def test_a_word_that_takes_back_takes_back_all_before_it_s6():
    words = (word(FIRST), word(EDITED, at=NOW + 60), word(EDITED, Mode.DRY_RUN, at=NOW + 120))
    for policy in (FIRST, EDITED):
        made = resolved(of(policy), words, Gate.EVIDENCE)
        assert (modes(made), place(made)) == ({KEY: Mode.DRY_RUN}, Place.UNPROMOTED)
    again = resolved(of(FIRST), (*words, word(FIRST, at=NOW + 180)), Gate.EVIDENCE)
    assert modes(again) == {KEY: Mode.ENFORCE}


def test_a_policy_that_is_gone_is_gone_whoever_promoted_it():
    assert resolved(of(), (word(FIRST),), Gate.EVIDENCE).policies.scaling == ()


def test_a_file_is_its_own_word_where_that_is_said_s6():
    made = resolved(of(EDITED), (word(FIRST),), Gate.FILE)
    assert (modes(made), place(made)) == ({KEY: Mode.ENFORCE}, Place.AS_WRITTEN)


# -- what cannot be read, and what another policy took ---------------------------------------------------------------


def older(policy: ScalingPolicy) -> Promotion:
    """Return the word for a spec as an older program hashed it: without a field that came since."""
    whole = json.loads(policy.document)
    del whole["spec"]["candidateFor"]
    document = json.dumps(whole, sort_keys=True, separators=(",", ":"))
    return word(policy, document=document, spec_hash=spec_hash(document))


def test_a_field_that_a_newer_program_adds_makes_no_other_spec_s6():
    said = older(FIRST)
    assert said.spec_hash != FIRST.spec_hash
    made = resolved(of(FIRST), (said,), Gate.EVIDENCE)
    assert (modes(made), place(made)) == ({KEY: Mode.ENFORCE}, Place.PROMOTED)


def unreadable(policy: ScalingPolicy) -> Promotion:
    whole = json.loads(policy.document)
    whole["spec"]["replicaHours"] = 7
    document = json.dumps(whole)
    return word(policy, document=document, spec_hash=spec_hash(document))


def test_a_promoted_version_that_this_program_cannot_read_is_held_s6_s9():
    made = resolved(of(EDITED), (unreadable(FIRST),), Gate.EVIDENCE)
    held, shadow = made.policies.scaling
    # it acts by its mode, so that nothing is handed back, and is held, so that nothing is changed
    assert (held.key, held.reach, held.target) == (KEY, Mode.APPROVE, FIRST.target)
    assert "cannot be read by this program (unknown field" in made.held[KEY]
    assert (shadow.key, place(made)) == (BESIDE, Place.HELD)


def test_what_is_held_keeps_the_target_of_the_version_that_was_promoted_s9():
    moved = loaded(target={"name": "till"})
    held = resolved(of(moved), (unreadable(FIRST),), Gate.EVIDENCE).policies.scaling[0]
    assert (held.target.name, moved.target.name) == ("checkout", "till")


def test_a_target_that_another_policy_acts_on_now_is_let_go_s4():
    moved, other = loaded(target={"name": "till"}), loaded("other", target={"name": "checkout"})
    made = resolved(of(moved, other), (word(FIRST), word(other)), Gate.EVIDENCE)
    assert modes(made) == {KEY: Mode.DRY_RUN, other.key: Mode.ENFORCE}
    assert made.policies.scaling[0].target.name == "till"
    assert "let go" in made.standings[KEY].notice


def test_a_target_that_another_policy_only_watches_is_acted_on_further_s4():
    moved, other = loaded(target={"name": "till"}), loaded("other", target={"name": "checkout"})
    made = resolved(of(moved, other), (word(FIRST),), Gate.EVIDENCE)
    assert modes(made)[KEY] is Mode.ENFORCE
    assert modes(made)[other.key] is Mode.DRY_RUN


def test_a_candidate_never_acts_whatever_was_promoted_s4():
    candidate = loaded("next", candidateFor="checkout", target={"name": "checkout"})
    for gate in Gate:
        made = resolved(of(FIRST, candidate), (word(FIRST), word(candidate)), gate)
        assert modes(made) == {KEY: Mode.ENFORCE, candidate.key: Mode.DRY_RUN}
        assert place(made, candidate.key) is Place.CANDIDATE


# -- change freezes ---------------------------------------------------------------------------------------------


YEAR_END = {"name": "year-end", "from": "2026-12-20T00:00:00Z", "to": "2027-01-05T00:00:00Z"}
NIGHTS = {"name": "nights", "schedule": "0 20 * * *", "duration": "10h"}
DEFAULTS = """
apiVersion: policy.aiops/v1alpha1
kind: PolicyDefaults
metadata: {name: everywhere, namespace: admin}
spec:
  scope: cluster
  freezes: [{name: audit, from: 2026-12-01T00:00:00Z, to: 2026-12-09T00:00:00Z}]
"""


def acting_names(made: Resolved) -> list[str]:
    return [one.name for one in next(one for one in made.policies.scaling if one.key == KEY).freezes]


def test_a_freeze_that_an_edit_adds_binds_the_version_that_acts_too_s9():
    edited = loaded(freezes=[YEAR_END], bounds={"minReplicas": 3, "maxReplicas": 50})
    made = resolved(of(edited), [word()], Gate.EVIDENCE)
    acting, shadow = made.policies.scaling
    assert (acting.reach, shadow.reach) == (Mode.ENFORCE, Mode.DRY_RUN)
    # of the edit, the freeze and nothing else
    assert acting == replace(loaded(freezes=[YEAR_END]), origin="promoted by ann")
    assert made.standings[KEY].acting_hash == FIRST.spec_hash
    assert f"{FIRST.spec_hash[:8]} acts on, held by the new freeze year-end too, " in made.standings[KEY].notice


def test_a_freeze_of_new_defaults_binds_the_version_that_acts_too_s9():
    files = parse(f"{FIRST.document}\n---\n{DEFAULTS}", "test")
    acting, _ = resolved(files, [word()], Gate.EVIDENCE).policies.scaling
    assert [one.name for one in acting.freezes] == ["audit"]


def test_what_is_replayed_of_a_frozen_version_is_what_held_s9():
    edited = loaded(freezes=[NIGHTS], mode="approve", bounds={"maxReplicas": 50})
    acting = resolved(of(edited), [word()], Gate.EVIDENCE).policies.scaling[0]
    again = recompile(acting.document)
    assert acting == replace(again, origin=acting.origin)
    assert (again.mode, [one.name for one in again.freezes]) == (Mode.APPROVE, ["nights"])


def test_a_freeze_that_an_edit_takes_away_stays_until_that_is_promoted_s9():
    frozen, freed = loaded(freezes=[YEAR_END]), loaded(scaleIn="forbidden")
    assert acting_names(resolved(of(freed), [word(frozen)], Gate.EVIDENCE)) == ["year-end"]
    assert acting_names(resolved(of(freed), [word(frozen), word(freed, at=NOW + 60)], Gate.EVIDENCE)) == []


def test_a_freeze_that_an_edit_makes_shorter_stays_as_long_as_it_was_and_one_made_longer_holds_s9():
    for to in ("2026-12-24T00:00:00Z", "2027-02-01T00:00:00Z"):
        made = resolved(of(loaded(freezes=[{**YEAR_END, "to": to}])), [word(loaded(freezes=[YEAR_END]))], Gate.EVIDENCE)
        acting = made.policies.scaling[0]
        day = 1_798_243_200.0  # 26 December
        ends = {one.schedule.active_until(day) for one in acting.freezes} - {None}
        assert max(ends) == max(1_799_107_200.0, parsed(to))


def parsed(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def test_a_freeze_that_is_only_moved_in_the_list_is_no_second_one():
    first = loaded(freezes=[YEAR_END, NIGHTS])
    made = resolved(of(loaded(freezes=[NIGHTS, YEAR_END])), [word(first)], Gate.EVIDENCE)
    assert acting_names(made) == ["year-end", "nights"]
    assert "freeze" not in made.standings[KEY].notice


def test_a_freeze_beside_a_version_that_cannot_be_read_is_held_all_the_same_s9():
    made = resolved(of(loaded(freezes=[YEAR_END])), [unreadable(FIRST)], Gate.EVIDENCE)
    assert place(made) is Place.HELD
    assert acting_names(made) == ["year-end"]
