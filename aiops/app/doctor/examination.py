"""The whole examination: which checks there are for some settings, and what they found, for people and programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from aiops.app.doctor import (
    clusters,
    engine,
    files,
    keeping,
    listening,
    metrics,
    outside,
    policies,
    repositories,
    scraped,
    simulated,
)
from aiops.app.doctor.findings import Area, Check, Looked, Status, exit_code
from aiops.app.doctor.running import run
from aiops.app.doctor.scene import Scene
from aiops.app.output import table


def examined(scene: Scene, file: Path | None, only: Collection[Area], shown: Callable[[str], str]) -> list[Looked]:
    """Return what every check of the areas found; of all of them when none is named. shown: takes secrets out."""
    _prepare(virtual=scene.settings.simulation is not None)
    # what policies ask for, and who is promoted, decides what the others look at: one after another
    first = [run([one], scene.timeout_s, shown) for one in policies.first_checks(scene, file)]
    found = [part for some in first for part in some]
    if set(only) != {Area.SETTINGS}:  # what selectors find is asked of a cluster
        found += run(policies.second_checks(scene), scene.timeout_s, shown)
    found += run([one for one in further(scene) if not only or one.area in only], scene.timeout_s, shown)
    order = list(Area)
    # what is wrong with settings and policies is told whatever is asked for: the other checks rest on them
    chosen = [part for part in found if not only or part.check.area in only or _beneath(part)]
    return sorted(chosen, key=lambda part: order.index(part.check.area))


def _prepare(*, virtual: bool) -> None:
    """Load what checks load where they need it, one after another: threads that do so at once may block each other."""
    import aiops.adapters.alertmanager
    import aiops.adapters.certificates
    import aiops.adapters.notify
    import aiops.adapters.prices
    import aiops.adapters.store.peek
    import aiops.app.authored
    import aiops.app.pricelist
    import aiops.app.pricing
    import aiops.policy.crd
    import aiops.policy.expansion  # noqa: F401  # as those above, loaded for later

    if virtual:
        import simulators.ports
        import simulators.run
        import simulators.scenario  # noqa: F401  # as above

        return
    from aiops.adapters import git, kubernetes, prometheus  # noqa: F401  # as above
    from aiops.adapters.kubernetes import probe as clusters_probe
    from aiops.adapters.prometheus import probe as sources_probe

    clusters_probe.prepare()
    sources_probe.prepare()


def _beneath(part: Looked) -> bool:
    return part.failed and part.check.area in (Area.SETTINGS, Area.POLICIES)


def further(scene: Scene) -> list[Check]:
    """Return the checks that come after those of policies."""
    virtual = scene.settings.simulation is not None
    around = (
        simulated.checks(scene)
        if virtual
        else [*metrics.checks(scene), *scraped.checks(scene), *clusters.checks(scene)]
    )
    around = [*around, *engine.checks(scene)]
    around += repositories.checks(scene)
    return [*around, *keeping.checks(scene), *outside.checks(scene), *files.checks(scene), *listening.checks(scene)]


def data(looked: Sequence[Looked]) -> dict[str, Any]:
    """Return what was found, as programs read it."""
    every = [(part.check.area, one) for part in looked for one in part.findings]
    counts = Counter(one.status for _, one in every)
    return {
        "checks": [
            {
                "area": area.value,
                "name": one.name,
                "status": one.status.value,
                "what": one.what,
                "fix": one.fix,
                "trouble": one.trouble.value,
            }
            for area, one in every
        ],
        "counts": {status.value: counts[status] for status in Status},
        "exit_code": exit_code(looked),
    }


def text(looked: Sequence[Looked]) -> str:
    """Return the same for people: a table for each area, each problem with what to do."""
    parts = []
    for area in Area:
        rows: list[tuple[str, str, str]] = []
        for one in (one for part in looked if part.check.area is area for one in part.findings):
            rows.append((one.status.value, one.name, one.what))
            if one.fix:
                rows.append(("", "", f"fix: {one.fix}"))
        if rows:
            parts.append(table((area.value.upper(), "", ""), rows))
    return "\n\n".join([*parts, _summary(looked)])


def _summary(looked: Sequence[Looked]) -> str:
    counts = Counter(one.status for part in looked for one in part.findings)
    told = [
        f"{counts[Status.OK]} ok",
        f"{counts[Status.WARN]} warning{'s' * (counts[Status.WARN] != 1)}",
        f"{counts[Status.FAIL]} to fix",
        f"{counts[Status.SKIP]} not looked at",
    ]
    return ", ".join(told)
