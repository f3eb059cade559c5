"""The models that foretell demand: their versions, and people's word to them."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import ConfigDict

from aiops.web.contract import Answers, Plain
from aiops.web.locks.who import who
from aiops.web.models import Answer, By, Ordinal, PlainName, Said, Wish
from aiops.web.routes.resource import Resource


class Models(Answer):
    """The model of every policy that forecasts."""

    models: list[dict[str, Any]]


class ModelWish(Wish):
    """What is to be done with a policy's model. version: which one is promoted."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"properties": {"do": {"enum": ["rollback", "refit"]}}},
                {"required": ["version"], "properties": {"version": {"type": "integer"}}},
            ]
        }
    )

    policy: PlainName
    do: Literal["promote", "rollback", "refit"]
    version: Ordinal | None = None
    reason: Said = "no reason given"
    by: By = None


class Ordered(Answer):
    """The model after that."""

    done: str
    policy: str
    version: int | None


def router(answers: Answers) -> APIRouter:
    """Return the routes."""
    routes = Resource("models")

    @routes.get("/models", response_model=Models)
    def models() -> Plain:
        """Return what is forecast by which model, in which versions, and how well."""
        return answers.models()

    @routes.post("/models/orders", response_model=Ordered)
    def order(request: Request, wish: ModelWish) -> Plain:
        """Promote a version, go back to the predecessor, or ask for a fit."""
        return answers.model_order({**wish.model_dump(), "by": who(request).name})

    return routes
