"""`aiops policy validate`: what it prints in each format, what it counts, and with which code it ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs

import pytest
import yaml

from aiops.adapters.prometheus import PrometheusOptions
from aiops.adapters.prometheus.costs import measured
from aiops.errors import Problem, SourceUnavailable
from aiops.policy import load
from aiops.policy.checking import checked
from aiops.policy.files import named_by_tests
from aiops.policy.lint import RULES, RULES_OF_IGNORING, Terms
from aiops.policy.lint.cost import bill
from aiops.policy.lint.errors import ERRORS
from aiops.policy.lint.reports import github, sarif
from tests.commands import aiops
from tests.unit.test_lint import BASE, WATCH, put

ROOT = Path(__file__).parents[2]
WRONG = put(
    BASE,
    ("name: shop, namespace: shop", "name: wrong"),
    ("demand: demand", "demnd: demand"),
    ("out: 0s", "ot: 0s"),
    ("signals.demand < 1.0", "signals.demnd < 1.0"),
)
UNWISE = put(BASE, ("out: 0s", "out: 5m"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "well.yaml").write_text(put(BASE, ("name: shop, namespace: shop", "name: well, namespace: well")))
    (tmp_path / "unwise.yaml").write_text(UNWISE)
    return tmp_path


# -- what is counted -------------------------------------------------------------------------------


def test_queries_of_a_failover_are_counted_in_the_turns_between_the_loop_s_own_too():
    file = str(ROOT / "policies" / "failover.yaml")
    (policy,) = load([Path(file)]).plans
    seen = {lane_s: bill([policy], Terms(lane_s=lane_s)).queries_per_minute() for lane_s in (5.0, 15.0)}
    asked = len(bill([policy], Terms()).queries)
    assert asked > 0
    assert seen == {5.0: asked * (4 + 12), 15.0: asked * (4 + 4)}
    plain = aiops("policy", "validate", file, "-o", "json")
    often = aiops("policy", "validate", file, "-o", "json", "--lane", "1s")
    assert [json.loads(one.stdout)["cost"]["queriesPerMinute"] for one in (plain, often)] == [
        (4 + 30) * asked,
        64 * asked,
    ]


# -- the command -----------------------------------------------------------------------------------


def test_what_is_unwise_is_said_on_standard_error_and_what_it_costs_on_standard_output(folder):
    found = aiops("policy", "validate", ".", cwd=folder)
    assert found.returncode == 0
    assert found.stderr.splitlines() == [
        "warning: unwise.yaml:21:12: spec.limits.cooldown: scale-in may come 60 s after the last one, "
        "scale-out only 300 s after (in: longer than out) [cooldown-inverted]"
    ]
    lines = [line.split("  ") for line in found.stdout.splitlines()]
    assert [[part.strip() for part in line if part] for line in lines] == [
        ["policy", "queries a tick", "queries/min", "samples/min a series"],
        ["ScalingPolicy/shop/shop", "7", "28", "at most 68"],
        ["ScalingPolicy/well/well", "7", "28", "at most 68"],
        ["in all, shared ones once", "7", "28", "at most 68"],
        ["2 policies, 0 errors, 1 warning"],
    ]


def test_strict_makes_warnings_errors(folder):
    found = aiops("policy", "validate", "--strict", ".", cwd=folder)
    assert (found.returncode, "0 warnings" in found.stdout, "1 error," in found.stdout) == (1, True, True)
    assert aiops("policy", "validate", "--strict", "well.yaml", cwd=folder).returncode == 0


def test_everything_is_found_in_one_pass_warnings_of_other_files_too(folder):
    (folder / "wrong.yaml").write_text(WRONG)
    found = aiops("policy", "validate", ".", "-o", "json", cwd=folder)
    data = json.loads(found.stdout)
    assert (found.returncode, data["valid"]) == (1, False)
    places = [(one["file"], one["line"], one["code"], one["severity"]) for one in data["problems"]]
    assert sorted(places) == [
        ("unwise.yaml", 21, "cooldown-inverted", "warning"),
        ("wrong.yaml", 14, "unknown-field", "error"),
        ("wrong.yaml", 21, "unknown-field", "error"),
        ("wrong.yaml", 22, "bad-cel", "error"),
    ]


@pytest.mark.parametrize(
    "words",
    [
        ("policy", "validate", "-o", "json", "."),
        ("-o", "json", "policy", "validate", "."),
        ("-o", "text", "policy", "validate", ".", "--output", "json"),
    ],
)
def test_json_is_asked_for_of_the_verb_or_of_all(folder, words):
    data = json.loads(aiops(*words, cwd=folder).stdout)
    assert (data["valid"], len(data["problems"]), len(data["queries"])) == (True, 1, 2)
    assert data["cost"]["queriesPerMinute"] == 28
    assert data["cost"]["policies"]["ScalingPolicy/shop/shop"]["samplesPerMinuteAndSeries"] == 68


def test_yaml_says_what_json_says(folder):
    as_yaml = yaml.safe_load(aiops("-o", "yaml", "policy", "validate", ".", cwd=folder).stdout)
    assert as_yaml == json.loads(aiops("-o", "json", "policy", "validate", ".", cwd=folder).stdout)


def test_code_hosts_are_spoken_to_in_their_own_formats(folder):
    log = json.loads(aiops("policy", "validate", ".", "-o", "sarif", cwd=folder).stdout)
    assert [one["ruleId"] for one in log["runs"][0]["results"]] == ["cooldown-inverted"]
    commands = aiops("policy", "validate", ".", "-o", "github", "--strict", cwd=folder)
    assert commands.returncode == 1
    assert commands.stdout == (
        "::error file=unwise.yaml,line=21,col=12,title=cooldown-inverted::spec.limits.cooldown: scale-in may come "
        "60 s after the last one, scale-out only 300 s after (in: longer than out)\n"
    )
    assert aiops("policy", "validate", "well.yaml", "-o", "github", cwd=folder).stdout == ""


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("policy", "validate", "well.yaml"), 0, "1 policy,"),
        (("policy", "validate", "nowhere.yaml"), 1, "[no-such-file]"),
        (("policy", "validate", "well.yaml", "-o", "xml"), 2, "Invalid value"),
        (("policy", "validate", "well.yaml", "--step", "now"), 2, "no duration"),
        (("--config", "no.yaml", "policy", "validate", ".", "--prometheus", "http://127.0.0.1:9"), 3, "cannot be read"),
        (("policy", "validate", "well.yaml", "--prometheus", "http://127.0.0.1:9"), 4, "cannot be reached"),
    ],
)
def test_each_end_has_its_documented_code(folder, words, code, said):
    found = aiops(*words, cwd=folder)
    assert (found.returncode, said in found.stdout + found.stderr) == (code, True), found.stderr


# -- formats ---------------------------------------------------------------------------------------

ODD = Problem(
    file="a b/100%,x:y.yaml",
    line=3,
    column=7,
    field="spec.a",
    message="50% of\nlines",
    hint="a: b, c",
    code="bad-value",
)
NOWHERE = Problem(file="x.yaml", line=0, column=0, field="", message="gone", code="no-such-file")


def test_workflow_commands_are_escaped_as_github_reads_them():
    assert github([ODD, NOWHERE]).splitlines() == [
        "::error file=a b/100%25%2Cx%3Ay.yaml,line=3,col=7,title=bad-value::spec.a: 50%25 of%0Alines (a: b, c)",
        "::error file=x.yaml,title=no-such-file::gone",
    ]


def violations(log: dict[str, Any]) -> Iterator[str]:
    """Yield what the schema of SARIF 2.1.0 would refuse of what we write (its required fields, types and enums)."""
    if log.get("version") != "2.1.0" or not isinstance(log.get("runs"), list):
        yield "a log has version 2.1.0 and runs"
    for run in log["runs"]:
        driver = run["tool"]["driver"]
        ids = [rule["id"] for rule in driver["rules"]]
        if not driver["name"] or len(ids) != len(set(ids)):
            yield "a driver has a name, and rules that are told apart"
        if run["columnKind"] not in ("utf16CodeUnits", "unicodeCodePoints"):
            yield "columnKind"
        for rule in driver["rules"]:
            if not rule["shortDescription"]["text"] or not rule["help"]["text"]:
                yield "a message has a text"
            if rule["defaultConfiguration"]["level"] not in ("none", "note", "warning", "error"):
                yield "level"
        for result in run["results"]:
            yield from _of_result(result, ids)


def _of_result(result: dict[str, Any], ids: list[str]) -> Iterator[str]:
    if set(result) - {"ruleId", "ruleIndex", "level", "message", "locations"} or not result["message"]["text"]:
        yield "a result has a message, and no unknown fields"
    if "ruleIndex" in result and ids[result["ruleIndex"]] != result["ruleId"]:
        yield "ruleIndex is the place of ruleId"
    if result["level"] not in ("none", "note", "warning", "error"):
        yield "level"
    for location in result["locations"]:
        physical = location["physicalLocation"]
        if not physical["artifactLocation"]["uri"] or " " in physical["artifactLocation"]["uri"]:
            yield "a uri is a URI reference"
        region = physical.get("region", {"startLine": 1, "startColumn": 1})
        if region["startLine"] < 1 or region["startColumn"] < 1:
            yield "lines and columns count from 1"


def test_a_sarif_log_is_one_by_its_schema_and_knows_every_rule():
    unknown = Problem(file="x.yaml", line=1, column=0, field="", message="new", code="from-the-future")
    log = sarif([ODD, NOWHERE, unknown], "1.2.3")
    assert list(violations(log)) == []
    (run,) = log["runs"]
    assert {rule["id"] for rule in run["tool"]["driver"]["rules"]} == {
        one.code for one in (*RULES, *RULES_OF_IGNORING, *ERRORS)
    }
    first, second, third = run["results"]
    assert first["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "a%20b/100%25%2Cx:y.yaml"},
        "region": {"startLine": 3, "startColumn": 7},
    }
    assert "region" not in second["locations"][0]["physicalLocation"]
    assert "ruleIndex" not in third


def test_the_check_of_sarif_finds_what_is_wrong():
    log = sarif([ODD], "1.2.3")
    log["runs"][0]["results"][0] |= {"level": "fatal", "ruleIndex": 1}
    log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"] = 0
    assert len(list(violations(log))) == 3


# -- cost ------------------------------------------------------------------------------------------


def costs(query: str, terms: Terms) -> int:
    made = checked(
        [("p", put(WATCH, ('sum by (service) (rate(http_requests_total{namespace="shop"}[2m]))', query)))], 15
    )
    assert made.errors == ()
    (one,) = bill((policy for _, policy in made.made), terms).queries.values()
    return one.samples_per_series


@pytest.mark.parametrize(
    ("query", "scrape_s", "samples"),
    [
        ("up", 15.0, 1),
        ("rate(a_total[2m])", 15.0, 8),
        ("rate(a_total[2m])", 60.0, 2),
        ("rate(a_total[10s])", 15.0, 1),
        ("rate(a_total[1m]) / rate(b_total[1m])", 15.0, 8),
        ("max_over_time(rate(a_total[1m])[10m:1m])", 15.0, 40),
        ("max_over_time(a[10m:])", 15.0, 10),
    ],
)
def test_a_query_costs_the_samples_of_its_windows(query, scrape_s, samples):
    assert costs(query, Terms(scrape_s=scrape_s)) == samples


def test_queries_that_are_shared_are_counted_once():
    texts = [("a", BASE), ("b", put(BASE, ("name: shop, namespace: shop", "name: b, namespace: b")))]
    made = bill((policy for _, policy in checked(texts, 30.0).made), Terms(step_s=30.0))
    assert (made.queries_per_minute("ScalingPolicy/shop/shop"), made.queries_per_minute()) == (14.0, 14.0)


class Script:
    """A Prometheus in a few lines: series by selector; three samples touched by each."""

    def __init__(self, series: dict[str, int]) -> None:
        self.series = series
        self.asked: list[dict[str, list[str]]] = []

    def answer(self, query: str) -> dict[str, Any] | None:
        if query == "vector(1)":
            return {"resultType": "vector", "result": [{"metric": {}, "value": [0, "1"]}]}
        selector = query.removeprefix("count(").removesuffix(")")
        if selector not in self.series:
            return None
        number = self.series[selector]
        result = [{"metric": {}, "value": [0, str(number)]}] if number else []
        return {"resultType": "vector", "result": result, "stats": {"samples": {"totalQueryableSamples": 3 * number}}}


@contextmanager
def serving(script: Script) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            script.asked.append(parse_qs(body))
            data = script.answer(script.asked[-1]["query"][0])
            said = {"status": "success", "data": data} if data else {"status": "error", "error": "too many samples"}
            text = json.dumps(said).encode()
            self.send_response(200 if data else 422)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_prometheus_is_asked_for_series_and_samples_within_a_time():
    script = Script({"a": 4, "b": 0})
    with serving(script) as url:
        found = measured(PrometheusOptions(url=url, retries=0, timeout_s=3.0), ["a", "heavy"], ["a", "b"])
    assert (found.series, found.samples) == ({"a": 4, "b": 0}, {"a": 12})
    assert list(found.failed) == ["heavy"]
    assert "too many samples" in found.failed["heavy"]
    assert {(one["stats"][0], one["timeout"][0]) for one in script.asked} == {("all", "3s")}


def test_a_prometheus_that_is_not_there_is_an_error_at_once():
    with pytest.raises(SourceUnavailable, match="cannot be reached"):
        measured(PrometheusOptions(url="http://127.0.0.1:9", retries=0), ["a"], ["a"])


def test_the_command_says_what_has_no_series_and_what_is_touched(folder):
    watch = folder / "watch.yaml"
    watch.write_text(put(WATCH, ('sum by (service) (rate(http_requests_total{namespace="shop"}[2m]))', "a")))
    for series, said in ((4, " 48"), (0, "no series now: a")):
        with serving(Script({"a": series})) as url:
            found = aiops("policy", "validate", "watch.yaml", "--prometheus", url, cwd=folder)
        assert (found.returncode, said in found.stdout) == (0, True), found.stdout


# -- tests of policies -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("test", "names", "named"),
    [
        ("shop.test.yaml", ["shop.yaml"], True),
        ("tests/shop.test.yaml", ["../shop.yaml"], True),
        ("tests/shop.test.yaml", [".."], True),
        ("tests/shop.test.yml", ["../shop.yaml"], True),
        ("tests/shop.test.yaml", ["../other.yaml"], False),
        ("tests/shop.yaml", ["../shop.yaml"], False),
    ],
)
def test_tests_that_name_a_policy_are_found_in_the_usual_folders(tmp_path, test, names, named):
    policy = tmp_path / "shop.yaml"
    policy.write_text(BASE)
    path = tmp_path / test
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump({"policies": names, "tests": []}))
    assert (policy.resolve() in named_by_tests([policy])) is named


@pytest.mark.parametrize("text", ["", "[]", "policies: 5", "policies: [5, {}]", "{", "\t"])
def test_a_file_of_tests_that_is_broken_names_nothing(tmp_path, text):
    (tmp_path / "a.test.yaml").write_text(text)
    (tmp_path / "shop.yaml").write_text(BASE)
    assert named_by_tests([tmp_path / "shop.yaml"]) == frozenset()
