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

Asked: TypeAlias = tuple[tuple[int, str, Guard], ...]
"""Guards with their names and their places in the chain."""


def _asked(passed_by: frozenset[str]) -> tuple[Asked, ...]:
    """Return, by a place in the chain, those from there on that are not passed by."""
    every = [(place, name, guard) for place, (name, guard) in enumerate(CHAIN) if name not in passed_by]
    return tuple(tuple(one for one in every if one[0] >= start) for start in range(len(CHAIN) + 1))


_RESTING, _GROWING, _SHRINKING = _asked(OF_CHANGES), _asked(OF_SCALE_IN), _asked(frozenset())

_STOPS = (Wait, Deny, Ask)
_DRY_RUN = Mode.DRY_RUN
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
    left, place = True, 0
    while True:
        delta = wish.delta
        asked = _SHRINKING if delta < 0 else _GROWING if delta else _RESTING
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


def _passed(wish: Wish, ctx: GuardContext, asked: Asked, rulings: list[Ruled]) -> tuple[int, str, Ruling] | None:
    """Add what passes to the rulings; return the place after the first that does not, its guard and it; or None."""
    after = wish.after
    for place, name, guard in asked:
        ruling = guard(wish, ctx)
        if ruling is None:
            continue
        if type(ruling) is not Pass:
            return place + 1, name, ruling
        rulings.append(_ruled(guard=name, ruling=ruling, after=after))
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
