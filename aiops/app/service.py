"""What people can ask and say, over HTTP and on the command line alike: plain data in, plain data out."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from aiops.app import asking, costing, explaining, plan_desk, pricelist, sizes, viewing
from aiops.app.asking import Known
from aiops.app.auditing import checked, listed
from aiops.app.noticed import waiting
from aiops.app.rehearsals import Rehearsals, beside
from aiops.app.replay import replay
from aiops.app.tokens import Tokens
from aiops.app.versions import Terms, Versions, word
from aiops.app.weekly import asked_of, weekly
from aiops.core.model import Approval, Direction, Effect, Forecast, IncidentState, Inputs, Pause
from aiops.core.policies import ScalingPolicy
from aiops.core.record.codec import from_text, to_jsonable
from aiops.core.record.story import Told, explanation
from aiops.errors import InvalidInput, NotFound
from aiops.policy import recompile

if TYPE_CHECKING:
    from aiops.adapters.store import Store, Stored

HOUR_S = 3600.0
LATELY_HOURS, SUSPECTS = 24.0, 3


class Service:
    """Answers from the store; a daemon adds what only it knows (see `LiveService`)."""

    def __init__(self, store: Store, terms: Terms | None = None) -> None:
        self.store = store
        self.versions = Versions(store, terms or Terms(), time.time)
        self.access = Tokens(store.access, time.time)
        self.stage = Rehearsals(beside(store.url))

    def now(self) -> float:
        """Return the loop's time: the last tick's, as the record has it."""
        last = self.store.reader.last_tick_at()
        return time.time() if last is None else last

    # -- looking ---------------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """Return where the loop stands, as the record shows it, with all of its targets."""
        names = ("policy", "target", "verdict", "reason", "before", "after", "story")
        return {**self.brief(), "targets": [{key: row[key] for key in names} for row in self.store.views.newest()]}

    def brief(self) -> dict[str, Any]:
        """Return where the loop stands, without its targets, of which there may be thousands."""
        stored = self.store.reader.status()
        return {
            "running": False,
            "last_tick_at": stored["last_tick_at"],
            "stored": stored["stored"],
            "bytes": self.store.used_bytes(),
            "incidents": self.open_incidents(),
            "pauses": self.pauses(),
            "questions": self.questions(),
            "effects": len(self.store.reader.effects()),
        }

    def decisions(self, asked: dict[str, Any]) -> list[dict[str, Any]]:
        """Return decisions, newest first; `asked` holds filters by name."""
        from aiops.adapters.store import Asked

        return self.store.reader.decisions(Asked(**{k: v for k, v in asked.items() if v is not None}))

    def decision(self, decision_id: str) -> dict[str, Any]:
        """Return the whole story of one decision: in words, and as data."""
        stored = self.store.reader.decision(decision_id)
        told = self._told(stored)
        return {
            "id": stored.decision.id,
            "text": explanation(told),
            "decision": to_jsonable(stored.decision),
            "until": stored.until,
            "ticks": stored.ticks,
            "action": None if stored.action is None else to_jsonable(stored.action),
            "outcome": None if stored.outcome is None else to_jsonable(stored.outcome),
            "unit": told.unit,
            "workload": None if told.workload is None else to_jsonable(told.workload),
            "forecast": None if told.forecast is None else to_jsonable(told.forecast),
        }

    def _told(self, stored: Stored) -> Told:
        decision = stored.decision
        told = Told(
            decision=decision,
            action=stored.action,
            outcome=stored.outcome,
            until=stored.until,
            ticks=stored.ticks,
        )
        try:
            inputs = from_text(self.store.reader.inputs(decision.id), Inputs)
            policy = recompile(self.store.reader.policy_document(decision.policy_digest))
        except (NotFound, ValueError):
            return told
        unit = policy.signals[policy.objective.demand].unit if isinstance(policy, ScalingPolicy) else ""
        workload = inputs.snapshot.workloads.get(decision.target.key)
        return replace(told, workload=workload, forecast=inputs.forecast, capacity=inputs.capacity, unit=unit)

    def replay(self, decision_id: str) -> dict[str, Any]:
        """Make a stored decision again, and say how far it agrees."""
        reader = self.store.reader
        decision = reader.decision(decision_id).decision
        found = replay(decision, reader.inputs(decision.id), reader.policy_document(decision.policy_digest))
        return {
            "id": found.decision_id,
            "agrees": found.agrees,
            "agreement": found.agreement.value,
            "differences": list(found.differences),
            "made_by": {"code": found.code, "platform": found.platform},
        }

    def series(self, policy: str, hours: float) -> dict[str, Any]:
        """Return the curves of a policy over the last hours."""
        now = self.now()
        return self.store.reader.series(policy, now - hours * HOUR_S, now)

    def policies(self) -> list[dict[str, Any]]:
        """Return every policy that ever decided, with its newest decision."""
        return viewing.policies(self.store)

    def timeline(self, policy: str, hours: float) -> dict[str, Any]:
        """Return one policy over the last hours: curves, wishes, anomalies and actions."""
        now = self.now()
        return viewing.timeline(self.store, policy, (now - hours * HOUR_S, now), self.foreseen(policy))

    def foreseen(self, policy: str) -> Forecast | None:
        """Return what is forecast for a policy now: the record alone does not know it."""
        return None

    def models(self) -> dict[str, Any]:
        """Return what is forecast by which model: the record alone does not know."""
        return {"models": []}

    def model_order(self, wish: dict[str, Any]) -> dict[str, Any]:
        """Refuse: models live in a running daemon."""
        raise InvalidInput(f"{wish.get('do')}: models live in a running daemon; ask it with --server")

    def sizes(self) -> list[dict[str, Any]]:
        """Return what is recommended of requests and limits, as it was when something last changed."""
        return sizes.recorded(self.store)

    def groups(self) -> list[dict[str, Any]]:
        """Return failover groups with the health of their sites, as they were last written."""
        return viewing.groups(self.store.views.groups())

    def findings(self, hours: float) -> dict[str, Any]:
        """Return findings and incidents of the last hours."""
        since = self.now() - hours * HOUR_S
        return {"findings": self.store.reader.findings(since), "incidents": self.store.reader.incidents(since)}

    def incidents(self, hours: float) -> list[dict[str, Any]]:
        """Return incidents of the last hours with their suspects, newest first."""
        return self.store.reader.incidents(self.now() - hours * HOUR_S)

    def open_incidents(self) -> list[dict[str, Any]]:
        """Return what goes on, in short."""
        rows = [row for row in self.incidents(LATELY_HOURS) if row["state"] == IncidentState.OPEN.value]
        names = ("id", "since", "kind", "series", "peak")
        return [
            {**{name: row[name] for name in names}, "suspects": [one["name"] for one in row["suspects"][:SUSPECTS]]}
            for row in rows
        ]

    def incident(self, incident_id: str) -> dict[str, Any]:
        """Return one incident with everything that is known of it."""
        return self.store.reader.incident(incident_id)

    def explain(self, series: str, at: float | None) -> dict[str, Any]:
        """Return why a watched series was flagged, as the record has it: the last time, or at a time."""
        return explaining.in_record(self.store, series, at)

    def alerts(self) -> dict[str, Any]:
        """Return the alerts that Alertmanager told of, the newest first."""
        return {"alerts": [to_jsonable(one) for one in self.store.alerts.newest()]}

    def hear(self, message: Any) -> dict[str, Any]:
        """Take a message of Alertmanager's webhook; raise InvalidInput when it is malformed."""
        from aiops.adapters.alertmanager import OWN, alerts_of

        return dict(self.store.alerts.note(alerts_of(message, time.time(), OWN)))

    def actions(self, limit: int, after: tuple[float, str] | None = None) -> list[dict[str, Any]]:
        """Return actions with their outcomes, newest first. after: time and id of the one before the first."""
        return self.store.reader.actions(limit, after)

    def weekly(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Return what a stretch of time was like; see `asked_of` for the fields."""
        return weekly(self.store, asked_of(asked, self.now(), self.versions.terms.step_s))

    def audit(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Return records of the audit chain, newest first; see `auditing.listed` for the fields."""
        return listed(self.store, asked)

    def audit_verify(self) -> dict[str, Any]:
        """Check the whole audit chain; signatures are checked where the keys are, on the command line."""
        return checked(self.store, (), None)

    # -- versions of policies ----------------------------------------------------------------------------

    def promotions(self) -> dict[str, Any]:
        """Return who promoted what; a daemon says where policies stand, too."""
        return {"standings": [], "promotions": self.versions.history()}

    def promote(self, wish: dict[str, Any]) -> dict[str, Any]:
        """Let a policy act up to a mode, or take that back; see `Versions.promote` for the fields."""
        return self.versions.promote(wish)

    def diff(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Return where two versions of a policy would have differed; see `Versions.diff` for the fields."""
        return self.versions.diff(asked)

    # -- asking about now --------------------------------------------------------------------------------

    def why(self, target: str) -> dict[str, Any]:
        """Return what each policy of a target wants, what binds it, and what would have to change for it to act."""
        return asking.why(self._known(target), target, self.now())

    def whatif(self, wish: dict[str, Any]) -> dict[str, Any]:
        """Return what would be decided if something were otherwise; see `asking.whatif` for the fields."""
        return asking.whatif(self._known(str(wish.get("target") or "")), wish, self.now())

    def _known(self, target: str) -> Sequence[Known]:
        return asking.in_record(self.store, target)

    # -- rehearsing --------------------------------------------------------------------------------------

    def rehearsals(self) -> dict[str, Any]:
        """Return what can be rehearsed, and the rehearsals that are kept, newest first."""
        return {"offered": self.stage.offered(), "jobs": self.stage.listed()}

    def rehearsal(self, rehearsal_id: str) -> dict[str, Any]:
        """Return one rehearsal with what came of it."""
        return self.stage.one(rehearsal_id)

    def rehearse(self, wish: dict[str, Any]) -> dict[str, Any]:
        """Begin a rehearsal; see `Rehearsals.begin` for the fields."""
        return self.stage.begin(wish)

    def end_rehearsal(self, rehearsal_id: str) -> dict[str, Any]:
        """Stop a rehearsal that waits or runs."""
        return self.stage.stop(rehearsal_id)

    def report(self, rehearsal_id: str) -> str:
        """Return the report of a rehearsal, as HTML."""
        return self.stage.report(rehearsal_id).read_text(encoding="utf-8")

    # -- saying ----------------------------------------------------------------------------------------

    def pauses(self) -> list[dict[str, Any]]:
        """Return the pauses in force."""
        return [_plain_pause(one) for one in self.store.people.pauses(time.time())]

    def pause(self, wish: dict[str, Any]) -> dict[str, Any]:
        """Begin a pause; see `pause_of` for the fields."""
        made = self.store.people.add_pause(pause_of(wish, time.time()))
        return {**_plain_pause(made), "blocks_wakes": plan_desk.wakes(self.store, made)}

    def resume(self, pause_id: str, by: str = "") -> dict[str, Any]:
        """End a pause, or all with `*`; by: who does."""
        return {"ended": self.store.people.end_pause(pause_id, time.time(), by)}

    def questions(self) -> list[dict[str, Any]]:
        """Return what waits for a person's yes."""
        now = self.now()
        answered = {one.ask_id for one in self.store.people.approvals(0.0)}
        scaling = [
            {"id": q.id, "policy": key, "after": q.after, "expires_at": q.expires_at}
            for key, state in self.store.views.asking().items()
            if (q := state.question) is not None and q.expires_at > now and q.id not in answered
        ]
        planned = plan_desk.questions(self.store, now)
        return [*scaling, *(one for one in planned if one["needed"] > 1 or one["id"] not in answered)]

    # -- plans -------------------------------------------------------------------------------------------

    def plans(self, asked: dict[str, Any]) -> list[dict[str, Any]]:
        """Return plans, newest first. Fields: policy, standing."""
        return plan_desk.listed(self.store, policy=str(asked.get("policy") or ""), standing=bool(asked.get("standing")))

    def plan(self, plan_id: str) -> dict[str, Any]:
        """Return one plan whole."""
        return plan_desk.shown(self.store, plan_id)

    def order(self, wish: dict[str, Any]) -> dict[str, Any]:
        """Say something to a plan, or to a policy of plans; see `plan_desk.order` for the fields."""
        return plan_desk.order(self.store, wish)

    def answer(self, ask_id: str, wish: dict[str, Any]) -> dict[str, Any]:
        """Say yes or no to a question."""
        open_ = {one["id"]: one for one in self.questions()}
        known = list(open_)
        matching = [one for one in known if one.startswith(ask_id.upper())]
        if len(matching) != 1:
            raise NotFound(f"there is no open question {ask_id}; open: {', '.join(known) or 'none'}")
        approval = Approval(
            ask_id=matching[0],
            approved=bool(wish.get("approved")),
            by=word(wish, "by"),
            at=time.time(),
            reason=str(wish.get("reason", "")),
        )
        self.store.people.answer(approval, several=open_[matching[0]].get("needed", 1) > 1)
        return asdict(approval)

    def costs(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Return what was spent and saved, and how budgets stand; see `costing.answered` for the fields."""
        return costing.answered(self.store, asked, self.now())

    def prices(self) -> dict[str, Any]:
        """Return that a record knows none: prices are read anew by whoever needs them."""
        return pricelist.unknown(self.now())

    def notices(self) -> dict[str, Any]:
        """Return what people are still to be told, and how much nobody could be told of."""
        return waiting(self.store)

    def effects(self) -> list[dict[str, Any]]:
        """Return what stands in the clusters until it is handed back (S9)."""
        return [*(_plain_effect(one) for one in self.store.reader.effects()), *plan_desk.effects(self.store)]

    def release(self, wish: dict[str, Any]) -> dict[str, Any]:
        """Pause a scope and hand back what stands there; the loop does it at its next tick (S9)."""
        reason = str(wish.get("reason") or "released")
        return self.pause({**wish, "release": True, "reason": reason, "direction": "all"})

    # -- access ----------------------------------------------------------------------------------------

    def tokens(self) -> list[dict[str, Any]]:
        """Return every bearer token, without what it is."""
        return self.access.listed()

    def create_token(self, wish: dict[str, Any]) -> dict[str, Any]:
        """Make a token, and return it this once; see `Tokens.create` for the fields."""
        return self.access.create(wish)

    def revoke_token(self, token: str, by: str) -> dict[str, Any]:
        """Take a token back."""
        return self.access.revoke(token, by)


def pause_of(wish: dict[str, Any], now: float) -> Pause:
    """Return the pause of a wish (scope, reason, by; direction, hold_at, for_s, release); raise InvalidInput."""
    try:
        direction = Direction(str(wish.get("direction") or "all"))
    except ValueError as err:
        raise InvalidInput(f"direction: {wish.get('direction')!r} is not one of all, in, out") from err
    for_s, hold_at = wish.get("for_s"), wish.get("hold_at")
    if for_s is not None and not (isinstance(for_s, int | float) and for_s > 0):
        raise InvalidInput(f"for_s: {for_s!r} is no time in seconds")
    if hold_at is not None and not (isinstance(hold_at, int) and hold_at >= 0):
        raise InvalidInput(f"hold_at: {hold_at!r} is no number of replicas")
    return Pause(
        id="",
        scope=word(wish, "scope"),
        direction=direction,
        reason=word(wish, "reason"),
        by=word(wish, "by"),
        since=now,
        until=math.inf if for_s is None else now + for_s,
        hold_at=hold_at,
        release=bool(wish.get("release")),
    )


def _plain_pause(one: Pause) -> dict[str, Any]:
    plain = asdict(one)
    plain["direction"] = one.direction.value
    plain["until"] = one.until if math.isfinite(one.until) else None
    return plain


def _plain_effect(one: Effect) -> dict[str, Any]:
    return {
        "policy": one.policy,
        "target": str(one.target),
        "object": f"{one.object.kind} {one.object}",
        "attribute": one.attribute,
        "original": one.original,
        "written": one.written,
        "since": one.since,
        "action": one.action_id,
        "hand_back": f"aiops release {one.target}",
    }
