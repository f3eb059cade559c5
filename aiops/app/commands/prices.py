"""Prices: what is known, how old it is and who says so; and whether a price list is one."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aiops.app.output import SESSION
from aiops.errors import CannotReach, InvalidContent

if TYPE_CHECKING:
    from aiops.app.pricelist import Priceable
    from aiops.app.settings import Settings

prices = typer.Typer(no_args_is_help=True, help="What nodes and replicas cost, and who says so.")


@prices.command(name="list")
def list_() -> None:
    """Say what is known of prices, how old and by whom: read once here, or as the daemon at --server has it."""
    from aiops.app.pricelist import data, text

    if SESSION.server is not None:
        told = SESSION.answers().prices()
        SESSION.show(told, text(told))
        return
    settings = SESSION.settings()
    logging.getLogger("aiops").addHandler(logging.NullHandler())  # what fails is said in the answer
    found = _read(settings)
    told = data(found, settings.prices)
    SESSION.show(told, text(told))
    if found.errors and not any(one["known"] for kind in ("replicas", "nodes", "pools") for one in told[kind]):
        raise CannotReach("no price could be read: " + "; ".join(found.errors))


@prices.command()
def check(
    file: Annotated[Path, typer.Argument(help="A price list, YAML or CSV.")],
    at: Annotated[str | None, typer.Option(help="What is valid then, ISO 8601; now without it.")] = None,
) -> None:
    """Check a price list as the daemon would read it, with the settings' currency and rates."""
    from aiops.adapters.prices import Terms, read_list
    from aiops.app.commands.record import instant

    settings = SESSION.settings().prices
    now = time.time() if at is None else instant("--at", at, time.time())
    terms = Terms(currency=settings.currency, rates=settings.rates)
    listed, problems = read_list(file, terms, now)
    if problems:
        raise InvalidContent("\n".join(map(str, problems)))
    valid = [one for one in listed.entries if one.valid(now)]
    kinds = {one.instance_type for one in listed.entries if one.instance_type}
    later = [one for one in listed.entries if one.valid_from > now]
    over = len(listed.entries) - len(valid) - len(later)
    SESSION.show(
        {
            "file": str(file),
            "entries": len(listed.entries),
            "valid": len(valid),
            "later": len(later),
            "over": over,
            "instance_types": len(kinds),
            "currencies": sorted({one.currency for one in listed.entries}),
        },
        f"{file}: {len(listed.entries)} entries for {len(kinds)} types of nodes; "
        f"valid now {len(valid)}, later {len(later)}, over {over}",
    )


def _read(settings: Settings) -> Priceable:
    """Return what is known now: of the targets of the policies' files, and of all nodes."""
    from aiops.app.pricelist import Priceable, live
    from aiops.app.surroundings import surroundings
    from aiops.policy import load
    from aiops.ports import Inventory

    policies = load([path for path in settings.policies if path.exists()], settings.step, may_be_empty=True)
    targets = tuple(dict.fromkeys(one.target for one in policies.scaling if one.selection is None))
    if settings.simulation is None:
        return live(settings, targets, time.time())
    world = surroundings(settings)
    at = world.present()
    book = world.prices.book(targets, Inventory(workloads={}), at)
    return Priceable(at=at, book=book, targets=targets, kinds={})
