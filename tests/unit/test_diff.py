"""`aiops policy diff` of two files: field by field, with units; and what it says of the record."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from aiops.app.spec_diff import differences
from aiops.policy import queries_per_tick
from tests.builders import KEY, loaded
from tests.commands import aiops
from tests.unit.test_promotion import EDITED, FIRST, Gate, of, resolved, word


def changed(**spec) -> dict[str, tuple[str, str]]:
    one, other = loaded(), loaded(**spec)
    found = differences(json.loads(one.document), json.loads(other.document))
    return {change.field: (change.before_text, change.after_text) for change in found}


def test_nothing_differs_where_only_defaults_are_written_out():
    assert changed(verify={"within": "5m"}, manualOverride="1h") == {}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"bounds": {"minReplicas": 3, "maxReplicas": 40}}, {"spec.bounds.minReplicas": ("2", "3")}),
        ({"limits": {"cooldown": {"in": "90s"}}}, {"spec.limits.cooldown.in": ("0 s", "1 min 30 s")}),
        ({"verify": {"within": "10m"}}, {"spec.verify.within": ("5 min", "10 min")}),
        (
            {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 120}}},
            {"spec.behavior.scaleDown.stabilizationWindowSeconds": ("-", "2 min")},
        ),
        ({"scaleIn": "forbidden"}, {"spec.scaleIn": ("-", "forbidden")}),
        ({"mode": "approve"}, {"spec.mode": ("enforce", "approve")}),
        (
            {"bounds": {"minReplicas": 2, "maxReplicas": 40, "windows": [
                {"schedule": "0 8 * * 1-5", "duration": "10h", "minReplicas": 6}]}},
            {
                "spec.bounds.windows.0.schedule": ("-", "0 8 * * 1-5"),
                "spec.bounds.windows.0.duration": ("-", "10 h"),
                "spec.bounds.windows.0.minReplicas": ("-", "6"),
            },
        ),
    ],
    ids=["number", "duration", "minutes", "seconds by name", "word", "mode", "a window"],
)  # fmt: skip
def test_what_differs_is_said_by_field_and_in_units(spec, expected):
    spec = {"mode": "enforce", **spec}
    mode = spec.pop("mode")
    one, other = loaded(), loaded(mode=mode, **spec)
    found = differences(json.loads(one.document), json.loads(other.document))
    said = {change.field: (change.before_text, change.after_text) for change in found}
    assert expected.items() <= said.items()
    assert len(said) <= len(expected) + 3  # of a whole window, its other fields have their defaults


def test_an_slo_is_told_as_a_share():
    slo = {"signal": "demand", "atMost": 0.25, "target": "99.5%"}
    base = {"demand": "demand", "perReplica": 50}
    one = loaded(objective={**base, "slo": slo})
    other = loaded(objective={**base, "slo": {**slo, "target": "99.95%"}})
    (change,) = differences(json.loads(one.document), json.loads(other.document))
    assert (change.field, change.before_text, change.after_text) == ("spec.objective.slo.target", "99.5 %", "99.95 %")


def written(path: Path, *documents: str) -> str:
    path.write_text(yaml.safe_dump_all([json.loads(one) for one in documents]))
    return str(path)


def test_two_files_that_differ_end_with_1_and_two_that_do_not_with_0(tmp_path: Path):
    before, after = (written(tmp_path / name, one.document) for name, one in (("a.yaml", FIRST), ("b.yaml", EDITED)))
    done = aiops("-o", "json", "policy", "diff", before, after)
    assert done.returncode == 1
    (one,) = json.loads(done.stdout)
    assert {change["field"] for change in one["fields"]} == {"spec.bounds.minReplicas", "spec.bounds.maxReplicas"}
    same = aiops("policy", "diff", before, before)
    assert (same.returncode, same.stdout) == (0, "no difference\n")


def test_a_policy_that_is_in_one_file_only_is_named(tmp_path: Path):
    before = written(tmp_path / "a.yaml", FIRST.document, loaded("till", target={"name": "till"}).document)
    after = written(tmp_path / "b.yaml", FIRST.document)
    done = aiops("policy", "diff", before, after)
    assert (done.returncode, done.stdout.splitlines()) == (
        1,
        [f"{KEY}: no difference", "ScalingPolicy/shop/till: only in the first"],
    )


def test_a_file_that_is_no_policy_is_refused_with_its_place(tmp_path: Path):
    bad = tmp_path / "bad.yaml"
    bad.write_text("kind: ScalingPolicy\n")
    done = aiops("policy", "diff", str(bad), str(bad))
    assert done.returncode not in (0, 70)
    assert f"{bad}:1:1" in done.stderr


def test_a_shadow_asks_nothing_that_is_not_asked_already():
    acting, shadow = resolved(of(EDITED), (word(FIRST),), Gate.EVIDENCE).policies.scaling
    assert queries_per_tick(acting) == queries_per_tick(shadow)
