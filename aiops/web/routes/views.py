"""What a page needs at once: policies at a glance, one policy over time, failover groups."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from aiops.web.contract import Answers, Plain
from aiops.web.models import LONGEST_NAME, MAX_HOURS, PRINTABLE, Answer
from aiops.web.routes.resource import Resource

Hours = Annotated[float, Query(gt=0, le=MAX_HOURS)]
Key = Annotated[str, Query(min_length=1, max_length=LONGEST_NAME, pattern=PRINTABLE, description="A policy's key.")]


class AtAGlance(Answer):
    """A policy and what it decided last. current, wanted, ready: replicas, null for what scales nothing."""

    policy: str
    target: str
    mode: str | None
    verdict: str
    story: str
    current: int | None
    wanted: int | None
    ready: int | None


class Timeline(Answer):
    """A policy over time. curves: columns on one grid; wishes: a row for each change, which holds until the next."""

    policy: str
    target: str
    since: float
    until: float
    unit: str
    curves: dict[str, Any]
    wishes: list[dict[str, Any]]
    actions: list[dict[str, Any]]
    findings: list[dict[str, Any]]
    forecast: dict[str, Any] | None


class Group(Answer):
    """A failover group: its sites with their health, and how each vantage point sees them."""

    policy: str
    moved_at: float | None
    sites: list[dict[str, Any]]


def router(answers: Answers) -> APIRouter:
    """Return the routes."""
    routes = Resource("views")

    @routes.get("/policies", response_model=list[AtAGlance])
    def policies() -> list[Plain]:
        """Return every policy with what it decided last."""
        return answers.policies()

    @routes.get("/timeline", response_model=Timeline)
    def timeline(policy: Key, hours: Hours = 1.0) -> Plain:
        """Return one policy over the last hours: curves, what was wanted by whom, anomalies, actions, forecast."""
        return answers.timeline(policy, hours)

    @routes.get("/groups", response_model=list[Group])
    def groups() -> list[Plain]:
        """Return failover groups with the health of their sites."""
        return answers.groups()

    return routes
