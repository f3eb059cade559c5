"""Writes to several systems: each in its order, one that hangs delays no other, and what was not sent is said so."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from aiops.loop.lanes import PEOPLE, Beside, InOrder, Job

LONG_S = 60.0
NAMES = tuple(f"c{number}" for number in range(10))
HANGING = ("c3", "c7")


class Systems:
    """What was sent to whom, in which order; those that hang answer when they are let go."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.free = {name: threading.Event() for name in HANGING}

    def job(self, name: str, number: int, *, requests: int = 1) -> tuple[str, Job[str]]:
        def run(go_on) -> str:
            for request in range(requests):
                if request and not go_on():
                    return "stopped"
                self.sent.append(f"{name}/{number}/{request}")
                if name in self.free:
                    self.free[name].wait(LONG_S)
            return f"{name}/{number} done"

        name_of = f"{name}/{number}"
        return name, Job(
            run=run, unsent=lambda why: f"{name_of} unsent: {why}", unanswered=lambda why: f"{name_of}?: {why}"
        )


@pytest.fixture
def systems() -> Iterator[Systems]:
    made = Systems()
    yield made
    for event in made.free.values():
        event.set()


def test_of_ten_two_hang_and_the_others_have_all_their_writes_in_order(systems):
    lanes = Beside(silent_s=1.5)
    # as the policies come: those that hang are among the first of every round
    jobs = [systems.job(name, number) for number in range(3) for name in (*HANGING, *NAMES) if number or name in NAMES]
    said = lanes.do(jobs)
    assert len(said) == len(jobs)
    for (name, _), answer in zip(jobs, said, strict=True):
        assert answer.startswith(f"{name}/")
        assert answer.endswith("done") == (name not in HANGING), answer
    for name in NAMES:
        own = [one for one in systems.sent if one.startswith(f"{name}/")]
        assert own == ([f"{name}/0/0"] if name in HANGING else [f"{name}/{number}/0" for number in range(3)])


def test_what_was_sent_without_an_answer_is_unknown_and_what_comes_after_it_was_not_sent(systems):
    first, second = Beside(silent_s=0.05).do([systems.job("c3", 0), systems.job("c3", 1)])
    assert first.startswith("c3/0?: c3 did not answer within 0.")
    assert second == "c3/1 unsent: c3 has not answered what was sent before it"
    assert systems.sent == ["c3/0/0"]


def test_who_hangs_is_sent_nothing_before_it_has_answered_and_then_goes_on(systems):
    lanes = Beside(silent_s=0.05, hung_s=LONG_S)
    lanes.do([systems.job("c3", 0)])
    assert lanes.do([systems.job("c3", 1), systems.job("c4", 0)]) == [
        "c3/1 unsent: c3 has not answered what it was sent before",
        "c4/0 done",
    ]
    systems.free["c3"].set()
    lanes._at_work["c3"].join(LONG_S)
    assert lanes.do([systems.job("c3", 2)]) == ["c3/2 done"]
    assert [one for one in systems.sent if one.startswith("c3")] == ["c3/0/0", "c3/2/0"]


def test_nothing_is_sent_late_for_a_turn_that_is_over(systems):
    lanes = Beside(silent_s=0.05)
    lanes.do([systems.job("c3", 0, requests=2), systems.job("c3", 1)])
    systems.free["c3"].set()
    lanes._at_work["c3"].join(LONG_S)
    assert systems.sent == ["c3/0/0"]


def test_a_system_that_answers_each_request_in_time_is_waited_for_though_all_take_long():
    ticks = threading.Event()

    def slow(go_on) -> str:
        for _ in range(6):
            ticks.wait(0.2)
            go_on()
        return "done"

    job = Job(run=slow, unsent=str, unanswered=str)
    assert Beside(silent_s=1.0).do([("slow", job)]) == ["done"]
    (late,) = Beside(silent_s=LONG_S, longest_s=0.1).do([("slow", job)])
    assert "did not answer" in late


def test_people_are_told_by_ways_that_have_limits_of_their_own():
    gone = threading.Event()
    job = Job(run=lambda _: f"told {gone.wait(0.2)}", unsent=str, unanswered=str)
    assert Beside(silent_s=0.01).do([(PEOPLE, job)]) == ["told False"]


def test_a_bug_in_one_write_loses_no_other_answer(systems):
    def broken(_):
        raise ZeroDivisionError

    bug = ("c1", Job(run=broken, unsent=str, unanswered=lambda why: f"?: {why}"))
    assert Beside().do([systems.job("c0", 0), bug, systems.job("c1", 1)]) == [
        "c0/0 done",
        "?: a bug, see the log",
        "c1/1 done",
    ]


def test_in_virtual_time_everything_is_sent_in_the_order_in_which_it_was_decided(systems):
    jobs = [systems.job(name, number) for number in range(2) for name in ("c5", "c1")]
    assert InOrder().do(jobs) == ["c5/0 done", "c1/0 done", "c5/1 done", "c1/1 done"]
    assert systems.sent == ["c5/0/0", "c1/0/0", "c5/1/0", "c1/1/0"]
