"""Bearer tokens: given, listed and taken back by admins."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request
from pydantic import Field

from aiops.web.contract import Answers, Plain
from aiops.web.locks.who import who
from aiops.web.models import TEN_YEARS_S, Answer, Number, Wish
from aiops.web.routes.people import said
from aiops.web.routes.resource import Resource

TokenId = Annotated[str, Path(max_length=64, pattern="^[-_.@:A-Za-z0-9]+$", description="Its id, or its name.")]


class Token(Answer):
    """What is kept of a token. Times are as ISO 8601. state: valid, expired or revoked."""

    id: str
    name: str
    role: str
    state: str
    created_at: str
    created_by: str
    expires_at: str | None
    used_at: str | None


class NewToken(Token):
    """A token that was made. token: the token itself, which is never shown again."""

    token: str


class Revoked(Answer):
    """A token that was taken back, with the sessions that came by it."""

    id: str
    name: str
    role: str
    state: str


class TokenWish(Wish):
    """A token that is wanted. name: of the person or program it is for. for_s: for ever without."""

    name: str = Field(max_length=64, pattern="^[-_.@:/A-Za-z0-9]+$")
    role: Literal["viewer", "author", "operator", "admin"]
    for_s: Number | None = Field(7776000.0, gt=0, le=TEN_YEARS_S)


def router(answers: Answers) -> APIRouter:
    """Return the routes."""
    routes = Resource("access")

    @routes.get("/tokens", response_model=list[Token])
    def tokens() -> list[Plain]:
        """Return every token, without what it is."""
        return answers.tokens()

    @routes.post("/tokens", status_code=201, response_model=NewToken)
    def create(wish: TokenWish, request: Request) -> Plain:
        """Make a token; it is shown this once."""
        return answers.create_token(said(wish, request))

    @routes.delete("/tokens/{token_id}", response_model=Revoked)
    def revoke(token_id: TokenId, request: Request) -> Plain:
        """Take a token back, and end the sessions that came by it."""
        return answers.revoke_token(token_id, who(request).name)

    return routes
