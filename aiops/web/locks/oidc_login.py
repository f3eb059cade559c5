"""Signing in at a provider: authorization code with PKCE, into a session of ours (RFC 7636, RFC 9700).

What a login has begun with lies in a cookie of the browser that began it, so that every replica can end it, and no
other browser can. The provider is told one address to come back to, which the settings name, never a Host header.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from html import escape
from string import Template
from typing import Any
from urllib.parse import urlencode

import orjson
from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response

from aiops.errors import AiopsError, NoPermission
from aiops.web.locks.doors import Doors, Knock
from aiops.web.locks.gate import address_of, too_many
from aiops.web.locks.login import entered, local_path
from aiops.web.locks.oidc import Oidc
from aiops.web.locks.rates import Kind, place_of
from aiops.web.problems import problem, status_of

WITHIN_S = 600
_ONWARD = Template(
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Signed in</title>'
    '<meta http-equiv="refresh" content="0;url=$next"></head><body><a href="$next">Go on</a></body></html>'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """What this daemon is at the provider. redirect_uri: the address of /login/oidc/callback, as browsers see it."""

    client_id: str
    redirect_uri: str
    secret: Callable[[], str] = field(default=lambda: "", repr=False)
    scopes: tuple[str, ...] = ("openid", "profile", "email")


@dataclass(frozen=True, slots=True)
class Begun:
    """A login that has begun. verifier: PKCE's. nonce: comes back in the token. following: where to go on."""

    state: str
    nonce: str
    verifier: str
    following: str


def oidc_routes(doors: Doors, oidc: Oidc, client: Client) -> APIRouter:
    """Return the routes of signing in at a provider."""
    routes = APIRouter(include_in_schema=False, redirect_slashes=False)

    @routes.get("/login/oidc")
    def begin(request: Request) -> Response:
        begun = Begun(
            state=secrets.token_urlsafe(32),
            nonce=secrets.token_urlsafe(32),
            verifier=secrets.token_urlsafe(48),
            following=local_path(request.query_params.get("next", "/")),
        )
        try:
            address = oidc.provider.endpoint("authorization_endpoint")
        except AiopsError as err:
            return problem(status_of(err), str(err))
        joint = "&" if "?" in address else "?"
        answer = RedirectResponse(f"{address}{joint}{urlencode(_asked(client, begun))}", 303)
        # Lax: the provider sends the browser back from a page of its own
        answer.set_cookie(
            _cookie(doors), _packed(begun), max_age=WITHIN_S, secure=doors.secure, httponly=True, samesite="lax"
        )
        return answer

    @routes.get("/login/oidc/callback")
    async def end(request: Request) -> Response:
        answer = await run_in_threadpool(_ended, request, doors, oidc, client)
        answer.delete_cookie(_cookie(doors), secure=doors.secure, httponly=True, samesite="lax")
        return answer

    return routes


def _asked(client: Client, begun: Begun) -> dict[str, str]:
    return {
        "response_type": "code",
        "client_id": client.client_id,
        "redirect_uri": client.redirect_uri,
        "scope": " ".join(client.scopes),
        "state": begun.state,
        "nonce": begun.nonce,
        "code_challenge": challenge(begun.verifier),
        "code_challenge_method": "S256",
    }


def challenge(verifier: str) -> str:
    """Return what the provider is told of a verifier (RFC 7636, S256).

    >>> challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'
    """
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def _ended(request: Request, doors: Doors, oidc: Oidc, client: Client) -> Response:
    place, query = place_of(address_of(request)), request.query_params
    wait_s = doors.rates.full(Kind.FAILED, place)
    if wait_s is not None:
        return too_many(wait_s, "logins that failed from this address")
    begun = _unpacked(request.cookies.get(_cookie(doors), ""))
    if begun is None or not hmac.compare_digest(query.get("state", "").encode(), begun.state.encode()):
        _refused(doors, request, "a login at the provider that was not begun in this browser")
        return problem(403, "this login was not begun in this browser, or too long ago: begin again at /login")
    if "code" not in query:
        return problem(403, "the provider let nobody in")
    try:
        claims = _exchanged(oidc, client, query["code"], begun)
        if claims is None:
            _refused(doors, request, "a provider's token that is not valid")
            return problem(401, "the provider's token is not valid here")
        # the token only says who came: it lives for minutes, and a session has limits of its own
        answer = entered(doors, request, replace(oidc.of(claims), expires_at=None), begun.following)
    except AiopsError as err:
        if isinstance(err, NoPermission):
            doors.tell(Knock(did="refused", by="", address=address_of(request), said=str(err)))
        return problem(status_of(err), str(err))
    # a redirect would still count as the provider's, and a browser keeps a strict cookie back from it
    onward = HTMLResponse(_ONWARD.substitute(next=escape(begun.following, quote=True)))
    onward.raw_headers += [one for one in answer.raw_headers if one[0] == b"set-cookie"]
    return onward


def _refused(doors: Doors, request: Request, said: str) -> None:
    """Count a login that failed against its address, and tell of it."""
    doors.rates.take(Kind.FAILED, place_of(address_of(request)))
    doors.tell(Knock(did="refused", by="", address=address_of(request), said=said))


def _exchanged(oidc: Oidc, client: Client, code: str, begun: Begun) -> dict[str, Any] | None:
    """Return the claims of the token that a code is worth, None when it is not valid; raise PortError."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": client.redirect_uri,
        "client_id": client.client_id,
        "code_verifier": begun.verifier,
    }
    secret = client.secret()
    if secret:
        form["client_secret"] = secret
    found = oidc.provider.json("POST", oidc.provider.endpoint("token_endpoint"), data=form)
    claims = oidc.claims(str(found.get("id_token", "")), client.client_id)
    if claims is None or not hmac.compare_digest(str(claims.get("nonce", "")).encode(), begun.nonce.encode()):
        return None
    return claims


def _cookie(doors: Doors) -> str:
    return "__Host-aiops_login" if doors.secure else "aiops_login"


def _packed(begun: Begun) -> str:
    parts = [begun.state, begun.nonce, begun.verifier, begun.following]
    return base64.urlsafe_b64encode(orjson.dumps(parts)).decode().rstrip("=")


def _unpacked(text: str) -> Begun | None:
    try:
        parts = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        state, nonce, verifier, following = parts
    except (ValueError, TypeError):
        return None
    if not all(isinstance(one, str) and one for one in parts):
        return None
    return Begun(state=state, nonce=nonce, verifier=verifier, following=local_path(following))
