"""Rehearsing scenarios of which many seeds are played: of two sites, of remediation, and of batch work."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from aiops.app.output import SESSION, table
from aiops.app.progress import Bar
from aiops.app.spreading import parted

if TYPE_CHECKING:
    from aiops.engine.spreading import Spread

SEEDS = 5
"""How many seeds of a scenario are rehearsed."""

T = TypeVar("T")
F = TypeVar("F")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How to rehearse. spread: what does seeds elsewhere. lane_s: how often daemons of sites turn."""

    policies: Sequence[Path]
    seed: int | None
    report: Path
    baselines: bool
    spread: Spread | None
    lane_s: float | None


def sites(scenario: str, wish: Wish) -> None:
    """Rehearse a failover between two sites, beside other rules, nothing done, and one that knows the fault."""
    from simulators.failover.episodes import group
    from simulators.failover.rehearse import COLUMNS, fared_once, rows, rules, seeded
    from simulators.failover.scenario import POLICY, load

    if len(wish.policies) > 1:
        raise typer.BadParameter("a scenario of sites is rehearsed with one FailoverPolicy", param_hint="--policies")
    spec = load(scenario)
    if wish.lane_s is not None:
        spec = spec.model_copy(update={"lane": wish.lane_s})
    seeds = _seeds(spec.seed, wish)
    policy = group(wish.policies[0] if wish.policies else POLICY)
    tasks = seeded(spec, rules(policy, baselines=wish.baselines), seeds)
    found, lost = _done(fared_once, tasks, [f"{one.name}, seed {one.seed}" for one in tasks], (spec.name, wish))
    _show(
        _Told(spec.name, spec.about, spec.right.value, COLUMNS),
        rows(found),
        [one.as_json() for one in found],
        (seeds, lost, wish),
    )


def remediation(scenario: str, wish: Wish) -> None:
    """Rehearse RemediationPolicies, beside Kubernetes alone, thresholds, nothing done, and one that knows the fault."""
    from simulators.remediation.rehearse import COLUMNS, contenders, fared_once, policies, rows, seeded
    from simulators.remediation.scenario import POLICIES, load

    if wish.lane_s is not None:
        raise typer.BadParameter("only daemons of a scenario of sites have a lane", param_hint="--lane")
    spec = load(scenario)
    seeds = _seeds(spec.seed, wish)
    ours = policies(wish.policies or [POLICIES])
    tasks = seeded(spec, contenders(ours, baselines=wish.baselines), seeds)
    found, lost = _done(fared_once, tasks, [f"{one.name}, seed {one.seed}" for one in tasks], (spec.name, wish))
    _show(
        _Told(spec.name, spec.about, spec.right.value, COLUMNS),
        rows(found),
        [one.as_json() for one in found],
        (seeds, lost, wish),
    )


def batch(scenario: str, wish: Wish) -> None:
    """Rehearse a CostPolicy with defer, beside work that begins at once, at a fixed hour, and by who knows it all."""
    from simulators.batch.rehearse import COLUMNS, contenders, fared_once, policy, rows, seeded
    from simulators.batch.scenario import load

    if wish.lane_s is not None:
        raise typer.BadParameter("only daemons of a scenario of sites have a lane", param_hint="--lane")
    spec = load(scenario)
    seeds = _seeds(spec.seed, wish)
    tasks = seeded(spec, contenders(policy(spec, wish.policies), baselines=wish.baselines), seeds)
    found, lost = _done(fared_once, tasks, [f"{one.name}, seed {one.seed}" for one in tasks], (spec.name, wish))
    _show(_Told(spec.name, spec.about, "", COLUMNS), rows(found), [one.as_json() for one in found], (seeds, lost, wish))


@dataclass(frozen=True, slots=True)
class _Told:
    """What is told of a scenario. right: what would be right to do, '' where it is told in money."""

    name: str
    about: str
    right: str
    columns: tuple[str, ...]


def _seeds(own: int, wish: Wish) -> range:
    first = own if wish.seed is None else wish.seed
    return range(first, first + SEEDS)


def _done(
    work: Callable[[T], F], tasks: Sequence[T], names: Sequence[str], how: tuple[str, Wish]
) -> tuple[list[F], dict[str, str]]:
    """Return what came of each task, and why nothing came of some, by name."""
    name, wish = how
    with Bar(name, len(tasks), every=1) as bar:
        made: Sequence[Any] = (
            _one_by_one(work, tasks, bar.step) if wish.spread is None else wish.spread(work, tasks, bar.step)
        )
    return parted(made, names)


def _one_by_one(work: Callable[[T], F], tasks: Sequence[T], progress: Callable[[], None]) -> list[F]:
    made = []
    for task in tasks:
        made.append(work(task))
        progress()
    return made


def _show(
    told: _Told,
    rows: Sequence[tuple[str, ...]],
    episodes: Sequence[Mapping[str, Any]],
    how: tuple[range, Mapping[str, str], Wish],
) -> None:
    from simulators.seeds_report import SeedsReport, write

    seeds, lost, wish = how
    data: dict[str, Any] = {"scenario": told.name, "episodes": list(episodes)}
    data |= {"right": told.right} if told.right else {}
    data |= {"lost": dict(lost)} if lost else {}
    right = f"right: {told.right}; " if told.right else ""
    lines = (f"{told.name}: {told.about}", f"{right}seeds {seeds[0]} to {seeds[-1]}")
    report = SeedsReport(name=told.name, lines=lines, columns=told.columns, rows=rows, data=data)
    written = write(wish.report, report)
    also = [f"LOST: {name}: {why}" for name, why in lost.items()]
    where = f"report: {written}  data: {written.with_suffix('.json')}"
    SESSION.show(data, "\n".join([*lines, table(told.columns, rows), where, *also]))
    if lost:
        raise typer.Exit(1)
