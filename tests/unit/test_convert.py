"""Manifests of other autoscalers as policies, what is said of the rest, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from aiops.app.cli import app
from aiops.core.policies import ScalingPolicy
from aiops.policy import parse
from aiops.policy.convert import Conversion, Source, convert

HPA = """\
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web, namespace: shop}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  minReplicas: 2
  maxReplicas: 40
  metrics: [METRICS]
"""
CPU = "{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}"
MEMORY = "{type: Resource, resource: {name: memory, target: {type: AverageValue, averageValue: 500Mi}}}"
KEDA = """\
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: mailer, namespace: shop}
spec:
  scaleTargetRef: {name: mailer}
  minReplicaCount: 2
  maxReplicaCount: 30
  triggers: [TRIGGERS]
"""
KAFKA = "{type: kafka, metadata: {consumerGroup: mailer, topic: mails, lagThreshold: '50'}}"
CRON = (
    "{type: cron, metadata: {timezone: Europe/Berlin, start: 0 8 * * 1-5, end: 30 18 * * 1-5, desiredReplicas: '10'}}"
)
RATE = "{type: rabbitmq, metadata: {queueName: bills, mode: MessageRate, value: '20'}}"
LENGTH = "{type: rabbitmq, metadata: {queueName: bills, mode: QueueLength, value: '1200'}}"
SLEEPS = """\
kind: Deployment
metadata: {name: a, annotations: {downscaler/uptime: 'Mon 08:00-09:00 UTC', downscaler/downtime-replicas: '1'}}
spec: {replicas: 3}
"""
MONDAY = 1_772_406_000.0
"""2026-03-02, midnight in Berlin."""

HOUR = 3600.0


def hpa(metrics: str = CPU, **changes: str) -> str:
    text = HPA.replace("METRICS", metrics)
    for old, new in changes.items():
        assert f"{old}: " in text
        text = "\n".join(f"  {old}: {new}" if one.strip().startswith(f"{old}:") else one for one in text.split("\n"))
    return text


def keda(*triggers: str, more: str = "") -> str:
    return KEDA.replace("TRIGGERS", ", ".join(triggers)) + more


def policy(source: Source, text: str, *, replace: bool = False) -> ScalingPolicy:
    found = convert(source, [("in.yaml", text)], replace=replace)
    assert not found.errors, found.errors
    return parse("---\n".join(one.text() for one in found.drafts), "out.yaml").scaling[0]


def left(found: Conversion) -> str:
    return "\n".join(map(str, found.left))


def refused(source: Source, text: str) -> str:
    found = convert(source, [("in.yaml", text)])
    assert found.errors
    return str(found.errors[0])


# -- an HPA ----------------------------------------------------------------------------------------


def test_utilisation_becomes_used_pods_over_the_target() -> None:
    made = policy(Source.HPA, hpa())
    query = made.signals["cpu"].query.expr
    assert query.startswith('sum(rate(container_cpu_usage_seconds_total{namespace="shop",pod=~"web-')
    assert 'kube_pod_container_resource_requests{namespace="shop"' in query
    assert (made.objective.per_replica, made.bounds.min_replicas, made.bounds.max_replicas) == (0.7, 2, 40)
    assert (made.up.tolerance_ratio, made.down.tolerance_ratio) == (0.1, 0.1)
    assert made.mode == "dry-run"


@pytest.mark.parametrize(("replace", "lever"), [(False, "hpa-floor"), (True, "replicas")])
def test_the_hpa_stays_unless_it_is_replaced(replace: bool, lever: str) -> None:
    made = policy(Source.HPA, hpa(), replace=replace)
    assert made.lever == lever
    assert (made.forecast is not None) is not replace, "what is in its place reacts as it did"


@pytest.mark.parametrize(
    ("metric", "query", "per_replica"),
    [
        (MEMORY, "sum(container_memory_working_set_bytes{", 500 * 2**20),
        (
            "{type: ContainerResource, containerResource: {name: cpu, container: app,"
            " target: {type: AverageValue, averageValue: 250m}}}",
            'container="app"}[2m]))',
            0.25,
        ),
        (
            "{type: Pods, pods: {metric: {name: rps, selector: {matchLabels: {path: /a}}},"
            " target: {type: AverageValue, averageValue: 1k}}}",
            'sum(rps{namespace="shop",path="/a",pod=~"web-[a-z0-9]+-[a-z0-9]{5}"})',
            1000,
        ),
        (
            "{type: Object, object: {metric: {name: rps}, describedObject: {kind: Ingress, name: main},"
            " target: {type: Value, value: 10k}}}",
            'sum(rps{namespace="shop",ingress="main"}) * sum(kube_deployment_status_replicas_ready{',
            10_000,
        ),
        (
            "{type: External, external: {metric: {name: s0-lag, selector: {matchLabels: {queue: a}}},"
            " target: {type: AverageValue, averageValue: 30}}}",
            'sum({__name__="s0-lag",queue="a"})',
            30,
        ),
    ],
    ids=["memory", "container", "pods", "object", "external"],
)
def test_every_kind_of_metric_is_demand_and_what_one_replica_has_of_it(
    metric: str, query: str, per_replica: float
) -> None:
    made = policy(Source.HPA, hpa(metric))
    assert query in made.signals[made.objective.demand].query.expr
    assert made.objective.per_replica == per_replica


def test_of_several_metrics_the_largest_counts_and_none_may_be_missing() -> None:
    found = convert(Source.HPA, [("in.yaml", hpa(f"{CPU}, {MEMORY}"))])
    query = found.drafts[0].spec["signals"]["demand"]["query"]
    assert query.startswith("max(label_replace((")
    assert query.count(" and on() ") == 2
    assert "524288000" in query
    assert "the largest counts" in left(found)
    policy(Source.HPA, hpa(f"{CPU}, {MEMORY}"))


def test_behaviour_is_taken_over_field_by_field() -> None:
    rules = (
        "{scaleDown: {stabilizationWindowSeconds: 120, selectPolicy: Min, tolerance: 0.05,"
        " policies: [{type: Percent, value: 50, periodSeconds: 60}, {type: Pods, value: 3, periodSeconds: 90}]}}"
    )
    down = policy(Source.HPA, hpa() + f"  behavior: {rules}\n").down
    assert (down.stabilisation_s, down.select, down.tolerance_ratio) == (120.0, "Min", 0.05)
    assert [(one.unit, one.value, one.period_s) for one in down.rates] == [("Percent", 50, 60.0), ("Pods", 3, 90.0)]


def test_version_1_and_no_metric_at_all_are_eighty_per_cent_of_cpu() -> None:
    plain = "\n".join(one for one in hpa().split("\n") if "metrics" not in one)
    assert policy(Source.HPA, plain).objective.per_replica == 0.8
    older = plain.replace("autoscaling/v2", "autoscaling/v1")
    assert policy(Source.HPA, older).objective.per_replica == 0.8
    told = older + "  targetCPUUtilizationPercentage: 55\n"
    assert policy(Source.HPA, told).objective.per_replica == 0.55


def test_lists_and_several_documents_are_read_and_places_are_those_of_the_file() -> None:
    custom = "{type: Pods, pods: {metric: {name: rps}, target: {averageValue: 5}}}"
    listed = {"apiVersion": "v1", "kind": "List", "items": [yaml.safe_load(hpa(custom).replace("web", "one"))]}
    found = convert(Source.HPA, [("in.yaml", f"{hpa()}---\n{yaml.safe_dump(listed)}")])
    assert [one.name for one in found.drafts] == ["web", "one"]
    assert found.left[0].field == "items[0].spec.metrics[0]"
    assert found.left[0].line > hpa().count("\n")


# -- KEDA ------------------------------------------------------------------------------------------


def test_lag_is_demand_as_far_as_partitions_go() -> None:
    made = policy(Source.KEDA, keda(KAFKA))
    query = made.signals["waiting"].query.expr
    assert query.startswith('clamp_max(sum(kafka_consumergroup_lag{consumergroup="mailer",topic="mails"}), 50 *')
    assert (made.objective.per_replica, made.lever) == (50, "replicas")


def test_a_rate_and_a_length_of_one_queue_are_a_backlog_with_a_date() -> None:
    made = policy(Source.KEDA, keda(RATE, LENGTH))
    backlog = made.objective.backlog
    assert backlog is not None
    assert (made.objective.demand, made.objective.per_replica) == ("published", 20)
    assert (backlog.signal, backlog.drain_s) == ("waiting", 60.0)


def test_a_length_alone_is_no_backlog_and_that_is_said() -> None:
    found = convert(Source.KEDA, [("in.yaml", keda(LENGTH))])
    assert "backlog" not in found.drafts[0].spec["objective"]
    assert "how soon it is gone is not promised" in left(found)


def test_cron_is_a_window_with_a_floor() -> None:
    bounds = policy(Source.KEDA, keda(KAFKA, CRON)).bounds
    hours = {hour: bounds.at(MONDAY + hour * HOUR)[:2] for hour in (7.9, 8.1, 18.4, 18.6)}
    assert hours == {7.9: (2, 30), 8.1: (10, 30), 18.4: (10, 30), 18.6: (2, 30)}


def test_with_nothing_but_cron_the_clock_alone_decides() -> None:
    bounds = policy(Source.KEDA, keda(CRON)).bounds
    assert [bounds.at(MONDAY + hour * HOUR)[:2] for hour in (7, 12, 19)] == [(2, 2), (10, 10), (2, 2)]


def test_a_window_of_changing_length_is_left_behind() -> None:
    odd = CRON.replace("30 18 * * 1-5", "0 18 * * 1,3")
    assert "it lasts 5 different times" in left(convert(Source.KEDA, [("in.yaml", keda(KAFKA, odd))]))


def test_fallback_and_behaviour_are_taken_over() -> None:
    more = (
        "  fallback: {failureThreshold: 10, replicas: 6}\n"
        "  advanced: {horizontalPodAutoscalerConfig: {behavior: {scaleDown: {stabilizationWindowSeconds: 60}}}}\n"
    )
    made = policy(Source.KEDA, keda(KAFKA, more=more))
    assert made.fallback is not None
    assert (made.fallback.after_s, made.fallback.replicas, made.down.stabilisation_s) == (300.0, 6, 60.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (keda(KAFKA, more="  idleReplicaCount: 0\n"), "spec.idleReplicaCount: scaling to and from zero is left behind"),
        (keda(KAFKA).replace("  minReplicaCount: 2\n", ""), "spec.minReplicaCount: scaling to and from zero"),
        (keda(KAFKA, more="  cooldownPeriod: 60\n"), "spec.cooldownPeriod: it is only about the step to zero"),
        (keda(KAFKA, "{type: aws-sqs-queue}"), "the trigger 'aws-sqs-queue' is not converted (known: cpu, cron, kafka"),
        (keda(KAFKA, more="  whatever: 1\n"), "spec.whatever: this field has no counterpart"),
        (keda(KAFKA), "KEDA owns its HPA"),
    ],
)
def test_what_is_left_behind_is_said_with_its_place(text: str, said: str) -> None:
    found = convert(Source.KEDA, [("in.yaml", text)])
    assert found.drafts
    assert said in left(found)
    assert all(one.line > 0 and one.file == "in.yaml" for one in found.left)


# -- bad input -------------------------------------------------------------------------------------

MAXLESS = "\n".join(one for one in hpa().split("\n") if "maxReplicas" not in one)
BROKEN: dict[str, tuple[Source, str, str]] = {
    "no YAML": (Source.HPA, "a: [", "this is no YAML"),
    "a template": (Source.HPA, hpa(minReplicas="{{ .Values.min }}"), "in.yaml:6:16: this is a template"),
    "no object": (Source.HPA, "just: this", "it has no kind"),
    "no HPA": (Source.HPA, keda(KAFKA), "there is no HorizontalPodAutoscaler in this file, but ScaledObject"),
    "no ScaledObject": (Source.KEDA, hpa(), "there is no ScaledObject in this file"),
    "no annotation": (Source.KUBE_DOWNSCALER, hpa(), "no downscaler/ annotation is on HorizontalPodAutoscaler"),
    "no maximum": (Source.HPA, MAXLESS, "in.yaml:4:1: spec.maxReplicas: it is missing"),
    "bounds": (Source.HPA, hpa(minReplicas="50"), "in.yaml:6:3: spec.minReplicas: 50 is more than maxReplicas 40"),
    "a word": (Source.HPA, hpa(maxReplicas="many"), "spec.maxReplicas: 'many' is no number"),
    "a fraction": (Source.HPA, hpa(maxReplicas="2.5"), "2.5 is no whole number"),
    "a list": (Source.HPA, hpa(metrics="cpu"), "spec.metrics[0]: a mapping is needed, not a text"),
    "no target": (Source.HPA, hpa("{type: Resource, resource: {name: cpu}}"), "averageValue: it is missing"),
    "a metric": (Source.HPA, hpa("{type: Luck}"), "unknown metric type 'Luck'"),
    "a resource": (Source.HPA, hpa(CPU.replace("name: cpu", "name: disk")), "'disk' is neither cpu nor memory"),
    "nothing to scale": (Source.HPA, hpa(scaleTargetRef="{}"), "spec.scaleTargetRef.name: it is missing"),
    "a version": (Source.HPA, hpa().replace("autoscaling/v2", "autoscaling/v9"), "is none of autoscaling/v2"),
    "zero": (Source.KEDA, keda(KAFKA.replace("'50'", "'0'")), "a target of 0 asks for pods without end"),
    "no group": (Source.KEDA, keda("{type: kafka, metadata: {topic: a}}"), "metadata.consumerGroup: it is missing"),
    "no trigger": (Source.KEDA, keda(), "spec.triggers: there is no trigger"),
    "a zone": (Source.KEDA, keda(CRON.replace("Europe/Berlin", "Mars")), "unknown time zone 'Mars'"),
    "a cron": (Source.KEDA, keda(CRON.replace("0 8 * * 1-5", "at eight")), "is no cron schedule"),
    "a name": (Source.HPA, hpa().replace("name: web, namespace", "name: We b, namespace"), "no name that Kubernetes"),
    "a query": (
        Source.KEDA,
        keda("{type: prometheus, metadata: {query: 'sum(', threshold: '5'}}"),
        "spec.triggers[0].metadata.query: PromQL",
    ),
    "a formula": (Source.KEDA, keda(KAFKA, more="  advanced: {scalingModifiers: {formula: a}}\n"), "a formula is not"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_converted_is_refused_with_its_place(name: str) -> None:
    source, text, said = BROKEN[name]
    assert said in refused(source, text)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**6) | st.text(max_size=8) | st.sampled_from(["cpu", "500m", "Pods"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "type", "metric"]), inner),
    max_leaves=6,
)


@given(st.sampled_from(list(Source)), st.data())
def test_no_manifest_breaks_it(source: Source, data: st.DataObject) -> None:
    texts = {
        Source.HPA: hpa(f"{CPU}, {MEMORY}"),
        Source.KEDA: keda(KAFKA, CRON, RATE),
        Source.KUBE_DOWNSCALER: SLEEPS,
    }
    whole = yaml.safe_load(texts[source])
    parent, key = whole, data.draw(st.sampled_from(list(whole)))
    for _ in range(data.draw(st.integers(0, 5))):
        below = parent[key]
        if not isinstance(below, dict | list) or not below:
            break
        parent, key = below, data.draw(st.sampled_from(list(below) if isinstance(below, dict) else range(len(below))))
    parent[key] = data.draw(values)
    found = convert(source, [("in.yaml", yaml.safe_dump(whole))])
    assert found.drafts or found.errors or found.left


# -- the command -----------------------------------------------------------------------------------


def invoked(*words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["policy", "convert", *words])
    return done.exit_code, done.stdout, done.stderr + ("" if done.exception is None else str(done.exception))


@pytest.fixture
def manifest(tmp_path: Path) -> str:
    (tmp_path / "in.yaml").write_text(keda(KAFKA))
    return str(tmp_path / "in.yaml")


def test_policies_go_to_standard_output_and_the_rest_to_standard_error(manifest: str) -> None:
    code, out, err = invoked("keda", manifest)
    assert code == 0
    assert out.startswith("# yaml-language-server: $schema=")
    assert parse(out, "out.yaml").scaling[0].target.name == "mailer"
    assert f"{manifest}:8:28: spec.triggers[0].metadata: KEDA asked the queue itself" in err


def test_strict_says_no_when_something_was_left_behind(manifest: str) -> None:
    assert invoked("keda", manifest, "--strict")[0] == 1


def test_why_nothing_was_converted_is_said(tmp_path: Path) -> None:
    file = tmp_path / "in.yaml"
    file.write_text(keda("{type: aws-sqs-queue}"))
    code, out, err = invoked("keda", str(file))
    assert (code, out) == (1, "")
    assert f"{file}:8:15: spec.triggers[0].type: the trigger 'aws-sqs-queue' is not converted" in err


def test_a_file_is_written_once(manifest: str, tmp_path: Path) -> None:
    out = tmp_path / "out.yaml"
    assert invoked("keda", manifest, "--out", str(out))[0] == 0
    assert parse(out.read_text(), "out.yaml").scaling
    code, _, err = invoked("keda", manifest, "--out", str(out))
    assert code == 1
    assert "is there already, and is not overwritten" in err


def test_as_json_it_is_the_policies_and_what_was_left(manifest: str) -> None:
    done = CliRunner().invoke(app, ["-o", "json", "policy", "convert", "keda", manifest])
    found = json.loads(done.stdout)
    assert found["policies"][0]["spec"]["objective"]["perReplica"] == 50
    assert {one["code"] for one in found["left"]} == {"to-check"}


@pytest.mark.parametrize(("words", "code"), [(("helm", "x"), 2), (("hpa", "/nowhere.yaml"), 1)])
def test_wrong_usage_and_no_file(words: tuple[str, ...], code: int) -> None:
    assert invoked(*words)[0] == code
