"""The command line. Heavy imports are inside of the commands: `aiops --help` answers at once."""

from __future__ import annotations

import os
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Annotated

import typer

from aiops import __version__
from aiops.app.commands import (
    audit,
    backtest,
    daemon,
    detect,
    doctor,
    follow,
    forecast,
    incidents,
    look,
    models,
    notify,
    people,
    plans,
    policy,
    prices,
    record,
    rehearse,
    report,
    rightsize,
    store,
    tokens,
    uninstall,
    watch,
    why,
)
from aiops.app.commands.panels import TOP, panelled
from aiops.app.output import SESSION, Format, guarded

app = typer.Typer(
    cls=panelled(TOP),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="An autopilot for Kubernetes workloads: rehearsed, explained, undoable scaling on Prometheus metrics.",
)
app.add_typer(policy.app, name="policy")
app.add_typer(people.approvals, name="approvals")
app.add_typer(store.app, name="store")
app.add_typer(audit.app, name="audit")
app.add_typer(notify.app, name="notify")
app.add_typer(plans.plans, name="plans")
app.add_typer(models.models, name="models")
app.add_typer(plans.failover, name="failover")
app.add_typer(prices.prices, name="prices")
app.add_typer(tokens.tokens, name="tokens")
app.add_typer(report.report, name="report")
app.add_typer(incidents.incidents, name="incidents")
app.add_typer(watch.watch, name="watch")
for module in (
    backtest,
    daemon,
    detect,
    doctor,
    follow,
    forecast,
    incidents,
    look,
    people,
    record,
    rehearse,
    rightsize,
    uninstall,
    why,
):
    module.register(app)


def _versioned(wanted: bool) -> None:
    if wanted:
        SESSION.format = Format.TEXT
        version()
        raise typer.Exit


@app.callback()
def _globals(
    server: Annotated[str | None, typer.Option(help="Ask a running daemon at this URL.", envvar="AIOPS_SERVER")] = None,
    token: Annotated[str, typer.Option(help="Bearer token for --server.", envvar="AIOPS_TOKEN")] = "",
    config: Annotated[
        Path | None, typer.Option(help="Settings; config/default.yaml when it is there.", envvar="AIOPS_CONFIG")
    ] = None,
    output: Annotated[Format, typer.Option("-o", "--output", help="How answers are written.")] = Format.TEXT,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Log more.")] = False,
    _version: Annotated[
        bool, typer.Option("--version", help="Say which version this is.", callback=_versioned, is_eager=True)
    ] = False,
) -> None:
    SESSION.server, SESSION.token, SESSION.config = server, token, config
    SESSION.format, SESSION.verbose = output, verbose


@app.command()
def version() -> None:
    """Say which version this is."""
    SESSION.show({"version": __version__}, f"aiops {__version__}")


def one_thread(environment: MutableMapping[str, str]) -> None:
    """Let linear algebra work in one thread, unless somebody has said how many.

    The matrices here are small: a second thread waits in a spin for the first one, and a fit costs twice the time of a
    processor. It holds for what is imported, and for processes that are started, from now on.
    """
    environment.setdefault("OMP_NUM_THREADS", "1")


def main() -> None:
    """Run the command line and exit with its code."""
    one_thread(os.environ)
    sys.exit(guarded(app))
