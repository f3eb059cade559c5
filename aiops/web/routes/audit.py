"""The audit chain: who did what, from what to what, each record hashed together with the one before."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from aiops.web.contract import Answers, Plain
from aiops.web.models import MOST_AT, Answer, PlainName
from aiops.web.routes.resource import Resource

_MOST_SEQ = 2**53


class Record(Answer):
    """One record. before, after: from what to what; sum and the whole text are in the export."""

    seq: int
    at: float
    kind: str
    by: str
    subject: str
    ref: str
    did: str
    before: str | int | float | bool | None
    after: str | int | float | bool | None
    said: str
    detail: dict[str, str | int | float | bool | None]
    digest: str


class End(Answer):
    """Where the chain ends."""

    seq: int
    digest: str


class Records(Answer):
    """Records, newest first. next: `before` of the next page. whole_from: the first that retention left."""

    records: list[Record]
    next: int | None
    whole_from: int
    head: End


class Wanted(BaseModel):
    """Which records are looked for. before: only older ones than this."""

    model_config = ConfigDict(extra="forbid")

    before: int | None = Field(None, ge=1, le=_MOST_SEQ)
    limit: int = Field(50, ge=1, le=1000)
    kind: str | None = Field(None, pattern="^[a-z]{1,16}$")
    by: PlainName | None = None
    subject: PlainName | None = None
    ref: PlainName | None = None
    since: float | None = Field(None, ge=0, le=MOST_AT)
    until: float | None = Field(None, ge=0, le=MOST_AT)


class Whole(Answer):
    """Whether the chain is whole. first_broken: the first record that is not as it was recorded."""

    whole: bool
    records: int
    first_broken: int | None
    said: str
    faults: list[dict[str, Any]]


def router(answers: Answers) -> APIRouter:
    """Return the routes."""
    routes = Resource("audit")

    @routes.get("/audit", response_model=Records)
    def audit(asked: Annotated[Wanted, Query()]) -> Plain:
        """Return records of the audit chain, newest first."""
        return answers.audit(asked.model_dump(exclude_none=True))

    @routes.get("/audit/verify", response_model=Whole)
    def verify() -> Plain:
        """Check the whole chain, and say the first record that is broken. Reads all of it."""
        return answers.audit_verify()

    return routes
