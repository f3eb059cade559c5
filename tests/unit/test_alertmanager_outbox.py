"""Incidents on their way to Alertmanager: at once, again, until they end, and later after a failure."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aiops.adapters.alertmanager import OWN, Form, Outbox
from aiops.adapters.alertmanager.outbox import ENDS_AFTER, LONGEST_WAIT_S, MOST_WAITING, written
from aiops.core.model import Incident, IncidentState, Suspect

AT = 1_772_450_000.0
SUSPECTS = (
    Suspect(name="shop/db", series="s", kind="point", since=AT, score=9.0, why=("began first", "deviates most")),
    Suspect(name="shop/web", series="t", kind="point", since=AT, score=2.0),
)
ONE = Incident(
    id="01ONE", kind="point", since=AT, labels={"zone": "a", "__name__": "up", "alertname": "Watchdog", "tier.x": "1"},
    series=("s", "t"), peak_score=9.0, peak_at=AT, seen_at=AT, standing=2, suspects=SUSPECTS,
)  # fmt: skip


def box(**form: object) -> Outbox:
    return Outbox(Form(**form))


def taken(outbox: Outbox, now: float) -> list[dict]:
    batch, number = outbox.batch(now)
    outbox.done(batch, number, now)
    return batch


def test_nothing_is_due_without_incidents():
    assert box().wait_s(AT) is None


def test_an_incident_is_sent_at_once_and_says_what_is_suspected():
    outbox = box(labels={"severity": "page"})
    outbox.note([ONE], AT)
    assert outbox.wait_s(AT) == 0.0
    (alert,) = written(taken(outbox, AT + 5))
    assert alert["labels"] == {
        "alertname": "AiopsIncident", OWN: "01ONE", "kind": "point", "zone": "a", "severity": "page",
    }  # fmt: skip
    assert alert["annotations"]["summary"] == "2 series out of the ordinary, shop/db first suspected"
    assert alert["annotations"]["suspects"] == "shop/db (began first, deviates most); shop/web"
    assert (alert["startsAt"], alert["endsAt"]) == ("2026-03-02T11:13:20.000Z", "2026-03-02T11:17:25.000Z")
    assert "ended" not in alert


def test_it_is_sent_again_after_the_refresh_under_the_labels_of_the_first_time():
    outbox = box()
    outbox.note([ONE], AT)
    first = taken(outbox, AT)[0]["labels"]
    assert outbox.wait_s(AT + 15) == 45.0
    outbox.note([replace(ONE, kind="level-shift", labels={})], AT + 60)
    assert outbox.wait_s(AT + 60) == 0.0
    assert taken(outbox, AT + 60)[0]["labels"] == first


def test_its_end_is_sent_at_once_and_once():
    outbox = box()
    outbox.note([ONE], AT)
    taken(outbox, AT)
    outbox.note([replace(ONE, state=IncidentState.ENDED, seen_at=AT + 20)], AT + 30)
    assert outbox.wait_s(AT + 30) == 0.0
    (alert,) = taken(outbox, AT + 30)
    assert alert["endsAt"] == "2026-03-02T11:13:40.000Z"
    assert outbox.wait_s(AT + 31) is None


def test_a_merged_incident_says_where_it_went():
    outbox = box()
    outbox.note([ONE], AT)
    outbox.note([replace(ONE, state=IncidentState.MERGED, merged_into="01TWO")], AT + 15)
    (alert,) = taken(outbox, AT + 15)
    assert alert["annotations"]["merged_into"] == "01TWO"


def test_an_incident_that_ended_before_it_was_ever_told_is_not_sent():
    outbox = box()
    outbox.note([replace(ONE, state=IncidentState.ENDED)], AT)
    assert outbox.wait_s(AT) is None


def test_an_end_that_could_not_be_sent_is_sent_later():
    outbox = box()
    outbox.note([ONE], AT)
    taken(outbox, AT)
    outbox.note([replace(ONE, state=IncidentState.ENDED)], AT + 15)
    outbox.failed(AT + 15, 1.0)
    outbox.note([], AT + 30)
    (alert,) = taken(outbox, AT + 30)
    assert alert["ended"]


def test_what_ends_while_it_is_being_sent_is_sent_once_more():
    outbox = box()
    outbox.note([ONE], AT)
    batch, number = outbox.batch(AT)
    outbox.note([replace(ONE, state=IncidentState.ENDED)], AT + 1)
    outbox.done(batch, number, AT + 2)
    assert outbox.wait_s(AT + 2) == 0.0
    assert outbox.batch(AT + 2)[0][0]["ended"]


def test_after_failures_it_waits_twice_as_long_each_time_and_news_wait_too():
    outbox = box()
    outbox.note([ONE], AT)
    waits = []
    for _ in range(12):
        outbox.failed(AT, 1.0)
        outbox.note([ONE, replace(ONE, id="01TWO")], AT)
        waits.append(outbox.wait_s(AT))
    assert waits[:4] == [1.0, 2.0, 4.0, 8.0]
    assert waits[-1] == LONGEST_WAIT_S
    assert [one["labels"][OWN] for one in taken(outbox, AT + 400)] == ["01ONE", "01TWO"]
    assert outbox.wait_s(AT) == pytest.approx(460.0), "the refresh again, and no back-off"


def test_what_is_open_and_told_no_more_is_left_to_alertmanager_to_end():
    outbox = box()
    outbox.note([ONE], AT)
    outbox.note([], AT + 15)
    assert outbox.wait_s(AT + 15) is None


def test_a_loop_that_stands_still_keeps_no_alert_alive():
    outbox = box(refresh_s=60.0)
    outbox.note([ONE], AT)
    taken(outbox, AT)
    assert outbox.wait_s(AT + 60 * ENDS_AFTER) == 0.0
    assert outbox.wait_s(AT + 60 * ENDS_AFTER + 1) is None


def test_ended_incidents_that_nobody_takes_do_not_pile_up():
    outbox = box()
    many = [replace(ONE, id=f"{number:06}") for number in range(MOST_WAITING + 50)]
    outbox.note(many, AT)
    outbox.note([replace(one, state=IncidentState.ENDED) for one in many], AT + 1)
    batch, _ = outbox.batch(AT + 2)
    assert len(batch) == MOST_WAITING
    assert batch[0]["labels"][OWN] == "000050"
