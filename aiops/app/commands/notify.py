"""Telling people: try a channel, see what would be told, see what waits."""

from __future__ import annotations

import sys
import time
from typing import Annotated, Any

import typer

from aiops.app.commands.look import when
from aiops.app.output import SESSION, printable, table
from aiops.errors import InvalidInput

app = typer.Typer(no_args_is_help=True, help="Who is told: try channels and endpoints, see routes and what waits.")


@app.command()
def test(
    name: Annotated[str, typer.Argument(help="A channel or an endpoint of the settings.")],
) -> None:
    """Send a message that says that it is a test; ends with 4 when nobody took it."""
    settings = SESSION.settings().notify
    if name in settings.channels:
        told, said = _tried_channel(settings, name)
    elif name in settings.endpoints:
        told, said = _tried_endpoint(settings, name)
    else:
        known = ", ".join(sorted((*settings.channels, *settings.endpoints))) or "none"
        raise InvalidInput(f"the settings name no channel or endpoint {name} (there are: {known})")
    SESSION.show({"name": name, "told": told, "said": said}, said)
    if not told:
        sys.exit(4)


def _tried_channel(settings: Any, name: str) -> tuple[bool, str]:
    from aiops.app.notify_settings import channels_of

    only = settings.model_copy(update={"channels": {name: settings.channels[name]}})
    (channel,) = channels_of(only)
    told = channel.tell("[aiops] a test", f"This is a test of channel {name}; nothing has happened.")
    return told.taken, f"channel {name} took it" if told.taken else told.message


def _tried_endpoint(settings: Any, name: str) -> tuple[bool, str]:
    import orjson

    from aiops.adapters.notify.webhook import Letter
    from aiops.app.notify_settings import endpoints_of

    only = settings.model_copy(update={"endpoints": {name: settings.endpoints[name]}})
    (endpoint,) = endpoints_of(only)
    now = time.time()
    body = orjson.dumps({"id": f"test-{int(now * 1000)}", "at": int(now), "test": True, "summary": "this is a test"})
    told = endpoint.send(body, Letter(key=f"test-{int(now * 1000)}", at=now))
    return told.taken, f"endpoint {name} took it" if told.taken else told.message


@app.command()
def routes() -> None:
    """List the routes: what goes where, and whether they are quiet now."""
    from aiops.app.telling import routes_of

    now = time.time()
    found = [
        {
            "route": one.name,
            "channel": one.channel,
            "kinds": sorted(one.kinds) or ["any"],
            "severity": one.severity.name.lower(),
            "policies": list(one.policies) or ["any"],
            "labels": dict(one.labels),
            "group_by": list(one.by),
            "quiet_until": one.quiet_until(now),
        }
        for one in routes_of(SESSION.settings().notify)
    ]
    rows = [
        (
            one["route"],
            one["channel"],
            ",".join(one["kinds"]),  # type: ignore[arg-type]  # a list of names
            one["severity"],
            ",".join(one["policies"]),  # type: ignore[arg-type]  # a list of patterns
            "-" if one["quiet_until"] is None else when(one["quiet_until"]),  # type: ignore[arg-type]  # a time
        )
        for one in found
    ]
    text = table(("ROUTE", "CHANNEL", "KINDS", "FROM", "POLICIES", "QUIET UNTIL"), rows)
    SESSION.show(found, text if found else "no routes: nobody is told on the daemon's own account")


@app.command()
def waiting() -> None:
    """List what waits to be told, and what stands of which people were told."""
    found = SESSION.answers().notices()
    rows = found["waiting"]
    text = table(
        ("ROUTE", "SINCE", "SEVERITY", "STATE", "TOLD", "WHAT"),
        [
            (one["route"], when(one["at"]), one["severity"], one["state"], when(one["told_at"]), printable(one["key"]))
            for one in rows
        ],
    )
    gone = "".join(
        f"\n{name}: {lost} were lost, and nobody has been told of that yet" for name, lost in found["lost"].items()
    )
    SESSION.show(found, (text if rows else "nothing waits") + gone)
