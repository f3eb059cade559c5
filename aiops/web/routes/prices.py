"""Money as an input: what replicas and nodes cost, how old that is and who says so."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from aiops.web.contract import Answers, Plain
from aiops.web.models import Answer
from aiops.web.routes.resource import Resource


class Prices(Answer):
    """Prices per hour in `currency`, each of them known or not.

    Where it is known: per_hour, core_hour, gib_hour, gpu_hour, source, age_s, note; where not: gap (a code), detail,
    source. rates_usd: USD for one, by currency. errors: what could not be asked.
    """

    at: float
    currency: str
    rates_usd: dict[str, float]
    replicas: list[dict[str, Any]]
    nodes: list[dict[str, Any]]
    pools: list[dict[str, Any]]
    errors: list[str]


def router(answers: Answers) -> APIRouter:
    """Return the routes."""
    routes = Resource("prices")

    @routes.get("/prices", response_model=Prices)
    def prices() -> Plain:
        """Return what was known of prices at the last tick."""
        return answers.prices()

    return routes
