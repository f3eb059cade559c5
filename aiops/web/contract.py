"""What the web asks of the application behind it."""

from __future__ import annotations

from typing import Any, Protocol

Plain = dict[str, Any]


class Answers(Protocol):
    """Plain data in, plain data out; raises AiopsError."""

    def status(self) -> Plain:
        """Return where the loop stands."""
        ...

    def brief(self) -> Plain:
        """Return where the loop stands, without its targets."""
        ...

    def decisions(self, asked: Plain) -> list[Plain]:
        """Return decisions, newest first. Fields: policy, verdict, reason, text, since, until, after, limit."""
        ...

    def decision(self, decision_id: str) -> Plain:
        """Return the whole story of one decision."""
        ...

    def replay(self, decision_id: str) -> Plain:
        """Make a stored decision again."""
        ...

    def series(self, policy: str, hours: float) -> Plain:
        """Return the curves of a policy."""
        ...

    def policies(self) -> list[Plain]:
        """Return every policy with what it decided last."""
        ...

    def timeline(self, policy: str, hours: float) -> Plain:
        """Return one policy over time: curves, wishes, anomalies, actions, and what is forecast."""
        ...

    def models(self) -> Plain:
        """Return what is forecast by which model, and how well."""
        ...

    def model_order(self, wish: Plain) -> Plain:
        """Promote a version of a policy's model, go back to the one before, or ask for a fit."""
        ...

    def groups(self) -> list[Plain]:
        """Return failover groups with the health of their sites as each vantage point sees it."""
        ...

    def findings(self, hours: float) -> Plain:
        """Return findings and incidents."""
        ...

    def incidents(self, hours: float) -> list[Plain]:
        """Return incidents with their suspects, newest first."""
        ...

    def incident(self, incident_id: str) -> Plain:
        """Return one incident with everything that is known of it."""
        ...

    def weekly(self, asked: Plain) -> Plain:
        """Return what a stretch of time was like. Fields: week, days."""
        ...

    def audit(self, asked: Plain) -> Plain:
        """Return records of the audit chain. Fields: before, limit, kind, by, subject, ref, since, until."""
        ...

    def audit_verify(self) -> Plain:
        """Check the whole audit chain."""
        ...

    def explain(self, series: str, at: float | None) -> Plain:
        """Return why a watched series was flagged, or was not: now, or at a time."""
        ...

    def alerts(self) -> Plain:
        """Return the alerts that Alertmanager told of."""
        ...

    def hear(self, message: Any) -> Plain:
        """Take a message of Alertmanager's webhook; raise InvalidInput when it is malformed."""
        ...

    def actions(self, limit: int, after: tuple[float, str] | None = None) -> list[Plain]:
        """Return actions with their outcomes, newest first. after: time and id of the one before the first."""
        ...

    def pauses(self) -> list[Plain]:
        """Return the pauses in force."""
        ...

    def pause(self, wish: Plain) -> Plain:
        """Begin a pause."""
        ...

    def resume(self, pause_id: str, by: str = "") -> Plain:
        """End a pause, or all with `*`."""
        ...

    def questions(self) -> list[Plain]:
        """Return what waits for a person's yes."""
        ...

    def answer(self, ask_id: str, wish: Plain) -> Plain:
        """Say yes or no."""
        ...

    def plans(self, asked: Plain) -> list[Plain]:
        """Return plans, newest first."""
        ...

    def plan(self, plan_id: str) -> Plain:
        """Return one plan whole."""
        ...

    def order(self, wish: Plain) -> Plain:
        """Say something to a plan, or to a policy of plans."""
        ...

    def sizes(self) -> list[Plain]:
        """Return what is recommended of requests and limits, container by container."""
        ...

    def costs(self, asked: Plain) -> Plain:
        """Return what was spent and saved, and how budgets stand."""
        ...

    def prices(self) -> Plain:
        """Return what is known of prices, how old it is and who says so."""
        ...

    def notices(self) -> Plain:
        """Return what people are still to be told, and how much nobody could be told of."""
        ...

    def rehearsals(self) -> Plain:
        """Return what can be rehearsed, and the rehearsals that are kept, newest first."""
        ...

    def rehearsal(self, rehearsal_id: str) -> Plain:
        """Return one rehearsal with what came of it."""
        ...

    def rehearse(self, wish: Plain) -> Plain:
        """Begin a rehearsal in the background."""
        ...

    def end_rehearsal(self, rehearsal_id: str) -> Plain:
        """Stop a rehearsal that waits or runs."""
        ...

    def report(self, rehearsal_id: str) -> str:
        """Return the report of a rehearsal, as HTML."""
        ...

    def effects(self) -> list[Plain]:
        """Return what is to be handed back."""
        ...

    def release(self, wish: Plain) -> Plain:
        """Pause and hand back."""
        ...

    def promotions(self) -> Plain:
        """Return who promoted what, and where policies stand."""
        ...

    def promote(self, wish: Plain) -> Plain:
        """Let a policy act up to a mode, or take that back."""
        ...

    def diff(self, asked: Plain) -> Plain:
        """Return where two versions of a policy would have differed."""
        ...

    def why(self, target: str) -> Plain:
        """Return what each policy of a target wants, and what binds it."""
        ...

    def whatif(self, wish: Plain) -> Plain:
        """Return what would be decided if something were otherwise; changes nothing."""
        ...

    def tokens(self) -> list[Plain]:
        """Return every bearer token, without what it is."""
        ...

    def create_token(self, wish: Plain) -> Plain:
        """Make a token, and return it this once."""
        ...

    def revoke_token(self, token: str, by: str) -> Plain:
        """Take a token back."""
        ...
