"""Messages of Alertmanager's webhook: what they mean, and what is refused with its place."""

from __future__ import annotations

import contextlib
import copy
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops.adapters.alertmanager import OWN, alerts_of
from aiops.adapters.alertmanager.webhook import MOST_ALERTS
from aiops.core.model import Alert, AlertStatus
from aiops.errors import InvalidInput

AT = 1_772_450_000.0
MESSAGE = {
    "version": "4",
    "groupKey": '{}:{alertname="HighLatency"}',
    "truncatedAlerts": 0,
    "status": "firing",
    "receiver": "aiops",
    "externalURL": "http://alertmanager:9093",
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "HighLatency", "service": "checkout"},
            "annotations": {"summary": "slow"},
            "startsAt": "2026-03-02T12:00:00.123456789+01:00",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus/graph",
            "fingerprint": "1a30ba71cca2921f",
        }
    ],
}
MISSING = object()


def told(**alert: object) -> tuple[Alert, ...]:
    message = copy.deepcopy(MESSAGE)
    for name, value in alert.items():
        message["alerts"][0][name] = value
        if value is MISSING:
            del message["alerts"][0][name]
    return alerts_of(message, AT, OWN)


def test_a_firing_alert_has_its_beginning_and_no_end():
    (alert,) = told()
    assert alert == Alert(
        fingerprint="1a30ba71cca2921f", name="HighLatency", labels={"alertname": "HighLatency", "service": "checkout"},
        status=AlertStatus.FIRING, starts_at=1_772_449_200.123456, ends_at=math.inf, seen_at=AT,
    )  # fmt: skip


def test_a_resolved_alert_ends_when_it_says_and_no_later_than_now():
    assert told(status="resolved", endsAt="2026-03-02T11:10:00Z")[0].ends_at == 1_772_449_800.0
    assert told(status="resolved", endsAt="2099-01-01T00:00:00Z")[0].ends_at == AT
    assert told(status="resolved", endsAt=MISSING)[0].ends_at == AT
    assert told(endsAt=None)[0].ends_at == told(endsAt=MISSING)[0].ends_at == math.inf


def test_without_a_fingerprint_the_labels_tell_alerts_apart():
    one, same, other = (
        told(fingerprint=MISSING, labels=labels)[0].fingerprint
        for labels in ({"alertname": "A", "b": "1"}, {"b": "1", "alertname": "A"}, {"alertname": "A", "b": "2"})
    )
    assert one == same != other
    assert told(fingerprint=None)[0].fingerprint == told(fingerprint=MISSING)[0].fingerprint


def test_what_this_program_said_itself_is_not_heard():
    assert told(labels={"alertname": "AiopsIncident", OWN: "01J"}) == ()


def test_text_that_looks_like_a_query_or_a_command_stays_text():
    hostile = {"alertname": "up{}[5m]; rm -rf /", "x": "${jndi:ldap://x}"}
    assert told(labels=hostile)[0].labels == hostile


@pytest.mark.parametrize(
    ("alert", "said"),
    [
        ({"status": "on fire"}, r"alerts\[0\].status: 'on fire' is not one of firing, resolved"),
        ({"status": MISSING}, r"alerts\[0\].status: None is not one of"),
        ({"labels": {}}, r"alerts\[0\].labels: an object with a label"),
        ({"labels": ["a"]}, r"alerts\[0\].labels: an object with a label"),
        ({"labels": {"a": 1}}, r"alerts\[0\].labels.a: 1 is no text"),
        ({"labels": {"a": "x" * 5000}}, r"alerts\[0\].labels.a: longer than"),
        ({"labels": {"a": "\x00"}}, r"alerts\[0\].labels.a: it holds a character that is none"),
        ({"labels": {"a": "\ud800"}}, r"alerts\[0\].labels.a: it holds a character that is none"),
        ({"labels": {str(n): "x" for n in range(100)}}, r"alerts\[0\].labels: 100 labels, at most 64"),
        ({"startsAt": "yesterday"}, r"alerts\[0\].startsAt: 'yesterday' is no time such as"),
        ({"startsAt": 5}, r"alerts\[0\].startsAt: 5 is no time"),
        ({"startsAt": "0001-01-01T00:00:00Z"}, r"alerts\[0\].startsAt: it is not said when"),
        ({"startsAt": "2026-03-02T12:00:00"}, r"alerts\[0\].startsAt: '2026-03-02T12:00:00' says no time zone"),
        ({"endsAt": "x"}, r"alerts\[0\].endsAt: 'x' is no time"),
        ({"fingerprint": "f" * 65}, r"alerts\[0\].fingerprint: a text of at most 64"),
        ({"fingerprint": 7}, r"alerts\[0\].fingerprint: a text of at most 64"),
    ],
)
def test_what_is_malformed_is_refused_with_its_place(alert, said):
    with pytest.raises(InvalidInput, match=said):
        told(**alert)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ([], "the message is no JSON object"),
        ({**MESSAGE, "version": 4}, "version: 4 is not the webhook's version '4'"),
        ({**MESSAGE, "version": "3"}, "version: '3' is not"),
        ({"version": "4"}, "alerts: a list is wanted"),
        ({**MESSAGE, "alerts": ["x"]}, r"alerts\[0\]: an object is wanted"),
        ({**MESSAGE, "alerts": [{}] * (MOST_ALERTS + 1)}, "alerts: 5001 in one message, at most 5000"),
    ],
)
def test_messages_that_are_none_are_refused(message, said):
    with pytest.raises(InvalidInput, match=said):
        alerts_of(message, AT, OWN)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ("status", "labels", "annotations", "startsAt", "endsAt", "fingerprint")


@given(broken=st.dictionaries(st.sampled_from(FIELDS), ANY), rest=ANY)
def test_whatever_comes_is_alerts_or_a_refusal(broken, rest):
    for message in (rest, {**MESSAGE, "alerts": rest}, {**MESSAGE, "alerts": [{**MESSAGE["alerts"][0], **broken}]}):
        made = ()
        with contextlib.suppress(InvalidInput):
            made = alerts_of(message, AT, OWN)
        assert all(math.isfinite(one.starts_at) and one.labels for one in made)
