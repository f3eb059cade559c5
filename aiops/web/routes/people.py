"""What people say: pauses, answers to questions, release. Who says it is who calls."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request
from pydantic import Field, StrictBool

from aiops.web.contract import Answers, Plain
from aiops.web.locks.who import who
from aiops.web.models import TEN_YEARS_S, Answer, By, Count, Number, PlainName, Said, Wish
from aiops.web.routes.resource import Resource

PauseId = Annotated[str, Path(max_length=26, pattern=r"^(\*|[0-9A-Za-z]+)$", description="An id, its beginning, or *.")]
AskId = Annotated[str, Path(max_length=26, pattern="^[0-9A-Za-z]+$", description="An id, or its beginning.")]


class Pause(Answer):
    """A hold. until: null for ever. direction: all, in, out. blocks_wakes: what rests and is not woken meanwhile."""

    id: str
    scope: str
    direction: str
    reason: str
    by: str
    since: float
    until: float | None
    hold_at: int | None
    release: bool
    blocks_wakes: list[str] = Field(default_factory=list)


class PauseWish(Wish):
    """A hold that is wanted. scope: `*`, a namespace, namespace/name or a policy's key. for_s: for ever without."""

    scope: PlainName
    reason: Said
    direction: Literal["all", "in", "out"] = "all"
    hold_at: Count | None = None
    for_s: Number | None = Field(None, gt=0, le=TEN_YEARS_S)
    by: By = None


class ReleaseWish(Wish):
    """What is to be handed back."""

    scope: PlainName
    reason: Said = "released"
    by: By = None


class Ended(Answer):
    """How many pauses ended."""

    ended: int


class Question(Answer):
    """What waits for a person's yes. needed: of how many people, where that is more than one."""

    id: str
    policy: str
    after: Any
    expires_at: float | None


class AnswerWish(Wish):
    """Yes or no."""

    approved: StrictBool
    reason: str = Field("", max_length=500)
    by: By = None


class Approval(Answer):
    """An answer, as it stands."""

    ask_id: str
    approved: bool
    by: str
    at: float
    reason: str


def router(answers: Answers) -> APIRouter:
    """Return the routes."""
    routes = Resource("people")

    @routes.get("/pauses", response_model=list[Pause])
    def pauses() -> list[Plain]:
        """Return the pauses in force."""
        return answers.pauses()

    @routes.post("/pauses", response_model=Pause, status_code=201)
    def pause(wish: PauseWish, request: Request) -> Plain:
        """Hold a scope."""
        return answers.pause(said(wish, request))

    @routes.delete("/pauses/{pause_id}", response_model=Ended)
    def resume(pause_id: PauseId, request: Request) -> Plain:
        """End a pause, or all with `*`."""
        return answers.resume(pause_id, who(request).name)

    @routes.get("/approvals", response_model=list[Question])
    def questions() -> list[Plain]:
        """Return what waits for a person's yes."""
        return answers.questions()

    @routes.post("/approvals/{ask_id}", response_model=Approval)
    def answer(ask_id: AskId, wish: AnswerWish, request: Request) -> Plain:
        """Say yes or no; everything is checked again before it is done."""
        return answers.answer(ask_id, said(wish, request))

    @routes.post("/release", response_model=Pause, status_code=201)
    def release(wish: ReleaseWish, request: Request) -> Plain:
        """Hold a scope and hand back what stands there."""
        return answers.release(said(wish, request))

    return routes


def said(wish: Wish, request: Request) -> dict[str, Any]:
    """Return a wish as data, with who says it: the one who calls, whatever the body says."""
    return {**wish.model_dump(exclude_none=True), "by": who(request).name}
