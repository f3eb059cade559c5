"""Which version of each policy acts, and which runs beside it: by promotions, keyed by the hash of the spec (S6). Pure.

docs/promotion.md tells it to people; docs/decisions/0011-promotion-by-hash.md why it is so.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from aiops.core.ids import digest
from aiops.core.model import Mode, PolicyKey, TargetRef
from aiops.core.policies import PlanPolicy, PolicySet, ScalingPolicy, WatchPolicy
from aiops.core.versions import Promotion, as_shadow, in_mode, template_key
from aiops.errors import InvalidPolicy
from aiops.policy import recompile


class Gate(StrEnum):
    """What makes a spec act: promotions, or that it is loaded."""

    EVIDENCE = "evidence"
    FILE = "file"


class Place(StrEnum):
    """Where a policy stands."""

    AS_WRITTEN = "as-written"
    CANDIDATE = "candidate"
    UNPROMOTED = "unpromoted"
    PROMOTED = "promoted"
    EDITED = "edited"
    HELD = "held"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where one loaded policy stands. mode: in which it runs; asked: the one that is written. notice: for people.

    spec_hash: of what is loaded; acting_hash: of what runs under the policy's own name. shadow: the key under which
    what is loaded runs beside that, '' when it is the same.
    """

    policy: PolicyKey
    place: Place
    asked: Mode
    mode: Mode
    spec_hash: str
    acting_hash: str
    shadow: PolicyKey = ""
    promotion: Promotion | None = None
    notice: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """What runs. held: policies that may change nothing now, and why."""

    policies: PolicySet
    standings: Mapping[PolicyKey, Standing] = field(default_factory=dict)
    held: Mapping[PolicyKey, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Made:
    """What runs of one policy as it is loaded: under its own name, and beside it."""

    loaded: ScalingPolicy
    standing: Standing
    policy: ScalingPolicy
    shadow: ScalingPolicy | None = None
    held: str = ""


def resolved(loaded: PolicySet, promotions: Sequence[Promotion], gate: Gate) -> Resolved:
    """Return what runs of a set. promotions: all of them, the oldest first."""
    words = standing_words(promotions)
    # a member is among them while its template cannot be read, and was promoted with that
    every = (*loaded.scaling, *loaded.templates)
    made = [_of(policy, words.get(template_key(policy.key), ()), gate) for policy in every]
    made = _one_actor(made)
    scaling = [one.policy for one in made] + [one.shadow for one in made if one.shadow is not None]
    planned = [_of_plans(policy, words.get(policy.key, ()), gate) for policy in loaded.plans]
    policies = _set(loaded, scaling, loaded.watches)
    plans = tuple(policy for one in planned for policy in (one.policy, *([one.shadow] if one.shadow else [])))
    standings = (*(one.standing for one in made), *(one.standing for one in planned))
    return Resolved(
        policies=_with_plans(policies, plans),
        standings={one.policy: one for one in standings},
        held={one.standing.policy: one.held for one in made if one.held},
    )


# -- policies of plans ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _MadePlans:
    """What runs of one policy of plans, and of its edit, if that is not promoted yet."""

    standing: Standing
    policy: PlanPolicy
    shadow: PlanPolicy | None = None


def _of_plans(policy: PlanPolicy, words: Sequence[Promotion], gate: Gate) -> _MadePlans:
    """Return what runs: as for scaling, the version that was promoted last acts, and an edit is only told (S6)."""
    command = f"aiops policy promote {policy.key.partition('/')[2]}"
    if gate is Gate.FILE or policy.mode.rank < Mode.APPROVE.rank:
        return _MadePlans(_plan_standing(policy, Place.AS_WRITTEN, policy.mode), policy)
    word = next((one for one in words if one.spec_hash == policy.spec_hash), None)
    if word is not None:
        mode = _lower(policy.mode, word.mode)
        notice = f"promoted to {mode.value} only; for more: {command} --to {policy.mode.value}"
        standing = _plan_standing(policy, Place.PROMOTED, mode, "" if mode is policy.mode else notice)
        return _MadePlans(replace(standing, promotion=word), in_mode(policy, mode))
    before = _compiled_plans(words[0].document) if words else None
    if before is None or before.key != policy.key:
        notice = f"not promoted, runs as dry-run; promote with: {command}"
        standing = _plan_standing(policy, Place.UNPROMOTED, Mode.DRY_RUN, notice)
        return _MadePlans(standing, in_mode(policy, Mode.DRY_RUN))
    mode, shadow = _lower(policy.mode, words[0].mode), as_shadow(policy)
    notice = f"edited: {before.spec_hash[:8]} acts on, {policy.spec_hash[:8]} is only told; promote with: {command}"
    standing = replace(
        _plan_standing(policy, Place.EDITED, mode, notice),
        promotion=words[0],
        acting_hash=before.spec_hash,
        shadow=shadow.key,
    )
    return _MadePlans(standing, in_mode(replace(before, origin=f"promoted by {words[0].by}"), mode), shadow)


def _plan_standing(policy: PlanPolicy, place: Place, mode: Mode, notice: str = "") -> Standing:
    return Standing(
        policy=policy.key,
        place=place,
        asked=policy.mode,
        mode=mode,
        spec_hash=policy.spec_hash,
        acting_hash=policy.spec_hash,
        notice=notice,
    )


def _compiled_plans(document: str) -> PlanPolicy | None:
    try:
        policy = recompile(document)
    except InvalidPolicy:
        return None
    return policy if isinstance(policy, PlanPolicy) else None


def _with_plans(policies: PolicySet, plans: tuple[PlanPolicy, ...]) -> PolicySet:
    ordered = tuple(sorted(plans, key=lambda policy: policy.key))
    said = "\n".join((policies.digest, *(f"{one.key} {one.digest}" for one in ordered)))
    return replace(policies, plans=ordered, digest=digest(said) if ordered else policies.digest)


def standing_words(promotions: Iterable[Promotion]) -> dict[PolicyKey, tuple[Promotion, ...]]:
    """Return the promotions that hold, by policy, the newest first: one that takes back takes back all before it."""
    words: dict[PolicyKey, tuple[Promotion, ...]] = {}
    for one in promotions:
        before = words.get(one.policy, ())
        words[one.policy] = (one, *before) if one.mode.rank >= Mode.APPROVE.rank else ()
    return words


def word_for(policy: ScalingPolicy, words: Sequence[Promotion]) -> Promotion | None:
    """Return the newest word for a spec. words: of its policy, the newest first.

    A document of an older program has not the fields that came since: compiled again it may be the same spec.
    """
    direct = next((one for one in words if one.spec_hash == policy.spec_hash), None)
    if direct is not None:
        return direct
    return next((one for one in words if _compiled_hash(one) == policy.spec_hash), None)


def _of(policy: ScalingPolicy, words: Sequence[Promotion], gate: Gate) -> _Made:
    if policy.candidate_for:
        notice = f"runs in the shadow of {policy.candidate_for.rpartition('/')[2]}, and never acts"
        return _as_it_is(policy, Place.CANDIDATE, notice)
    if gate is Gate.FILE or policy.mode.rank < Mode.APPROVE.rank:
        # lowering a mode never needs a word, and what acts no more need not be another version
        return _as_it_is(policy, Place.AS_WRITTEN, "")
    word = word_for(policy, words)
    if word is not None:
        return _promoted(policy, word)
    return _edited(policy, words[0]) if words else _unpromoted(policy)


def _as_it_is(policy: ScalingPolicy, place: Place, notice: str) -> _Made:
    return _Made(policy, _standing(policy, place, policy.reach, notice), policy)


def _promoted(policy: ScalingPolicy, word: Promotion) -> _Made:
    mode = _lower(policy.mode, word.mode)
    notice = ""
    if mode is not policy.mode:
        notice = f"promoted to {mode.value} only; for {policy.mode.value}: {_command(policy)} --to {policy.mode.value}"
    standing = replace(_standing(policy, Place.PROMOTED, mode, notice), promotion=word)
    return _Made(policy, standing, in_mode(policy, mode))


def _unpromoted(policy: ScalingPolicy, why: str = "not promoted") -> _Made:
    notice = f"{why}, runs as dry-run; promote with: {_command(policy)}"
    standing = _standing(policy, Place.UNPROMOTED, Mode.DRY_RUN, notice)
    return _Made(policy, standing, in_mode(policy, Mode.DRY_RUN))


def _edited(policy: ScalingPolicy, word: Promotion) -> _Made:
    """Let the version that was promoted last go on acting, and the edited one run beside it."""
    mode, shadow = _lower(policy.mode, word.mode), as_shadow(policy)
    standing = replace(
        _standing(policy, Place.EDITED, mode, ""), promotion=word, acting_hash=word.spec_hash, shadow=shadow.key
    )
    before, added = _bound_too(_compiled(word.document), policy)
    if isinstance(before, ScalingPolicy) and before.key == policy.key:
        acts = f"{word.spec_hash[:8]} acts on" + (f", held by {added} too" if added else "")
        notice = f"edited: {acts}, {policy.spec_hash[:8]} runs in its shadow; promote with: "
        before = in_mode(replace(before, origin=f"promoted by {word.by}"), mode)
        return _Made(policy, replace(standing, notice=notice + _command(policy)), before, shadow)
    # the name goes on in a mode that acts, so that nothing is handed back, and is held, so that nothing is done
    why = f"the promoted version {word.spec_hash[:8]} cannot be read by this program ({before})"
    standing = replace(
        standing,
        place=Place.HELD,
        mode=Mode.APPROVE,
        acting_hash=policy.spec_hash,
        notice=f"held: {why}; promote with: {_command(policy)}",
    )
    held = replace(in_mode(policy, Mode.APPROVE), target=_target_of(word, policy))
    return _Made(policy, standing, held, shadow, why)


def _one_actor(made: Sequence[_Made]) -> list[_Made]:
    """Let earlier versions go of targets that another policy acts on now; of several the newest word counts (S4)."""
    earlier = {Place.EDITED, Place.HELD}
    # on which targets a template acts is known where the workloads are: see expanding.py
    acting = [one for one in made if one.policy.reach.rank >= Mode.APPROVE.rank and one.policy.selection is None]
    taken = {one.policy.target.key for one in acting if one.standing.place not in earlier}
    let_go = set()
    for one in sorted((one for one in acting if one.standing.place in earlier), key=_word_at, reverse=True):
        if one.policy.target.key in taken:
            let_go.add(one.standing.policy)
        taken.add(one.policy.target.key)
    return [_let_go(one) if one.standing.policy in let_go else one for one in made]


def _word_at(one: _Made) -> float:
    return 0.0 if one.standing.promotion is None else one.standing.promotion.at


def _let_go(one: _Made) -> _Made:
    hashed = "" if one.standing.promotion is None else one.standing.promotion.spec_hash[:8]
    return _unpromoted(one.loaded, f"not promoted, and {one.policy.target} is another policy's now ({hashed} let go)")


def _standing(policy: ScalingPolicy, place: Place, mode: Mode, notice: str) -> Standing:
    return Standing(
        policy=policy.key,
        place=place,
        asked=policy.mode,
        mode=mode,
        spec_hash=policy.spec_hash,
        acting_hash=policy.spec_hash,
        notice=notice,
    )


def _command(policy: ScalingPolicy) -> str:
    _, namespace, name = policy.key.split("/")
    return f"aiops policy promote {namespace}/{name}"


def _lower(one: Mode, other: Mode) -> Mode:
    return min(one, other, key=lambda mode: mode.rank)


def _bound_too(before: ScalingPolicy | str, loaded: ScalingPolicy) -> tuple[ScalingPolicy | str, str]:
    """Return a promoted version that the loaded one's change freezes bind, too, and which were added to it (S9).

    A freeze binds once it is loaded and waits for nobody's word; one that was taken away or made shorter stands until
    that is promoted. It stands in the document and the digest: what is recorded and replayed is what held.
    """
    if not isinstance(before, ScalingPolicy):
        return before, ""
    known = _freezes(before.document)
    added = [one for one in _freezes(loaded.document) if one not in known]
    if not added:
        return before, ""
    whole = json.loads(before.document)
    whole["spec"]["freezes"] = [*known, *added]
    names = ", ".join(str(one["name"]) for one in added)
    return _compiled(json.dumps(whole)), f"the new freeze{'s' if len(added) > 1 else ''} {names}"


def _freezes(document: str) -> list[dict[str, object]]:
    """Return the change freezes of a canonical document: the same freeze is the same data."""
    return list(json.loads(document)["spec"]["freezes"])


def _compiled(document: str) -> ScalingPolicy | str:
    """Return the policy of a stored document, or why this program does not take it."""
    try:
        policy = recompile(document)
    except InvalidPolicy as err:
        return "; ".join(problem.message for problem in err.problems)
    return policy if isinstance(policy, ScalingPolicy) else f"{policy.key} is no ScalingPolicy"


def _compiled_hash(word: Promotion) -> str:
    policy = _compiled(word.document)
    return policy.spec_hash if isinstance(policy, ScalingPolicy) else ""


def _target_of(word: Promotion, policy: ScalingPolicy) -> TargetRef:
    """Return what the promoted document acts on, as far as it can be read: what stands there is not handed back."""
    try:
        said = json.loads(word.document)["spec"]["target"]
        if said.get("selector") is not None:
            return policy.target
        return TargetRef(
            cluster=str(said.get("cluster", policy.target.cluster)),
            namespace=policy.target.namespace,
            api_version=str(said.get("apiVersion", policy.target.api_version)),
            kind=str(said.get("kind", policy.target.kind)),
            name=str(said["name"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return policy.target


def _set(base: PolicySet, scaling: Iterable[ScalingPolicy], watches: tuple[WatchPolicy, ...]) -> PolicySet:
    ordered = sorted(scaling, key=lambda policy: policy.key)
    parts = [f"{policy.key} {policy.digest} {policy.target.key}" for policy in ordered]
    parts += [f"{watch.key} {watch.digest}" for watch in watches]
    parts += [f"{budget.key} {budget.digest}" for budget in base.budgets]
    return replace(
        base,
        digest=digest("\n".join(parts)),
        scaling=tuple(one for one in ordered if one.selection is None),
        templates=tuple(one for one in ordered if one.selection is not None),
        watches=watches,
    )
