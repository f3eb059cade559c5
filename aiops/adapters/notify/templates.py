"""Messages from templates: Jinja2 in its sandbox, with names that are checked when the settings are read.

Whatever a template shows came from elsewhere (labels, names, reasons): it is shown as plain text and never run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from aiops.adapters.notify.notices import Notice, NoticeKind, Severity, State
from aiops.errors import ConfigurationError

if TYPE_CHECKING:
    from jinja2 import Template

    from aiops.adapters.notify.routes import Parcel, Route

TITLE = "[aiops] {% if count == 1 %}{{ notices[0].title }}: {{ notices[0].subject }}{% else %}{{ summary }}{% endif %}"
TEXT = """\
{% for one in notices -%}
{{ one.at }} {{ one.severity }} {{ one.title }}{{ " (still)" if one.again }}
  {{ one.subject }}{{ " by " + one.by if one.by }}: {{ one.said or "-" }}
{% if one.todo %}  next: {{ one.todo }}
{% endif %}
{%- endfor %}
{%- if more %}and {{ more }} more: aiops audit list
{% endif %}{% if lost %}{{ lost }} notices before these could not be told
{% endif %}"""
SHOWN = 50
"""Notices of one message that are written out; the rest is counted."""


_CALLS = re.compile(r"(?<!\w)@(?=\w)|<(?=[!@#&])")


def quiet(text: str) -> str:
    """Return a text that calls nobody: chats read @here or <!channel> in it, whoever wrote that into a label (S10).

    An invisible word joiner (U+2060) stands behind what would call. A template may call by itself.

    >>> quiet("pod @here <!channel> of ops@example.com") == "pod @\u2060here <\u2060!channel> of ops@example.com"
    True
    """
    return _CALLS.sub(lambda found: f"{found[0]}\u2060", text)


def checked(template: str, where: str) -> None:
    """Raise ConfigurationError where a template is wrong: by showing it what it will be shown."""
    render(template, shown([_EXAMPLE], frozenset(), ("route", "UTC"), lost=1), where)


def render(template: str, values: Mapping[str, Any], where: str) -> str:
    """Return the text of a template; raise ConfigurationError that says where it is wrong."""
    from jinja2 import TemplateError

    try:
        return _compiled(template).render(values)
    except TemplateError as err:
        line = getattr(err, "lineno", None)
        raise ConfigurationError(f"{where}{'' if line is None else f', line {line}'}: {err}") from err
    except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as err:
        raise ConfigurationError(f"{where}: {err!r}") from err


@lru_cache(maxsize=128)
def _compiled(template: str) -> Template:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    # plain text: nothing is escaped, for nothing of it is markup
    return ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False).from_string(template)


def message(route: Route, parcel: Parcel, lost: int) -> tuple[str, str]:
    """Return title and text of a message; a template that fails on it gives way to the one that cannot."""
    values = shown(parcel.notices, parcel.again, (route.name, route.zone), lost)
    try:
        title = render(route.title or TITLE, values, "title")
        text = render(route.text or TEXT, values, "text")
    except ConfigurationError as err:
        title = render(TITLE, values, "title")
        text = f"{render(TEXT, values, 'text')}\n(the template of route {route.name} failed: {err})"
    return " ".join(title.split()), text.strip()


def shown(notices: Sequence[Notice], again: frozenset[str], how: tuple[str, str], lost: int) -> dict[str, Any]:
    """Return what templates see. how: the route's name, and the time zone in which times are told."""
    route, zone = how
    rows = [_row(one, zone, again=one.key in again) for one in notices[:SHOWN]]
    return {
        "notices": rows,
        "count": len(notices),
        "more": len(notices) - len(rows),
        "severity": max(one.severity for one in notices).name.lower(),
        "summary": summary(notices),
        "route": route,
        "lost": lost,
    }


def summary(notices: Sequence[Notice]) -> str:
    """Return how many notices of which kind there are.

    >>> summary([_EXAMPLE, _EXAMPLE])
    '2 approval'
    """
    kinds: dict[str, int] = {}
    for one in notices:
        kinds[one.kind.value] = kinds.get(one.kind.value, 0) + 1
    return ", ".join(f"{count} {kind}" for kind, count in kinds.items())


def _row(one: Notice, zone: str, *, again: bool) -> dict[str, Any]:
    return {
        "kind": one.kind.value,
        "severity": one.severity.name.lower(),
        "state": one.state.value,
        "again": again,
        "at": datetime.fromtimestamp(one.at, ZoneInfo(zone)).isoformat(timespec="seconds"),
        "subject": quiet(one.subject),
        "title": quiet(one.title),
        "said": quiet(one.said),
        "by": quiet(one.by),
        "ref": one.ref,
        "todo": quiet(one.todo),
        "labels": {name: quiet(value) for name, value in one.labels.items()},
    }


_EXAMPLE = Notice(
    key="approval/ScalingPolicy/shop/checkout",
    kind=NoticeKind.APPROVAL,
    severity=Severity.WARNING,
    state=State.BEGUN,
    seq=1,
    at=0.0,
    subject="ScalingPolicy/shop/checkout",
    title="a person's yes is wanted",
    said="8 -> 11 needs a yes",
    by="loop",
    ref="01J",
    todo="aiops approvals",
    labels={"team": "payments"},
)
