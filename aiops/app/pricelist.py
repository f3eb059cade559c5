"""What is known of prices now: read once, for people and programs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiops.app.output import table
from aiops.core.model import Instant, Machine, PoolQuote, PriceBook, Priced, Quote, TargetRef, UnitPrices
from aiops.core.money.currency import USD, usd_per
from aiops.errors import CannotReach, ConfigurationError
from aiops.ports import Inventory

if TYPE_CHECKING:
    from aiops.adapters.kubernetes import Clusters
    from aiops.adapters.prometheus import PrometheusSource
    from aiops.app.price_settings import PriceSettings
    from aiops.app.pricing import LastPrices
    from aiops.app.settings import Settings

TRIES, PAUSE_S = 20, 0.25
OLDEST_S = 1e9
"""What is given by the settings is as old as one likes; only ages below this are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Priceable:
    """What was found at one time. errors: what could not be asked, and why. nodes: kinds of nodes by `Machine.key`."""

    at: Instant
    book: PriceBook
    targets: Sequence[TargetRef]
    kinds: Mapping[str, str]
    errors: Sequence[str] = ()


def live(settings: Settings, targets: Sequence[TargetRef], at: Instant) -> Priceable:
    """Return what the feed and the clusters of the settings say now; a cluster that does not answer says why."""
    from aiops.app.pricing import feed
    from aiops.app.surroundings import metrics_source

    opened: list[PrometheusSource] = []

    def source(name: str) -> PrometheusSource:
        opened.append(metrics_source(settings, name))
        return opened[-1]

    prices = feed(settings, source)
    try:
        prices.begin()
        inventory = _seen(settings, targets, at)
    finally:
        prices.stop(0.0)
        for one in opened:
            one.close()
    kinds = {key: _kind(one) for key, one in inventory.machines.items()}
    book = prices.book(targets, inventory, at)
    errors = [*prices.unwell(), *inventory.errors.values(), *(why for _, why in inventory.refused.values())]
    return Priceable(at=at, book=book, targets=targets, kinds=kinds, errors=tuple(dict.fromkeys(errors)))


def _seen(settings: Settings, targets: Sequence[TargetRef], at: Instant) -> Inventory:
    from aiops.app.surroundings import clusters

    try:
        return _inventory(clusters(settings), targets, at)
    except (CannotReach, ConfigurationError) as err:
        return Inventory(workloads={}, errors={"": str(err)})


def _inventory(found: Clusters, targets: Sequence[TargetRef], at: Instant) -> Inventory:
    """Return what the clusters show, once their nodes have been read, or some seconds have gone by."""
    try:
        found.start()
        for _ in range(TRIES):
            inventory = found.inventory(targets, at)
            if inventory.machines and not found.unready():
                break
            time.sleep(PAUSE_S)
        return inventory
    finally:
        found.stop(2.0)


def _kind(one: Machine) -> str:
    parts = (one.instance_type or "no type", one.zone, "spot" if one.spot else "")
    return " ".join(part for part in parts if part)


def unknown(at: Instant) -> dict[str, Any]:
    """Return the same of nothing, for who has no prices at hand."""
    why = "prices are not recorded: ask a daemon with --server, or read them with its settings"
    made = dict.fromkeys(("replicas", "nodes", "pools"), ())
    return {"at": at, "currency": USD, "rates_usd": {}, **{key: [*one] for key, one in made.items()}, "errors": [why]}


def of_last(last: LastPrices, at: Instant, settings: PriceSettings) -> dict[str, Any]:
    """Return what a daemon knew at its last tick."""
    kinds = {key: _kind(one) for key, one in last.machines.items()}
    return data(Priceable(at=at, book=last.last, targets=(), kinds=kinds, errors=last.unwell()), settings)


def data(found: Priceable, settings: PriceSettings) -> dict[str, Any]:
    """Return every price in the currency of the settings, as programs read it."""
    per = usd_per(settings.currency, settings.rates) or 1.0
    names = {ref.key: str(ref) for ref in found.targets}
    return {
        "at": found.at,
        "currency": settings.currency,
        "rates_usd": dict(settings.rates),
        "replicas": [
            {"target": names.get(key) or _named(key), "key": key, **_told(quote, found.at, per)}
            for key, quote in sorted(found.book.replicas.items())
        ],
        "nodes": [
            {"node": key, "kind": found.kinds.get(key, ""), **_told(quote, found.at, per)}
            for key, quote in sorted(found.book.nodes.items())
        ],
        "pools": [_pool(one, found.at, per) for one in found.book.pools],
        "errors": list(found.errors),
    }


def _named(key: str) -> str:
    """Return `namespace/name` of a `TargetRef.key`."""
    parts = key.split("/")
    return f"{parts[1]}/{parts[-1]}" if len(parts) > 3 else key


def _pool(one: PoolQuote, at: Instant, per: float) -> dict[str, Any]:
    about = {"instance_type": one.instance_type, "zone": one.zone, "spot": one.spot}
    return {**about, **_told(one.quote, at, per)}


def _told(quote: Quote, at: Instant, per: float) -> dict[str, Any]:
    if not isinstance(quote, Priced):
        return {"known": False, "gap": quote.gap.value, "detail": quote.detail, "source": quote.source}
    age_s = at - quote.as_of
    return {
        "known": True,
        "per_hour": quote.usd_per_hour / per,
        **_units(quote.units, per),
        "source": quote.source,
        "as_of": quote.as_of,
        "age_s": max(0.0, age_s) if age_s < OLDEST_S else None,
        "note": quote.note,
    }


def _units(units: UnitPrices | None, per: float) -> dict[str, float | None]:
    if units is None:
        return {"core_hour": None, "gib_hour": None, "gpu_hour": None}
    gpu = None if units.gpu_usd is None else units.gpu_usd / per
    return {"core_hour": units.core_usd / per, "gib_hour": units.gib_usd / per, "gpu_hour": gpu}


def text(told: Mapping[str, Any]) -> str:
    """Return the same for people: a table for each kind of thing, and what is not known with its reason."""
    money = told["currency"]
    head = (f"{money}/H", "A CORE", "A GIB", "AGE", "FROM")
    parts = []
    if told["replicas"]:
        rows = [(one["target"], *_cells(one)) for one in told["replicas"]]
        parts.append(table(("A REPLICA OF", *head), rows))
    if told["nodes"]:
        rows = [(one["node"], one["kind"], *_cells(one)) for one in told["nodes"]]
        parts.append(table(("NODE", "KIND", *head), rows))
    if told["pools"]:
        rows = [
            (one["instance_type"], one["zone"] or "any", "spot" if one["spot"] else "on demand", *_cells(one))
            for one in told["pools"]
        ]
        parts.append(table(("NODES OF TYPE", "ZONE", "", *head), rows))
    if not parts:
        parts.append("nothing is priced: the settings name no prices, or there is nothing that could have one")
    parts += [f"not asked: {why}" for why in told["errors"]]
    return "\n\n".join(parts)


def _cells(one: Mapping[str, Any]) -> tuple[str, ...]:
    if not one["known"]:
        source = f" ({one['source']})" if one["source"] else ""
        return "unknown", "-", "-", "-", f"{one['gap']}: {one['detail']}{source}"
    note = f", {one['note']}" if one["note"] else ""
    units = [_short(one["core_hour"]), _short(one["gib_hour"])]
    return _short(one["per_hour"]), *units, _age(one["age_s"]), f"{one['source']}{note}"


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _age(age_s: float | None) -> str:
    if age_s is None:
        return "-"
    for size_s, unit in ((86_400.0, "d"), (3600.0, "h"), (60.0, "m")):
        if age_s >= size_s:
            return f"{age_s / size_s:.0f}{unit}"
    return f"{age_s:.0f}s"
