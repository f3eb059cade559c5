"""Rehearsing: `aiops simulate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aiops.app.commands import rehearse_seeds
from aiops.app.output import SESSION, table
from aiops.app.progress import Bar
from aiops.app.spreading import spreading
from aiops.errors import InvalidContent

if TYPE_CHECKING:
    from aiops.adapters.store import Store

BATCH = 200


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
    jobs: Annotated[int, typer.Option(min=1, max=256, help="Processes, where several seeds are rehearsed.")] = 1,
    engine: Annotated[str | None, typer.Option(help="local, or ray: seeds on the Ray cluster of the settings.")] = None,
    ray_address: Annotated[str | None, typer.Option(help="HOST:PORT, ray://HOST:PORT, auto or local.")] = None,
    lane: Annotated[str | None, typer.Option(help="How often the daemons of a scenario of sites turn.")] = None,
) -> None:
    """Rehearse policies in virtual time, beside a fleet for the peak and an HPA in the same world."""
    from simulators.batch.scenario import is_batch
    from simulators.failover.scenario import is_sites
    from simulators.remediation.scenario import is_remediation

    seeded = rehearse_seeds.sites if is_sites(scenario) else None
    seeded = rehearse_seeds.remediation if is_remediation(scenario) else seeded
    seeded = rehearse_seeds.batch if is_batch(scenario) else seeded
    if seeded is not None:
        if journal is not None:
            why = (
                "where several seeds are rehearsed there is no single record: leave it out, --report has every episode"
            )
            raise typer.BadParameter(why, param_hint="--journal")
        wish = rehearse_seeds.Wish(
            policies=policies or [],
            seed=seed,
            report=report,
            baselines=baselines,
            spread=spreading(engine, ray_address, jobs),
            lane_s=None if lane is None else _lane_s(lane),
        )
        seeded(scenario, wish)
        return
    if lane is not None:
        raise typer.BadParameter("only daemons of a scenario of sites have a lane", param_hint="--lane")
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
    store = _new(journal)
    store.journal.note_policies(rehearsed)
    total = round(world.spec.duration / world.spec.step) * (3 if baselines else 1)
    with Bar(world.spec.name, total) as bar:
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


def _new(journal: Path | None) -> Store:
    """Return a store without a record; where a file has one, the instants of a second would stand in it twice."""
    from aiops.adapters.store import Store

    store = Store.open("sqlite://" if journal is None else f"sqlite:///{journal}", batch=BATCH)
    if store.reader.last_tick_at() is not None:
        store.close()
        raise InvalidContent(f"{journal} holds a record already: name a new file with --journal")
    return store


def _lane_s(text: str) -> float:
    from aiops.core.decide.quantities import duration_s

    try:
        lane_s = duration_s(text)
    except ValueError as err:
        raise typer.BadParameter(str(err), param_hint="--lane") from err
    if not 1.0 <= lane_s <= 60.0 or lane_s != int(lane_s):
        raise typer.BadParameter("1s to 60s, in whole seconds", param_hint="--lane")
    return lane_s
