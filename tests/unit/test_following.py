"""Followers of the audit chain: what fails for hours is told later, once, and what is given up is counted."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

import pytest

from aiops.adapters.notify.answers import Patience, Told, refused
from aiops.adapters.notify.notices import NoticeKind, Severity
from aiops.adapters.notify.routes import Route
from aiops.adapters.store import Store
from aiops.app.following import Bounds, Following, People
from aiops.app.noticed import waiting
from aiops.app.publishing import Posted, Publisher
from aiops.core.model import StepStatus
from aiops.core.record.audit import AuditKind, Entry
from tests.stored import opened

__all__ = ["opened"]
NOW = 1_772_450_000.0
HOUR_S = 3600.0


@pytest.fixture
def url(tmp_path) -> str:
    return f"sqlite:///{tmp_path / 'aiops.db'}"


def entry(ref: str, at: float, **more: object) -> Entry:
    plain = {"kind": AuditKind.OUTCOME, "by": "loop", "subject": "ScalingPolicy/shop/checkout", "did": "failed"}
    return Entry(**{**plain, "ref": ref, "at": at, "said": f"{ref} failed", "detail": {"target": "shop/x"}, **more})


def pause(ref: str, at: float, **more: object) -> Entry:
    stops = {"kind": AuditKind.PAUSE, "by": "ann", "subject": "*", "did": "stopped", "detail": {"until": None}}
    return entry(ref, at, **{**stops, **more})


@dataclass
class Channels:
    """Channels of a test on a clock of its own; `down` fail."""

    now: float = NOW
    down: set[str] = field(default_factory=set)
    got: list[tuple[str, float, str, str]] = field(default_factory=list)
    tries: int = 0
    patience: dict[str, Patience] = field(default_factory=dict)

    def tell(self, name: str, title: str, text: str) -> str:
        patience = self.patience.setdefault(name, Patience(name, 5.0, clock=lambda: self.now))
        told = patience.tell(lambda: self._told(name, title, text))
        return "" if told.taken else told.message

    def _told(self, name: str, title: str, text: str) -> Told:
        self.tries += 1
        if name in self.down:
            return refused("it is down")
        self.got.append((name, self.now - NOW, title, text))
        return Told(status=StepStatus.DONE)

    def run(self, people: People, until: float, step_s: float = 30.0) -> None:
        while self.now < NOW + until:
            self.now += step_s
            people.turn(self.now)


def following(store: Store, channels: Channels, *routes: Route, **bounds: float) -> People:
    ways = routes or (Route(name="all", channel="ops", group_wait_s=30.0),)
    people = People(store, ways, channels.tell, lambda _: {"team": "shop"}, Bounds(**bounds))
    people.turn(channels.now)
    return people


def test_who_begins_to_follow_is_not_told_of_the_past(opened):
    store, channels = opened(), Channels()
    store.audit.note(entry("old", NOW))
    people = following(store, channels)
    store.audit.note(entry("new", NOW + 1))
    channels.run(people, 120)
    ((_, _, title, text),) = channels.got
    assert title == "[aiops] an action failed: ScalingPolicy/shop/checkout"
    assert ("new failed" in text, "old failed" in text) == (True, False)


def test_a_channel_that_fails_for_hours_gets_everything_afterwards_once_and_is_left_alone_meanwhile(opened):
    store, channels = opened(), Channels(down={"ops"})
    people = following(store, channels)
    for number in range(40):
        store.audit.note(entry(f"a{number}", channels.now))
        channels.run(people, channels.now - NOW + 600, step_s=60)
    assert channels.got == []
    assert channels.tries < 60, "6.7 hours, and no more than one try in ten minutes after the first"
    assert "it is down" in people.failing["all/ops"] or "tried again" in people.failing["all/ops"]
    channels.down.clear()
    channels.run(people, channels.now - NOW + 1200)
    ((_, _, title, text),) = channels.got
    assert title == "[aiops] 40 failed"
    assert [f"a{number} failed" in text for number in range(40)] == [True] * 40
    assert (people.failing, store.notices.waiting()) == ({}, [])
    channels.run(people, channels.now - NOW + 6 * HOUR_S, step_s=300)
    assert len(channels.got) == 1


def test_what_waits_survives_a_start_anew(opened):
    channels = Channels(down={"ops"})
    before = following(opened(), channels)
    before.store.audit.note(entry("a1", NOW))
    channels.run(before, 300)
    channels.down.clear()
    channels.now += 700
    after = following(opened(), channels)
    channels.run(after, channels.now - NOW + 60)
    assert [("a1 failed" in text) for _, _, _, text in channels.got] == [True]


def test_one_channel_that_fails_keeps_no_other_waiting(opened):
    store, channels = opened(), Channels(down={"pager"})
    ways = [Route(name="all", channel=name, group_wait_s=0.0) for name in ("pager", "chat")]
    people = following(store, channels, *ways)
    store.audit.note(entry("a1", NOW))
    channels.run(people, 120)
    assert [one[0] for one in channels.got] == ["chat"]
    channels.down.clear()
    channels.run(people, 1200)
    assert [one[0] for one in channels.got] == ["chat", "pager"]


def test_what_is_too_old_or_too_much_is_given_up_and_counted_in_the_next_message(opened):
    store, channels = opened(), Channels(down={"ops"})
    people = following(store, channels, keep_s=2 * HOUR_S, most=5)
    for number in range(12):
        store.audit.note(entry(f"early{number}", channels.now))
    channels.run(people, 60)
    told = waiting(store)
    assert [(one["route"], one["severity"], one["told_at"]) for one in told["waiting"]] == [
        ("all/ops", "warning", None)
    ] * 5
    assert told["lost"] == {"all/ops": 7}
    channels.run(people, 3 * HOUR_S)
    assert (store.notices.waiting(), store.notices.lost()["all/ops"]) == ([], 12)
    channels.down.clear()
    store.audit.note(entry("late", channels.now))
    channels.run(people, 4 * HOUR_S)
    ((_, _, _, text),) = channels.got
    assert "late failed" in text
    assert "12 notices before these could not be told" in text
    assert store.notices.lost()["all/ops"] == 0


def test_of_too_much_what_matters_most_is_kept(opened):
    store, channels = opened(), Channels(down={"ops"})
    people = following(store, channels, most=2)
    store.audit.note(pause("stop", NOW), *(entry(f"a{number}", NOW + number) for number in range(5)))
    channels.run(people, 30)
    assert [row["key"] for row in store.notices.waiting()] == ["pause/stop", "outcome/a4"]


def test_a_stop_is_repeated_while_it_stands_and_its_end_is_told(opened):
    store, channels = opened(), Channels()
    people = following(store, channels, Route(name="all", channel="ops", group_wait_s=0.0, repeat_s=HOUR_S))
    store.audit.note(pause("p1", NOW))
    channels.run(people, 2.5 * HOUR_S, step_s=60)
    titles = [(round(at / HOUR_S, 1), title) for _, at, title, _ in channels.got]
    assert titles == [(hour, "[aiops] everything is stopped: *") for hour in (0.0, 1.0, 2.0)]
    assert "(still)" in channels.got[1][3]
    store.audit.note(pause("p1", channels.now, kind=AuditKind.RESUME, did="resumed"))
    channels.run(people, 3 * HOUR_S, step_s=60)
    assert channels.got[-1][2] == "[aiops] * goes on: *"
    assert store.notices.waiting() == []


def test_a_pause_that_ends_of_itself_is_not_repeated_for_ever(opened):
    store, channels = opened(), Channels()
    people = following(store, channels, Route(name="all", channel="ops", group_wait_s=0.0, repeat_s=HOUR_S))
    store.audit.note(pause("p1", NOW, detail={"until": NOW + 1.5 * HOUR_S}))
    channels.run(people, 6 * HOUR_S, step_s=60)
    assert [title for _, _, title, _ in channels.got] == [
        "[aiops] everything is stopped: *",
        "[aiops] everything is stopped: *",
        "[aiops] over: everything is stopped: *",
    ]


def test_a_question_that_is_answered_before_it_was_told_is_told_to_nobody(opened):
    store, channels = opened(), Channels()
    people = following(store, channels, Route(name="all", channel="ops", group_wait_s=60.0))
    asks = {"kind": AuditKind.DECISION, "did": "ask"}
    store.audit.note(entry("d1", NOW, **asks))
    channels.run(people, 30)
    store.audit.note(entry("d2", NOW + 31, **{**asks, "did": "allow"}))
    channels.run(people, 600)
    assert channels.got == []


def test_what_retention_took_before_it_was_told_is_counted(opened):
    store, channels = opened(), Channels()
    people = following(store, channels)
    store.audit.note(*(entry(f"a{number}", NOW + number) for number in range(10)))
    store.prune(NOW + 90 * 86_400, 1e9, 10**9, audit_s=86_400.0)
    channels.now += 90 * 86_400
    store.audit.note(entry("late", channels.now))
    channels.run(people, 90 * 86_400 + 60)
    ((_, _, _, text),) = channels.got
    assert ("late failed" in text, "10 notices before these could not be told" in text) == (True, True)


def test_routes_choose_by_a_policy_s_labels(opened):
    store, channels = opened(), Channels()
    ways = [
        Route(name="shop", channel="shop", labels={"team": "shop"}, group_wait_s=0.0),
        Route(name="pay", channel="pay", labels={"team": "pay"}, group_wait_s=0.0),
        Route(name="stops", channel="boss", kinds=frozenset({NoticeKind.PAUSE}), severity=Severity.INFO),
    ]
    people = following(store, channels, *ways)
    store.audit.note(entry("a1", NOW))
    channels.run(people, 90)
    assert [one[0] for one in channels.got] == ["shop"]


def test_who_does_not_lead_tells_nothing_and_who_comes_to_lead_looks_at_the_store_anew(opened):
    turned, gained, leads = [], [], [False, True, True, False, True]
    answers = iter(leads)
    left = []

    def does() -> bool:
        left.append(None)
        return next(answers, False)

    follower = Following({"x": turned.append}, does, lambda: NOW, lambda: gained.append(1), every_s=0.001)
    follower.start()
    while len(left) < 8:
        pass
    follower.stop(5.0)
    assert (len(turned), len(gained)) == (3, 2)


# -- events ------------------------------------------------------------------------------------------------


@dataclass
class Webhook:
    """An endpoint of a test. answers: codes in order, the last for ever. refuses: the ref that it does not like."""

    answers: list[int] = field(default_factory=lambda: [200])
    refuses: str = ""
    got: list[tuple[str, list[dict[str, object]]]] = field(default_factory=list)
    tries: int = 0

    def post(self, body: bytes, key: str, at: float) -> Posted:
        self.tries += 1
        events = json.loads(body)
        code = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if self.refuses and any(one["data"]["ref"] == self.refuses for one in events):
            code = 400
        if code == 200:
            self.got.append((key, events))
        return Posted(taken=code == 200, code=code, said=f"answered {code}")

    @property
    def refs(self) -> list[str]:
        return [one["data"]["ref"] for _, events in self.got for one in events]


def publisher(store: Store, hook: Webhook, **more: object) -> Publisher:
    made = Publisher(store, hook.post, source="/aiops/test", **more)
    made.turn(NOW)
    return made


def test_events_are_structured_cloudevents_in_order_and_batches(opened):
    store, hook = opened(), Webhook()
    made = publisher(store, hook, size=4)
    store.audit.note(*(entry(f"a{number}", NOW + number) for number in range(10)))
    made.turn(NOW + 1)
    assert [len(events) for _, events in hook.got] == [4, 4, 2]
    first = hook.got[0][1][0]
    line = store.audit.after(0)[0]
    assert {name: first[name] for name in first if name != "data"} == {
        "specversion": "1.0", "id": line.digest, "source": "/aiops/test", "type": "aiops.outcome",
        "subject": "ScalingPolicy/shop/checkout", "time": "2026-03-02T11:13:20Z",
        "datacontenttype": "application/json", "sequence": "00000000000000000001",
    }  # fmt: skip
    assert first["data"] == json.loads(line.text)
    assert hook.refs == [f"a{number}" for number in range(10)]


def test_an_endpoint_that_fails_for_hours_gets_every_event_once_in_order_under_the_same_keys(opened):
    store, hook = opened(), Webhook(answers=[503])
    made, now = publisher(store, hook, size=10), NOW
    keys = set()

    def post(body: bytes, key: str, at: float) -> Posted:
        keys.add(key)
        return hook.post(body, key, at)

    made.post = post
    for number in range(60):
        store.audit.note(entry(f"a{number}", now))
        for _ in range(120):
            now += 3.0
            made.turn(now)
    assert (hook.got, made.failing) == ([], "answered 503")
    assert hook.tries < 60, "6 hours, and no more than one try in ten minutes after the first"
    assert len(keys) == 1, "the same records are one batch, however often it is sent"
    hook.answers = [200]
    made.turn(now + 600)
    assert hook.refs == [f"a{number}" for number in range(60)]
    assert (made.failing, made.sent, made.lost) == ("", 60, 0)


def test_an_event_that_is_refused_for_what_it_is_keeps_no_other_waiting_and_is_counted(opened):
    store, hook = opened(), Webhook(refuses="a5")
    made = publisher(store, hook, size=8)
    store.audit.note(*(entry(f"a{number}", NOW + number) for number in range(12)))
    made.turn(NOW + 1)
    assert hook.refs == [f"a{number}" for number in range(12) if number != 5]
    assert store.notices.cursor("events") == (12, 1)


def test_a_door_that_is_closed_is_not_the_event_s_fault(opened):
    store, hook = opened(), Webhook(answers=[401])
    made = publisher(store, hook)
    store.audit.note(entry("a1", NOW))
    made.turn(NOW + 1)
    assert (store.notices.cursor("events")[0], made.failing) == (0, "answered 401")


def test_only_the_types_that_are_asked_for_are_sent(opened):
    store, hook = opened(), Webhook()
    made = publisher(store, hook, kinds=frozenset({"aiops.pause"}))
    store.audit.note(entry("a1", NOW), pause("p1", NOW), entry("a2", NOW))
    made.turn(NOW + 1)
    assert (hook.refs, store.notices.cursor("events")) == (["p1"], (3, 0))


def test_a_batch_fits_into_one_message(opened):
    store, hook = opened(), Webhook()
    made = publisher(store, hook)
    long = "x" * 900
    store.audit.note(*(replace(entry(f"a{number}", NOW), said=long) for number in range(90)))
    made.turn(NOW + 1)
    assert hook.refs == [f"a{number}" for number in range(90)]
    assert max(len(json.dumps(events)) for _, events in hook.got) < 65_536
