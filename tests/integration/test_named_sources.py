"""Several metrics sources by name: each fails, hangs and answers for itself (S8, S10)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from aiops.adapters.prometheus import NamedSources, PrometheusOptions, PrometheusSource
from aiops.core.model import Answered, Failed
from aiops.errors import SourceUnavailable
from tests.integration.test_prometheus_answers import NOW, SIGNAL, WATCH, Script, age, serving, vector

DEFAULT, EDGE, WEST = "", "edge", "west"


def users(source: str):
    return replace(SIGNAL, policy="F", name=f"users@{source}", source=source)


@pytest.fixture
def scripts() -> dict[str, Script]:
    made = {name: Script() for name in (DEFAULT, EDGE, WEST)}
    for number, script in enumerate(made.values(), 1):
        script.say("sum(x)", vector(({}, number)))
        script.say("label_replace", age(1.0))
    return made


@pytest.fixture
def sources(scripts: dict[str, Script]) -> Iterator[NamedSources]:
    with ExitStack() as stack:
        made = {
            name: PrometheusSource(
                PrometheusOptions(url=stack.enter_context(serving(script)), timeout_s=0.5, retries=0, backoff_s=0.01)
            )
            for name, script in scripts.items()
        }
        named = NamedSources(
            default=made.pop(DEFAULT), named=made, limits_s={name: 0.3 if name == WEST else 0.5 for name in made}
        )
        yield named
        named.close()


def values(sources: NamedSources, *signals):
    return {
        query.source: sources_answer
        for query in signals
        for sources_answer in [sources.read(signals, (), NOW).answers[query.policy][query.name]]
    }


def test_each_signal_is_asked_of_the_source_that_it_names(sources, scripts):
    found = values(sources, users(DEFAULT), users(EDGE), users(WEST))
    assert {name: answer.value for name, answer in found.items()} == {DEFAULT: 1.0, EDGE: 2.0, WEST: 3.0}
    assert {len({query for query, _ in script.asked}) > 0 for script in scripts.values()} == {True}


def test_a_source_that_hangs_fails_alone_within_its_time_and_delays_no_other_s8(sources, scripts):
    scripts[WEST].say("sum(x)", b"hang")
    began = time.monotonic()
    found = sources.read((users(EDGE), users(WEST)), (), NOW).answers["F"]
    took_s = time.monotonic() - began
    assert isinstance(found["users@edge"], Answered)
    assert isinstance(found["users@west"], Failed)
    assert "did not answer within" in found["users@west"].error
    assert took_s < 1.5


def test_a_source_that_still_hangs_is_not_asked_again_s10(sources, scripts):
    scripts[WEST].say("sum(x)", b"hang")
    sources.limits_s = {EDGE: 0.5, WEST: -0.4}  # its own time-out of 0.5 s comes later than our patience
    sources.read((users(EDGE), users(WEST)), (), NOW)
    asked = len(scripts[WEST].asked)
    again = sources.read((users(EDGE), users(WEST)), (), NOW).answers["F"]
    assert "has not answered what it was asked before" in again["users@west"].error
    assert len(scripts[WEST].asked) == asked
    assert isinstance(again["users@edge"], Answered)


def test_a_source_that_came_back_is_asked_again(sources, scripts):
    scripts[WEST].say("sum(x)", (503, b"{}", {}), vector(({}, 7)))
    first = sources.read((users(EDGE), users(WEST)), (), NOW).answers["F"]
    second = sources.read((users(EDGE), users(WEST)), (), NOW).answers["F"]
    assert "503" in first["users@west"].error
    assert second["users@west"].value == 7.0


def test_the_one_that_all_ask_may_fail_alone_too_and_teaches_nothing_s1(sources, scripts):
    scripts[DEFAULT].say("sum(x)", (503, b"{}", {}))
    scripts[DEFAULT].say("y", (503, b"{}", {}))
    scripts[DEFAULT].say("label_replace", (503, b"{}", {}))
    found = sources.read((users(DEFAULT), users(EDGE)), (WATCH,), NOW)
    assert isinstance(found.answers["F"]["users@"], Failed)
    assert isinstance(found.answers["F"]["users@edge"], Answered)
    assert "503" in found.watch_errors["W"]


def test_a_source_that_is_gone_after_a_read_without_watches_keeps_its_rows_s1(sources, scripts):
    there = replace(WATCH, source=EDGE)
    scripts[EDGE].say("y", vector(({"pod": "a"}, 1.0)), (500, b"gone", {}))
    scripts[DEFAULT].say("y", vector(({"pod": "b"}, 2.0)))
    first = sources.read((), (WATCH, there), NOW).frame
    assert len(sources.read((users(EDGE),), (), NOW).frame.index) == 0
    second = sources.read((users(EDGE),), (WATCH, there), NOW).frame
    assert second.index.keys == first.index.keys
    assert len(first.index) == 2


def test_a_name_that_the_settings_do_not_know_is_an_answer_that_says_which_they_know(sources):
    found = sources.read((users(EDGE), users("moon")), (), NOW).answers["F"]
    assert found["users@moon"].error == "the settings have no source 'moon' (sources: edge, west)"


def test_none_that_answers_is_no_answer_at_all_s2(sources, scripts):
    for name in (EDGE, WEST):
        scripts[name].say("sum(x)", (503, b"{}", {}))
        scripts[name].say("label_replace", (503, b"{}", {}))
    with pytest.raises(SourceUnavailable, match=r"source edge.*source west"):
        sources.read((users(EDGE), users(WEST)), (), NOW)
