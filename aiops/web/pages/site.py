"""What all pages share: templates, what stands around each of them, and how errors look."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from aiops.errors import AiopsError, InvalidInput, NotFound, PortError
from aiops.web.contract import Answers, Plain
from aiops.web.inlined import first_script, style
from aiops.web.locks.roles import How
from aiops.web.pages.words import FILTERS

_LOG = logging.getLogger("aiops.web")
FOLDER = Path(__file__).parents[1]
MOST_TEXT = 512
"""Of what is typed into a field."""


_UNKNOWN: Plain = {"mode": None, "ready": None, "unit": "", "slo": None, "signals": {}, "usd_per_hour": None}
"""What the record alone does not say of a target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A template and what it shows."""

    template: str
    values: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One look at a page. status: where the loop stands, as the API says it."""

    request: Request
    answers: Answers
    status: Plain

    @property
    def now(self) -> float | None:
        """Return the loop's time, as far as it is known."""
        found = self.status.get("now", self.status.get("last_tick_at"))
        return None if found is None else float(found)

    @property
    def targets(self) -> list[Plain]:
        """Return what is decided of each target now, with every field that a page shows."""
        found = [*self.status.get("targets", []), *self.status.get("shadows", [])]
        return [{**_UNKNOWN, "current": one.get("before"), "wanted": one.get("after"), **one} for one in found]

    def text(self, name: str, default: str = "") -> str:
        """Return a parameter of the address, cut to what a field takes; without NUL, which no database holds."""
        return self.request.query_params.get(name, default).strip().replace("\0", "")[:MOST_TEXT]

    def one_of(self, name: str, known: tuple[str, ...]) -> str:
        """Return a parameter that is one of the known words, the first of them for anything else."""
        asked = self.text(name)
        return asked if asked in known else known[0]

    def part(self, name: str) -> str:
        """Return a part of the path."""
        return str(self.request.path_params[name])


View = Callable[[Visit], Shown]


class Site:
    """Draws pages over the same answers that the API gives."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._templates = _templates()

    def add(self, app: FastAPI, path: str, view: View, *, targets: bool) -> None:
        """Serve a view under a path. targets: it shows what is decided of targets."""
        status = self._answers.status if targets else self._answers.brief

        def endpoint(request: Request) -> HTMLResponse:
            return self._drawn(request, view, status)

        app.add_api_route(path, endpoint, methods=["GET"], include_in_schema=False, response_class=HTMLResponse)

    def _drawn(self, request: Request, view: View, asked: Callable[[], Plain]) -> HTMLResponse:
        status: Plain = {}
        try:
            status = asked()
            shown = view(Visit(request=request, answers=self._answers, status=status))
        except AiopsError as err:
            shown = _wrong(err)
        except Exception:
            _LOG.exception("page_failed", extra={"path": request.url.path})
            values = {"heading": "A bug on this page", "detail": "It is in the log with its traceback.", "next": ""}
            shown = Shown(template="error.html", status=500, values=values)
        around = {**_around(request, status), **shown.values}
        return HTMLResponse(self._templates.get_template(shown.template).render(around), shown.status)


@cache
def _templates() -> Environment:
    """Return the templates of the package, compiled before the first visitor comes. Nobody changes them."""
    made = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,  # all that is shown is escaped: the text of labels is hostile
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters.update(FILTERS)
    made.globals.update(stamp=_stamp(), style=style(), first_script=first_script())
    for name in made.list_templates():
        made.get_template(name)
    return made


def _around(request: Request, status: Plain) -> dict[str, Any]:
    """Return what stands around every page."""
    state = request.state
    principal = getattr(state, "principal", None)
    known = principal is not None and principal.how is not How.LOOPBACK
    return {
        "whole": "HX-Request" not in request.headers,  # a page that asks for its parts has the style already
        "path": request.url.path,
        "address": request.url.path + (f"?{request.url.query}" if request.url.query else ""),
        "params": request.query_params,
        "status": status,
        "now": status.get("now", status.get("last_tick_at")),
        "who": principal.name if principal is not None and known else "",
        "role": principal.role.value if principal is not None and known else "",
        "csrf": getattr(state, "csrf", ""),
        "health": _health(status),
        "pauses": status.get("pauses", []),
        "waiting": len(status.get("questions", [])),
        "open_incidents": len(status.get("incidents", [])),
    }


def _health(status: Plain) -> tuple[str, str]:
    """Return how the loop is, in a word, and what is to be known of it."""
    if not status:
        return "unknown", "the record cannot be read"
    if not status.get("running"):
        return "record only", "no daemon is asked: this is what was recorded"
    if status["unhealthy"]:
        return "stuck", "; ".join(status["unhealthy"])
    if status["held"]:
        return "held", status["held"]
    if status["unready"]:
        return "not ready", "; ".join(status["unready"])
    return "well", f"turns every {status['step_s']:g} s"


def _wrong(err: AiopsError) -> Shown:
    match err:
        case NotFound():
            code, heading, following = 404, "There is no such thing", ""
        case InvalidInput():
            code, heading, following = 422, "That cannot be asked", ""
        case PortError():
            code, heading = 503, "The record does not answer"
            following = "The loop goes on by itself, within its guards. This page tries again by itself."
        case _:
            code, heading, following = 500, "That did not work", ""
    return Shown(template="error.html", status=code, values={"heading": heading, "detail": str(err), "next": following})


def _stamp() -> str:
    """Return what changes with every change of an asset, so that a browser may keep what does not change."""
    newest = max(path.stat().st_mtime_ns for path in (FOLDER / "static").rglob("*") if path.is_file())
    return f"{newest:x}"
