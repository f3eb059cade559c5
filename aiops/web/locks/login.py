"""Coming and going with a browser: a token is shown once, a cookie stands for it from then on."""

from __future__ import annotations

from html import escape
from pathlib import Path
from string import Template
from urllib.parse import quote, urlsplit

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response

from aiops.web.locks.doors import Doors, Knock
from aiops.web.locks.gate import address_of, cookie_name, same_origin, too_many, verified
from aiops.web.locks.rates import Kind
from aiops.web.locks.roles import Principal, Role
from aiops.web.problems import Code, problem

_PAGE = Template((Path(__file__).parent / "login.html").read_text(encoding="utf-8"))
_LONGEST_NEXT = 2048


def login_routes(doors: Doors) -> APIRouter:
    """Return the routes of coming and going."""
    routes = APIRouter(include_in_schema=False, redirect_slashes=False)

    @routes.get("/login")
    def form(request: Request) -> Response:
        following = local_path(request.query_params.get("next", "/"))
        if request.state.principal is not None:
            return RedirectResponse(following, 303)
        return _form(doors, following, "", 200)

    @routes.post("/login")
    async def enter(request: Request) -> Response:
        if not same_origin(request.headers):
            return problem(403, "this was sent from a foreign page", code=Code.FOREIGN)
        async with request.form(max_files=0, max_fields=4) as fields:
            token, following = str(fields.get("token", "")), local_path(str(fields.get("next", "/")))
        found = await run_in_threadpool(verified, doors, token.strip(), address_of(request))
        if not isinstance(found, Principal) or not found.may(Role.VIEWER):
            status = found.status_code if isinstance(found, Response) else 403
            return _form(doors, following, _SAID.get(status, "This token is not valid."), status)
        return await run_in_threadpool(entered, doors, request, found, following)

    @routes.post("/logout")
    def leave(request: Request) -> Response:
        cookie = request.cookies.get(cookie_name(doors), "")
        if cookie:
            doors.sessions.end(cookie)
            who: Principal = request.state.principal
            doors.tell(Knock(did="left", by=who.name, address=address_of(request), said="signed out"))
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(cookie_name(doors), path="/", secure=doors.secure, httponly=True, samesite="strict")
        answer.headers["Clear-Site-Data"] = '"cache", "storage"'
        return answer

    return routes


_SAID = {
    401: "This token is not valid: it is wrong, over, or was taken back.",
    403: "This token is for a program, and opens no page.",
    429: "Too many wrong tokens came from your address. Wait a minute.",
}


def entered(doors: Doors, request: Request, principal: Principal, following: str) -> Response:
    """Return the way in with a new session: a cookie that came with the request is never taken over, and ends.

    Who comes in too often has to wait: each session is kept, and recorded.
    """
    wait_s = None if principal.shared else doors.rates.take(Kind.WRITE, principal.name)
    if wait_s is not None:
        return too_many(wait_s, f"sessions of {principal.name}")
    before = request.cookies.get(cookie_name(doors))
    if before:
        doors.sessions.end(before)
    cookie = doors.sessions.begin(principal)
    doors.tell(Knock(did="entered", by=principal.name, address=address_of(request), said=f"by {principal.how.value}"))
    answer = RedirectResponse(following, 303)
    answer.set_cookie(
        cookie_name(doors),
        cookie,
        max_age=int(doors.sessions.longest_s),
        path="/",
        secure=doors.secure,
        httponly=True,
        samesite="strict",
    )
    return answer


def local_path(wanted: str) -> str:
    r"""Return where to go on: a path of this daemon, "/" for anything else, so that nobody is sent away from here.

    >>> [local_path(one) for one in ("/policies?x=1", "//evil.example", "https://evil.example", "/\\evil.example", "a")]
    ['/policies?x=1', '/', '/', '/', '/']
    """
    strange = not wanted.startswith("/") or wanted.startswith("//") or "\\" in wanted or len(wanted) > _LONGEST_NEXT
    if strange or any(ord(letter) < 33 or ord(letter) == 127 for letter in wanted):
        return "/"
    parts = urlsplit(wanted)
    return "/" if parts.scheme or parts.netloc or parts.path.startswith(("/login", "/logout")) else wanted


def _form(doors: Doors, following: str, said: str, status: int) -> Response:
    onward = f"{doors.sign_on}?next={quote(following, safe='')}"
    other = f'<p><a class="button" href="{escape(onward, quote=True)}">Sign in at your provider</a></p>'
    alert = f'<p class="bad" role="alert">{escape(said)}</p>' if said else ""
    return HTMLResponse(
        _PAGE.substitute(next=escape(following, quote=True), alert=alert, other=other if doors.sign_on else ""), status
    )
