"""Silences of Alertmanager, and the alerts that fire, as the loop's controls (S9)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops.adapters.alertmanager import Matcher, Silence, SilenceWatch
from aiops.adapters.alertmanager.silences import silence
from aiops.adapters.store import Store
from aiops.app.silenced import HeardControls, SilencedControls, concerned, labels_of
from aiops.core.model import Alert, AlertStatus, Freeze
from aiops.core.policies import PolicySet
from aiops.errors import SourceUnavailable
from aiops.ports import ControlsReading
from tests.builders import KEY, NOW, policy
from tests.unit.fleet import a_watch

RAW = {
    "id": "7f2d1c9a-0000-4000-8000-000000000000",
    "status": {"state": "active"},
    "matchers": [
        {"name": "namespace", "value": "shop", "isRegex": False, "isEqual": True},
        {"name": "service", "value": "check.*", "isRegex": True, "isEqual": True},
    ],
    "startsAt": "2026-03-02T11:00:00.000Z",
    "endsAt": "2026-03-02T12:00:00.000Z",
    "createdBy": "ann",
    "comment": "database\nmigration\x1b[31m",
}
WATCH = a_watch("WatchPolicy/pay/errors")
SET = PolicySet(
    digest="d", scaling=(policy(),), watches=(WATCH,), labels={KEY: {"service": "checkout", "team": "shop"}}
)


@dataclass
class Answers:
    """An Alertmanager in its place: what it answers, or why it does not."""

    found: list = field(default_factory=list)
    why: str = ""
    asked: int = 0

    def silences(self) -> list:
        self.asked += 1
        if self.why:
            raise SourceUnavailable(self.why)
        return self.found

    def close(self) -> None:
        pass


@dataclass
class Quiet:
    """Controls that say one thing."""

    reading: ControlsReading = field(default_factory=ControlsReading)

    def read(self, at: float) -> ControlsReading:
        return self.reading


@dataclass
class Elapsed:
    """A monotonic clock that stands still until it is moved."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def matching(*matchers: Matcher) -> tuple[str, ...]:
    one = Silence(id="s", matchers=matchers, until=NOW, by="ann", comment="")
    return concerned(one, labels_of(SET))


def test_a_silence_is_read_as_alertmanager_writes_it():
    one = silence(RAW)
    assert [str(matcher) for matcher in one.matchers] == ['namespace="shop"', 'service=~"check.*"']
    assert (one.by, one.comment, one.until) == ("ann", "database migration [31m", 1_772_452_800.0)
    negated = silence({**RAW, "matchers": [{"name": "a", "value": "b", "isRegex": True, "isEqual": False}]})
    assert str(negated.matchers[0]) == 'a!~"b"'


@pytest.mark.parametrize(
    "broken",
    [
        {"status": {"state": "expired"}}, {"status": {"state": "pending"}}, {"status": None}, {"matchers": []},
        {"matchers": [{"name": "a"}]}, {"matchers": None}, {"endsAt": "soon"}, {"endsAt": None},
        {"matchers": [{"name": "a", "value": 3, "isRegex": False}]},
    ],
)  # fmt: skip
def test_what_is_not_active_or_not_understood_is_no_silence(broken):
    assert silence({**RAW, **broken}) is None


def test_a_silence_matches_the_labels_of_a_policy_and_of_its_target():
    assert matching(Matcher(name="service", value="checkout")) == (KEY,)
    assert matching(Matcher(name="deployment", value="checkout")) == (KEY,)
    assert matching(Matcher(name="namespace", value="shop|pay", pattern=True)) == (KEY, WATCH.key)
    assert matching(Matcher(name="policy", value="errors"), Matcher(name="kind", value="WatchPolicy")) == (WATCH.key,)
    assert matching(Matcher(name="service", value="check", pattern=True)) == (), "patterns are anchored"
    assert matching(Matcher(name="namespace", value="shop"), Matcher(name="team", value="other")) == ()


def test_versions_and_members_are_held_by_the_labels_of_their_policy():
    shadow, member = replace(policy(), key=f"{KEY}@01234567"), replace(policy(), key="ScalingPolicy/shop/web_cart")
    labels = {KEY: {"team": "shop"}, "ScalingPolicy/shop/web": {"team": "front"}}
    every = PolicySet(digest="d", scaling=(policy(), shadow, member), labels=labels)
    team = Silence(id="s", matchers=(Matcher(name="team", value="shop"),), until=NOW, by="", comment="")
    assert concerned(team, labels_of(every)) == (KEY, shadow.key)
    web = replace(team, matchers=(Matcher(name="policy", value="web"), Matcher(name="team", value="front")))
    assert concerned(web, labels_of(every)) == (member.key,)


def test_a_silence_of_one_alert_by_its_name_holds_no_policy():
    named = Matcher(name="alertname", value="NodeDown")
    assert matching(named) == ()
    assert matching(named, Matcher(name="namespace", value="shop")) == ()
    assert matching(Matcher(name="severity", value="critical", negated=True)) == (), "it says nothing of any policy"
    both = Matcher(name="severity", value="critical", negated=True), Matcher(name="namespace", value="shop")
    assert matching(*both) == (KEY,), "a label that is missing is empty, as for alerts"


def test_a_pattern_that_cannot_be_read_here_holds_s9():
    assert matching(Matcher(name="namespace", value="shop(", pattern=True)) == (KEY, WATCH.key)


def test_a_hostile_pattern_takes_no_time():
    assert matching(Matcher(name="namespace", value="(s+)+(h+)+(o+)+$" * 40, pattern=True)) == ()


def controls(answers: Answers, elapsed: Elapsed, inner: Quiet | None = None) -> tuple[SilencedControls, SilenceWatch]:
    watch = SilenceWatch([answers], 30.0, elapsed)
    return SilencedControls(inner or Quiet(), watch, lambda: SET, 600.0), watch


def test_a_silence_freezes_what_it_matches_until_it_ends_s9():
    own = Freeze(name="friday", until=NOW + 5)
    read, watch = controls(Answers([RAW]), Elapsed(), Quiet(ControlsReading(freezes=(own,))))
    watch.look()
    kept, frozen = read.read(NOW).freezes
    assert kept == own
    assert frozen == Freeze(
        name="silence 7f2d1c9a by ann: database migration [31m", until=1_772_452_800.0, policies=(KEY,)
    )
    assert read.read(1_772_452_800.0).freezes == (own,)


def test_what_was_read_stands_while_alertmanager_does_not_answer_and_then_everything_is_frozen_s9():
    answers, elapsed = Answers([RAW]), Elapsed()
    read, watch = controls(answers, elapsed)
    (unknown,) = read.read(NOW).freezes
    assert (unknown.name, unknown.policies) == ("silences are not known: not yet", ())
    watch.look()
    answers.why = "http://am refuses"
    elapsed.now += 590.0
    watch.look()
    assert [one.policies for one in read.read(NOW).freezes] == [(KEY,)]
    assert (watch.failures, watch.failing) == (1, "http://am refuses")
    elapsed.now += 20.0
    (unknown,) = read.read(NOW).freezes
    assert (unknown.name, unknown.concerns(KEY)) == ("silences are not known: http://am refuses", True)


def test_the_next_of_a_group_is_asked_when_the_first_does_not_answer():
    down, up = Answers(why="down"), Answers([RAW])
    watch = SilenceWatch([down, up], 30.0, Elapsed())
    watch.look()
    assert len(watch.active(NOW)) == 1
    assert (watch.failing, watch.failures, up.asked) == ("", 1, 1)


def test_alerts_that_fire_are_read_on_the_clock_of_the_loop(tmp_path):
    store = Store.open(f"sqlite:///{tmp_path / 'a.db'}")
    alert = Alert(
        fingerprint="f", name="A", labels={"alertname": "A"}, status=AlertStatus.FIRING, starts_at=NOW - 60,
        ends_at=NOW + 60, seen_at=NOW - 30,
    )  # fmt: skip
    store.alerts.note([alert, replace(alert, fingerprint="g", status=AlertStatus.RESOLVED)])
    heard = HeardControls(Quiet(), store.alerts, 100.0, lambda: NOW)
    assert heard.read(NOW).alerts == (alert,)
    (moved,) = heard.read(NOW + 1e6).alerts
    assert (moved.starts_at, moved.ends_at) == (NOW - 60 + 1e6, NOW + 60 + 1e6)
    assert replace(heard, people_now=lambda: NOW + 71).read(NOW).alerts == ()
    store.close()


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(broken=st.dictionaries(st.sampled_from(sorted(RAW)), ANY), rest=ANY, value=st.text(max_size=12))
def test_whatever_alertmanager_holds_is_a_silence_or_none_and_matching_it_ends(broken, rest, value):
    assert silence(rest) is None or isinstance(rest, dict)
    made = silence({**RAW, **broken})
    pattern = Matcher(name="namespace", value=value, pattern=True)
    for one in (made, Silence(id="s", matchers=(pattern,), until=NOW, by="", comment="")):
        if one is not None:
            assert set(concerned(one, labels_of(SET))) <= {KEY, WATCH.key}
