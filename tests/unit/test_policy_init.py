"""`aiops policy init`: a first policy and tests that pass at once, from answers or from what a cluster shows."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from aiops.app.cli import app
from aiops.core.policies import ScalingPolicy
from aiops.policy import first, parse
from aiops.policy.convert.metrics import Workload
from aiops.policy.testing import read
from simulators.policy_tests import run_case

WORK = Workload(namespace="shop", api_version="apps/v1", kind="Deployment", name="web")
QUERY = 'sum(rate(http_requests_total{service="web"}[1m]))'
SAID = ("--target", "shop/web", "--query", QUERY, "--per-replica", "50", "--min", "2", "--max", "20", "--no-hpa")


def invoked(*words: str, folder: Path) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["policy", "init", *words, "--folder", str(folder)])
    return done.exit_code, done.output + ("" if done.exception is None else str(done.exception))


def written(folder: Path) -> ScalingPolicy:
    return parse((folder / "web.yaml").read_text(), "web.yaml").scaling[0]


def test_answers_become_a_policy_in_dry_run_and_tests_that_pass(tmp_path: Path) -> None:
    assert invoked(*SAID, folder=tmp_path / "new")[0] == 0
    made = written(tmp_path / "new")
    assert (made.key, made.mode, made.lever) == ("ScalingPolicy/shop/web", "dry-run", "replicas")
    assert (made.objective.per_replica, made.bounds.min_replicas, made.bounds.max_replicas) == (50, 2, 20)
    done = CliRunner().invoke(app, ["policy", "test", str(tmp_path / "new"), "--require-tests"])
    assert "0 failed, 4 passed" in done.stdout
    valid = CliRunner().invoke(app, ["policy", "validate", str(tmp_path / "new")])
    assert "0 errors, 0 warnings" in valid.stdout


def test_nothing_is_overwritten_unless_forced(tmp_path: Path) -> None:
    (tmp_path / "web.test.yaml").write_text("mine")
    code, said = invoked(*SAID, folder=tmp_path)
    assert code == 1
    assert "not overwritten without --force" in said
    assert not (tmp_path / "web.yaml").exists()
    assert (tmp_path / "web.test.yaml").read_text() == "mine"
    assert invoked(*SAID, "--force", folder=tmp_path)[0] == 0
    assert (tmp_path / "web.test.yaml").read_text() != "mine"


@pytest.mark.parametrize("missing", ["--target", "--query", "--per-replica", "--min", "--max", "--no-hpa"])
def test_without_a_terminal_a_missing_answer_is_wrong_usage_that_names_it(missing: str, tmp_path: Path) -> None:
    words = list(SAID)
    at = words.index(missing)
    del words[at : at + (1 if missing == "--no-hpa" else 2)]
    words += ["--demand", "requests"]
    code, said = invoked(*words, folder=tmp_path)
    assert code == 2
    assert missing in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--target", "web"), "--target"),
        (("--target", "shop/We b"), "--target"),
        (("--min", "9", "--max", "3"), "--min"),
        (("--per-replica", "0"), "--per-replica"),
        (("--per-replica", "nan"), "--per-replica"),
        (("--per-replica", "inf"), "--per-replica"),
        (("--startup", "soon"), "--startup"),
        (("--slo", "250ms"), "--slo"),
        (("--demand", "luck"), "--demand"),
    ],
)
def test_an_answer_that_means_nothing_is_wrong_usage(words: tuple[str, ...], named: str, tmp_path: Path) -> None:
    code, said = invoked(*SAID, *words, folder=tmp_path)
    assert code == 2
    assert named in said


def test_a_query_that_is_none_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    code, said = invoked(*SAID, "--query", "sum(", folder=tmp_path)
    assert code == 1
    assert "spec.signals.demand.query: PromQL" in said
    assert not list(tmp_path.iterdir())


def run(answers: first.Answers) -> list[str]:
    """The tests of a first policy that fail."""
    text = first.policy(answers).text()
    found = read(first.written_tests(answers, "web.yaml"), "t", lambda names, step_s: (parse(text, "p", step_s), ()))
    assert not found.problems, found.problems
    return [one.spec.name for one in found.cases if not run_case(one).passed]


@settings(max_examples=20, deadline=None)
@given(
    st.integers(1, 50),
    st.integers(0, 200),
    st.one_of(st.floats(0.05, 5000.0), st.sampled_from([0.7, 1.0, 50.0])),
    st.booleans(),
    st.booleans(),
)
def test_the_tests_of_a_first_policy_pass_whatever_the_answers(
    least: int, more: int, each: float, has_hpa: bool, latency: bool
) -> None:
    answers = first.Answers(
        workload=WORK,
        demand=first.Demand.REQUESTS,
        query=QUERY,
        per_replica=float(f"{each:.3g}"),
        least=least,
        most=least + more,
        latency="histogram_quantile(0.95, sum by (le) (rate(http_seconds_bucket[2m])))" if latency else "",
        slo="250ms" if latency else "",
        has_hpa=has_hpa,
    )
    assert run(answers) == []


def test_the_counter_of_what_is_served_is_chosen_and_the_reason_is_given() -> None:
    series = [
        {"__name__": "http_client_requests_total", "namespace": "shop", "job": "web"},
        {"__name__": "http_requests_total", "namespace": "shop", "job": "web", "code": "200"},
        {"__name__": "http_requests_total", "namespace": "shop", "job": "web", "code": "500"},
        {"__name__": "go_gc_duration_seconds_count", "namespace": "shop", "job": "web"},
        {"__name__": "http_request_duration_seconds_bucket", "namespace": "shop", "job": "web", "le": "1"},
    ]
    found = first.rates(series)
    assert [one.metric for one in found] == ["http_requests_total"]
    assert first.rate_query(found[0]) == 'sum(rate(http_requests_total{namespace="shop",job="web"}[2m]))'
    assert "2 series of these pods" in found[0].why
    assert [one.metric for one in first.latencies(series)] == ["http_request_duration_seconds_bucket"]


# -- looking ---------------------------------------------------------------------------------------

DEPLOYMENT = {"metadata": {"name": "web"}, "spec": {"replicas": 4}}
HPA = {
    "metadata": {"name": "web-hpa"},
    "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "minReplicas": 3, "maxReplicas": 30},
}
SERIES = [{"__name__": "http_requests_total", "namespace": "shop", "service": "web"}]


class World(ThreadingHTTPServer):
    """An API server and a Prometheus on one port."""

    hpas: list[object]
    series: list[dict[str, str]]
    values: dict[str, str]

    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    server: World

    def do_GET(self) -> None:
        pages = {
            "/apis/apps/v1/namespaces/shop/deployments/web": DEPLOYMENT,
            "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers": {"items": self.server.hpas},
        }
        found = pages.get(self.path)
        self.answer(404 if found is None else 200, found or {"message": "not there"})

    def do_POST(self) -> None:
        body = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        if self.path.endswith("/series"):
            data: object = self.server.series
        else:
            value = next((v for part, v in self.server.values.items() if part in body["query"][0]), None)
            data = {"resultType": "vector", "result": [] if value is None else [{"metric": {}, "value": [1, value]}]}
        self.answer(200, {"status": "success", "data": data})

    def answer(self, status: int, body: object) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def world() -> Iterator[World]:
    server = World(("127.0.0.1", 0), Answer)
    server.hpas, server.series = [HPA], SERIES
    server.values = {"http_requests_total": "240", "container_cpu_usage": "2.1"}
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(timeout=5)


def looked(world: World, folder: Path, *more: str, name: str = "shop/web") -> tuple[int, str]:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "a",
        "clusters": [{"name": "a", "cluster": {"server": world.url()}}],
        "users": [{"name": "a", "user": {}}],
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
    }
    (folder / "kubeconfig").write_text(json.dumps(config))
    words = ("--deployment", name, "--kubeconfig", str(folder / "kubeconfig"), *more)
    return invoked(*words, folder=folder / "new")


def test_the_hpa_and_the_counter_are_found_and_each_choice_has_its_reason(world: World, tmp_path: Path) -> None:
    code, said = looked(world, tmp_path, "--prometheus", world.url())
    assert code == 0, said
    made = written(tmp_path / "new")
    assert (made.lever, made.bounds.min_replicas, made.bounds.max_replicas) == ("hpa-floor", 3, 30)
    assert made.signals["demand"].query.expr == 'sum(rate(http_requests_total{namespace="shop",service="web"}[2m]))'
    assert made.objective.per_replica == 80, "240 req/s fill 2.1 pods; 0.7 of one is 80 req/s"
    for reason in ("HPA web-hpa, 3 to 30", "demand: http_requests_total", "80 at 70%; a guess"):
        assert reason in said
    assert "0 failed" in CliRunner().invoke(app, ["policy", "test", str(tmp_path / "new")]).stdout


def test_prometheus_is_asked_without_a_cluster(world: World, tmp_path: Path) -> None:
    words = ("--target", "shop/web", "--prometheus", world.url(), "--min", "2", "--max", "20", "--no-hpa")
    code, said = invoked(*words, "--kubeconfig", str(tmp_path / "none"), folder=tmp_path)
    assert code == 0, said
    made = written(tmp_path)
    assert made.signals["demand"].query.expr == 'sum(rate(http_requests_total{namespace="shop",service="web"}[2m]))'
    assert (made.objective.per_replica, made.lever) == (80, "replicas")


def test_without_an_hpa_and_a_counter_it_is_the_replicas_by_cpu(world: World, tmp_path: Path) -> None:
    world.hpas, world.series = [], [{"__name__": "go_goroutines", "namespace": "shop"}]
    assert looked(world, tmp_path, "--prometheus", world.url())[0] == 0
    made = written(tmp_path / "new")
    assert (made.lever, made.bounds.min_replicas, made.bounds.max_replicas) == ("replicas", 2, 20)
    assert made.objective.per_replica == 0.7
    assert "container_cpu_usage_seconds_total" in made.signals["demand"].query.expr


def test_what_cannot_be_guessed_is_asked_for(world: World, tmp_path: Path) -> None:
    world.values = {}
    code, said = looked(world, tmp_path, "--prometheus", world.url())
    assert code == 2
    assert "no traffic" in said
    assert "--per-replica" in said


def test_a_deployment_that_is_not_there_is_said(world: World, tmp_path: Path) -> None:
    code, said = looked(world, tmp_path, name="shop/gone")
    assert code == 1
    assert "there is no Deployment shop/gone" in said
