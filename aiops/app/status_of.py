"""What a resource's status says: conditions as an HPA has them, and where its policy stands. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiops.app.merging import Merged, Policy
from aiops.app.promotion import Place
from aiops.app.promotion import Standing as Promoted
from aiops.app.resources import Entry
from aiops.core.model import Ask, BudgetStanding, Clamp, Decision, Deny, Instant, Mode, PolicyKey, Reason, Wait
from aiops.core.policies import CostBudget, ScalingPolicy, WatchPolicy
from aiops.core.versions import member_key, spec_hash
from aiops.errors import Problem
from aiops.policy.expansion import Expanded

Status = dict[str, Any]
PROBLEMS_SHOWN = 10
MESSAGE_MOST = 4000

ABLE, ACTING, LIMITED = "AbleToAct", "Acting", "ScalingLimited"
SAID_BY: Mapping[Reason, str] = {
    **dict.fromkeys(
        (
            Reason.NOT_LEADER,
            Reason.UNFENCED,
            Reason.STORE_UNAVAILABLE,
            Reason.CLUSTER_UNAVAILABLE,
            Reason.PROTECTED,
            Reason.NOT_OPTED_IN,
            Reason.UNKNOWN_TARGET,
            Reason.PARTITIONED,
            Reason.NO_WITNESS,
            Reason.API_DOWN,
            Reason.INCONCLUSIVE,
            Reason.STANDBY_SICK,
            Reason.STANDBY_SMALL,
            Reason.REPLICATION_LAG,
            Reason.REGION_NOT_ALLOWED,
            Reason.NOT_UNDOABLE,
            Reason.EXHAUSTED,
            Reason.SCALE_IN_NOT_ALLOWED,
            Reason.OWNED,
            Reason.MANUAL_OVERRIDE,
            Reason.SWITCHED_OFF,
            Reason.SCALING_INACTIVE,
            Reason.NO_PERMISSION,
            Reason.UNDECLARED,
            Reason.NOT_SYNCED,
            Reason.PROPOSED,
            Reason.PUSH_REFUSED,
            Reason.REPOSITORY_UNAVAILABLE,
            Reason.REFUSED,
            Reason.EXPIRED,
            Reason.BUG,
        ),
        ABLE,
    ),
    **dict.fromkeys(
        (
            Reason.ABSENT_SIGNAL,
            Reason.EMPTY_SIGNAL,
            Reason.NAN_SIGNAL,
            Reason.STALE_SIGNAL,
            Reason.PARTIAL_SIGNAL,
            Reason.FAILED_SIGNAL,
            Reason.CENSORED_DEMAND,
            Reason.MODE_OBSERVE,
            Reason.DRY_RUN_SETTLED,
            Reason.APPROVAL_NEEDED,
            Reason.APPROVAL_REJECTED,
            Reason.PAUSED,
        ),
        ACTING,
    ),
    **dict.fromkeys(
        (
            Reason.FROZEN,
            Reason.GUARDRAIL,
            Reason.GUARDRAIL_UNDECIDED,
            Reason.UPSTREAM_OUTAGE,
            Reason.BOUNDS,
            Reason.OUT_OF_RANGE,
            Reason.TOLERANCE,
            Reason.STABILISATION,
            Reason.MOVED_LATELY,
            Reason.NOT_WELL_LONG_ENOUGH,
            Reason.STORM,
            Reason.BREAKER_OPEN,
            Reason.BACK_OFF,
            Reason.RATE,
            Reason.COOLDOWN,
            Reason.BUDGET,
            Reason.COST_BUDGET,
            Reason.DISRUPTION_BUDGET,
            Reason.IN_FLIGHT,
            Reason.KNOWN_CAUSE,
            Reason.ROLLOUT,
        ),
        LIMITED,
    ),
}
"""The condition that a reason turns: whether it may act at all, whether it acts now, whether a change was limited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where the loop stands. decided: the last decision of each policy; since: the one since which nothing changed.

    findings: of each WatchPolicy, how many series are out of the ordinary. promoted: where policies stand by promotion.
    expanded: who the members of templates are. budgets: how each CostBudget stands.
    """

    ceiling: Mode
    in_force: Mapping[str, Policy]
    decided: Mapping[str, Decision]
    since: Mapping[str, tuple[str, Instant]]
    findings: Mapping[str, int]
    promoted: Mapping[str, Promoted] = field(default_factory=dict)
    expanded: Expanded | None = None
    budgets: Mapping[str, BudgetStanding] = field(default_factory=dict)

    def members(self, policy: ScalingPolicy) -> list[PolicyKey]:
        """Return the keys of what a template was made into."""
        made = None if self.expanded is None else self.expanded.memberships.get(policy.key)
        return [] if made is None else [member_key(policy.key, name) for name in made.members]

    def held(self, policy: ScalingPolicy) -> str:
        """Return why nothing of a template may change, '' for everything else."""
        made = None if self.expanded is None else self.expanded.memberships.get(policy.key)
        return "" if made is None else made.held


@dataclass(frozen=True, slots=True)
class _Said:
    """One condition, before it is known since when it holds."""

    kind: str
    holds: bool
    reason: str
    message: str


def status_of(entry: Entry, made: Merged, standing: Standing, now: Instant) -> Status:
    """Return the whole status of a resource, its conditions with the times of those that stand there already."""
    resource = entry.resource
    policy = standing.in_force.get(resource.key)
    if policy is not None and policy.origin != entry.origin:
        policy = None
    conflict = made.conflicts.get((entry.origin, resource.key))
    status: Status = {"observedGeneration": resource.generation}
    if entry.accepted:
        status["acceptedGeneration"] = entry.accepted
    valid = _valid(entry, conflict, standing.promoted.get(resource.key))
    said = [valid]
    if policy is not None:
        status |= {"digest": policy.digest, "specHash": _hash(policy)}
    if isinstance(policy, WatchPolicy):
        status["findings"] = standing.findings.get(resource.key, 0)
    if isinstance(policy, CostBudget) and policy.key in standing.budgets:
        status |= _burns(standing.budgets[policy.key])
    if isinstance(policy, ScalingPolicy):
        held = made.held.get(policy.key, "") or standing.held(policy)
        status |= _stands(policy, standing) if policy.selection is None else _selects(policy, standing)
        decided, why = _told(policy, standing)
        said += _conditions(policy, held, standing, (decided, why))
    elif policy is None and resource.kind == "ScalingPolicy":
        nothing = "nothing is in force of it"
        said += [_Said(ABLE, False, valid.reason, nothing), _Said(ACTING, False, valid.reason, nothing)]
        said.append(_Said(LIMITED, False, valid.reason, nothing))
    status["conditions"] = [_since(one, resource.status, resource.generation, now) for one in said]
    return status


def _burns(stands: BudgetStanding) -> Status:
    """Return how a budget stands: whole cents and percents, so that not every turn is worth a write."""
    made: Status = {"spent": round(stands.spent, 2)}
    if stands.projected is not None:
        made |= {"projected": round(stands.projected, 2), "ratio": f"{stands.ratio or 0.0:.0%}"}
    return made


def significant(status: Mapping[str, Any]) -> Status:
    """Return what of a status is worth a write: not the numbers in sentences, not the id of the same decision again."""
    kept = {
        key: value for key, value in status.items() if key not in ("conditions", "lastDecision", "lastDecisionTime")
    }
    conditions = {}
    for one in status.get("conditions") or ():
        known = one["message"] if one["type"] == "Valid" else ""
        conditions[one["type"]] = (one["status"], one["reason"], known)
    return {**kept, "conditions": conditions}


def urgent(status: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """Return whether whoever wrote the resource waits for this: its generation, its validity, its first verdict."""
    mine, other = significant(status), significant(before)
    generation = mine.get("observedGeneration") != other.get("observedGeneration")
    validity = mine["conditions"].get("Valid") != other["conditions"].get("Valid")
    return generation or validity or ("verdict" in mine) != ("verdict" in other)


def _hash(policy: Policy) -> str:
    return policy.spec_hash if isinstance(policy, ScalingPolicy) else spec_hash(policy.document)


def _valid(entry: Entry, conflict: Problem | None, promoted: Promoted | None) -> _Said:
    goes_on = f"generation {entry.accepted} goes on" if entry.accepted else "nothing is in force of it"
    if entry.problems:
        return _Said("Valid", False, "Invalid", f"{_sentences(entry.problems)}; {goes_on}")
    if conflict is not None:
        return _Said("Valid", False, "Conflict", f"{_sentence(conflict)}; until then nothing is changed")
    generation = f"generation {entry.resource.generation}"
    if promoted is not None and promoted.place in (Place.EDITED, Place.HELD) and promoted.promotion is not None:
        # what acts, or is held, under its name is the version that was promoted last (S6)
        said = f"{generation} runs in the shadow of {promoted.promotion.spec_hash[:8]}"
        return _Said("Valid", True, "Accepted", said)
    return _Said("Valid", True, "Accepted", f"{generation} is in force")


def _stands(policy: ScalingPolicy, standing: Standing) -> Status:
    status: Status = {"mode": _mode(policy, standing).value}
    decision = standing.decided.get(policy.key)
    if decision is None:
        return status
    verdict = decision.verdict
    status["verdict"] = "bug" if decision.word is None else decision.word.value
    if verdict is not None:
        status |= {"currentReplicas": verdict.change.before, "wantedReplicas": verdict.proposal.change.after}
    last, at = standing.since.get(policy.key, (decision.id, decision.at))
    return status | {"lastDecision": last, "lastDecisionTime": rfc3339(at)}


def _selects(policy: ScalingPolicy, standing: Standing) -> Status:
    """Return where a template stands: its members together."""
    keys = standing.members(policy)
    verdicts = [one.verdict for key in keys if (one := standing.decided.get(key)) is not None]
    known = [one for one in verdicts if one is not None]
    status: Status = {"mode": _mode(policy, standing).value, "targets": len(keys)}
    if known:
        status |= {
            "currentReplicas": sum(one.change.before for one in known),
            "wantedReplicas": sum(one.proposal.change.after for one in known),
        }
    return status


def _told(policy: ScalingPolicy, standing: Standing) -> tuple[Decision | None, str]:
    """Return the decision that speaks for a policy, and of which target; a template's is that of who is bound most."""
    if policy.selection is None:
        return standing.decided.get(policy.key), ""
    found = [one for key in standing.members(policy) if (one := standing.decided.get(key)) is not None]
    bound = [one for one in found if _bound(one)[0] is not None]
    decision = next(iter((*bound, *found)), None)
    return decision, "" if decision is None else f"{decision.target}: "


def _mode(policy: ScalingPolicy, standing: Standing) -> Mode:
    promoted = standing.promoted.get(policy.key)
    mode = policy.reach if promoted is None else promoted.mode
    return min(mode, standing.ceiling, key=lambda mode: mode.rank)


def _conditions(policy: ScalingPolicy, held: str, standing: Standing, told: tuple[Decision | None, str]) -> list[_Said]:
    decision, whose = told
    if decision is None:
        waiting = "there was no turn yet" if policy.selection is None else "nobody that it selects was decided for yet"
        word, why = ("Held", held) if held else ("NotYetDecided", waiting)
        return [_Said(kind, False, word, why) for kind in (ABLE, ACTING, LIMITED)]
    reason, detail = _bound(decision)
    detail = f"{whose}{detail}"
    by = None if reason is None else SAID_BY[reason]
    able = _Said(ABLE, True, "ReadyToAct", "it may act when it must")
    limited = _Said(LIMITED, False, "NotLimited", "no change was limited")
    mode = _mode(policy, standing)
    acts = mode.rank >= Mode.APPROVE.rank
    acting = _Said(ACTING, acts, camel(mode.value), f"mode {mode.value}: " + ("it acts" if acts else "nothing is sent"))
    promoted = standing.promoted.get(policy.key)
    if promoted is not None and promoted.notice:
        word = mode if acts else promoted.place
        acting = _Said(ACTING, acts, camel(word.value), promoted.notice)
    if reason is not None and by == ABLE:
        able = _Said(ABLE, False, camel(reason.value), detail)
    if reason is not None and by == ACTING and acts:
        acting = _Said(ACTING, False, camel(reason.value), detail)
    if reason is not None and by == LIMITED:
        limited = _Said(LIMITED, True, camel(reason.value), detail)
    if held:
        acting = _Said(ACTING, False, "Held", held)
    return [able, acting, limited]


def _bound(decision: Decision) -> tuple[Reason | None, str]:
    """Return why a decision was not what the policy wished for."""
    if decision.judgement is not None:
        return decision.judgement.reason, decision.judgement.detail
    if decision.verdict is None:
        return Reason.BUG, decision.story
    binding = decision.verdict.binding
    ruling = None if binding is None else binding.ruling
    return (ruling.reason, ruling.detail) if isinstance(ruling, Clamp | Wait | Ask | Deny) else (None, "")


def _since(said: _Said, before: Mapping[str, Any], generation: int, now: Instant) -> Status:
    word = "True" if said.holds else "False"
    old: Mapping[str, Any] = next((one for one in before.get("conditions") or () if one.get("type") == said.kind), {})
    same = old.get("status") == word and old.get("lastTransitionTime")
    return {
        "type": said.kind,
        "status": word,
        "observedGeneration": generation,
        "lastTransitionTime": old["lastTransitionTime"] if same else rfc3339(now),
        "reason": said.reason,
        "message": said.message[:MESSAGE_MOST],
    }


def _sentences(problems: Sequence[Problem]) -> str:
    shown = [_sentence(problem) for problem in problems[:PROBLEMS_SHOWN]]
    more = len(problems) - len(shown)
    return "; ".join([*shown, f"and {more} more"] if more else shown)


def _sentence(problem: Problem) -> str:
    field = f"{problem.field}: " if problem.field else ""
    return f"{field}{problem.message}" + (f" ({problem.hint})" if problem.hint else "")


def camel(word: str) -> str:
    """Return a code as conditions write it.

    >>> camel("not_opted_in"), camel("dry-run")
    ('NotOptedIn', 'DryRun')
    """
    return "".join(part.capitalize() for part in word.replace("-", "_").split("_"))


def rfc3339(at: Instant) -> str:
    """Return an instant as Kubernetes writes it, in whole seconds."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
