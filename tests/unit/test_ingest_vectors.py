"""Instant vectors decoded as they come are what the plain decoder makes of them, whatever changed since the last."""

from __future__ import annotations

import json
import math

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.adapters.prometheus.vectors import Shape, Unfit, VectorSink

HEAD = '{"status":"success","data":{"resultType":"vector","result":['
Series = tuple[dict[str, str], str]


def written(series: list[Series], tail: str = "]}}", head: str = HEAD) -> bytes:
    """Return an answer in Prometheus' own way of writing: without spaces."""
    parts = [
        f'{{"metric":{orjson.dumps(labels).decode()},"value":[1772450000.123,{json.dumps(value)}]}}'
        for labels, value in series
    ]
    return (head + ",".join(parts) + tail).encode()


def poured(body: bytes, known: Shape, part: int = 50, most: int = 1000) -> VectorSink:
    sink = VectorSink(known, most)
    for start in range(0, len(body), part):
        sink.feed(body[start : start + part])
    sink.end()
    return sink


def named(*names: str) -> list[Series]:
    return [({"pod": name}, str(place)) for place, name in enumerate(names)]


NASTY = st.sampled_from(
    ['"value":[1,"2"]}', '},"value":[', "]}", '","', "\\", '\\"', "value", "", "é\u2028", "[1,2]", '{"metric":{', ","]
)
TEXT = st.one_of(NASTY, st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=6))
LABELS = st.dictionaries(st.sampled_from(["pod", "value", "metric", "__name__"]), TEXT, max_size=3)
VALUES = st.sampled_from(["0", "1", "-1.5", "1e+06", "3.1e-05", "NaN", "+Inf", "-Inf", "17179869184000000001"])
ANSWERS = st.lists(st.lists(st.tuples(LABELS, VALUES), max_size=8), min_size=1, max_size=4)


@settings(max_examples=150, deadline=None)
@given(answers=ANSWERS, part=st.integers(1, 200))
def test_answers_one_after_the_other_are_what_the_plain_decoder_makes_of_each(answers: list[list[Series]], part: int):
    shape = Shape()
    for series in answers:
        body = written(series)
        sink = poured(body, shape, part)
        plain = orjson.loads(body)["data"]["result"]
        assert list(sink.vector.metrics) == [one["metric"] for one in plain]
        np.testing.assert_array_equal(sink.vector.values, [float(one["value"][1]) for one in plain])
        shape = sink.shape


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_series_that_come_and_go_are_decoded_and_the_others_keep_their_labels(data: st.DataObject):
    pool = [f"pod-{number:03d}" for number in range(60)]
    first = data.draw(st.lists(st.sampled_from(pool), unique=True, min_size=1).map(sorted))
    then = data.draw(st.lists(st.sampled_from(pool), unique=True).map(sorted))
    before = poured(written(named(*first)), Shape(), part=64)
    after = poured(written(named(*then)), before.shape, part=64)
    assert [labels["pod"] for labels in after.vector.metrics] == then


def test_what_did_not_change_keeps_its_labels_as_one_object():
    first = poured(written(named("a", "b", "c")), Shape())
    again = poured(written([({"pod": name}, "7") for name in ("a", "b", "c")]), first.shape)
    assert again.vector.metrics is first.vector.metrics
    np.testing.assert_array_equal(again.vector.values, [7.0, 7.0, 7.0])


def test_after_one_series_that_went_the_labels_of_the_rest_are_found_again_and_not_decoded():
    names = [f"pod-{number:04d}" for number in range(500)]
    first = poured(written(named(*names)), Shape(), part=1000)
    fewer = poured(written(named(*names[:100], *names[101:])), first.shape, part=1000)
    assert fewer.vector.metrics[0] is first.vector.metrics[0]
    assert fewer.vector.metrics[-1] is first.vector.metrics[-1]
    more = poured(written(named(*names[:100], "new", *names[100:])), first.shape, part=1000)
    kept = sum(one is other for one, other in zip(more.vector.metrics[101:], first.vector.metrics[100:], strict=True))
    assert kept > 380, "those of the piece in which something changed are decoded, and no others"


@pytest.mark.parametrize(
    ("body", "notes"),
    [
        (written(named("a"), ']},"warnings":["a store is away"]}'), ("a store is away",)),
        (written(named("a"), ']},"stats":{"seriesFetched":"1"}}'), ()),
        (
            written(named("a"), head=HEAD.replace('"data"', '"isPartial":true,"data"')),
            ("the answer is partial: something behind the source did not answer",),
        ),
        (written(named("a"), head=HEAD.replace('"data"', '"isPartial":false,"data"')), ()),
        (json.dumps(orjson.loads(written(named("a"))) | {"warnings": ["w"]}, indent=1).encode(), ("w",)),
    ],
)
def test_warnings_and_partial_answers_are_told_however_they_are_written_s1(body, notes):
    sink = VectorSink(Shape(), 10)
    sink.feed(body)
    assert sink.end() == notes
    assert sink.vector.metrics == ({"pod": "a"},)


@pytest.mark.parametrize("cut", [1, 30, len(HEAD) - 3, len(HEAD) + 20, -1, -3])
def test_an_answer_that_is_cut_off_is_none(cut):
    known = poured(written(named("a", "b")), Shape()).shape
    for shape in (Shape(), known):
        with pytest.raises(orjson.JSONDecodeError):
            poured(written(named("a", "b"))[:cut], shape)


def test_too_many_series_end_the_answer_before_it_is_read_to_its_end_s10():
    body = written(named(*map(str, range(1000))))
    for fits in (body[: len(body) // 5], body):
        with pytest.raises(Unfit, match="at most 100"):
            poured(fits, Shape(), part=500, most=100)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_histograms_among_the_series_are_refused_in_words(place):
    samples = ['{"metric":{"pod":"a"},"value":[1,"1"]}', '{"metric":{"pod":"b"},"value":[1,"2"]}']
    samples.insert(place, '{"metric":{"pod":"h"},"histogram":[1,{"count":"1","sum":"2","buckets":[[0,"1","2","1"]]}]}')
    body = (HEAD + ",".join(samples) + "]}}").encode()
    for known in (Shape(), poured(written(named("a", "b")), Shape()).shape):
        with pytest.raises(Unfit, match="native histograms"):
            poured(body, known)
    with pytest.raises(Unfit, match="native histograms"):
        poured(json.dumps(orjson.loads(body)).encode(), Shape())


def test_values_that_are_no_json_numbers_are_numbers_all_the_same():
    values = poured(written([({}, "NaN"), ({"a": "b"}, "+Inf"), ({"a": "c"}, "1e+06")]), Shape()).vector.values
    assert math.isnan(values[0])
    assert values[1:].tolist() == [math.inf, 1e6]
