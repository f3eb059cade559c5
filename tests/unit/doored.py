"""The application behind its locks, asked without a socket, at a time that the test sets."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
from starlette.types import ASGIApp

from aiops.adapters.store import Store
from aiops.app.service import Service
from aiops.app.tokens import Tokens
from aiops.web.api import application
from aiops.web.locks.doors import Doors, Knock
from aiops.web.locks.rates import Rates
from aiops.web.locks.roles import How, Principal, Role
from aiops.web.locks.sessions import Sessions

HOST = "http://127.0.0.1:8080"
START = 1_772_366_400.0


@dataclass
class Clock:
    """People's clock."""

    at: float = START

    def __call__(self) -> float:
        return self.at


@dataclass
class Asking:
    """Asks an application without a socket, and keeps cookies as a browser does."""

    app: ASGIApp
    base_url: str
    headers: dict[str, str]
    address: str
    cookies: httpx.Cookies = field(default_factory=httpx.Cookies)

    def request(self, method: str, path: str, **how: Any) -> httpx.Response:
        """Return the answer to a request."""
        return asyncio.run(self._request(method, path, **how))

    def get(self, path: str, **how: Any) -> httpx.Response:
        """Read."""
        return self.request("GET", path, **how)

    def post(self, path: str, **how: Any) -> httpx.Response:
        """Send."""
        return self.request("POST", path, **how)

    def delete(self, path: str, **how: Any) -> httpx.Response:
        """End."""
        return self.request("DELETE", path, **how)

    async def _request(self, method: str, path: str, **how: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False, client=(self.address, 50000))
        async with httpx.AsyncClient(
            transport=transport, base_url=self.base_url, headers=self.headers, cookies=self.cookies
        ) as client:
            answer = await client.request(method, path, **how)
            self.cookies = client.cookies
        return answer


@dataclass
class House:
    """A store, a service over it, and the doors before both."""

    store: Store = field(default_factory=lambda: Store.open("sqlite://"))
    clock: Clock = field(default_factory=Clock)
    knocks: list[Knock] = field(default_factory=list)
    address: str = "192.0.2.7"
    made: tuple[Doors, ASGIApp] | None = None

    def __post_init__(self) -> None:
        self.service = Service(self.store)
        self.tokens = Tokens(self.store.access, self.clock)
        self.service.access = self.tokens
        self.sessions = Sessions(keeper=self.store.access, now=self.clock)
        self.doors = Doors(verifiers=(self.tokens,), sessions=self.sessions, rates=Rates(), tell=self.knocks.append)

    def lock(self, **how: Any) -> None:
        """Lock the doors in another way."""
        self.doors = replace(self.doors, **how)

    def open_up(self) -> None:
        """Ask nobody who they are."""
        self.lock(verifiers=())

    def token(self, name: str, role: str, **how: Any) -> str:
        """Give somebody a token."""
        return str(self.tokens.create({"name": name, "role": role, "by": "test", **how})["token"])

    def client(self, token: str = "", base_url: str = HOST, **headers: str) -> Asking:
        """Return a client, which shows a token when it is given one."""
        shown = {"Authorization": f"Bearer {token}"} if token else {}
        if self.made is None or self.made[0] is not self.doors:
            self.made = (self.doors, application(self.service, self.doors))
        return Asking(self.made[1], base_url, shown | headers, self.address)

    def signed_in(self, client: Asking, token: str) -> dict[str, str]:
        """Sign in by the form, and return the header that changes need."""
        answer = client.post("/login", data={"token": token, "next": "/"})
        assert answer.status_code == 303, answer.text
        return {"X-CSRF-Token": client.get("/api/v1/session").json()["csrf"]}


@dataclass(frozen=True)
class Everybody:
    """A verifier of words: `viewer` is a viewer, and so on."""

    def principal(self, bearer: str) -> Principal | None:
        if bearer not in {role.value for role in Role if role is not Role.PUBLIC}:
            return None
        return Principal(name=f"some-{bearer}", role=Role(bearer), how=How.SETTING)
