"""The linter: each rule speaks where it should, at its place, and is silent where it should be."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiops.policy.checking import checked
from aiops.policy.lint import RULES, Terms, linted

ROOT = Path(__file__).parents[2]
BASE = """\
apiVersion: policy.aiops/v1alpha1
kind: ScalingPolicy
metadata: {name: shop, namespace: shop}
spec:
  mode: dry-run
  target: {kind: Deployment, name: shop}
  lever: hpa-floor
  signals:
    demand: {query: 'sum(rate(http_requests_total{service="shop"}[1m]))', unit: req/s, maxAge: 90s}
    latency:
      query: 'histogram_quantile(0.95, sum by (le) (rate(latency_seconds_bucket{service="shop"}[2m])))'
      unit: s
      whenNoTraffic: meets-slo
  objective: {demand: demand, perReplica: 50, slo: {signal: latency, atMost: 250ms, target: 99.5%}}
  forecast: {history: 14d, season: 1d, quantile: 0.95, leadTime: 60s}
  bounds:
    minReplicas: 3
    maxReplicas: 40
    windows: [{schedule: '0 8 * * 1-5', duration: 10h, minReplicas: 6}]
  behavior: {scaleDown: {stabilizationWindowSeconds: 300}}
  limits: {cooldown: {out: 0s, in: 60s}}
  guardrails: [{when: 'signals.demand < 1.0', then: hold-scale-in}]
  verify: {within: 5m}
  fallback: {after: 5m, replicas: 12}
"""
WATCH = """\
apiVersion: policy.aiops/v1alpha1
kind: WatchPolicy
metadata: {name: latency, namespace: shop}
spec:
  query: 'sum by (service) (rate(http_requests_total{namespace="shop"}[2m]))'
  identity: [service]
  history: 7d
"""
BUDGET = """\
apiVersion: policy.aiops/v1alpha1
kind: CostBudget
metadata: {name: shop, namespace: shop}
spec: {amount: 400, period: month, priorities: [{policies: [shop], maxReplicas: 20}]}
"""
NIGHTS = """\
apiVersion: policy.aiops/v1alpha1
kind: CostPolicy
metadata: {name: nights, namespace: shop}
spec:
  mode: enforce
  target: {every: true, maxTargets: 20, exclude: [db]}
  sleep: {awake: [{schedule: '0 8 * * 1-5', duration: 12h}]}
"""
SHARED = """\
apiVersion: policy.aiops/v1alpha1
kind: CostPolicy
metadata: {name: spot, namespace: shop}
spec:
  mode: enforce
  target: {name: web}
  spot: {lostReplicaHour: 2}
"""
EVERY = "{every: true, maxTargets: 20, exclude: [db]}"
IDLE = """\
apiVersion: policy.aiops/v1alpha1
kind: CostPolicy
metadata: {name: idle, namespace: shop}
spec:
  mode: approve
  target: {name: web}
  signals: {demand: {query: 'sum(rate(http_requests_total{service="shop"}[1m]))', unit: req/s}}
  idle: {when: [{signal: demand, below: 0.1}]}
"""
REFUSING = BASE.replace(
    "    latency:\n",
    "    refused: {query: 'sum(rate(http_refused_total{service=\"shop\"}[1m]))', unit: 1/s}\n    latency:\n",
).replace("perReplica: 50,", "perReplica: 50, refused: refused,")


def labelled(name: str, labels: str) -> str:
    """Return NIGHTS of another name for workloads with labels."""
    chosen = f"{{selector: {{matchLabels: {labels}}}, maxTargets: 20}}"
    return put(NIGHTS, ("name: nights", f"name: {name}"), (EVERY, chosen))


DEMAND = 'sum(rate(http_requests_total{service="shop"}[1m]))'
PRICED = "perReplica: 50, price: {violatedRequest: 0.001},"
FORECAST = "  forecast: {history: 14d, season: 1d, quantile: 0.95, leadTime: 60s}\n"
TERMS = Terms(tested=frozenset())


def found(*texts: str, terms: Terms = TERMS) -> list[str]:
    made = checked([(f"{number}.yaml", text) for number, text in enumerate(texts)], terms.step_s)
    assert made.errors == ()
    return [one.code for one in linted(made.made, terms)]


def put(text: str, *changes: tuple[str, str]) -> str:
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def asking(query: str, role: str = "x") -> str:
    if role == "demand":
        return put(BASE, (DEMAND, query))
    added = f"    x: {{query: '{query}', unit: req/s}}\n  objective"
    used = "[{when: 'signals.x > 1.0', then: hold}, {when: 'signals.demand < 1.0'"
    return put(BASE, ("  objective", added), ("[{when: 'signals.demand < 1.0'", used))


SLOW_OUT = (
    "behavior: {scaleUp: {policies: [{type: Pods, value: 1, periodSeconds: 60}]}, "
    "scaleDown: {stabilizationWindowSeconds: 0}}"
)
DOWN = "behavior: {scaleDown: {stabilizationWindowSeconds: 300}}"
WINDOW = "[{schedule: '0 8 * * 1-5', duration: 10h, minReplicas: 6}]"
GUARD = "[{when: 'signals.demand < 1.0', then: hold-scale-in}]"
ZERO = "unit: s\n      onAbsent: zero\n      presence: 'count(up{service=\"shop\"})'"
ONLY = "onHolidays: only, holidays: {dates:"
SAME = "unit: req/s, maxAge: 90s, onAbsent: zero, presence: 'count(http_requests_total{service=\"shop\"})'"

CHOSEN = put(
    BASE,
    ("name: shop}\n  lever", "selector: {matchLabels: {tier: web}}, maxTargets: 9}\n  lever"),
    (DEMAND, DEMAND.replace("shop", "$(target.name)")),
)
LATENCY = 'latency_seconds_bucket{service="shop"}'

COSTLY = put(
    BASE,
    ("when: 'signals.demand < 1.0', then: hold-scale-in", "when: 'cost.month.projected > 9', then: hold-scale-out"),
)

BROKEN = [
    ("scale-in-faster", [put(BASE, (DOWN, SLOW_OUT))]),
    ("cooldown-inverted", [put(BASE, ("out: 0s", "out: 5m"))]),
    ("no-fallback", [put(BASE, ("  fallback: {after: 5m, replicas: 12}\n", ""), ("hpa-floor", "replicas"))]),
    ("enforce-without-tests", [put(BASE, ("dry-run", "approve"))]),
    ("enforce-without-tests", [put(BASE, ("dry-run", "enforce"))]),
    ("enforce-without-hpa", [put(BASE, ("dry-run", "enforce"), ("hpa-floor", "replicas"))]),
    ("single-replica", [put(BASE, ("dry-run", "enforce"), ("minReplicas: 3", "minReplicas: 1"))]),
    ("idle-price", [put(BASE, ("perReplica: 50,", PRICED), (FORECAST, ""))]),
    ("idle-price", [put(BASE, ("perReplica: 50,", PRICED), ("quantile: 0.95", "quantile: slo"), ("99.5%", "99.95%"))]),
    ("single-replica", [put(BASE, ("dry-run", "enforce"), ("minReplicas: 3", "minReplicas: 0"))]),
    ("zero-is-good-news", [put(BASE, ("unit: s", ZERO))]),
    ("shared-by-targets", [CHOSEN]),
    ("presence-says-nothing", [put(BASE, ("unit: req/s, maxAge: 90s", SAME))]),
    ("no-traffic", [put(BASE, ("      whenNoTraffic: meets-slo\n", ""))]),
    ("unused-signal", [put(BASE, ("  objective", "    x: {query: 'sum(up{job=\"shop\"})'}\n  objective"))]),
    ("short-lead", [put(BASE, ("leadTime: 60s", "leadTime: 0s"))]),
    ("short-history", [put(BASE, ("history: 14d", "history: 36h"))]),
    (
        "short-season",
        [put(BASE, ("season: 1d", "season: 1h"), ("leadTime: 60s", "leadTime: 20m"), ("within: 5m", "within: 1h"))],
    ),
    ("quantile-half", [put(BASE, ("quantile: 0.95", "quantile: 0.5"))]),
    ("verify-too-soon", [put(BASE, ("within: 5m", "within: 1m"))]),
    ("max-age-short", [put(BASE, ("maxAge: 90s", "maxAge: 20s"))]),
    ("max-age-long", [put(BASE, ("maxAge: 90s", "maxAge: 10m"))]),
    (
        "nothing-to-scale",
        [
            put(
                BASE,
                (f"    windows: {WINDOW}\n", ""),
                ("maxReplicas: 40", "maxReplicas: 3"),
                ("replicas: 12", "replicas: 3"),
            )
        ],
    ),
    ("window-above-max", [put(BASE, ("minReplicas: 6", "minReplicas: 60"))]),
    ("window-never", [put(BASE, ("'0 8 * * 1-5'", "'0 8 25 12 *', holidays: {country: DE}"))]),
    ("window-never", [put(BASE, ("'0 8 * * 1-5'", f"'0 8 * * 1', {ONLY} ['2026-12-25']}}"))]),
    ("window-always", [put(BASE, ("'0 8 * * 1-5', duration: 10h", "'0 */6 * * *', duration: 6h"))]),
    ("window-always", [put(BASE, ("'0 8 * * 1-5', duration: 10h", "'0 8 * * 1-5', duration: 3d"))]),
    ("fallback-outside", [put(BASE, ("replicas: 12", "replicas: 41"))]),
    ("fallback-outside", [put(BASE, ("replicas: 12", "replicas: 3"))]),
    ("cap-outside", [put(BASE, ("then: hold-scale-in", "then: cap, maxReplicas: 40"))]),
    ("cap-outside", [put(BASE, ("then: hold-scale-in", "then: cap, maxReplicas: 2"))]),
    ("odd-unit", [put(BASE, ("atMost: 250ms", "atMost: 250"))]),
    ("odd-unit", [put(BASE, ("unit: s\n", "unit: ms\n"))]),
    ("odd-unit", [put(BASE, ("unit: s\n", "unit: ratio\n"), ("atMost: 250ms", "atMost: 5"))]),
    ("odd-unit", [REFUSING]),
    ("constant-condition", [put(BASE, ("signals.demand < 1.0", "1.0 < 2.0"))]),
    ("constant-condition", [put(BASE, ("signals.demand < 1.0", "time.weekday == 7.0"))]),
    ("constant-condition", [put(BASE, ("signals.demand < 1.0", "time.hour >= 0.0 && time.weekday < 7.0"))]),
    ("no-matchers", [asking("sum(rate(http_requests_total[1m]))")]),
    ("no-matchers", [asking('sum(rate(http_requests_total{service!=""}[1m]))')]),
    ("wide-regex", [asking('sum(rate(http_requests_total{service="shop",pod=~".*"}[1m]))')]),
    ("wide-regex", [asking('sum(rate(http_requests_total{service="shop",pod=~".*shop"}[1m]))')]),
    ("wide-placeholder", [put(CHOSEN, ('service="$(target.name)"', 'pod=~"$(target.name).*"'))]),
    ("wide-placeholder", [put(CHOSEN, ('service="$(target.name)"', 'pod=~"$(target.name)-.+"'))]),
    ("many-series", [asking('sum by (pod) (rate(http_requests_total{service="shop"}[1m]))')]),
    ("many-series", [asking('queue_length{service="shop"}')]),
    ("many-series", [asking('topk(3, queue_length{service="shop"})')]),
    ("many-series", [asking('sum(up{job="a"}) or sum by (x) (up{job="b"})')]),
    ("wide-range", [asking('sum(rate(http_requests_total{service="shop"}[6h]))')]),
    ("wide-range", [asking('max_over_time(sum(rate(http_requests_total{service="shop"}[1m]))[1h:1m])')]),
    ("short-window", [asking('sum(rate(http_requests_total{service="shop"}[20s]))')]),
    ("slow-signal", [asking('sum(rate(http_requests_total{service="shop"}[10m]))', "demand")]),
    ("counter-as-gauge", [asking('sum(http_requests_total{service="shop"})')]),
    ("rate-of-sum", [asking('rate(sum(http_requests_total{service="shop"})[5m:15s])')]),
    ("no-le", [asking('histogram_quantile(0.9, sum(rate(x_bucket{service="shop"}[2m])))')]),
    ("no-le", [asking('histogram_quantile(0.9, sum by (pod) (rate(x_bucket{service="shop"}[2m])))')]),
    ("average-of-quantiles", [asking('avg(histogram_quantile(0.9, sum by (le, pod) (rate(x_bucket{pod="a"}[2m]))))')]),
    ("average-of-quantiles", [asking('avg(rpc_seconds{service="shop",quantile="0.99"})')]),
    ("shrinking-demand", [asking('avg(rate(http_requests_total{service="shop"}[1m]))', "demand")]),
    ("shrinking-demand", [put(BASE, ("unit: req/s, maxAge", "unit: ratio, maxAge"))]),
    ("passing-identity", [put(WATCH, ("by (service)", "by (service, pod)"), ("[service]", "[service, pod]"))]),
    ("passing-identity", [put(WATCH, ("sum by (service) (rate(", "(rate("), ("  identity: [service]\n", ""))]),
    ("identity-not-answered", [put(WATCH, ("[service]", "[deployment]"))]),
    ("short-watch-history", [put(WATCH, ("history: 7d", "history: 1d"))]),
    ("duplicate-signal", [asking('sum( rate(http_requests_total{service="shop"}[1m]) )')]),
    (
        "same-heavy-query",
        [put(WATCH, ("[2m]", "[30m]")), put(WATCH, ("[2m]", "[30m]"), ("name: latency", "name: other"))],
    ),
    (
        "same-in-other-words",
        [WATCH, put(WATCH, ("sum by (service) (rate", "sum by (service)(rate"), ("name: latency", "name: other"))],
    ),
    ("candidate-for-nobody", [put(BASE, ("mode: dry-run", "candidateFor: nobody\n  mode: dry-run"))]),
    ("overlapping-savings", [NIGHTS, IDLE]),
    ("overlapping-savings", [put(NIGHTS, (EVERY, "{name: web}")), IDLE]),
    ("overlapping-savings", [NIGHTS, labelled("some", "{app: a}")]),
    ("overlapping-savings", [labelled("more", "{app: a}"), labelled("some", "{app: a, tier: b}")]),
    ("overlapping-savings", [SHARED, put(SHARED, ("name: spot", "name: other"))]),
    ("scaled-share", [put(BASE, ("mode: dry-run", "mode: enforce")), put(SHARED, ("{name: web}", "{name: shop}"))]),
    ("cost-without-budget", [COSTLY]),
    ("cost-without-budget", [COSTLY, put(BUDGET, ("period: month", "period: day"))]),
    ("cost-without-budget", [COSTLY, put(BUDGET, ("namespace: shop", "namespace: other"))]),
    ("priority-for-nobody", [BASE, put(BUDGET, ("policies: [shop]", "policies: [shp]"))]),
    ("priority-for-nobody", [BASE, put(BUDGET, ("policies: [shop]", "selector: {matchLabels: {tier: batch}}"))]),
    ("ceiling-outside", [BASE, put(BUDGET, ("maxReplicas: 20", "maxReplicas: 40"))]),
    ("ceiling-outside", [BASE, put(BUDGET, ("maxReplicas: 20", "maxReplicas: 2"))]),
]


def test_the_policies_that_are_broken_below_are_well_before():
    assert found(BASE) == []
    assert found(WATCH) == []


@pytest.mark.parametrize(("code", "texts"), BROKEN, ids=[f"{code}-{number}" for number, (code, _) in enumerate(BROKEN)])
def test_a_rule_speaks_where_it_is_broken(code, texts):
    assert code in found(*texts)


def test_every_rule_is_broken_above():
    assert {code for code, _ in BROKEN} == {rule.code for rule in RULES}


SILENT = [
    put(BASE, ("dry-run", "observe"), ("  fallback: {after: 5m, replicas: 12}\n", ""), ("hpa-floor", "replicas")),
    put(BASE, ("replicas: 12", "replicas: 40")),
    put(BASE, ("'0 8 * * 1-5', duration: 10h", "'0 8 29 2 *', duration: 10h")),
    put(BASE, ("'0 8 * * 1-5', duration: 10h", "'0 8 * * 1-5', duration: 20h")),
    put(BASE, ("'0 8 * * 1-5'", f"'0 8 * * 5', {ONLY} ['2026-12-25']}}")),
    put(BASE, ("'0 8 * * 1-5', duration: 10h", "'0 0 * * *', duration: 24h, holidays: {country: DE}")),
    put(BASE, ("signals.demand < 1.0", "time.hour >= 22.0 || time.weekday > 4.0")),
    put(BASE, ("signals.demand < 1.0", "incidents.exists(i, true)")),
    put(BASE, (DOWN, "behavior: {scaleUp: {selectPolicy: Disabled}}")),
    asking('sum(rate(a_total{service="shop"}[1m])) / sum(rate(b_total{service="shop"}[1m]))'),
    asking('sum(rate(a_total{service="shop"}[1m])) / on () group_left () max(b{service="shop"})'),
    asking('sum(rate(a_total{service="shop"}[1m])) or vector(0)'),
    put(
        CHOSEN,
        (LATENCY, LATENCY.replace("shop", "$(target.name)")),
        ('total{service="$(target.name)"', 'total{pod=~"$(target.name)-[a-z0-9]+-[a-z0-9]{5}"'),
    ),
    asking('1 - avg(free{service="shop",pod=~"shop-.*"})'),
    asking('scalar(sum(up{job="shop"})) * vector(1)'),
    asking('max(rpc_seconds{service="shop",quantile="0.99"})'),
    asking('histogram_quantile(0.9, sum(rate(native{service="shop"}[2m])))'),
    asking('count(http_requests_total{service="shop",code="500"})'),
    asking('sum(job:http_requests_total:rate1m_sum{service="shop"})'),
    asking('max_over_time(sum(rate(a_total{service="shop"}[1m]))[10m:1m])'),
    asking("sum({__name__=\"queue_length\",service=\"shop\"})".replace("'", '"')),
]  # fmt: skip


def test_a_budget_that_covers_a_policy_makes_its_conditions_known():
    assert found(COSTLY, BUDGET) == found(BASE, BUDGET) == []


@pytest.mark.parametrize(
    "texts",
    [
        [NIGHTS, put(IDLE, ("name: web", "name: db"))],
        [NIGHTS, put(IDLE, ("mode: approve", "mode: dry-run"))],
        [NIGHTS, put(IDLE, ("namespace: shop", "namespace: other"))],
        [
            NIGHTS,
            put(
                IDLE, ("{name: web}", "{kinds: [StatefulSet], name: web}"), ("  idle: {", "  idle: {scaleIn: allowed, ")
            ),
        ],
        [labelled("some", "{app: a}"), labelled("more", "{app: b}"), labelled("else", "{tier: b}"), IDLE],
    ],
)
def test_cost_policies_of_different_workloads_do_not_overlap(texts):
    assert "overlapping-savings" not in found(*texts)


@pytest.mark.parametrize("number", range(len(SILENT)))
def test_no_rule_speaks_where_none_is_broken(number):
    assert found(SILENT[number]) == []
