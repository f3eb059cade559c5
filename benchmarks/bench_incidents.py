"""What a storm costs: thousands of findings that open within a minute, at first and from tick to tick, and as what.

Findings of 500 services in three zones and twenty namespaces, among 100,000 watched series; beside it, findings as
chance alone opens them.
"""

from __future__ import annotations

import time

from aiops.core.detect.incidents import Around, incidents
from aiops.core.detect.suspects import Dependencies
from aiops.core.detect.together import Population
from aiops.core.model import Finding, FindingKind, SeriesIndex

AT = 1_772_450_000.0
WATCH = "WatchPolicy/shop/latency"
SIZES = (500, 1_000, 5_000, 20_000, 100_000)
REPEATS = 3


def storm(size: int, watched: int) -> tuple[list[Finding], Population]:
    """Return `size` findings that open within a minute, of `watched` series."""
    labels = [
        {"service": f"s{n % 500}", "zone": "abc"[n % 3], "pod": f"p{n}", "namespace": f"n{n % 20}"}
        for n in range(watched)
    ]
    keys = tuple(f"{WATCH}#{n}" for n in range(watched))
    found = [
        Finding(
            policy=WATCH, series=keys[n], labels=labels[n], kind=FindingKind.POINT, at=AT, since=AT + n % 60,
            score=1.5 + n % 17, p_value=1e-6, value=5.0, expected=1.0, lower=0.0, upper=2.0, reason="",
        )
        for n in range(size)
    ]  # fmt: skip
    return found, Population.of(SeriesIndex(keys=keys, labels=tuple(labels)), {WATCH: 0.2})


def calm(size: int, watched: int) -> list[Finding]:
    """Return findings as chance opens them: `size` over as long as the budgets of `watched` series take for it."""
    found, _ = storm(size, watched)
    every_s = 604_800.0 / (0.2 * watched)
    return [replaced(one, AT + number * every_s) for number, one in enumerate(found)]


def replaced(one: Finding, since: float) -> Finding:
    """Return a finding of a series of its own service that opened at another time."""
    from dataclasses import replace

    labels = {**one.labels, "service": one.series, "namespace": one.series}
    return replace(one, since=since, labels=labels)


def best(run: object) -> float:
    """Return the least milliseconds of some runs."""
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        run()  # type: ignore[operator]  # a function without arguments
        times.append(time.perf_counter() - began)
    return 1e3 * min(times)


def main() -> None:
    """Print the table."""
    depends = Dependencies({f"s{n}": [f"s{n // 2}"] for n in range(1, 500)})
    heads = ("open findings", "incidents", "suspects", "first tick", "later ticks", "a finding")
    print("  ".join(f"{head:>13}" for head in heads))
    for size in SIZES:
        found, population = storm(size, 100_000)
        around = Around(population=population, dependencies=depends)
        made = incidents(found, (), AT + 60, around)
        first = best(lambda f=found, a=around: incidents(f, (), AT + 60, a))
        later = best(lambda f=found, m=made, a=around: incidents(f, m, AT + 75, a))
        suspects = sum(len(one.suspects) for one in made)
        cells = (f"{size:,}", len(made), suspects, f"{first:.1f} ms", f"{later:.1f} ms", f"{1e3 * later / size:.1f} us")
        print("  ".join(f"{cell:>13}" for cell in cells))
    _, population = storm(1, 100_000)
    quiet = calm(100, 100_000)
    made = incidents(quiet, (), AT + 10_000, Around(population=population))
    print(f"by chance alone: 100 findings among 100,000 series, {len(made)} incidents")


if __name__ == "__main__":
    main()
