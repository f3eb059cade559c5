"""The gate before every door: host, rate, credential, role, and that a change was meant by who sends it."""

from __future__ import annotations

import hmac
import math
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from aiops.errors import AiopsError, NoPermission
from aiops.web.locks import access
from aiops.web.locks.doors import LOOPBACK, Doors, Knock, Verifier, host_name
from aiops.web.locks.rates import Kind, place_of
from aiops.web.locks.roles import Principal, Role
from aiops.web.problems import Code, problem, status_of

CSRF_HEADER = "x-csrf-token"
SAFE = ("GET", "HEAD", "OPTIONS")
NEEDED = "show who you are: Authorization: Bearer TOKEN, or sign in at /login"
_LONGEST_BEARER = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls, None for who did not say. csrf: what their changes must show, '' where a bearer token speaks."""

    principal: Principal | None
    csrf: str = ""
    expires_at: float | None = None


class Gate:
    """Middleware that lets through whom the table of access lets through, and says who it is."""

    def __init__(self, app: ASGIApp, doors: Doors) -> None:
        self._app = app
        self._doors = doors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let it through."""
        if scope["type"] != "http":
            return  # nothing else is served
        request = Request(scope)
        answered = await self._answered(request)
        if answered is not None:
            await answered(scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _answered(self, request: Request) -> Response | None:
        """Return the answer to who is not let through; None, with the caller in the request's state, to who is."""
        doors, address = self._doors, address_of(request)
        if not doors.known_host(request.headers.get("host", "")):
            return problem(403, _strange(request, doors), code=Code.FOREIGN)
        wait_s = doors.rates.take(Kind.ADDRESS, place_of(address))
        if wait_s is not None:
            return too_many(wait_s, "requests from this address")
        caller = await self._caller(request)
        if isinstance(caller, Response):
            return caller
        refused = self._often(request, caller) or await self._barred(request, caller) or _not_meant(request, caller)
        if refused is not None:
            return refused
        state = request.state
        state.principal, state.csrf, state.expires_at = caller.principal, caller.csrf, caller.expires_at
        return None

    def _often(self, request: Request, caller: Caller) -> Response | None:
        """Return the answer to a principal who calls too often; of shared ones only the addresses are counted."""
        if caller.principal is None or caller.principal.shared:
            return None
        kind = Kind.READ if request.method in SAFE else Kind.WRITE
        wait_s = self._doors.rates.take(kind, caller.principal.name)
        return None if wait_s is None else too_many(wait_s, f"{kind.value}s of {caller.principal.name}")

    async def _caller(self, request: Request) -> Caller | Response:
        doors = self._doors
        hooked = doors.hook is not None and (request.method, path_of(request)) == ("POST", access.ALERTS)
        if doors.open and not hooked:
            return Caller(principal=LOOPBACK, csrf=LOOPBACK.name)
        shown = request.headers.getlist("authorization")
        if len(shown) > 1:
            return problem(400, "there are several Authorization headers")
        if shown:
            return await self._bearer(request, shown[0])
        cookie = request.cookies.get(cookie_name(doors))
        return await self._session(cookie) if cookie else Caller(principal=None)

    async def _session(self, cookie: str) -> Caller | Response:
        try:
            session = await run_in_threadpool(self._doors.sessions.find, cookie)
        except AiopsError as err:
            return problem(status_of(err), str(err))
        if session is None:
            return Caller(principal=None)
        return Caller(principal=session.principal, csrf=session.csrf, expires_at=session.expires_at)

    async def _bearer(self, request: Request, shown: str) -> Caller | Response:
        kind, _, bearer = shown.partition(" ")
        if kind.lower() != "bearer" or not bearer.strip() or len(bearer) > _LONGEST_BEARER:
            return unknown("this is no bearer token: Authorization: Bearer TOKEN")
        try:
            principal = await run_in_threadpool(verified, self._doors, bearer.strip(), address_of(request))
        except AiopsError as err:
            return problem(status_of(err), str(err))
        return principal if isinstance(principal, Response) else Caller(principal=principal)

    async def _barred(self, request: Request, caller: Caller) -> Response | None:
        """Return the answer to who may not, by the table; closed by default."""
        principal, path, role = caller.principal, path_of(request), access.needed(request.method, path_of(request))
        if role is Role.PUBLIC:
            return None
        if principal is None:
            return _sign_in(request) or unknown(NEEDED)
        if role is None:
            known = access.verbs(path)
            if known:
                return problem(405, f"{path} takes {', '.join(known)}", headers={"Allow": ", ".join(known)})
            return problem(404, "there is nothing here")
        if not principal.may(role):
            said = f"{request.method} {path} needs {role.value}"
            knock = Knock(did="refused", by=principal.name, address=address_of(request), said=said)
            await run_in_threadpool(self._doors.tell, knock)
            return problem(403, f"this needs the role {role.value}; {principal.name} is {principal.role.value}")
        return None


def verified(doors: Doors, bearer: str, address: str) -> Principal | Response:
    """Return whose credential it is, or the answer to one that is nobody's; failures are counted by address.

    Raises NoPermission for one that is valid and has no role here, and PortError where nobody can say.
    """
    place = place_of(address)
    wait_s = doors.rates.full(Kind.FAILED, place)
    if wait_s is not None:
        return too_many(wait_s, "wrong credentials from this address")
    asked: list[Verifier] = [*doors.verifiers, *([] if doors.hook is None else [doors.hook])]
    for verifier in asked:
        try:
            found = verifier.principal(bearer)
        except NoPermission as err:
            doors.tell(Knock(did="refused", by="", address=address, said=str(err)))
            raise
        if found is not None:
            return found
    doors.rates.take(Kind.FAILED, place)
    doors.tell(Knock(did="refused", by="", address=address, said="a credential that is not valid"))
    return unknown("this credential is not valid: it is wrong, over, or was taken back")


def cookie_name(doors: Doors) -> str:
    """Return the name of the session's cookie; with the prefix no other host or path can set it."""
    return "__Host-aiops_session" if doors.secure else "aiops_session"


def path_of(request: Request) -> str:
    """Return the path as the router sees it: decoded once."""
    return str(request.scope["path"])


def address_of(request: Request) -> str:
    """Return the address that calls."""
    return request.client.host if request.client is not None else ""


def unknown(detail: str) -> Response:
    """Return the answer to who did not show who they are."""
    return problem(401, detail, headers={"WWW-Authenticate": 'Bearer realm="aiops"'})


def too_many(wait_s: float, what: str) -> Response:
    """Return the answer to who calls too often."""
    return problem(429, f"too many {what}", headers={"Retry-After": str(math.ceil(wait_s))})


def same_origin(headers: Headers) -> bool:
    """Return whether a browser sends this from a page of ours; what is no browser says neither.

    The origin `null` is that of a page which tells no referrer: it is ours when Sec-Fetch-Site says so, which no page
    can write.
    """
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None and site not in ("same-origin", "none"):
        return False
    if origin is None or (origin == "null" and site == "same-origin"):
        return True
    return urlsplit(origin).netloc.lower() == headers.get("host", "").lower()


def _not_meant(request: Request, caller: Caller) -> Response | None:
    """Return the answer to a change that a foreign page may have sent in its visitor's name, or that is no JSON."""
    if request.method in SAFE:
        return None
    headers, api = request.headers, path_of(request).startswith(f"{access.API}/")
    json = headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"
    if caller.csrf and path_of(request) != "/login":  # where nobody is signed in yet, and which looks for itself
        if not same_origin(headers):
            return problem(403, "this was sent from a foreign page", code=Code.FOREIGN)
        shown = headers.get(CSRF_HEADER, "")
        meant = hmac.compare_digest(shown.encode("utf-8", "replace"), caller.csrf.encode())
        # there is no secret without authentication; a foreign form can send neither JSON nor headers, and only POST
        if not meant and not (caller.principal is LOOPBACK and (json or shown or request.method != "POST")):
            if api and caller.principal is LOOPBACK:
                return problem(415, "changes are sent as application/json")
            return problem(403, f"the header {CSRF_HEADER} is missing or wrong", code=Code.FOREIGN)
    if api and not json and _has_body(headers):
        return problem(415, "changes are sent as application/json")
    return None


def _has_body(headers: Headers) -> bool:
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


def _sign_in(request: Request) -> Response | None:
    """Return the way to the login for a person with a browser."""
    page = not path_of(request).startswith(f"{access.API}/") and "text/html" in request.headers.get("accept", "")
    if request.method != "GET" or not page:
        return None
    asked = path_of(request) + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"/login?next={quote(asked, safe='')}", 303)


def _strange(request: Request, doors: Doors) -> str:
    if doors.open:
        return "without authentication only loopback is served, by its own names"
    return f"this daemon is not called {host_name(request.headers.get('host', '')) or 'that'}: see web.hosts"
