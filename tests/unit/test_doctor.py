"""What `aiops doctor` makes of what it finds: its runner, its rules, and permissions."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from aiops.adapters.kubernetes.probe import Grant, Right, grants
from aiops.app.doctor import metrics
from aiops.app.doctor.clusters import different
from aiops.app.doctor.findings import (
    Area,
    Check,
    Finding,
    Looked,
    Status,
    Trouble,
    exit_code,
    fail,
    ok,
    skip,
    warn,
)
from aiops.app.doctor.metrics import clock_of, states
from aiops.app.doctor.rights import permissions, rule_of
from aiops.app.doctor.running import run
from aiops.app.doctor.sampling import sampling
from aiops.app.doctor.scene import Scene
from aiops.app.settings import Settings
from aiops.core.model import Answered, Coverage, Failed, NoSeries
from aiops.core.policies import Reaction
from aiops.errors import ConfigurationError, NoPermission, SourceUnavailable
from aiops.policy.crd import RESOURCES, crds
from tests.builders import loaded

NOW = 1_772_450_000.0


def check(name: str, look, area: Area = Area.METRICS, **more) -> Check:
    return Check(area=area, name=name, look=look, **more)


def raising(err: Exception):
    def look():
        raise err

    return look


def by_name(found: list[Finding]) -> dict[str, Finding]:
    return {one.name: one for one in found}


def scene(**settings) -> Scene:
    return Scene(settings=Settings(**{"prometheus": {"url": "http://127.0.0.1:1"}, **settings}), timeout_s=2.0)


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(one): (one.stat().st_size, one.stat().st_mtime_ns) for one in folder.rglob("*")}


def found_by(checks: list[Check], name: str) -> list[Finding]:
    return list(next(one for one in checks if one.name == name).look())


# -- running -----------------------------------------------------------------------------------------------


def test_what_fails_hangs_or_breaks_harms_no_other():
    hangs = threading.Event()
    began = time.monotonic()
    looked = run(
        [
            check("well", lambda: [ok("well", "fine")]),
            check("hangs", lambda: [ok("hangs", "late")] if hangs.wait(30) else []),
            check("refused", raising(NoPermission("no"))),
            check("gone", raising(SourceUnavailable("away"))),
            check("wrong", raising(ConfigurationError("bad"))),
            check("broken", raising(KeyError("x"))),
        ],
        0.3,
    )
    hangs.set()
    assert time.monotonic() - began < 5
    assert [(one.check.name, one.findings[0].status, one.findings[0].trouble) for one in looked] == [
        ("well", Status.OK, Trouble.NONE),
        ("hangs", Status.FAIL, Trouble.UNREACHABLE),
        ("refused", Status.FAIL, Trouble.PERMISSION),
        ("gone", Status.FAIL, Trouble.UNREACHABLE),
        ("wrong", Status.FAIL, Trouble.FAULT),
        ("broken", Status.FAIL, Trouble.FAULT),
    ]
    assert "the check itself failed: KeyError" in looked[5].findings[0].what
    assert all(one.findings[0].fix for one in looked[1:])


def test_no_more_run_at_once_than_are_allowed_and_those_that_hang_let_others_on():
    lock, at_once, most = threading.Lock(), [0], [0]

    def look():
        with lock:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        time.sleep(0.02)
        with lock:
            at_once[0] -= 1
        return [ok("one", "")]

    run([check(f"c{number}", look) for number in range(12)], 5.0, at_once=3)
    assert most[0] == 3
    hangs = threading.Event()
    both = [check("a", lambda: [hangs.wait(30)]), check("b", lambda: [ok("b", "after a")])]
    looked = run(both, 0.2, at_once=1)
    hangs.set()
    assert looked[1].findings == (ok("b", "after a"),)


def test_what_nobody_can_be_asked_about_is_skipped_and_asked_nobody():
    asked = []
    looked = run(
        [
            check("after", lambda: asked.append(1) or [ok("after", "")], needs="prometheus"),
            check("prometheus", raising(SourceUnavailable("away"))),
            check("later", lambda: [ok("later", "")], needs="cluster"),
            check("cluster", lambda: [warn("cluster", "old", "new")]),
        ],
        2.0,
    )
    assert [one.findings[0].status for one in looked] == [Status.SKIP, Status.FAIL, Status.OK, Status.WARN]
    assert asked == []


def test_secrets_are_taken_out_of_what_is_said():
    leaking = check("a", lambda: [fail("a", "token hunter22", "not hunter22")])
    looked = run([leaking], 1.0, lambda text: text.replace("hunter22", "[secret]"))
    assert (looked[0].findings[0].what, looked[0].findings[0].fix) == ("token [secret]", "not [secret]")


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ([("r", True, [ok("r", "")]), ("s", False, [warn("s", "", ""), skip("t", "")])], 0),
        ([("r", True, [ok("r", "")]), ("s", False, [fail("s", "", "")])], 1),
        ([("r", True, [ok("r", "")]), ("s", False, [fail("s", "", "", Trouble.PERMISSION)])], 5),
        ([("s", False, [fail("s", "", "", Trouble.PERMISSION), fail("s", "", "")])], 1),
        ([("r", True, [fail("r", "", "", Trouble.UNREACHABLE)]), ("s", True, [ok("s", "")])], 1),
        ([("r", True, [fail("r", "", "", Trouble.UNREACHABLE)]), ("s", True, [fail("s", "", "")])], 4),
        ([("r", True, [fail("r", "", "", Trouble.UNREACHABLE)]), ("s", False, [fail("s", "", "")])], 4),
        ([("r", True, [fail("r", "", "", Trouble.PERMISSION)])], 5),
        ([], 0),
    ],
)
def test_the_exit_code_says_what_kind_of_thing_is_to_be_fixed(parts, code):
    looked = [Looked(check=check(name, list, reaches=reaches), findings=tuple(found)) for name, reaches, found in parts]
    assert exit_code(looked) == code


# -- rules of metrics --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ahead_s", "within_s", "status"),
    [
        (0.4, 0.1, Status.OK),
        (-4.9, 0.0, Status.OK),
        (5.5, 1.0, Status.OK),
        (-6.0, 0.5, Status.WARN),
        (61.0, 0.5, Status.FAIL),
        (-3600.0, 0.5, Status.FAIL),
    ],
)
def test_a_clock_that_differs_by_more_than_is_known_exactly_is_told(ahead_s, within_s, status):
    found = clock_of("clock", ahead_s, within_s)
    assert found.status is status
    assert ("ahead of" if ahead_s > 0 else "behind") in found.what


def one_signal(query: str = "sum(rate(requests_total[1m]))", **spec):
    return next(iter(loaded(signals={"demand": {"query": query, "maxAge": "90s", **spec}}).signals.values()))


@pytest.mark.parametrize(
    ("answer", "changes", "status", "says"),
    [
        (Answered(value=3.0, newest_at=NOW - 20.0), {}, Status.OK, "1 of 1 signals are values, the oldest 20 s old"),
        (Answered(value=3.0, newest_at=NOW - 200.0), {}, Status.FAIL, "stale: 200 s old, at most 90 s"),
        (Answered(value=float("nan"), newest_at=NOW), {}, Status.WARN, "is nan"),
        (Answered(value=1.0, newest_at=NOW, coverage=Coverage(series=1, targets=4, up=1)), {}, Status.WARN, "1 of 4"),
        (NoSeries(coverage=Coverage(series=0)), {}, Status.FAIL, "nothing matches requests_total"),
        (NoSeries(coverage=Coverage(series=2)), {}, Status.FAIL, "the query has no series"),
        (NoSeries(), {"on_absent": Reaction.IGNORE}, Status.WARN, "the query has no series"),
        (Failed(error="3 series, a signal is one number"), {}, Status.FAIL, "3 series"),
        (None, {}, Status.FAIL, "not asked"),
    ],
)
def test_a_signal_is_what_the_loop_would_take_it_for(answer, changes, status, says):
    spec = replace(one_signal(), **changes)
    answers = {} if answer is None else {spec.query.policy: {"demand": answer}}
    (found,) = states("signals", [spec], answers, NOW)
    assert found.status is status
    assert says in found.what
    assert bool(found.fix) is (status is not Status.OK)


def test_of_many_signals_that_are_no_values_some_are_told_and_the_others_counted():
    specs = [replace(one_signal(), query=replace(one_signal().query, name=f"s{number}")) for number in range(30)]
    found = states("signals", specs, {}, NOW)
    assert len(found) == 21
    assert found[-1].what == "10 more signals are no values"


@pytest.mark.parametrize(
    ("query", "max_age", "interval_s", "statuses", "says"),
    [
        ("sum(rate(a[1m]))", "90s", 15.0, [Status.OK], "each 15 s; a turn is 15 s"),
        ("sum(rate(a[1m]))", "3m", 60.0, [Status.FAIL], "rate over 60 s often holds fewer than 2 samples"),
        ("sum(rate(a[2m]))", "3m", 60.05, [Status.OK], "each 60 s"),
        ("max_over_time(a[30s])", "3m", 60.0, [Status.FAIL], "fewer than 1 samples"),
        ("max(a)", "30m", 600.0, [Status.FAIL], "takes it for gone"),
        ("max(a)", "45s", 60.0, [Status.FAIL], "stale after maxAge 45 s"),
        ("max(a)", "90s", 60.0, [Status.WARN], "one missed scrape"),
        ("max(a)", "90s", None, [Status.SKIP], "no series"),
    ],
)
def test_what_is_sampled_too_seldom_for_its_query_is_told(query, max_age, interval_s, statuses, says):
    def intervals(selectors):
        return {} if interval_s is None else dict.fromkeys(selectors, interval_s)

    found = list(sampling("prometheus", [one_signal(query, maxAge=max_age)], 15.0, intervals))
    assert [one.status for one in found] == statuses
    assert says in found[0].what


def test_a_source_that_a_signal_names_and_the_settings_do_not_have_is_told():
    policy = loaded()
    spec = policy.signals["demand"]
    elsewhere = replace(spec, query=replace(spec.query, source="west"))
    at = scene(sources={"east": {"url": "http://127.0.0.1:1"}})
    at.policies = replace(at.policies, scaling=(policy, replace(policy, key="b", signals={"demand": elsewhere})))
    (found,) = found_by(metrics.checks(at), "sources")
    assert (found.name, found.status) == ("policy b", Status.FAIL)
    assert found.what == "signal demand asks the source west; there are east"


# -- permissions and CRDs, as text -------------------------------------------------------------------------


def test_the_rule_to_add_is_the_part_that_is_missing():
    rule = {"apiGroups": ["apps"], "resources": ["deployments", "deployments/scale"], "verbs": ["list", "patch"]}
    grant = Grant(role="aiops", namespace="shop", rule={**rule, "resourceNames": ["a", "b"]})
    assert len(list(grant.rights())) == 8
    gone = [Right(namespace="shop", group="apps", resource="deployments/scale", verb="patch", name="b")]
    assert rule_of(grant, gone) == {
        "apiGroups": ["apps"],
        "resources": ["deployments/scale"],
        "verbs": ["patch"],
        "resourceNames": ["b"],
    }
    objects = [
        {"kind": "Role", "metadata": {"name": "aiops", "namespace": "shop"}, "rules": [rule]},
        {"kind": "RoleBinding"},
    ]
    assert grants(objects) == [Grant(role="aiops", namespace="shop", rule=rule)]


@pytest.mark.parametrize(
    ("answers", "statuses", "says"),
    [
        (lambda rights: dict.fromkeys(rights, True), [Status.OK], "sam may do all that is needed: 17 rights"),
        (lambda rights: dict.fromkeys(rights[:3], True), [Status.WARN], "3 of 17 rights were asked about"),
        (lambda rights: {rights[0]: False}, [Status.FAIL, Status.WARN], "sam may not list nodes in the whole cluster"),
    ],
)
def test_of_rights_that_could_not_be_asked_about_in_time_it_is_told_how_many_were(answers, statuses, says):
    class Probe:
        def whoami(self):
            return "sam"

        def reviewed(self, rights, goes_on):
            return answers(list(dict.fromkeys(rights)))

    at = scene(mode="enforce", custom_resources={"enabled": False}, store={"url": "sqlite:///x.db"})
    at.policies = replace(at.policies, scaling=(loaded(),))
    found = list(permissions("cluster", at, ("default", Probe())))
    assert [one.status for one in found] == statuses
    assert says in found[0].what


def published() -> dict:
    """Return our schemas as an API server publishes them."""
    schemas = {}
    for one in crds():
        version = one["spec"]["versions"][0]
        kind = {"group": "policy.aiops", "version": "v1alpha1", "kind": one["spec"]["names"]["kind"]}
        schemas[kind["kind"]] = {**version["schema"]["openAPIV3Schema"], "x-kubernetes-group-version-kind": [kind]}
    return {"components": {"schemas": json.loads(json.dumps(schemas))}}


def test_kinds_of_another_version_are_known_by_their_fields():
    document = published()
    assert different(document) == []
    spec = document["components"]["schemas"]["ScalingPolicy"]["properties"]["spec"]["properties"]
    del spec["bounds"]["properties"]["windows"]
    document["components"]["schemas"]["WatchPolicy"]["properties"]["spec"]["properties"]["more"] = {"type": "string"}
    assert sorted(different(document)) == ["ScalingPolicy", "WatchPolicy"]
    assert len(different({})) == len(RESOURCES)


# -- settings and policies ---------------------------------------------------------------------------------
