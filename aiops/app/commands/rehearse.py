"""Rehearsing: `aiops simulate`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aiops.app.output import SESSION, console, table
from aiops.app.spreading import parted, spreading

if TYPE_CHECKING:
    from aiops.engine.spreading import Spread
    from simulators.failover.rehearse import Fared, Seeded

BATCH = 200
SEEDS = 5
"""How many seeds of a scenario of sites are rehearsed."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(simulate)


def simulate(
    scenario: Annotated[str, typer.Argument(help="A shipped scenario's name, or a YAML file.")],
    policies: Annotated[
        list[Path] | None, typer.Option(help="Policy files and folders; a shipped scenario brings its own.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="In place of the scenario's.")] = None,
    report: Annotated[Path, typer.Option(help="Where the HTML report goes; JSON lies beside it.")] = Path(
        "out/simulation.html"
    ),
    journal: Annotated[Path | None, typer.Option(help="Keep the record in this SQLite file.")] = None,
    baselines: Annotated[bool, typer.Option(help="Run static peak and HPA as well.")] = True,
    jobs: Annotated[int, typer.Option(min=1, max=256, help="Processes for the seeds of a scenario of sites.")] = 1,
    engine: Annotated[str | None, typer.Option(help="local, or ray: seeds on the Ray cluster of the settings.")] = None,
    ray_address: Annotated[str | None, typer.Option(help="HOST:PORT, ray://HOST:PORT, auto or local.")] = None,
) -> None:
    """Rehearse policies in virtual time, beside a fleet for the peak and an HPA in the same world."""
    from simulators.failover.scenario import is_sites

    if is_sites(scenario):
        _sites(scenario, policies or [], seed, (baselines, spreading(engine, ray_address, jobs)))
        return
    from aiops.adapters.store import Store
    from aiops.app.replay import code_version, platform_version
    from aiops.loop import Setup
    from aiops.policy import load
    from simulators.report import write
    from simulators.run import Rehearsal
    from simulators.run import simulate as run
    from simulators.scenario import load as load_scenario
    from simulators.scenario import policies_for
    from simulators.scorecard import sheet
    from simulators.selected import expanded_in

    world = load_scenario(scenario)
    rehearsed = expanded_in(world, load(policies or [policies_for(scenario)], world.spec.step))
    store = Store.open("sqlite://" if journal is None else f"sqlite:///{journal}", batch=BATCH)
    store.journal.note_policies(rehearsed)
    total = round(world.spec.duration / world.spec.step) * (3 if baselines else 1)
    with _Bar(world.spec.name, total) as bar:
        setup = Setup(code=code_version(), platform=platform_version(), keep_inputs=journal is not None)
        how = Rehearsal(seed=seed, baselines=baselines, setup=setup, progress=bar.step)
        result = run(world, rehearsed, store.journal, how)
    store.close()
    written = write(report, world, rehearsed, result)
    card = result.scorecard
    lines = [
        f"{card.scenario}: {card.hours:g} h, {card.ticks} ticks, seed {card.seed}",
        table(*sheet(card)),
        f"report: {written}  data: {written.with_suffix('.json')}",
    ]
    SESSION.show(card.as_json(), "\n".join(lines))


def _sites(scenario: str, policies: list[Path], seed: int | None, how: tuple[bool, Spread | None]) -> None:
    """Rehearse a failover between two sites, beside other rules, nothing done, and one that knows the fault.

    how: whether beside others; and what does seeds elsewhere.
    """
    from simulators.failover.episodes import group
    from simulators.failover.rehearse import COLUMNS, fared_once, rows, rules, seeded
    from simulators.failover.scenario import POLICY, load

    if len(policies) > 1:
        raise typer.BadParameter("a scenario of sites is rehearsed with one FailoverPolicy", param_hint="--policies")
    spec = load(scenario)
    first = spec.seed if seed is None else seed
    seeds = range(first, first + SEEDS)
    baselines, spread = how
    tasks = seeded(spec, rules(group(policies[0] if policies else POLICY), baselines=baselines), seeds)
    with _Bar(spec.name, len(tasks), every=1) as bar:
        made = _one_by_one(tasks, bar.step) if spread is None else spread(fared_once, tasks, bar.step)
    found, lost = parted(made, [f"{one.name}, seed {one.seed}" for one in tasks])
    lines = [f"{spec.name}: {spec.about}", f"right: {spec.right.value}; seeds {first} to {first + SEEDS - 1}"]
    data = {"scenario": spec.name, "right": spec.right.value, "episodes": [one.as_json() for one in found]}
    told = [f"LOST: {name}: {why}" for name, why in lost.items()]
    SESSION.show(data | ({"lost": lost} if lost else {}), "\n".join([*lines, table(COLUMNS, rows(found)), *told]))
    if lost:
        raise typer.Exit(1)


def _one_by_one(tasks: list[Seeded], progress: Callable[[], None]) -> list[Fared]:
    from simulators.failover.rehearse import fared_once

    made = []
    for task in tasks:
        made.append(fared_once(task))
        progress()
    return made


class _Bar:
    """A progress bar on a terminal, silence elsewhere."""

    def __init__(self, name: str, total: int, every: int = 100) -> None:
        from rich.progress import Progress

        screen = console(errors=True)
        self._progress = Progress(console=screen, transient=True, disable=not screen.is_terminal)
        self._task = self._progress.add_task(name, total=total)
        self._waiting, self._every = 0, every

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def step(self) -> None:
        self._waiting += 1
        if self._waiting == self._every:
            self._progress.advance(self._task, self._waiting)
            self._waiting = 0
