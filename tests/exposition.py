"""What a daemon with everything enabled exports, by example; and docs/metrics.md, which is made of it.

`python -m tests.exposition > docs/metrics.md` writes the page anew.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache

from prometheus_client import CollectorRegistry
from prometheus_client.registry import Collector

from aiops.adapters.git import Numbers
from aiops.adapters.metrics import (
    AlertmanagerCollector,
    AlertmanagerNumbers,
    AnomalyCollector,
    AuditSeen,
    FollowingCollector,
    FollowingNumbers,
    IncidentCollector,
    LoopMetrics,
    ModelCollector,
    MoneyCollector,
    MoneyNumbers,
    Naming,
    OutlookCollector,
    PlanCollector,
    PriceCollector,
    RateCollector,
    RateNumbers,
    RepositoryCollector,
    ShardCollector,
    ShardNumbers,
    Standing,
    StandingCollector,
    TimingCollector,
    TimingNumbers,
)
from aiops.core.model import (
    BudgetPeriod,
    BudgetStanding,
    GroupState,
    Health,
    IncidentState,
    LoopState,
    Mode,
    Outcome,
    OutcomeKind,
    Plan,
    PlanKind,
    PlanStatus,
    PriceBook,
    Priced,
    PriceGap,
    Question,
    Reason,
    SiteState,
    TargetState,
    Tick,
    Unpriced,
    VerdictWord,
)
from tests.builders import KEY, NOW, TARGET, answer, snapshot
from tests.outlooks import Stage, finding, sight
from tests.stored import INCIDENT, acting, made
from tests.unit.fleet import Days, a_set, a_watch, services
from tests.unit.test_lineage import lineage, live, refitted

GROUP, BUDGET = "FailoverPolicy/shop/api", "CostBudget/shop/month"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One metric as Prometheus knows it. name: of the samples; of a histogram without `_bucket`, `_sum`, `_count`."""

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str


# -- examples ----------------------------------------------------------------------------------------------


def _tick() -> Tick:
    opened = replace(INCIDENT, state=IncidentState.OPEN)
    outcome = Outcome(action_id="a", policy=KEY, target=TARGET, kind=OutcomeKind.TOOK_EFFECT, at=NOW, detail="seen")
    return replace(acting().tick, incidents=(opened,), outcomes=(outcome,))


def _loop() -> CollectorRegistry:
    metrics = LoopMetrics()
    metrics.stage("observe", 0.1)
    metrics.tick(_bound(_tick()), LoopState())
    return metrics.registry


def _bound(tick: Tick) -> Tick:
    """Return the tick with a second decision, which a guard bound."""
    held = made(shot=snapshot(demand=answer(490.0, newest_at=NOW - 3600.0))).tick
    return replace(tick, decisions=(*tick.decisions, *held.decisions))


def _standing() -> Standing:
    return Standing(
        version="1.2.3",
        turn_age_s=3.0,
        turn_every_s=15.0,
        leads=True,
        epoch=1,
        policies={("ScalingPolicy", Mode.ENFORCE.value): 1},
        audit=AuditSeen(whole=True, records=9, at=NOW),
    )


def _state() -> LoopState:
    plan = Plan(
        id="p",
        kind=PlanKind.FAILOVER,
        policy=GROUP,
        subject=GROUP,
        reason="west is sick",
        created_at=NOW,
        steps=(),
        status=PlanStatus.RUNNING,
    )
    asked = TargetState(question=Question(id="q", after=9, expires_at=NOW + 60.0))
    sites = {"west": SiteState(health=Health.SICK, since=NOW)}
    return LoopState(targets={KEY: asked}, plans={"p": plan}, groups={GROUP: GroupState(sites=sites)})


def _money() -> MoneyNumbers:
    standing = BudgetStanding(
        budget=BUDGET,
        period=BudgetPeriod.MONTH,
        at=NOW,
        start=NOW - 1.0,
        until=NOW + 1.0,
        amount=100.0,
        spent=40.0,
        projected=80.0,
        chance_over=0.1,
    )
    return MoneyNumbers(actual_usd=1.0, static_usd=2.0, budgets={BUDGET: standing})


def _following() -> FollowingNumbers:
    return FollowingNumbers(waiting={"ops/mail": 1}, events_sent=3)


def _prices() -> PriceBook:
    quotes = {
        "a": Priced(usd_per_hour=0.1, source="list", as_of=NOW),
        "b": Unpriced(gap=PriceGap.STALE, detail="of yesterday"),
    }
    return PriceBook(replicas=quotes)


def _models() -> ModelCollector:
    one = lineage()
    now = live(one, 120)
    refitted(one, now)
    live(one, 70, begin=now)
    return ModelCollector(lambda: {KEY: one})


def _anomalies() -> AnomalyCollector:
    days = Days(a_set(a_watch()), services("checkout", "cart"))
    days.learn_history(1.5)
    days.ticks(8)
    return AnomalyCollector(lambda: days.bank.sights, lambda: days.now, Naming())


@cache
def chapters() -> dict[str, CollectorRegistry | Collector]:
    """Return what exports, by the heading under which the page tells of it."""
    timing = TimingNumbers(budget_s=12.0, shed_ever={"watch": 3}, held={"failed": 1})
    sent = AlertmanagerNumbers(sent={"http://alertmanager:9093": 1}, silences_age_s=5.0)
    return {
        "The daemon": StandingCollector(_standing),
        "Turns, decisions and actions": _loop(),
        "Time": TimingCollector(lambda: timing),
        "Clusters": RateCollector(lambda: {"eu": RateNumbers(per_s=20.0, waited_s=1.5, refused=1)}),
        "Plans, sites and questions": PlanCollector(_state, lambda: NOW),
        "Forecasts and findings": OutlookCollector(Stage(sight(findings=(finding(2.5),))).viewer),
        "Models": _models(),
        "Incidents": IncidentCollector(lambda: [replace(INCIDENT, state=IncidentState.OPEN)]),
        "Money": MoneyCollector(_money),
        "Prices": PriceCollector(_prices, lambda: NOW),
        "Alertmanager": AlertmanagerCollector(lambda: sent),
        "Shards (engine: ray)": ShardCollector(lambda: [_SHARD]),
        "Notices and events": FollowingCollector(_following),
        "Git": RepositoryCollector(lambda: {"deploy": Numbers(pushes={"done": 1}, fetches={"done": 9}, read_at=NOW)}),
        "Watched series": _anomalies(),
    }


# -- reading -----------------------------------------------------------------------------------------------


def told(source: CollectorRegistry | Collector) -> list[Told]:
    """Return every metric of a source; its labels are those that any sample of it has."""
    found = []
    for family in source.collect():
        if family.name.endswith("_created"):
            continue
        name = f"{family.name}_total" if family.type == "counter" else family.name
        samples = [one for one in family.samples if not one.name.endswith("_created")]
        labels = dict.fromkeys(label for one in samples for label in one.labels if label != "le")
        found.append(Told(name=name, kind=family.type, labels=tuple(labels), meaning=family.documentation))
    return found


@cache
def everything() -> dict[str, Told]:
    """Return every metric by its name."""
    return {one.name: one for source in chapters().values() for one in told(source)}


# -- the page ----------------------------------------------------------------------------------------------

WORDS: Mapping[str, Sequence[str]] = {
    "dry_run": ("true", "false"),
    "health": [*Health],
    "`kind` of `aiops_plans`": [*PlanKind],
    "`kind` of `aiops_prices_*`": ("replica", "node"),
    "`kind` of `aiops_target_replicas`": ("current", "wanted"),
    "`kind` of `aiops_tick_failures_total`": ("held", "store", "bug"),
    "mode": [*Mode],
    "outcome": [*OutcomeKind],
    "`reason` of `aiops_prices_unknown`": [*PriceGap],
    "`reason` of `aiops_rulings_total`": [*Reason],
    "stage": ("observe", "perceive", "decide", "act", "plans"),
    "status": [*PlanStatus],
    "verdict": [*VerdictWord],
}
"""What labels can say, where that is a closed list."""

HEAD = """# Metrics

What the daemon says of itself on `http://HOST:9464/metrics` (`telemetry` in the settings), in Prometheus' text format.
Units are base units, and in the names; what is not known is absent, never zero. The dashboards in
[config/grafana](../config/grafana) and the alert rules in [config/alerts](../config/alerts) read them, and the
[runbook](runbook.md) says what to do when an alert fires.

`policy` is `Kind/namespace/name`; versions that run as a shadow are all `...@shadow`. Labels are bounded by what is
loaded. Each of several replicas has its own `/metrics`: the one that leads (`aiops_leads`) tells what is decided,
planned and asked, so dashboards and alerts take the `max` over replicas. `process_*` (memory, CPU, files) is there.

Policies must not read `aiops_*` (S1).
"""


TRACES = """## Traces

```yaml
telemetry:
  traces: {endpoint: "http://collector:4318/v1/traces", ratio: 0.1}
```

sends a tenth of the turns to an OpenTelemetry collector by OTLP/HTTP (`pip install 'aiops[otel]'`). A turn is one
trace: `turn` with `observe`, `perceive`, `decide` and `act`; the fast turn of plans is `plans`. Spans say what was
counted (`aiops.signals`, `aiops.signals.blind`, `aiops.findings`, `aiops.incidents`, `aiops.decisions` and each
verdict, `aiops.actions`, `aiops.errands`); a turn that was held has the status error and `error.type`. Who stands by
has `observe` and `perceive` alone. Headers for the collector are read from `OTEL_EXPORTER_OTLP_HEADERS`. A collector
that is gone holds nothing up: spans are logged as not sent, and lost.
"""


_SHARD = ShardNumbers(
    number=0,
    answers=True,
    quarantined=False,
    series=1000,
    findings=1,
    took_s=0.2,
    read_s=0.1,
    turns=9,
    late=1,
    failures=1,
    restarts=1,
)


def page() -> str:
    """Return docs/metrics.md."""
    lines = [HEAD]
    for heading, source in chapters().items():
        lines += [f"## {heading}", "", "| metric | type | labels | meaning |", "|---|---|---|---|"]
        lines += [_row(one) for one in told(source)]
        lines += [""]
    lines += ["## What labels say", "", "| label | values |", "|---|---|"]
    for label, words in WORDS.items():
        shown = ", ".join(f"`{word.value if isinstance(word, StrEnum) else word}`" for word in words)
        lines.append(f"| {label if label.startswith('`') else f'`{label}`'} | {shown} |")
    lines += ["", "The metrics of watched series carry the labels of the series, too; `for` is the policy.", "", TRACES]
    return "\n".join(lines)


def _row(one: Told) -> str:
    labels = ", ".join(f"`{label}`" for label in one.labels)
    return f"| `{one.name}` | {one.kind} | {labels} | {one.meaning} |"


if __name__ == "__main__":
    sys.stdout.write(page())
