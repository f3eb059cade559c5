"""What people are told of, and when: routes, groups, quiet hours, repeats, templates."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aiops.adapters.notify.notices import Notice, NoticeKind, Severity, State, notices_of
from aiops.adapters.notify.routes import Parcel, Route, Waiting, due, taken
from aiops.adapters.notify.templates import checked, message
from aiops.errors import ConfigurationError
from aiops.policy.schedule import window

NOW = 1_772_450_000.0
"""2026-03-02T11:13:20Z."""

KEY = "ScalingPolicy/shop/checkout"


def record(kind: str, did: str, **more: object) -> dict[str, object]:
    plain = {
        "seq": 5, "at": NOW, "kind": kind, "by": "loop", "subject": KEY, "ref": "01REF", "did": did, "before": None,
        "after": None, "said": "why", "detail": {},
    }  # fmt: skip
    return {**plain, **more}


def notice(key: str = "a", **more: object) -> Notice:
    plain = {
        "kind": NoticeKind.FAILED, "severity": Severity.WARNING, "state": State.ONCE, "seq": 1, "at": NOW,
        "subject": KEY, "title": "an action failed", "said": "no", "labels": {"team": "payments"},
    }  # fmt: skip
    return Notice(key=key, **{**plain, **more})


def route(**more: object) -> Route:
    return Route(**{"name": "all", "channel": "ops", "group_wait_s": 30.0, **more})


def waits(*notices: Notice, told_at: float | None = None, way: Route | None = None) -> list[Waiting]:
    made = way or route()
    return [Waiting(notice=one, group=made.group(one), told_at=told_at) for one in notices]


# -- what is told ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "told"),
    [
        (record("decision", "ask"), [("approval/" + KEY, "begun", 2), ("bug/" + KEY, "ended", 3)]),
        (record("decision", "allow"), [("approval/" + KEY, "ended", 2), ("bug/" + KEY, "ended", 3)]),
        (record("decision", "bug"), [("approval/" + KEY, "ended", 2), ("bug/" + KEY, "begun", 3)]),
        (record("action", "begun"), []),
        (record("result", "done"), []),
        (record("result", "refused"), [("result/01REF", "once", 2)]),
        (record("outcome", "took-effect"), []),
        (record("outcome", "failed"), [("outcome/01REF", "once", 2)]),
        (record("outcome", "no-effect"), [("outcome/01REF", "once", 1)]),
        (record("plan", "proposed", after="proposed"), [("plan-question/01REF", "begun", 2)]),
        (record("plan", "asking", after="asking"), [("plan-question/01REF", "begun", 3)]),
        (
            record("plan", "failed", before="running", after="failed"),
            [("plan-question/01REF", "ended", 2), ("plan/01REF/failed", "once", 3)],
        ),
        (record("plan", "done", before="done", after="done"), [("plan-question/01REF", "ended", 2)]),
        (record("incident", "open"), [("incident/01REF", "begun", 2)]),
        (record("incident", "merged"), [("incident/01REF", "ended", 2)]),
        (record("pause", "stopped"), [("pause/01REF", "begun", 3)]),
        (record("pause", "paused"), [("pause/01REF", "begun", 1)]),
        (record("resume", "resumed"), [("pause/01REF", "ended", 1)]),
        (record("budget", "exceeded"), [("budget/" + KEY, "begun", 3)]),
        (record("budget", "within"), [("budget/" + KEY, "ended", 2)]),
        (record("promotion", "forced"), [("promotion/01REF", "once", 2)]),
        (record("login", "accepted"), []),
        (record("login", "refused"), [("login/01REF", "once", 2)]),
        (record("store", "restored"), [("store/01REF", "once", 3)]),
        (record("store", "pruned"), []),
        (record("approval", "approved"), []),
    ],
)
def test_a_record_says_what_people_may_want_to_know(what, told):
    assert [(one.key, one.state.value, int(one.severity)) for one in notices_of(what)] == told


def test_a_pause_with_an_end_ends_of_itself():
    (found,) = notices_of(record("pause", "paused", detail={"until": NOW + 600}))
    assert (found.until, found.todo) == (NOW + 600, "aiops resume 01REF")


# -- who is told -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("way", "what", "wants"),
    [
        ({}, {}, True),
        ({}, {"severity": Severity.INFO}, False),
        ({"severity": Severity.INFO}, {"severity": Severity.INFO}, True),
        ({"kinds": frozenset({NoticeKind.PLAN})}, {}, False),
        ({"kinds": frozenset({NoticeKind.FAILED})}, {}, True),
        ({"policies": ("ScalingPolicy/shop/*",)}, {}, True),
        ({"policies": ("ScalingPolicy/pay/*", "Failover*")}, {}, False),
        ({"labels": {"team": "payments"}}, {}, True),
        ({"labels": {"team": "search"}}, {}, False),
        ({}, {"severity": Severity.INFO, "state": State.ENDED}, True),
    ],
)
def test_a_route_takes_what_it_asks_for(way, what, wants):
    assert route(**way).wants(notice(**what)) is wants


def test_a_group_is_told_together_after_its_wait_and_others_by_themselves():
    way = route(by=("kind", "namespace"))
    other = notice("c", subject="ScalingPolicy/pay/till", at=NOW + 10)
    waiting = waits(notice("a"), notice("b", at=NOW + 20), other, way=way)
    assert due(way, waiting, {}, NOW + 29) == []
    (parcel,) = due(way, waiting, {}, NOW + 30)
    assert ([one.key for one in parcel.notices], parcel.group) == (["a", "b"], "kind=failed namespace=shop")
    assert [len(one.notices) for one in due(way, waiting, {}, NOW + 40)] == [2, 1]


def test_what_joins_a_group_that_was_told_waits_for_its_interval():
    way = route(group_interval_s=300.0)
    late = waits(notice("b", at=NOW + 40))
    told = {late[0].group: NOW + 30}
    assert due(way, late, told, NOW + 329) == []
    assert [one.key for one in due(way, late, told, NOW + 330)[0].notices] == ["b"]


def test_what_stands_is_told_again_and_what_happened_once_is_not():
    way = route(repeat_s=3600.0)
    standing = waits(notice("a", state=State.BEGUN), told_at=NOW)
    assert due(way, standing, {}, NOW + 3599) == []
    (parcel,) = due(way, standing, {}, NOW + 3600)
    assert parcel.again == {"a"}


NIGHT = window("0 22 * * *", 9 * 3600.0, "Europe/Berlin")
EVENING = 1_772_485_200.0
"""2026-03-02T22:00:00+01:00."""


@pytest.mark.parametrize(
    ("severity", "at", "told"),
    [
        (Severity.WARNING, EVENING - 1, True),
        (Severity.WARNING, EVENING, False),
        (Severity.WARNING, EVENING + 9 * 3600 - 1, False),
        (Severity.WARNING, EVENING + 9 * 3600, True),
        (Severity.CRITICAL, EVENING, True),
    ],
)
def test_quiet_hours_have_a_time_zone_and_what_is_urgent_passes(severity, at, told):
    way = route(quiet=(NIGHT.active_until,))
    found = due(way, waits(notice("a", severity=severity, at=EVENING - 3600)), {}, at)
    assert bool(found) is told


def test_quiet_hours_follow_summer_time():
    """At the end of March the clocks of Berlin go forward: 22:00 is 20:00 UTC and no more 21:00."""
    summer = EVENING + 30 * 86_400
    assert NIGHT.active_until(summer - 3600) is not None
    assert NIGHT.active_until(summer - 3601) is None


def test_the_most_severe_is_told_first():
    waiting = waits(notice("a"), notice("b", kind=NoticeKind.PAUSE, severity=Severity.CRITICAL, at=NOW + 5))
    assert [one.notices[0].key for one in due(route(), waiting, {}, NOW + 60)] == ["b", "a"]


def test_the_end_of_what_nobody_was_told_of_is_not_told_either():
    begun = Waiting(notice=notice("a", state=State.BEGUN), group="g")
    end = notice("a", state=State.ENDED)
    assert taken({"a": begun}, end, "g") is None
    assert taken({}, end, "g") is None
    told = taken({"a": replace(begun, told_at=NOW)}, end, "g")
    assert told is not None
    assert told.pending


def test_what_begins_again_while_it_stands_is_not_told_anew():
    begun = Waiting(notice=notice("a", state=State.BEGUN), group="g", told_at=NOW)
    again = taken({"a": begun}, notice("a", state=State.BEGUN, said="still"), "g")
    assert (again.told_at, again.notice.said, again.pending) == (NOW, "still", False)


# -- words -------------------------------------------------------------------------------------------------


def test_a_message_says_what_happened_when_and_what_to_do_next():
    parcel = Parcel(group="g", notices=(notice("a", todo="aiops why shop/checkout", by="ann"),))
    title, text = message(route(zone="Europe/Berlin"), parcel, lost=3)
    assert title == f"[aiops] an action failed: {KEY}"
    assert text.splitlines() == [
        "2026-03-02T12:13:20+01:00 warning an action failed",
        f"  {KEY} by ann: no",
        "  next: aiops why shop/checkout",
        "3 notices before these could not be told",
    ]


def test_many_are_counted_in_the_title_and_the_first_written_out():
    some = tuple(notice(str(number), kind=[NoticeKind.PLAN, NoticeKind.FAILED][number % 2]) for number in range(120))
    title, text = message(route(), Parcel(group="g", notices=some), lost=0)
    assert title == "[aiops] 60 plan, 60 failed"
    assert text.count("an action failed") == 50
    assert "and 70 more" in text


def test_a_label_calls_nobody_and_a_template_may_s10():
    loud = notice("a", said="<!channel> @everyone", subject="@here", labels={"team": "<@U123>"}, by="ops@example.com")
    title, text = message(route(), Parcel(group="g", notices=(loud,)), lost=0)
    assert title.endswith(": @\u2060here")
    assert "@\u2060here by ops@example.com: <\u2060!channel> @\u2060everyone" in text
    own = route(text="@oncall {{ notices[0].labels.team }}")
    assert message(own, Parcel(group="g", notices=(loud,)), lost=0)[1] == "@oncall <\u2060@\u2060U123>"


def test_a_template_of_one_s_own_sees_labels_and_is_no_place_for_commands():
    way = route(
        title="{{ severity }} {{ count }}", text="{% for n in notices %}{{ n.labels.team }}: {{ n.said }}{% endfor %}"
    )
    hostile = notice("a", said="{{ 7 * 7 }} <b>")
    assert message(way, Parcel(group="g", notices=(hostile,)), lost=0) == ("warning 1", "payments: {{ 7 * 7 }} <b>")


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ nothing }}", "'nothing' is undefined"),
        ("{% if %}", "line 1"),
        ("{{ notices[0].__class__.__mro__ }}", "unsafe"),
        ("{{ ''.__class__.mro() }}", "unsafe"),
        ("{{ 1 // 0 }}", "ZeroDivisionError"),
    ],
)
def test_a_template_that_is_wrong_is_refused_with_its_place(template, said):
    with pytest.raises(ConfigurationError, match="where") as caught:
        checked(template, "where")
    assert said in str(caught.value)


def test_a_template_that_fails_on_a_message_gives_way_to_the_one_that_cannot():
    way = route(text="{{ notices[1].said }}")
    _, text = message(way, Parcel(group="g", notices=(notice("a"),)), lost=0)
    assert "an action failed" in text
    assert "the template of route all failed" in text
