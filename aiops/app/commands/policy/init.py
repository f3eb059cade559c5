"""`aiops policy init`."""

from __future__ import annotations

import math
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from aiops.app.output import SESSION

if TYPE_CHECKING:
    from aiops.app.looking import Found
    from aiops.policy.convert.metrics import Workload
    from aiops.policy.first import Answers

T = TypeVar("T")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(init)


def init(
    deployment: Annotated[str, typer.Option(help="Look at this Deployment in the cluster: shop/checkout.")] = "",
    target: Annotated[str, typer.Option(help="The Deployment, without looking: shop/checkout.")] = "",
    kubeconfig: Annotated[Path | None, typer.Option(help="How the cluster is reached.")] = None,
    context: Annotated[str | None, typer.Option(help="Which of the kubeconfig's contexts.")] = None,
    prometheus: Annotated[str | None, typer.Option(help="Look at the Deployment's metrics there.")] = None,
    demand: Annotated[str | None, typer.Option(help="What is asked for: requests or cpu.")] = None,
    query: Annotated[str | None, typer.Option(help="PromQL of the demand in requests per second.")] = None,
    per_replica: Annotated[float | None, typer.Option(help="What one pod carries, in units of demand.")] = None,
    least: Annotated[int | None, typer.Option("--min", help="Never fewer replicas.")] = None,
    most: Annotated[int | None, typer.Option("--max", help="Never more replicas.")] = None,
    startup: Annotated[str, typer.Option(help="How long a pod takes to start.")] = "60s",
    latency: Annotated[str | None, typer.Option(help="PromQL of a latency in seconds; needs --slo.")] = None,
    slo: Annotated[str | None, typer.Option(help="What the latency must not exceed: 250ms.")] = None,
    hpa: Annotated[bool | None, typer.Option("--hpa/--no-hpa", help="Whether an HPA scales it already.")] = None,
    folder: Annotated[Path, typer.Option(help="Where the two files are written.")] = Path(),
    force: Annotated[bool, typer.Option("--force", help="Overwrite them.")] = False,
) -> None:
    """Write a first policy and its tests: from a few answers, or from what the cluster and Prometheus show."""
    from aiops.app.looking import Found

    ask = _Asking()
    work = _named(ask.for_text(deployment or target, "--target", "Which Deployment (namespace/name)?"))
    found = _seen_there(work, kubeconfig, context) if deployment else Found()
    found = found if prometheus is None else _measured(work, prometheus, found)
    for line in found.said:
        sys.stderr.write(f"{line}\n")
    kind, asked = _demand(ask, work, demand or (None if query is None else "requests"), query, found)
    known = per_replica if per_replica is not None else found.per_replica
    has_hpa = hpa if hpa is not None else found.has_hpa
    answers = _answers(
        work,
        _Numbers(
            kind=kind,
            query=asked,
            each=ask.for_number(known, "--per-replica", _carried(kind), 0.7 if kind == "cpu" else None),
            least=int(ask.for_number(least if least is not None else found.least, "--min", "Least replicas?", 2)),
            most=int(ask.for_number(most if most is not None else found.most, "--max", "Most replicas?", 10)),
            hpa=ask.for_yes(has_hpa, "--hpa or --no-hpa", "Does an HPA scale it already?"),
        ),
        startup,
        (latency or found.latency or "", slo or ""),
        found,
    )
    _write(answers, folder, force)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Numbers:
    kind: str
    query: str
    each: float
    least: int
    most: int
    hpa: bool


class _Asking:
    """Asks people at a terminal; without one, what was not said is wrong usage."""

    def for_text(self, given: str | None, option: str, question: str, default: str | None = None) -> str:
        """Return an answer in words."""
        return given or str(typer.prompt(question, default=self._may(option, question, default), err=True))

    def for_number(self, given: float | None, option: str, question: str, default: float | None) -> float:
        """Return a number."""
        if given is not None:
            return given
        shown = self._may(option, question, default)
        return float(typer.prompt(question, default=shown, type=float, err=True))

    def for_yes(self, given: bool | None, option: str, question: str) -> bool:
        """Return whether."""
        if given is not None:
            return given
        self._may(option, question, None)
        return typer.confirm(question, default=True, err=True)

    def _may(self, option: str, question: str, default: T) -> T:
        if not sys.stdin.isatty():
            raise typer.BadParameter(f"{question} There is no terminal to ask on: say it", param_hint=option)
        return default


def _named(text: str) -> Workload:
    from aiops.policy.convert.metrics import Workload

    namespace, slash, name = text.rpartition("/")
    if not slash or not _NAME.fullmatch(namespace) or not _NAME.fullmatch(name):
        raise typer.BadParameter(f"{text!r} is not namespace/name", param_hint="--target")
    return Workload(namespace=namespace, api_version="apps/v1", kind="Deployment", name=name)


def _seen_there(work: Workload, kubeconfig: Path | None, context: str | None) -> Found:
    """Return what the cluster shows."""
    from aiops.adapters.kubernetes import KubernetesOptions
    from aiops.app import looking

    return looking.workload(KubernetesOptions(kubeconfig=kubeconfig, context=context), work)


def _measured(work: Workload, url: str, found: Found) -> Found:
    """Return what was found with what Prometheus shows; it needs no cluster."""
    from aiops.adapters.prometheus import PrometheusOptions
    from aiops.app import looking

    return looking.metrics(PrometheusOptions(url=url), work, found)


def _demand(ask: _Asking, work: Workload, demand: str | None, query: str | None, found: Found) -> tuple[str, str]:
    """Return what is asked for, and its query."""
    from aiops.policy.first import Demand, cpu_query

    seen = None if found.demand is None else found.demand.value
    kind = ask.for_text(demand or seen, "--demand", "What is asked for (requests or cpu)?", "requests")
    if kind not in tuple(Demand):
        raise typer.BadParameter(f"{kind!r} is none of {', '.join(Demand)}", param_hint="--demand")
    if kind == Demand.CPU:
        return kind, cpu_query(work)
    seen_query = found.query if kind == seen else None
    return kind, ask.for_text(query or seen_query, "--query", "PromQL of the requests per second?")


def _carried(kind: str) -> str:
    if kind == "cpu":
        return "How much of its CPU request may a pod use (0.7)?"
    return "How many requests per second does one pod carry?"


def _answers(work: Workload, said: _Numbers, startup: str, slo: tuple[str, str], found: Found) -> Answers:
    from aiops.core.decide.quantities import duration_s
    from aiops.policy.first import Answers, Demand

    if said.least < 1 or said.most < said.least:
        raise typer.BadParameter(f"{said.least} to {said.most} are no bounds", param_hint="--min, --max")
    if not math.isfinite(said.each) or said.each <= 0:
        raise typer.BadParameter(f"one pod carries more than nothing, not {said.each}", param_hint="--per-replica")
    try:
        startup_s = duration_s(startup)
    except ValueError as err:
        raise typer.BadParameter(str(err), param_hint="--startup") from err
    query, at_most = slo
    if at_most and not query:
        raise typer.BadParameter("an SLO needs the latency's query: --latency", param_hint="--slo")
    return Answers(
        workload=work,
        demand=Demand(said.kind),
        query=said.query,
        per_replica=said.each,
        least=said.least,
        most=said.most,
        startup_s=startup_s,
        latency=query if at_most else "",
        slo=at_most,
        has_hpa=said.hpa,
        reasons=found.said,
    )


def _write(answers: Answers, folder: Path, force: bool) -> None:
    """Write both files, or none where one is there already."""
    from aiops.app.commands.policy.convert import SCHEMA, schema_from, write_new
    from aiops.errors import Conflict, InvalidInput
    from aiops.policy import first, parse

    name = answers.workload.name
    made, tests = folder / f"{name}.yaml", folder / f"{name}.test.yaml"
    draft = first.policy(answers)
    text = draft.text(schema_from(folder))
    parse(text, str(made))
    there = [str(one) for one in (made, tests) if one.exists()]
    if there and not force:
        raise Conflict(f"{', '.join(there)}: already there, and not overwritten without --force")
    of_tests = SCHEMA.with_name(first.SCHEMA_OF_TESTS)
    schema = os.path.relpath(of_tests, folder) if of_tests.exists() else of_tests.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise InvalidInput(f"{folder}: cannot be made: {err.strerror}") from err
    write_new(made, text, force=force)
    write_new(tests, first.written_tests(answers, made.name, schema), force=force)
    words = [str(made), str(tests), f"next: aiops policy validate {made} && aiops policy test {tests}"]
    SESSION.show({"policy": str(made), "tests": str(tests), "document": draft.data}, "\n".join(words))
