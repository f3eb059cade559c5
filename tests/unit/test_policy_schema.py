"""The published JSON Schemas: up to date, strict, described, and of one mind with the loader."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from aiops.errors import InvalidInput
from aiops.policy.checking import checked
from aiops.policy.json_schema import FILES, TESTS, schema
from aiops.policy.kinds import kinds
from tests.commands import aiops
from tests.unit.documents import BOUNDS, GUARDRAILS, SIGNALS, WINDOWS, changed

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "config" / "schema"
SHIPPED = sorted((ROOT / "policies").rglob("*.yaml"))
MODELINE = re.compile(r"#\s*yaml-language-server:\s*\$schema=(\S+)")
EVERY = Draft202012Validator(schema())


class Editor(yaml.SafeLoader):
    """YAML 1.2 as editors read it: `off` is a word, 12:13 and dates are texts."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}


for tag, pattern, first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan", "-+.0123456789"),
    ("null", r"~|null|Null|NULL|", "~nN\0"),
):
    Editor.add_implicit_resolver(
        f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), [*first.replace("\0", ""), ""]
    )


def loaded(document: dict[str, Any]) -> bool:
    return not checked([("p", yaml.safe_dump(document))], 15.0).errors


@pytest.mark.parametrize("name", FILES)
def test_what_is_published_is_up_to_date_and_a_schema(name):
    published = json.loads((PUBLISHED / name).read_text())
    assert published == schema(FILES[name]), "make it again: aiops policy schema --folder config/schema"
    Draft202012Validator.check_schema(published)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_document_of_a_shipped_file_names_its_schema_and_is_valid(path):
    text = path.read_text()
    parts = re.split(r"^---\s*$", text, flags=re.M)
    for part, data in zip(parts, yaml.load_all(text, Editor), strict=True):
        named = MODELINE.search(part)
        assert named is not None, "editors look for a modeline in each document"
        file = (path.parent / named[1]).resolve()
        assert file.parent == PUBLISHED.resolve()
        wrong = Draft202012Validator(json.loads(file.read_text())).iter_errors(data)
        assert [error.message for error in wrong] == []


def described(one: Any, path: str = "") -> list[str]:
    """Return the fields that say nothing when one points at them, and the objects that take any key."""
    if isinstance(one, list):
        return [found for number, part in enumerate(one) for found in described(part, f"{path}[{number}]")]
    if not isinstance(one, dict):
        return []
    if "/allOf" in path or path.rpartition("/")[2] in ("default", "if", "then", "else"):
        return []
    silent = [f"{path}/{name}" for name, field in one.get("properties", {}).items() if "description" not in field]
    silent += [f"{path} is open"] if one.get("type") == "object" and "additionalProperties" not in one else []
    return silent + [found for key, part in one.items() for found in described(part, f"{path}/{key}")]


@pytest.mark.parametrize("kind", FILES.values())
def test_every_field_has_a_description_and_no_object_takes_what_is_unknown(kind):
    assert described(schema(kind)) == []


def test_one_kind_can_be_had_alone_and_an_unknown_one_is_an_error_with_a_hint():
    for kind in (*kinds(), "PolicyDefaults"):
        alone = schema(kind)
        assert alone["$ref"] == f"#/$defs/{kind}"
        assert kind == "PolicyDefaults" or all(name.split(".")[0] == kind for name in alone["$defs"])
    assert schema(TESTS)["title"] == "unit tests of policies"
    with pytest.raises(InvalidInput, match="did you mean 'WatchPolicy'"):
        schema("WatchPolcy")


def test_the_command_prints_a_schema_of_one_kind_and_refuses_others():
    found = aiops("policy", "schema", "--kind", "WatchPolicy")
    assert json.loads(found.stdout) == schema("WatchPolicy")
    wrong = aiops("policy", "schema", "--kind", "Watch")
    assert (wrong.returncode, "unknown kind 'Watch'" in wrong.stderr) == (2, True)


CHECKOUT = yaml.safe_load((ROOT / "policies" / "checkout.yaml").read_text())


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("apiVersion", "v1"),
        ("kind", "ScalingPolcy"),
        ("metadata.name", "Check_out"),
        ("metadata.nme", "checkout"),
        ("metadata.labels", {"version": 2}),
        ("spec.mod", "dry-run"),
        ("spec.mode", "dryrun"),
        ("spec.target.name", ""),
        ("spec.signals.demand.maxAge", "90 parsecs"),
        ("spec.signals.demand.maxAge", -1),
        ("spec.signals.demand.onStale", "zero"),
        ("spec.objective.perReplica", "lern"),
        ("spec.objective.perReplica", 0),
        ("spec.objective.slo.target", 99.5),
        ("spec.forecast.model", "oracle"),
        ("spec.forecast.quantile", 0.97),
        ("spec.bounds.minReplicas", "3"),
        ("spec.bounds.minReplicas", True),
        ("spec.bounds.minReplicas", 2.5),
        ("spec.bounds.maxReplicas", 0),
        ("spec.bounds.windows", [{"schedule": "0 8 * * *", "duration": "1h"}]),
        ("spec.behavior.scaleDown.policies", [{"type": "Percents", "value": 20, "periodSeconds": 60}]),
        ("spec.behavior.scaleDown.stabilizationWindowSeconds", 3601),
        ("spec.limits.cooldown", {"in": "2 minutes"}),
        ("spec.guardrails", [{"when": "true", "then": "cap"}]),
        ("spec.guardrails", [{"when": "true", "then": "hold", "maxReplicas": 3}]),
        ("spec.fallback.replicas", 0),
    ],
)
def test_what_is_wrong_is_refused_by_both(path, value):
    document = json.loads(json.dumps(CHECKOUT))
    inside = document
    *way, last = path.split(".")
    for key in way:
        inside = inside[key]
    inside[last] = value
    assert (loaded(document), EVERY.is_valid(document)) == (False, False)


TEXTS = st.sampled_from(
    ["90s", "1h30m", "5", "5m ", "1.5k", "250m", "250ms", "99%", "learn", "1e3", "-1", "", "true", "x"]
)
NUMBERS = st.one_of(st.integers(-3, 10_000), st.floats(-2, 200), TEXTS, st.booleans(), st.none())
PLACES = st.sampled_from(
    [
        "spec.signals.demand.maxAge", "spec.objective.perReplica", "spec.objective.slo.atMost",
        "spec.objective.slo.target", "spec.forecast.history", "spec.forecast.quantile", "spec.forecast.leadTime",
        "spec.bounds.minReplicas", "spec.bounds.maxReplicas", "spec.behavior.scaleDown.stabilizationWindowSeconds",
        "spec.behavior.scaleDown.tolerance", "spec.limits.changesPerHour", "spec.limits.cooldown.in",
        "spec.verify.within", "spec.fallback.after", "spec.fallback.replicas", "spec.manualOverride",
    ]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(PLACES, NUMBERS)
def test_whatever_number_the_loader_takes_the_schema_takes(path, value):
    document = json.loads(json.dumps(CHECKOUT))
    inside = document
    *way, last = path.split(".")
    for key in way:
        inside = inside[key]
    inside[last] = value
    assert EVERY.is_valid(document) or not loaded(document)


@settings(max_examples=200, deadline=None)
@given(
    SIGNALS,
    BOUNDS,
    st.lists(WINDOWS, max_size=2),
    st.lists(GUARDRAILS, max_size=2),
    st.sets(st.sampled_from(["learn", "slo", "utilisation"])),
)
def test_what_several_fields_say_together_is_judged_alike(signal, bounds, windows, guardrails, learn):
    document = changed("default", signal, {**bounds, "windows": windows}, guardrails, learn)
    # what one field lacks of another may come from PolicyDefaults: of that the loader alone can judge
    assert EVERY.is_valid(document) or not loaded(document)
    listed = changed("default", {"query": "up"}, {"maxReplicas": 4, "windows": windows}, guardrails, [])
    if all(one.get("minReplicas", 0) <= one.get("maxReplicas", 9) for one in windows):
        assert EVERY.is_valid(listed) == loaded(listed)


DEFAULTS: dict[str, Any] = {
    "apiVersion": "policy.aiops/v1alpha1",
    "kind": "PolicyDefaults",
    "metadata": {"name": "a"},
    "spec": {"defaults": {"ScalingPolicy": {"bounds": {"maxReplicas": 9}}, "WatchPolicy": {"side": "above"}}},
}


@pytest.mark.parametrize(
    ("kind", "part", "valid"),
    [
        ("ScalingPolicy", {"bounds": {"minReplicas": 2}}, True),
        ("ScalingPolicy", {"signals": {"demand": {"maxAge": "1m"}}}, True),
        ("WatchPolicy", {"history": "14d"}, True),
        ("ScalingPolicy", {"bound": {"minReplicas": 2}}, False),
        ("ScalingPolicy", {"bounds": {"minReplicas": "two"}}, False),
        ("ScalingPolicy", {"target": {"name": "a"}}, False),
        ("ScalingPolcy", {}, False),
    ],
)
def test_parts_of_specs_are_defaults_and_nothing_else_is(kind, part, valid):
    document = {**DEFAULTS, "spec": {"defaults": {kind: part}}}
    assert (EVERY.is_valid(document), loaded(document)) == (valid, valid)


def test_a_policy_that_leaves_its_bounds_to_defaults_is_no_mistake_in_an_editor():
    document = json.loads(json.dumps(CHECKOUT))
    del document["spec"]["bounds"]
    assert EVERY.is_valid(document)
