"""Money: what was spent and saved, by team, namespace, policy, target, day and week; the ledger; budgets."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from aiops.web.contract import Answers, Plain
from aiops.web.models import LONGEST_NAME, MAYBE_PRINTABLE, Answer
from aiops.web.routes.resource import Resource

Days = Annotated[float, Query(gt=0, le=800, description="How many days back.")]
Word = Annotated[str, Query(max_length=LONGEST_NAME, pattern=MAYBE_PRINTABLE)]


class Costs(Answer):
    """Amounts are USD, null where unknown: a price or a time that is not known is no spend of nothing.

    saved: against an autoscaler without foresight, or what ran before a plan; realised: as far as node-hours were
    released; freed: the rest.
    """

    since: float
    until: float
    currency: str
    total: dict[str, Any]
    by: dict[str, list[dict[str, Any]]]
    days: list[dict[str, Any]]
    weeks: list[dict[str, Any]]
    nodes: list[dict[str, Any]]
    budgets: list[dict[str, Any]]
    ledger: list[dict[str, Any]]
    idle: list[dict[str, Any]]
    oversized: list[dict[str, Any]]


class Size(Answer):
    """One resource of one container: quantities as Kubernetes writes them, null for none and for what is not known."""

    policy: str
    at: float
    namespace: str
    kind: str
    workload: str
    container: str
    resource: str
    pods: int
    request: str | None
    wished: str | None
    limit: str | None
    wished_limit: str | None
    estimate: str | None
    lower: str | None
    upper: str | None
    history_days: float
    kills: int
    changes: bool
    reason: str
    said: str
    usd_per_month: float | None


def router(answers: Answers) -> APIRouter:
    """Return the routes."""
    routes = Resource("costs")

    @routes.get("/costs", response_model=Costs)
    def costs(days: Days = 30.0, team: Word = "", namespace: Word = "", policy: Word = "") -> Plain:
        """Return what was spent and saved in the last days."""
        return answers.costs({"days": days, "team": team, "namespace": namespace, "policy": policy})

    @routes.get("/sizes", response_model=list[Size])
    def sizes() -> list[Plain]:
        """Return what is recommended of requests and limits, the greatest saving first."""
        return answers.sizes()

    return routes
