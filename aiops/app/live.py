"""What a running daemon knows beyond its record."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import aiops
from aiops.app import explaining, modelling, pricelist, pricing, sizes, viewing
from aiops.app.asking import Known, names
from aiops.app.auditing import model_ordered
from aiops.app.rehearsals import Given
from aiops.app.service import Service
from aiops.app.versions import Terms, stands
from aiops.app.wiring import Built
from aiops.core.membership import Membership
from aiops.core.model import Forecast, Leadership
from aiops.core.planning.cost_rightsize import RightsizePolicy
from aiops.core.policies import ScalingPolicy
from aiops.core.versions import is_member, template_key
from aiops.errors import NotFound
from aiops.policy.expansion import Expanded


class LiveService(Service):
    """The service of a running daemon."""

    def __init__(self, built: Built, heard: Callable[[], None] = lambda: None) -> None:
        """Take what the daemon is made of. heard: is called when a person has paused or resumed something."""
        settings = built.settings
        super().__init__(built.store, Terms(step_s=settings.step, needed_s=settings.promotion.evidence_for))
        self._built = built
        self._heard = heard
        history = settings.prometheus
        self.stage.given = Given(
            own=settings.policies,
            prometheus=None if built.world.virtual else history,
            documents=lambda: {one.key: one.document for one in built.policies.current().scaling},
        )

    def now(self) -> float:
        """Return the time of the last tick, or the present."""
        last = self._built.loop.last
        return self._built.world.present() if last is None else last.at

    def policies(self) -> list[dict[str, Any]]:
        """Return every policy in force, with what it decided last."""
        tick = self._built.loop.last
        every = {policy.key: _mode(policy) for policy in self._built.policies.current().every}
        rows = [*self._targets(shadows=False), *({**one, "shadow": True} for one in self._targets(shadows=True))]
        return viewing.listed(rows, every, None if tick is None else tick.at)

    def foreseen(self, policy: str) -> Forecast | None:
        """Return the forecast from which a policy decided last."""
        inputs = self._built.loop.seen.get(policy)
        return None if inputs is None else inputs.forecast

    def models(self) -> dict[str, Any]:
        """Return what is forecast by which model, and how well."""
        with self._built.lock:
            return {"models": modelling.models(self._built.loop.seen, self._built.loop.bank.lineages)}

    def model_order(self, wish: dict[str, Any]) -> dict[str, Any]:
        """Do what a person says to a policy's model; see `modelling.order` for the fields."""
        with self._built.lock:
            made = modelling.order(self._built.loop.bank.lineages, wish, self.now())
        self.store.audit.note(model_ordered(wish, made, time.time()))
        return made

    def sizes(self) -> list[dict[str, Any]]:
        """Return what is recommended of requests and limits now."""
        seen, plans = self._built.loop.seen, self._built.policies.current().plans
        return sizes.rows((one, seen[one.key]) for one in plans if isinstance(one, RightsizePolicy) and one.key in seen)

    def groups(self) -> list[dict[str, Any]]:
        """Return failover groups with the health of their sites now."""
        return viewing.groups(self._built.loop.state.groups)

    def pause(self, wish: dict[str, Any]) -> dict[str, Any]:
        """Begin a pause, and tell who reads live."""
        begun = super().pause(wish)
        self._heard()
        return begun

    def resume(self, pause_id: str, by: str = "") -> dict[str, Any]:
        """End a pause, or all with `*`, and tell who reads live."""
        ended = super().resume(pause_id, by)
        self._heard()
        return ended

    def explain(self, series: str, at: float | None) -> dict[str, Any]:
        """Return why a watched series is flagged now, or is not; at another time, as the record has it."""
        if at is None:
            built, last = self._built, self._built.loop.last
            with built.lock:
                found = explaining.now(built.loop.bank, series, () if last is None else last.findings)
            if found is None and last is not None:
                found = explaining.elsewhere(built.loop.ports.engine.look, series, last.findings)
            if found is not None:
                return found
        try:
            return super().explain(series, at)
        except NotFound as err:
            if at is not None:
                raise
            raise NotFound(
                f"no series that is watched now has {series!r} in its name, nor has one in the record"
            ) from err

    def status(self) -> dict[str, Any]:
        """Return where the loop stands, with all of its targets."""
        policies = self._built.policies
        return {
            **self.brief(),
            "targets": self._targets(shadows=False),
            "shadows": self._targets(shadows=True),
            "standings": stands([*policies.standings.values()]),
            "templates": templates(policies.made),
        }

    def brief(self) -> dict[str, Any]:
        """Return where the loop stands, without its targets, of which there may be thousands."""
        built, tick = self._built, self._built.loop.last
        ledger = built.ledger
        policies = built.policies.current()
        return {
            "running": True,
            "version": aiops.__version__,
            "mode": built.settings.mode.value,
            "world": built.world.banner(),
            "virtual": built.world.virtual,
            "now": self.now(),
            "step_s": built.settings.step,
            "refresh_s": max(0.5, min(built.world.tick_every_s, 5.0)),
            "last_tick_at": None if tick is None else tick.at,
            "sentence": built.sentence,
            "held": built.loop.held,
            "leader": _leader(built.loop.leadership),
            "unhealthy": built.unhealthy(),
            "unready": [
                *built.unready(),
                *built.ties.unwell(),
                *pricing.unwell(built.world.prices),
                *(() if built.following is None else built.following.unwell()),
            ],
            "learnt": built.learnt,
            "policies": {"digest": policies.digest, "count": len(policies.every)},
            "problems": self._problems(),
            "findings": 0 if tick is None else len(tick.findings),
            "incidents": self.open_incidents(),
            "pauses": self.pauses(),
            "questions": self.questions(),
            "effects": len(built.loop.state.effects),
            "cost": {
                "actual_usd": ledger.actual_usd,
                "static_usd": ledger.static_usd,
                "saved_ratio": ledger.saved_ratio,
                "since": ledger.since,
            },
        }

    def prices(self) -> dict[str, Any]:
        """Return what was known of prices at the last tick."""
        last = self._built.loop.ports.prices
        if not isinstance(last, pricing.LastPrices):
            return super().prices()
        return pricelist.of_last(last, self.now(), self._built.settings.prices)

    def _problems(self) -> list[str]:
        """Return what is not in force, and why statuses of resources cannot be written."""
        statuses = self._built.statuses
        untold = [f"statuses are not written: {statuses.problem}"] if statuses is not None and statuses.problem else []
        return [*map(str, self._built.policies.problems), *untold]

    def promotions(self) -> dict[str, Any]:
        """Return who promoted what, and where policies stand."""
        return {**super().promotions(), "standings": stands([*self._built.policies.standings.values()])}

    def _known(self, target: str) -> Sequence[Known]:
        """Return what the loop decided from last; what the record knows while it has not decided yet."""
        policies = {policy.key: policy for policy in self._built.policies.current().scaling}
        standings = self._built.policies.standings
        found = []
        for key, inputs in self._built.loop.seen.items():
            policy = policies.get(key)
            if policy is None or policy.digest != inputs.policy_digest:
                continue  # another version is in force since
            called = (*names(key), *names(policy.candidate_for or key), *names(template_key(key)))
            if target in (str(policy.target), *called):
                promoted = template_key(key) if is_member(key) else key
                notice = standings[promoted].notice if promoted in standings else ""
                found.append(Known(policy=policy, inputs=inputs, notice=notice))
        return found or super()._known(target)

    def _targets(self, *, shadows: bool) -> list[dict[str, Any]]:
        tick = self._built.loop.last
        by_key = {policy.key: policy for policy in self._built.policies.current().scaling}
        decisions = () if tick is None else tick.decisions
        return [_target(one, by_key.get(one.policy)) for one in decisions if bool(one.candidate_for) is shadows]


def _leader(found: Leadership | None) -> dict[str, Any] | None:
    """Return who leads, as it was known in the last turn; None where nobody else could."""
    if found is None or not found.elected:
        return None
    return {"leads": found.leader, "holder": found.holder, "epoch": found.epoch}


def _mode(policy: Any) -> str:
    """Return how far a policy may go, '' for a kind that never acts."""
    return policy.reach.value if isinstance(policy, ScalingPolicy) else str(getattr(policy, "mode", ""))


def templates(made: Expanded) -> list[dict[str, Any]]:
    """Return the policies that select their targets: who belongs to each, who was left out, and whether it is held."""
    rows = []
    for one in made.policies.templates:
        now, selection = made.memberships.get(one.key, Membership()), one.selection
        rows.append(
            {
                "policy": one.key,
                "selector": "" if selection is None else str(selection.labels),
                "max_targets": 0 if selection is None else selection.max_targets,
                "targets": list(now.members),
                "waiting": list(now.waiting),
                "left_out": dict(made.left_out.get(one.key, {})),
                "held": now.held,
            }
        )
    return rows


def _target(decision: Any, policy: ScalingPolicy | None) -> dict[str, Any]:
    from aiops.adapters.store.rows import word

    verdict, sample = decision.verdict, decision.sample
    slo = None if policy is None else policy.objective.slo
    return {
        "policy": decision.policy,
        "target": str(decision.target),
        "decision": decision.id,
        "mode": None if policy is None else policy.reach.value,
        "story": decision.story,
        "verdict": word(decision),
        "current": None if verdict is None else verdict.change.before,
        "wanted": None if verdict is None else verdict.proposal.change.after,
        "ready": None if sample is None else sample.ready,
        "usd_per_hour": None if sample is None else sample.usd_per_hour,
        "unit": "" if policy is None else policy.signals[policy.objective.demand].unit,
        "slo": None if slo is None else {"signal": slo.signal, "at_most": slo.at_most},
        "signals": {s.name: {"state": s.state.value, "value": s.value if s.usable else None} for s in decision.signals},
    }
