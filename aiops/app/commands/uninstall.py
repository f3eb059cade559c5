"""The end of an installation: `aiops handback`, and `aiops halt` before it where the store is a file."""

from __future__ import annotations

import getpass
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aiops.app.output import SESSION, table
from aiops.errors import ConfigurationError, InvalidInput, InvalidPolicy

if TYPE_CHECKING:
    from aiops.app.handing_back import Told
    from aiops.app.settings import Settings
    from aiops.app.wiring import Built

Within = Annotated[str, typer.Option(help="How long it may take.")]
LOOK_S = 0.5


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(handback)
    app.command()(halt)


def handback(
    config: Annotated[Path | None, typer.Option(help="Settings of the daemon.")] = None,
    within: Within = "5m",
    leave_failovers: Annotated[
        bool, typer.Option(help="Traffic that a failover moved may stay where it is.", show_default=False)
    ] = False,
    reason: Annotated[str, typer.Option(help="Why; it is recorded.")] = "uninstalled",
    by: Annotated[str | None, typer.Option(help="Who says so; your user name by default.")] = None,
) -> None:
    """Hand back everything that stands in the clusters, without a daemon; ends with 1 when something is left.

    The daemon must be stopped where the store is a SQLite file (`aiops halt`). Where it is a PostgreSQL, a daemon that
    runs does it and is waited for. Everything is released for an hour by it: `aiops resume --all` ends that.
    """
    from aiops.app.handing_back import HandingBack, Wish
    from aiops.app.logs import configure
    from aiops.app.redaction import secrets_of

    if config is not None:
        SESSION.config = config
    settings = SESSION.settings()
    wish = Wish(by=by or _me(), reason=reason, within_s=_seconds(within), leave_failovers=leave_failovers)
    configure(settings.log, lambda: secrets_of(settings))
    built = _built(settings)
    try:
        told = HandingBack(built, wish).run()
    finally:
        built.close_books()
        built.store.close()
    _show(told)
    if told.left:
        sys.exit(1)


def halt(
    deployment: Annotated[str, typer.Argument(help="namespace/name of the daemon's Deployment.")],
    within: Within = "2m",
) -> None:
    """Scale a daemon's Deployment to no replicas, and wait until its pods are gone, so that its store is free."""
    from aiops.adapters.kubernetes import KubernetesOptions
    from aiops.adapters.kubernetes.halting import Halting

    namespace, slash, name = deployment.partition("/")
    if not slash or not namespace or not name or "/" in name:
        raise InvalidInput(f"{deployment!r} is no namespace/name")
    settings = SESSION.settings()
    named = settings.clusters
    chosen = named.get(settings.lease.cluster or min(named, default=""))
    options = KubernetesOptions() if chosen is None else KubernetesOptions(**chosen.reached())
    halting, ends_at = Halting.connect(options, namespace, name), time.monotonic() + _seconds(within)
    selector = halting.scale_to_none()
    while pods := [] if selector is None else halting.pods(selector):
        if time.monotonic() >= ends_at:
            SESSION.show({"deployment": deployment, "pods": pods}, f"still there: {', '.join(pods)}")
            sys.exit(1)
        time.sleep(LOOK_S)
    what = "is not there" if selector is None else "runs no more"
    SESSION.show({"deployment": deployment, "pods": []}, f"{deployment} {what}")


def _built(settings: Settings) -> Built:
    """Return the parts of the daemon; of policies that are no good it goes by what the store remembers of them."""
    from aiops.app.wiring import build

    if settings.simulation is not None:
        raise ConfigurationError("a simulated world ends with its daemon: nothing stands anywhere")
    try:
        return build(settings)
    except InvalidPolicy as err:
        sys.stderr.write(
            f"{err}\nwarning: the policies are no good; what the store knows is handed back without them\n"
        )
        return build(settings.model_copy(update={"policies": ()}))


def _show(told: Told) -> None:
    data: dict[str, Any] = {"stood": list(told.stood), "left": list(told.left), "why": list(told.why)}
    if not told.left:
        many = f"{len(told.stood)} handed back" if told.stood else "nothing of ours stood in the clusters"
        SESSION.show(data, f"{many}; nothing is left")
        return
    rows = [(one["object"], one["attribute"], one["original"], one["written"], one["hand_back"]) for one in told.left]
    lines = [
        table(("LEFT", "ATTRIBUTE", "WAS", "IS", "HANDED BACK BY"), rows),
        *(f"because: {one}" for one in told.why),
    ]
    SESSION.show(data, "\n".join(lines))


def _seconds(text: str) -> float:
    from aiops.core.decide.quantities import duration_s

    try:
        return duration_s(text)
    except ValueError as err:
        raise InvalidInput(f"--within: {err}") from err


def _me() -> str:
    """Return the user's name; in a container nobody may know it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "uninstall"
