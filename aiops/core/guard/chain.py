"""The guards in their order; the first that stops a wish ends the chain."""

from __future__ import annotations

from typing import TypeAlias

from aiops.core.guard.arbiter import arbiter
from aiops.core.guard.ceiling import ceiling
from aiops.core.guard.context import Guard, GuardContext, Wish
from aiops.core.guard.declared import declared, declared_range, node_group
from aiops.core.guard.guardrails import guardrails
from aiops.core.guard.inputs import censored, freshness
from aiops.core.guard.limits import bounds, disruption, rate, stabilisation, tolerance
from aiops.core.guard.ownership import ownership, scale_in_allowed, scaling_active
from aiops.core.guard.pace import budget, cooldown, in_flight, rollout
from aiops.core.guard.people import approval, freeze, mode, pause, settled, switched_off
from aiops.core.guard.standing import cluster, leader, protected, store, target
from aiops.core.guard.upstream import upstream
from aiops.core.model import Ask, Clamp, Deny, Mode, Pass, Proposal, Ruled, Ruling, Verdict, Wait, with_after
from aiops.core.model.swift import making

CHAIN: tuple[tuple[str, Guard], ...] = (
    ("cluster", cluster),
    ("target", target),
    ("leader", leader),
    ("store", store),
    ("protected", protected),
    ("freshness", freshness),
    ("censored", censored),
    ("mode", mode),
    ("pause", pause),
    ("switched-off", switched_off),
    ("ownership", ownership),
    ("scaling-active", scaling_active),
    ("scale-in", scale_in_allowed),
    ("guardrails", guardrails),
    ("ceiling", ceiling),
    ("upstream", upstream),
    ("tolerance", tolerance),
    ("stabilisation", stabilisation),
    ("rate", rate),
    ("disruption", disruption),
    ("bounds", bounds),
    ("declared-range", declared_range),
    ("node-group", node_group),
    ("rollout", rollout),
    ("in-flight", in_flight),
    ("declared", declared),
    ("arbiter", arbiter),
    ("freeze", freeze),
    ("cooldown", cooldown),
    ("budget", budget),
    ("settled", settled),
    ("approval", approval),
)
"""Why this order: docs/decisions/0005-order-of-the-guards.md."""


STANDING = ("cluster", "target", "leader", "store", "protected", "mode", "pause", "switched-off", "ownership")
"""The guards that say whether a target may be written at all, whatever the change."""

OF_CHANGES = frozenset(name for name, _ in CHAIN) - {"cluster", "target", "freshness", "pause", "bounds"}
"""The guards that have nothing to say of a wish to stay, which is most wishes: they are not asked then."""

OF_SCALE_IN = frozenset({"censored", "scaling-active", "scale-in", "upstream", "disruption", "rollout"})
"""The guards that have nothing to say of a wish for more: they are not asked then."""

OF_EXTRAS = frozenset(
    {"guardrails", "ceiling", "declared-range", "node-group", "declared", "arbiter", "settled", "approval"}
)
"""The guards that have nothing to say where nothing is there that they look at (`plain`): they are not asked then."""

Asked: TypeAlias = tuple[tuple[int, str, Guard, dict[int, Ruled]], ...]
"""Guards with their names, their places in the chain, and what was recorded of them when they passed, by level."""

MOST_KEPT = 1024
"""So many levels are kept of each guard."""

Tables: TypeAlias = tuple[tuple[Asked, ...], tuple[Asked, ...], tuple[Asked, ...]]
"""Who is asked of a wish to stay, for more, and for fewer: of each, by a place in the chain, those from there on."""


def _asked(passed_by: frozenset[str]) -> tuple[Asked, ...]:
    """Return, by a place in the chain, those from there on that are not passed by."""
    every: Asked = tuple((place, *one, {}) for place, one in enumerate(CHAIN) if one[0] not in passed_by)
    return tuple(tuple(one for one in every if one[0] >= start) for start in range(len(CHAIN) + 1))


def _tables(passed_by: frozenset[str]) -> Tables:
    return _asked(OF_CHANGES | passed_by), _asked(OF_SCALE_IN | passed_by), _asked(passed_by)


_WHOLE, _PLAIN = _tables(frozenset()), _tables(OF_EXTRAS)
_STOPS = (Wait, Deny, Ask)
_DRY_RUN, _ENFORCE = Mode.DRY_RUN, Mode.ENFORCE
_ruled, _verdict = making(Ruled), making(Verdict)


def may_write(proposal: Proposal, ctx: GuardContext) -> bool:
    """Return whether a target may be written at all: what a leader may stamp with its epoch (S6)."""
    wish = Wish(proposal, proposal.change.before + 1)
    rulings = (guard(wish, ctx) for name, guard in CHAIN if name in STANDING)
    return not any(isinstance(ruling, Wait | Deny) for ruling in rulings)


def verdict(proposal: Proposal, ctx: GuardContext) -> Verdict:
    """Return the proposal with the rulings on it, and what is left of its change: all, part or nothing."""
    before = proposal.change.before
    wish = Wish(proposal, proposal.change.after)
    rulings: list[Ruled] = []
    resting, growing, shrinking = _PLAIN if plain(ctx) else _WHOLE
    left, place = True, 0
    while True:
        delta = wish.delta
        asked = shrinking if delta < 0 else growing if delta else resting
        bound = _passed(wish, ctx, asked[place], rulings)
        if bound is None:
            break
        place, name, ruling = bound
        if isinstance(ruling, Clamp):
            wish = Wish(proposal, ruling.after)
        rulings.append(_ruled(guard=name, ruling=ruling, after=wish.after))
        kind = type(ruling)
        if wish.delta and not delta:
            # a wish to stay that bounds made a change: those who were passed by have not been asked (S2, S3, S6)
            held = _held(wish, ctx, name)
            if held is not None:
                rulings.append(held)
                kind = type(held.ruling)
        if kind in _STOPS:
            left = kind is Ask
            break
    return _verdict(
        proposal=proposal,
        rulings=tuple(rulings),
        change=with_after(proposal.change, wish.after if left else before),
        dry_run=ctx.mode is _DRY_RUN,
    )


def plain(ctx: GuardContext) -> bool:
    """Return whether it acts by itself: no guardrails, budgets, plans at work, a file in Git or a group of nodes."""
    workload = ctx.workload
    acts = ctx.mode is _ENFORCE and not (ctx.allowances or ctx.plans or ctx.policy.guardrails)
    return acts and (workload is None or not (workload.declared or workload.nodes is not None))


def _passed(wish: Wish, ctx: GuardContext, asked: Asked, rulings: list[Ruled]) -> tuple[int, str, Ruling] | None:
    """Add what passes to the rulings; return the place after the first that does not, its guard and it; or None."""
    after = wish.after
    for place, name, guard, kept in asked:
        ruling = guard(wish, ctx)
        if ruling is None:
            continue
        if type(ruling) is not Pass:
            return place + 1, name, ruling
        # thousands pass in the same words: one record of it serves them all
        ruled = kept.get(after)
        if ruled is None or ruled.ruling is not ruling:
            if len(kept) >= MOST_KEPT:
                kept.clear()
            ruled = kept[after] = _ruled(guard=name, ruling=ruling, after=after)
        rulings.append(ruled)
    return None


def _held(wish: Wish, ctx: GuardContext, until: str) -> Ruled | None:
    """Return the first ruling before guard `until` that stops a wish, None when none does."""
    for name, guard in CHAIN:
        if name == until:
            return None
        ruling = guard(wish, ctx)
        if isinstance(ruling, _STOPS):
            return Ruled(guard=name, ruling=ruling, after=wish.after)
    return None
