"""A bug in what one group of watched series finds holds the policies of that group, and nobody else (S10)."""

from __future__ import annotations

from dataclasses import dataclass

from aiops.core.model import Percepts, SeriesIndex
from tests.unit.fleet import DAY_S, Days, a_set, a_watch, services

SICK, SOUND = "WatchPolicy/shop/errors", "WatchPolicy/shop/latency"


@dataclass
class Broken:
    """Whatever is asked of it fails, while it is so; then it is what it stands for."""

    instead_of: object
    why: str = "a bug"

    def __getattr__(self, name: str) -> object:
        if self.why:
            raise RuntimeError(self.why)
        return getattr(self.instead_of, name)


def both() -> SeriesIndex:
    first, second = services("checkout", policy=SICK), services("cart", policy=SOUND)
    return SeriesIndex(keys=(*first.keys, *second.keys), labels=(*first.labels, *second.labels))


def two_groups() -> Days:
    """Return two policies that share no detector: their seasons differ."""
    days = Days(a_set(a_watch(SICK, season_s=DAY_S / 2), a_watch(SOUND)), both())
    days.learn_history(1.5)
    days.ticks(8)
    return days


def broken(days: Days) -> Broken:
    fleet = days.bank._fleet
    (group,) = (one for one in fleet.groups.values() if SICK in one.policies)
    group.detector = made = Broken(group.detector)
    return made


def found_by(percepts: Percepts) -> list[str]:
    return [one.policy for one in percepts.findings]


def test_what_others_find_is_found_and_who_met_the_bug_is_not_seen_until_it_is_gone_s10() -> None:
    days = two_groups()
    bug = broken(days)
    seen = days.tick([160.0, 160.0])
    assert found_by(seen) == [SOUND]
    assert list(seen.bugs) == [SICK]
    assert "RuntimeError: a bug" in seen.bugs[SICK]
    assert seen.unseen == {SICK: "a bug: RuntimeError: a bug"}
    bug.why = ""
    seen = days.tick([160.0, 160.0])
    assert sorted(found_by(seen)) == [SICK, SOUND]
    assert (seen.bugs, seen.unseen) == ({}, {})


def test_a_bug_while_series_come_and_go_is_told_until_they_can_be_followed_s10() -> None:
    days = two_groups()
    bug = broken(days)
    more = services("basket", policy=SOUND)
    days.index = SeriesIndex(keys=(*more.keys, *days.index.keys), labels=(*more.labels, *days.index.labels))
    for _ in range(2):
        seen = days.tick([100.0, 160.0, 160.0])
        assert found_by(seen) == [SOUND]
        assert list(seen.unseen) == [SICK]
    bug.why = ""
    seen = days.tick([100.0, 160.0, 160.0])
    assert sorted(found_by(seen)) == [SICK, SOUND]
