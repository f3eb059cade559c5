"""What one vantage point makes of answers that look back over a window, and how traffic is read and shared out."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops.core.decide.failover.aims import wilson
from aiops.core.decide.failover.evidence import Common, News, Reading, counts, heard, judged, lately
from aiops.core.model import SeenObject, TrafficLever, View
from aiops.core.planning.failover import Traffic, Watching
from aiops.core.planning.weights import apportioned, percents, shifted
from tests.unit.failing import a_group

WATCHING = a_group().watching
ALONE = Common(share=0.0, at_most=0.03)


def answers(shares: list[float], window: int = 5, rate_rps: float = 10.0) -> list[Reading]:
    """Return what queries over a window of ticks answer, each tick of 5 s having one of these shares of failures."""
    found = []
    for number in range(window, len(shares) + 1):
        inside = shares[number - window : number]
        found.append(Reading(at=5.0 * number, share=sum(inside) / window, rate_rps=rate_rps))
    return found


@given(st.lists(st.sampled_from([0.0, 0.0, 0.0, 0.1, 0.5, 1.0]), min_size=12, max_size=40))
def test_what_is_new_in_each_answer_is_what_happened_since_the_last(shares):
    view = View()
    told = []
    for reading in answers([0.0] * 5 + shares):
        view, news = heard(view, reading, WATCHING)
        told.append(news)
    assert [one.share for one in told[1:]] == pytest.approx(shares, abs=1e-6)
    assert {one.length_s for one in told[1:]} == {5.0}


def test_the_same_answer_again_tells_nothing():
    view, _ = heard(View(), Reading(at=30.0, share=0.5, rate_rps=10.0), WATCHING)
    again, news = heard(view, Reading(at=30.0, share=0.5, rate_rps=10.0), WATCHING)
    assert (again, news) == (view, None)


def test_whoever_begins_in_the_middle_of_a_crash_knows_the_window_and_no_more():
    view, news = heard(View(), Reading(at=30.0, share=0.8, rate_rps=10.0), WATCHING)
    assert (news.length_s, news.share, news.asked) == (25.0, 0.8, 250.0)
    assert judged(view, news, ALONE, WATCHING).bad


def test_whoever_begins_after_a_blip_of_fifteen_seconds_is_not_sure():
    view, news = heard(View(), Reading(at=30.0, share=0.6, rate_rps=10.0), WATCHING)
    after = judged(view, news, ALONE, WATCHING)
    assert (after.failed_s, after.bad) == (15.0, False)


def test_what_an_answer_says_of_its_window_heals_what_was_thought_of_it():
    view = View()
    for at, share in ((30.0, 0.5), (35.0, 0.0), (40.0, 0.0)):
        view, _ = heard(view, Reading(at=at, share=share, rate_rps=10.0), WATCHING)
    assert lately(view, 30.0) == 0.0


def test_few_requests_are_chance_however_long_they_fail():
    view = View()
    for _ in range(8):
        view = judged(view, News(length_s=30.0, share=1.0, asked=1.0), ALONE, WATCHING)
        assert not view.bad
    view = judged(view, News(length_s=30.0, share=1.0, asked=1.0), ALONE, WATCHING)
    assert view.bad


def test_two_seconds_of_health_forgive_one_of_failure():
    view = judged(View(), News(length_s=5.0, share=1.0, asked=50.0), ALONE, WATCHING)
    view = judged(view, News(length_s=5.0, share=0.0, asked=50.0), ALONE, WATCHING)
    assert view.failed_s == 2.5
    assert judged(view, News(length_s=5.0, share=0.0, asked=50.0), ALONE, WATCHING) == View()


def test_with_nothing_to_compare_with_nobody_is_accused():
    view = View()
    for _ in range(100):
        view = judged(view, News(length_s=5.0, share=1.0, asked=50.0), Common(), WATCHING)
    assert (view.bad, view.apart_s) == (False, 0.0)
    assert view.failed_s > WATCHING.fail_for_s


@given(
    st.lists(st.tuples(st.floats(0.1, 60.0), st.floats(0.0, 1.0), st.floats(1.0, 1e6)), max_size=60), st.floats(0, 1)
)
def test_no_number_grows_without_bound_or_is_none(news, share):
    view = View()
    for length_s, failing, asked in news:
        view = judged(
            view, News(length_s=length_s, share=failing, asked=asked), Common(share=share, at_most=share), WATCHING
        )
        assert 0.0 <= view.apart_s <= view.failed_s + 1e-9
        assert view.failed_s <= WATCHING.fail_for_s + 120.0
        assert math.isfinite(view.evidence)
        assert math.isfinite(view.apart_evidence)


@pytest.mark.parametrize("window_s", [5.0, 25.0, 55.0])
def test_a_crash_is_as_soon_found_over_any_window(window_s):
    watching = Watching(
        vantage_points=(),
        bad_above_ratio=0.05,
        window_s=window_s,
        max_age_s=30.0,
        quorum=2,
        fail_for_s=15.0,
        well_for_s=300.0,
    )
    ticks = int(window_s / 5.0)
    view = View()
    shares = [0.0] * ticks + [1.0] * 10
    bad_after = None
    for number, reading in enumerate(answers(shares, ticks)):
        view, news = heard(view, reading, watching)
        view = view if news is None else judged(view, news, ALONE, watching)
        bad_after = number * 5.0 if view.bad and bad_after is None else bad_after
    assert bad_after == 20.0


@pytest.mark.parametrize(
    ("scrape_s", "said_s"), [(1, 1), (1, None), (5, None), (10, None), (15, None), (15, 15)], ids=lambda one: f"{one}s"
)
def test_a_blip_is_none_however_often_is_scraped_and_whatever_was_said_of_it(scrape_s, said_s):
    said = f"\n      scrape: {said_s}s" if said_s else ""
    watching = a_group(("      maxAge: 30s", f"      maxAge: 30s{said}")).watching
    for begins in range(60, 80):
        view, failing = View(), range(begins, begins + 15)
        for now in range(40, 200, 5):
            last = now - now % scrape_s
            first = last - (29 // scrape_s) * scrape_s
            # a rate over 30 s: of what lies between the first and the last sample in it
            share = sum(second in failing for second in range(first, last)) / (last - first)
            view, news = heard(view, Reading(at=float(last), share=share, rate_rps=10.0), watching)
            view = view if news is None else judged(view, news, ALONE, watching)
            assert not view.bad


# -- weights -------------------------------------------------------------------------------------------

POLICY = a_group()
NAMES = ["storefront-west", "storefront-north"]


def seen(body: dict[str, object]) -> SeenObject:
    return SeenObject(ref=POLICY.target, uid="u", resource_version="1", as_of=0.0, body=body)


def by(lever: TrafficLever) -> Traffic:
    return Traffic(lever=lever, object=POLICY.target)


@pytest.mark.parametrize(
    ("refs", "found"),
    [
        ([{"name": NAMES[0], "weight": 1}, {"name": NAMES[1], "weight": 0}], (100, 0)),
        ([{"name": NAMES[1], "weight": 3}, {"name": NAMES[0]}], (25, 75)),
        ([{"name": NAMES[0], "weight": 1}], None),
        ([{"name": NAMES[0], "weight": 0}, {"name": NAMES[1], "weight": 0}], None),
        ("nonsense", None),
    ],
)
def test_an_http_route_says_what_each_backend_gets_or_nothing(refs, found):
    body = {"spec": {"rules": [{"backendRefs": refs}]}}
    said = percents(by(TrafficLever.HTTP_ROUTE), NAMES, seen(body))
    assert (said and tuple(weight for _, weight in said)) == found


@pytest.mark.parametrize(
    ("lever", "body", "found"),
    [
        (TrafficLever.SERVICE_SELECTOR, {"spec": {"selector": {"backend": NAMES[1]}}}, (0, 100)),
        (TrafficLever.SERVICE_SELECTOR, {"spec": {"selector": {"app": "x"}}}, None),
        (
            TrafficLever.INGRESS_CANARY,
            {
                "metadata": {
                    "annotations": {
                        "nginx.ingress.kubernetes.io/canary": "true",
                        "nginx.ingress.kubernetes.io/canary-weight": "20",
                    }
                }
            },
            (80, 20),
        ),
        (TrafficLever.INGRESS_CANARY, {"metadata": {}}, None),
        (
            TrafficLever.WEIGHT_ANNOTATION,
            {"metadata": {"annotations": {"policy.aiops/weights": f"{NAMES[0]}=8, {NAMES[1]}=2"}}},
            (80, 20),
        ),
        (TrafficLever.WEIGHT_ANNOTATION, {"metadata": {"annotations": {"policy.aiops/weights": "a=1"}}}, None),
    ],
)
def test_the_other_levers_say_it_in_their_own_way(lever, body, found):
    said = percents(by(lever), NAMES, seen(body))
    assert (said and tuple(weight for _, weight in said)) == found


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 1000), min_size=1), st.integers(0, 100))
def test_shares_always_add_up_to_a_hundred(shares, percent):
    if not sum(shares.values()):
        return
    whole = apportioned(shares)
    assert sum(weight for _, weight in whole) == 100
    if len(whole) > 1:
        first = whole[0][0]
        after = shifted(whole, first, percent)
        assert dict(after)[first] == percent
        assert sum(weight for _, weight in after) == 100
        assert [name for name, _ in after] == [name for name, _ in whole]
        assert min(weight for _, weight in after) >= 0


def test_what_was_wrong_about_the_volume_of_the_first_window_is_soon_forgotten():
    view = View()
    # counting began in the middle of the first window
    for tick in range(1, 60):
        inside = min(5, tick)
        view, _ = heard(view, Reading(at=5.0 * tick, share=0.0, rate_rps=inside / 5.0), WATCHING)
    assert [one.asked for one in view.pieces] == pytest.approx([5.0] * 5, abs=0.2)


def test_a_turn_that_is_left_out_changes_nothing():
    view = View()
    for at in (30.0, 35.0, 40.0):
        view, _ = heard(view, Reading(at=at, share=0.0, rate_rps=10.0), WATCHING)
    view, news = heard(view, Reading(at=50.0, share=0.4, rate_rps=10.0), WATCHING)
    assert (news.length_s, news.share) == (10.0, 1.0)


@pytest.mark.parametrize("window", range(16, 31))
@pytest.mark.parametrize("every", [1, 2, 3, 5, 7])
def test_probes_that_come_in_rounds_make_no_failure_of_a_blip(window, every):
    watching = a_group(("      maxAge: 30s", f"      maxAge: 30s\n      window: {window}s")).watching
    for begins in range(90, 90 + every):
        failing = range(begins, begins + 15 - (15 % every or 0))
        view = View()
        for now in range(35, 200, 5):
            rounds = [second for second in range(now - window, now) if second % every == 0]
            if not rounds:
                continue
            share = sum(second in failing for second in rounds) / len(rounds)
            reading = Reading(at=float(now), share=share, rate_rps=20.0 * len(rounds) / window)
            view, news = heard(view, reading, watching)
            view = view if news is None else judged(view, news, ALONE, watching)
            assert not view.bad, (begins, now)


READINGS = st.lists(st.tuples(st.floats(0.1, 60.0), st.floats(0.0, 1.0), st.floats(0.01, 1e4)), min_size=1, max_size=40)


@given(READINGS, st.floats(1.0, 60.0))
def test_whatever_is_read_of_what_was_asked_no_more_than_all_failed(readings, within_s):
    view, now = View(), 1000.0
    for step_s, share, rate_rps in readings:
        now += step_s
        view, news = heard(view, Reading(at=now, share=share, rate_rps=rate_rps), WATCHING)
        failed, asked = counts(view, within_s)
        assert 0.0 <= failed <= asked
        low, high = wilson(failed, asked) if asked > 0.0 else (0.0, 1.0)
        assert 0.0 <= low <= high <= 1.0
        if news is not None:
            assert 0.0 <= news.share <= 1.0
            view = judged(view, news, ALONE, WATCHING)
