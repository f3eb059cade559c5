"""`aiops policy validate`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aiops.app.output import SESSION, Format

if TYPE_CHECKING:
    from aiops.adapters.prometheus.costs import Measured
    from aiops.errors import Problem
    from aiops.policy.lint.cost import Bill


class Report(StrEnum):
    """How problems are written: for people, for programs, for code hosts."""

    TEXT = "text"
    JSON = "json"
    YAML = "yaml"
    SARIF = "sarif"
    GITHUB = "github"


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(validate)


def validate(
    paths: Annotated[list[Path], typer.Argument(help="Policy files and folders.")],
    strict: Annotated[bool, typer.Option("--strict", help="Warnings are errors.")] = False,
    output: Annotated[Report | None, typer.Option("-o", "--output", help="How problems are written.")] = None,
    prometheus: Annotated[str | None, typer.Option(help="Measure there what the queries cost.")] = None,
    step: Annotated[str, typer.Option(help="Between two turns of the loop.")] = "15s",
    lane: Annotated[str, typer.Option(help="Between two turns that judge failovers alone.")] = "2s",
    scrape_interval: Annotated[str, typer.Option(help="Between two samples of a series.")] = "15s",
    scraped: Annotated[bool, typer.Option("--scraped", help="The daemon scrapes itself: it answers less.")] = False,
) -> None:
    """Check policies: mistakes, what is unwise, and what they cost Prometheus."""
    from aiops.app.scraped_policies import refused
    from aiops.policy import check
    from aiops.policy.files import named_by_tests, policy_files
    from aiops.policy.lint import Terms, linted
    from aiops.policy.lint.cost import bill

    terms = Terms(
        step_s=_seconds(step, "--step"),
        scrape_s=_seconds(scrape_interval, "--scrape-interval"),
        lane_s=_seconds(lane, "--lane"),
        tested=named_by_tests(policy_files(paths).files),
    )
    found = check(paths, terms.step_s)
    every = (*found.problems, *refused(found.made, _local(scraped=scraped)), *linted(found.made, terms))
    problems = sorted(every, key=lambda one: (one.file, one.line, one.column))
    if strict:
        problems = [replace(one, severity="error") for one in problems]
    failed = any(one.severity == "error" for one in problems)
    costs = bill((policy for _, policy in found.made), terms)
    measured = None if prometheus is None else _measured(prometheus, costs)
    match _report(output):
        case Report.SARIF | Report.GITHUB as report:
            sys.stdout.write(_for_hosts(report, problems))
        case report:
            _show(report, problems, costs, measured)
    if failed:
        sys.exit(1)


def _local(*, scraped: bool) -> frozenset[str]:
    """Return which sources are scraped samples: as it is said, or as the settings of --config have it."""
    from aiops.app.scrape_settings import SCRAPE, local_sources

    if scraped:
        return frozenset({"", SCRAPE})
    return frozenset() if SESSION.config is None else local_sources(SESSION.settings())


def _report(output: Report | None) -> Report:
    return Report(SESSION.format.value) if output is None else output


def _seconds(text: str, option: str) -> float:
    from aiops.core.decide.quantities import duration_s

    try:
        found = duration_s(text)
    except ValueError as err:
        raise typer.BadParameter(str(err), param_hint=option) from err
    if found < 1:
        raise typer.BadParameter(f"{text!r} is less than a second", param_hint=option)
    return found


def _measured(url: str, costs: Bill) -> Measured:
    """Ask a Prometheus; our credentials go to the address of the settings, and to no other."""
    from aiops.adapters.prometheus import PrometheusOptions
    from aiops.adapters.prometheus.costs import measured
    from aiops.app.surroundings import prometheus_options
    from aiops.policy.placeholders import widened

    own = SESSION.settings().prometheus
    same = own is not None and own.url.rstrip("/") == url.rstrip("/")
    options = prometheus_options(own) if own is not None and same else PrometheusOptions(url=url)
    selectors = (widened(selector) for one in costs.queries.values() for selector in one.selectors)
    return measured(options, map(widened, costs.queries), selectors)


def _for_hosts(report: Report, problems: Sequence[Problem]) -> str:
    from aiops import __version__
    from aiops.policy.lint.reports import github, sarif

    if report is Report.SARIF:
        return json.dumps(sarif(problems, __version__), indent=2) + "\n"
    commands = github(problems)
    return f"{commands}\n" if commands else ""


def _show(report: Report, problems: Sequence[Problem], costs: Bill, measured: Measured | None) -> None:
    for one in problems:
        mark = "warning: " if one.severity == "warning" else ""
        sys.stderr.write(f"{mark}{one} [{one.code}]\n")
    SESSION.format = Format(report.value)
    SESSION.show(_data(problems, costs, measured), _text(problems, costs, measured))


_PLURALS = {"policy": "policies", "error": "errors", "warning": "warnings"}


def _text(problems: Sequence[Problem], costs: Bill, measured: Measured | None) -> str:
    from aiops.app.output import table

    rows = [[key, *_costs(key, costs, measured)] for key in costs.by_policy]
    total = _costs(None, costs, measured)
    errors = sum(one.severity == "error" for one in problems)
    counts = {"policy": len(costs.by_policy), "error": errors, "warning": len(problems) - errors}
    words = [f"{count} {_PLURALS[word] if count != 1 else word}" for word, count in counts.items()]
    samples = "samples/min" if measured is not None else "samples/min a series"
    lines = [table(("policy", "queries a tick", "queries/min", samples), [*rows, ["in all, shared ones once", *total]])]
    if measured is not None:
        lines += _unmeasured(measured)
    return "\n".join([*lines, ", ".join(words)])


def _costs(key: str | None, costs: Bill, measured: Measured | None) -> list[str]:
    queries = costs.queries if key is None else costs.by_policy[key]
    times = sum(costs.queries[one].times for one in queries)
    touched = costs.samples_per_minute(key) if measured is None else _touched(queries, costs, measured)
    bound = "at most " if measured is None else ""
    return [f"{times:g}", f"{costs.queries_per_minute(key):g}", f"{bound}{touched:,.0f}"]


def _touched(queries: Any, costs: Bill, measured: Measured) -> float:
    """Return the samples a minute; a query of a template was measured for all of its targets at once."""
    from aiops.policy.placeholders import widened

    samples = ((measured.samples.get(widened(one)) or 0) * costs.queries[one].turns for one in queries)
    return sum(samples) * 60.0 / costs.step_s


def _unmeasured(measured: Measured) -> list[str]:
    lines = [f"no series now: {selector}" for selector, series in measured.series.items() if not series]
    silent = sum(one is None for one in measured.samples.values())
    lines += [f"{silent} queries: the server does not say how many samples they touch"] if silent else []
    lines += [f"not measured: {text}: {why}" for text, why in measured.failed.items()]
    return lines + ([f"{measured.left_out} queries were not asked"] if measured.left_out else [])


def _data(problems: Sequence[Problem], costs: Bill, measured: Measured | None) -> dict[str, Any]:
    data: dict[str, Any] = {
        "valid": not any(one.severity == "error" for one in problems),
        "problems": [asdict(one) for one in problems],
        "queries": {key: list(queries) for key, queries in costs.by_policy.items()},
        "cost": {
            "queriesPerMinute": costs.queries_per_minute(),
            "samplesPerMinuteAndSeries": costs.samples_per_minute(),
            "policies": {
                key: {
                    "queriesPerMinute": costs.queries_per_minute(key),
                    "samplesPerMinuteAndSeries": costs.samples_per_minute(key),
                }
                for key in costs.by_policy
            },
        },
    }
    if measured is not None:
        data["measured"] = {
            "samplesPerMinute": _touched(costs.queries, costs, measured),
            "series": dict(measured.series),
            "samples": dict(measured.samples),
            "failed": dict(measured.failed),
            "leftOut": measured.left_out,
        }
    return data
