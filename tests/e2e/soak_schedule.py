"""What befalls the world of a soak, and when: drawn from a seed alone, so that the same seed draws the same again."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

REPLICAS = ("a", "b")
CODES_ANY = (429, 500, 503)
CODES_WRITE = (409, 410, 429, 500, 503, 504)
WARM_S, SETTLE_S = 20.0, 60.0
"""Nothing befalls the first seconds, and nothing the last minute: then all must stand where it should."""

Draw = Callable[[random.Random], dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of fault. touches: what it needs or disturbs; two at a time have nothing in common."""

    name: str
    lasts_s: tuple[float, float]
    touches: frozenset[str]
    draw: Draw


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One fault to come: seconds after the beginning, how long, and what exactly."""

    at_s: float
    lasts_s: float
    kind: str
    given: Mapping[str, Any] = field(default_factory=dict)

    @property
    def what(self) -> str:
        """Return what it is, for people."""
        return " ".join((self.kind, *(f"{name}={value}" for name, value in self.given.items() if name != "dice")))

    def __str__(self) -> str:
        """Return a line for people."""
        return f"{self.at_s:7.1f} s for {self.lasts_s:4.1f} s  {self.what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What can be befallen: workloads that are moved through /scale, those with an HPA."""

    scaled: Sequence[str]
    floors: Sequence[str]

    @property
    def every(self) -> tuple[str, ...]:
        """Return all workloads."""
        return (*self.scaled, *self.floors)


def kinds(names: Names) -> tuple[Kind, ...]:
    """Return every kind of fault there is."""
    return (*_of_replicas(), *_of_requests(), *_of_metrics(), *_of_the_rest(names))


def _of_replicas() -> tuple[Kind, ...]:
    return (
        _kind("kill", (1, 15), "process", _who),
        _kind("stop", (1, 12), "process", _who),
        _kind("partition", (2, 20), "proxy", _who),
        _kind("api-server-killed", (1, 15), "api"),
    )


def _of_requests() -> tuple[Kind, ...]:
    def coded(codes: Sequence[int], least: float) -> Draw:
        return lambda dice: {"who": _whose(dice), "code": dice.choice(codes), **_share(dice, least)}

    def shared(dice: random.Random) -> dict[str, Any]:
        return {"who": _whose(dice), **_share(dice, 0.3)}

    def after(dice: random.Random) -> dict[str, Any]:
        return {**_who(dice), "after": dice.randrange(4)}

    return (
        _kind("all-refused", (4, 15), "proxy", coded(CODES_ANY, 0.2)),
        _kind("writes-refused", (5, 20), "proxy", coded(CODES_WRITE, 0.4)),
        _kind("answers-lost", (5, 20), "proxy", shared),
        _kind("done-but-error", (5, 20), "proxy", coded((500, 504), 0.4)),
        _kind("slow-requests", (5, 20), "proxy", lambda d: {**shared(d), "delay_s": round(d.uniform(0.3, 3), 1)}),
        _kind("slow-watches", (5, 20), "proxy", lambda d: {**_who(d), "bytes_per_s": d.choice((50, 500, 3000))}),
        _kind("cut-watches", (5, 20), "proxy", after),
        _kind("gone-watches", (5, 20), "proxy", after),
    )


def _of_metrics() -> tuple[Kind, ...]:
    return (
        _kind("prometheus-down", (5, 20), "metrics", lambda d: {"how": d.choice(("refuses", "hangs", "fails"))}),
        _kind("prometheus-empty", (5, 20), "metrics"),
        _kind("prometheus-nan", (5, 20), "metrics"),
        _kind("prometheus-stale", (5, 20), "metrics"),
    )


def _of_the_rest(names: Names) -> tuple[Kind, ...]:
    def any_name(dice: random.Random) -> dict[str, Any]:
        return {"name": dice.choice(names.every)}

    return (
        _kind("postgres-down", (1, 15), "store", lambda d: {"how": d.choice(("stops", "dies", "hangs"))}),
        _kind("policy-broken", (4, 15), "policies"),
        _kind("mode-lowered", (8, 20), "policies", any_name),
        _kind("person-scales", (1, 2), "api", lambda d: {"name": d.choice(names.scaled), "to": d.randint(1, 25)}),
        _kind("pause", (5, 20), "store", any_name),
        _kind("made-anew", (1, 10), "api", any_name),
        _kind("nodes-lost", (3, 20), "api"),
        _kind("lease-deleted", (1, 2), "api"),
        _kind("permission-taken", (5, 15), "api"),
    )


def _kind(name: str, lasts_s: tuple[float, float], touches: str, draw: Draw = lambda _: {}) -> Kind:
    return Kind(name=name, lasts_s=lasts_s, touches=frozenset(touches.split()), draw=draw)


def _who(dice: random.Random) -> dict[str, Any]:
    return {"who": dice.choice((*REPLICAS, "leader"))}


def _whose(dice: random.Random) -> str:
    return dice.choice((*REPLICAS, "both"))


def _share(dice: random.Random, least: float) -> dict[str, Any]:
    """Draw how many of the requests, and the dice to tell which."""
    return {"share": round(dice.uniform(least, 1.0), 2), "dice": dice.randrange(1 << 30)}


def schedule(seed: int, minutes: float, names: Names) -> tuple[Planned, ...]:
    """Return the faults of a soak. Each kind comes before any comes again; now and then two at a time.

    In the second half one replica, drawn too, is killed no more: its memory is looked at over a long life.
    """
    dice = random.Random(f"faults {seed}")
    spared = dice.choice(REPLICAS)
    length_s = minutes * 60.0
    last_s = length_s - (SETTLE_S if minutes >= 3 else 30.0)
    found: list[Planned] = []
    deck: list[Kind] = []
    at_s = WARM_S if minutes >= 3 else 8.0
    while True:
        deck = deck if len(deck) > 1 else [*deck, *_shuffled(kinds(names), dice)]
        first = deck.pop(0)
        now = [_planned(first, at_s, dice)]
        if dice.random() < 0.3:
            fitting = next((one for one in deck if not one.touches & first.touches), None)
            if fitting is not None:
                deck.remove(fitting)
                now.append(_planned(fitting, at_s + dice.uniform(0.0, now[0].lasts_s), dice))
        end_s = max(one.at_s + one.lasts_s for one in now)
        if end_s > last_s:
            return tuple(found)
        found += (_spare(one, spared) if one.at_s > length_s / 2 else one for one in now)
        at_s = end_s + dice.uniform(3.0, 12.0)


def _shuffled(known: Sequence[Kind], dice: random.Random) -> list[Kind]:
    return dice.sample(list(known), len(known))


def _planned(kind: Kind, at_s: float, dice: random.Random) -> Planned:
    lasts_s = round(dice.uniform(*kind.lasts_s), 1)
    return Planned(at_s=round(at_s, 1), lasts_s=lasts_s, kind=kind.name, given=kind.draw(dice))


def _spare(one: Planned, spared: str) -> Planned:
    if one.kind != "kill":
        return one
    return Planned(at_s=one.at_s, lasts_s=one.lasts_s, kind=one.kind, given={"who": "b" if spared == "a" else "a"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A load that a workload has from a time on, in replicas that it needs."""

    at_s: float
    name: str
    replicas: int


def loads(seed: int, minutes: float, names: Names) -> tuple[Load, ...]:
    """Return the loads of a soak, in their order; the last of each stays."""
    dice = random.Random(f"loads {seed}")
    found = []
    for name in names.every:
        at_s = 0.0
        while at_s < minutes * 60.0 - (SETTLE_S if minutes >= 3 else 30.0):
            found.append(Load(at_s=round(at_s, 1), name=name, replicas=dice.randint(3, 16)))
            at_s += dice.uniform(8.0, 30.0)
    return tuple(sorted(found, key=lambda one: one.at_s))
