"""kube-downscaler's annotations as windows of bounds, and what a window cannot say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops.core.planning.cost_sleep import SleepPolicy
from aiops.core.policies import Bounds, ScalingPolicy
from aiops.policy import parse
from aiops.policy.convert import Conversion, Source, convert
from aiops.policy.convert.times import WEEK_MINUTES, cron_windows, merged, outside, times

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: portal, namespace: dev, annotations: {ANNOTATIONS}}
spec: {replicas: 3}
"""
MONDAY = 1_772_406_000.0
"""2026-03-02, midnight in Berlin."""

HOUR = 3600.0


def annotated(**notes: str) -> str:
    written = ", ".join(f"downscaler/{key.replace('_', '-')}: '{value}'" for key, value in notes.items())
    return DEPLOYMENT.replace("ANNOTATIONS", written)


def policy(text: str) -> ScalingPolicy:
    found = convert(Source.KUBE_DOWNSCALER, [("in.yaml", text)])
    assert not found.errors, found.errors
    return parse("---\n".join(one.text() for one in found.drafts), "out.yaml").scaling[0]


def left(found: Conversion) -> str:
    return "\n".join(map(str, found.left))


def levels(bounds: Bounds) -> list[tuple[int, int]]:
    """Of Monday noon, Monday night, Friday noon, Saturday noon."""
    return [bounds.at(MONDAY + hour * HOUR)[:2] for hour in (12, 22, 4 * 24 + 12, 5 * 24 + 12)]


def test_up_the_floor_is_what_was_there_and_down_the_ceiling_is_what_is_left() -> None:
    made = policy(annotated(uptime="Mon-Fri 07:30-20:30 Europe/Berlin"))
    assert levels(made.bounds) == [(3, 3), (1, 1), (3, 3), (1, 1)]


def test_downtime_is_the_complement_and_has_its_own_replicas() -> None:
    text = annotated(downtime="Sat-Sun 00:00-24:00 Europe/Berlin, Fri 10:00-14:00 Europe/Berlin", downtime_replicas="2")
    assert levels(policy(text).bounds) == [(3, 3), (3, 3), (2, 2), (2, 2)]


def test_a_namespace_gives_its_times_to_its_policies_and_to_workloads_beside_it() -> None:
    space = "kind: Namespace\nmetadata: {name: dev, annotations: {downscaler/uptime: Mon-Fri 08:00-18:00 UTC}}\n"
    found = convert(Source.KUBE_DOWNSCALER, [("in.yaml", f"{space}---\n{DEPLOYMENT.replace('ANNOTATIONS', '')}")])
    assert [one.kind for one in found.drafts] == ["PolicyDefaults", "ScalingPolicy"]
    assert "only workloads with a policy are put to sleep" in left(found)
    made = parse("---\n".join(one.text() for one in found.drafts), "out.yaml").scaling[0]
    assert levels(made.bounds) == [(3, 3), (1, 1), (3, 3), (1, 1)]


@pytest.mark.parametrize(
    ("notes", "said"),
    [
        ({"uptime": "always", "exclude": "true"}, "it is never scaled down"),
        ({"uptime": "always", "force_uptime": "true"}, "it is never scaled down"),
        ({"uptime": "Mon-Fri 08:00-18:00 UTC"}, "downtime to 0 replicas is left behind: the policy keeps 1"),
        (
            {"downtime": "2026-12-24T00:00:00+01:00-2026-12-27T00:00:00+01:00"},
            "2026-12-24T00:00:00+01:00 to 2026-12-27T00:00:00+01:00 is left behind",
        ),
        ({"uptime": "always", "grace_period": "60"}, "this annotation is not converted"),
    ],
)
def test_what_a_window_cannot_say_is_said(notes: dict[str, str], said: str) -> None:
    assert said in left(convert(Source.KUBE_DOWNSCALER, [("in.yaml", annotated(**notes))]))


@pytest.mark.parametrize(
    "text",
    [
        "Mon-Fri 20:00-08:00 UTC",
        "Mon-Fri 8-20",
        "Mon-Xyz 08:00-09:00 UTC",
        "Mon 08:00-25:00 UTC",
        "Mon 08:00-09:00 X/Y",
    ],
)
def test_times_that_mean_nothing_are_refused_with_their_place(text: str) -> None:
    said = str(convert(Source.KUBE_DOWNSCALER, [("in.yaml", annotated(uptime=text))]).errors[0])
    assert said.startswith("in.yaml:3:")
    assert "metadata.annotations.downscaler/uptime" in said


spans = st.lists(
    st.tuples(st.integers(0, WEEK_MINUTES - 1), st.integers(1, 3000)).map(
        lambda one: (one[0], min(WEEK_MINUTES, one[0] + one[1]))
    ),
    min_size=1,
    max_size=6,
)


@given(spans)
def test_every_minute_of_a_week_is_inside_or_outside(found: list[tuple[int, int]]) -> None:
    inside = {minute for start, end in merged(found) for minute in range(start, end)}
    rest = [minute % WEEK_MINUTES for start, end in outside(found) for minute in range(start, end)]
    assert len(rest) == len(set(rest))
    assert inside.isdisjoint(rest)
    assert len(inside) + len(rest) == WEEK_MINUTES


def test_days_with_the_same_hours_are_one_window() -> None:
    spec = times("Sun-Mon 08:00-09:00 UTC")
    assert isinstance(spec, tuple)
    assert cron_windows(spec[0].spans) == [("0 8 * * 0,1", 60)]  # type: ignore[union-attr]


# -- what sleeps at 0 ----------------------------------------------------------------------------------


def sleeping(text: str) -> SleepPolicy:
    found = convert(Source.KUBE_DOWNSCALER, [("in.yaml", text)])
    assert not found.errors, found.errors
    (made,) = parse("---\n".join(one.text() for one in found.drafts), "out.yaml").plans
    assert isinstance(made, SleepPolicy)
    return made


@pytest.mark.parametrize(
    "notes",
    [
        {"uptime": "Mon-Fri 07:30-20:30 Europe/Berlin"},
        {"downtime": "Sat-Sun 00:00-24:00 Europe/Berlin, Mon-Fri 20:30-24:00 Europe/Berlin, "
                     "Mon-Fri 00:00-07:30 Europe/Berlin"},
    ],
)  # fmt: skip
def test_where_nothing_runs_in_downtime_it_sleeps_by_a_cost_policy(notes) -> None:
    made = sleeping(annotated(**notes, downtime_replicas="0"))
    asleep = [made.hours.active_until(MONDAY + hour * HOUR) is not None for hour in (7, 8, 12, 20, 21, 24 * 5 + 12)]
    assert asleep == [True, False, False, False, True, True]
    assert made.mode.value == "dry-run"
    assert (made.to, made.targets.name if made.targets else "") == (0, "portal")


def test_a_stateful_set_that_sleeps_is_allowed_to() -> None:
    text = annotated(uptime="Mon-Fri 07:30-20:30 UTC", downtime_replicas="0").replace("Deployment", "StatefulSet")
    made = sleeping(text)
    assert made.targets is not None
    assert made.targets.kinds == ("StatefulSet",)
