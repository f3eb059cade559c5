"""Canonical JSON of the core's values: whatever the loop can hold can be stored, read back, and is the same."""

from __future__ import annotations

import dataclasses
import importlib
import json
import math
import typing

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiops.core import model
from aiops.core.model import (
    Answered,
    Frame,
    Leadership,
    LoopState,
    Ruled,
    Scope,
    SeriesIndex,
    Snapshot,
    Step,
    TargetRef,
    Tick,
)
from aiops.core.record.codec import UNIONS, from_text, to_jsonable, to_text

ARRAY_TYPES = (Frame, SeriesIndex)
VALUES = sorted(
    (v for v in vars(model).values() if dataclasses.is_dataclass(v) and v not in ARRAY_TYPES), key=lambda v: v.__name__
)
TEXT = st.text(max_size=4)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)
BASE = {float: st.floats(), str: TEXT, typing.Any: JSON}


def strategy_of(kind: object) -> st.SearchStrategy:
    """Values of a type of the model, with every field drawn, fields with a default included."""
    if kind in BASE:
        return BASE[kind]
    if dataclasses.is_dataclass(kind):
        return st.deferred(lambda: values_of(kind))
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple and args[-1] is Ellipsis:
        return st.lists(strategy_of(args[0]), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*map(strategy_of, args))
    if origin is frozenset:
        return st.frozensets(strategy_of(args[0]), max_size=3)
    if origin is not None and issubclass(origin if isinstance(origin, type) else object, typing.Mapping):
        return st.dictionaries(strategy_of(args[0]), strategy_of(args[1]), max_size=2)
    return st.one_of(*map(strategy_of, args)) if args else st.from_type(kind)


def values_of(cls: type) -> st.SearchStrategy:
    hints = typing.get_type_hints(cls)
    return st.builds(cls, **{f.name: strategy_of(hints[f.name]) for f in dataclasses.fields(cls)})


def same(one: object, two: object) -> bool:
    """Equal in every field and of the same types, where NaN is the same as NaN."""
    if isinstance(one, float) and isinstance(two, float):
        return (one == two and math.copysign(1, one) == math.copysign(1, two)) or (math.isnan(one) and math.isnan(two))
    if type(one) is not type(two):
        return False
    if dataclasses.is_dataclass(one):
        return all(same(getattr(one, f.name), getattr(two, f.name)) for f in dataclasses.fields(one))
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(same(one[key], two[key]) for key in one)
    if isinstance(one, tuple | list):
        return len(one) == len(two) and all(map(same, one, two))
    return one == two


@pytest.mark.parametrize("cls", VALUES, ids=lambda cls: cls.__name__)
def test_every_value_of_the_model_reads_back_as_it_was(cls):
    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(value=values_of(cls))
    def check(value):
        text = to_text(value)
        back = from_text(text, cls)
        assert same(back, value)
        assert to_text(back) == text
        assert json.loads(text) == to_jsonable(value)

    check()


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(value=st.one_of(values_of(Tick), values_of(LoopState), values_of(Snapshot)))
def test_ticks_states_and_snapshots_read_back_as_they_were(value):
    assert same(from_text(to_text(value), type(value)), value)


@pytest.mark.parametrize("part", ["names", "observed", "perceived", "decided", "recorded"])
def test_no_value_of_the_model_is_left_out_of_these_tests(part):
    module = importlib.import_module(f"aiops.core.model.{part}")
    values = {v for v in vars(module).values() if dataclasses.is_dataclass(v) and v.__module__ == module.__name__}
    assert values
    assert values <= {*VALUES, *ARRAY_TYPES}


MEMBERS = [(union, member) for union in UNIONS for member in typing.get_args(union)]


@pytest.mark.parametrize(("union", "member"), MEMBERS, ids=lambda part: getattr(part, "__name__", "of"))
def test_every_member_of_a_closed_union_comes_back_as_itself(union, member):
    @settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
    @given(value=values_of(member))
    def check(value):
        text = to_text(value, union)
        assert json.loads(text)["type"] == member.__name__
        assert same(from_text(text, union), value)

    check()


def test_the_text_is_canonical_whatever_the_order_in_which_maps_and_sets_were_filled():
    one = Snapshot(
        at=1.0,
        answers={"b": {}, "a": {"y": Answered(value=1.0), "x": Answered(value=2.0)}},
        workloads={},
        leadership=Leadership(leader=True, epoch=1),
        scope=Scope(namespaces=frozenset(["shop", "pay", "edge"])),
    )
    two = dataclasses.replace(
        one,
        answers={"a": {"x": Answered(value=2.0), "y": Answered(value=1.0)}, "b": {}},
        scope=Scope(namespaces=frozenset(["edge", "shop", "pay"])),
    )
    assert to_text(one) == to_text(two)


def test_numbers_that_json_does_not_know_are_strings():
    text = to_text(model.SignalMemory(last_value=math.nan))
    assert json.loads(text)["last_value"] == "nan"
    assert json.loads(text)["last_good_at"] == "-inf"
    assert json.loads(text)["partial_since"] == "inf"


def test_a_float_keeps_every_bit():
    at = 0.1 + 0.2
    assert from_text(to_text(model.Freeze(name="x", until=at)), model.Freeze).until == at
    assert '"until":0.30000000000000004' in to_text(model.Freeze(name="x", until=at))


def test_an_integer_where_a_float_is_meant_is_written_as_a_float():
    assert to_text(model.Freeze(name="x", until=5)) == to_text(model.Freeze(name="x", until=5.0))


def test_scalars_of_numpy_are_stored_as_plain_numbers():
    event = model.ScaleEvent(at=np.float64(1.5), delta=np.int64(2))
    assert to_text(event) == '{"at":1.5,"delta":2}'
    signal = model.Coverage(series=np.int32(3))
    assert from_text(to_text(signal), model.Coverage) == model.Coverage(series=3)


def test_a_frame_keeps_its_arrays_with_their_gaps():
    frame = Frame(
        at=7.0,
        index=SeriesIndex(("p#a", "p#b"), ({"pod": "a"}, {"pod": "b"})),
        values=np.array([math.nan, 2.5]),
        learn=np.array([False, True]),
    )
    back = from_text(to_text(frame), Frame)
    assert back.index.keys == frame.index.keys
    assert back.index.labels == frame.index.labels
    np.testing.assert_array_equal(back.values, frame.values)
    np.testing.assert_array_equal(back.learn, frame.learn)
    assert (back.values.dtype, back.learn.dtype) == (np.float64, np.bool_)


def test_text_from_outside_survives_even_when_it_is_not_valid_unicode():
    failed = model.Failed(error="half a pair \ud83d, a zero \x00, ümlaut")
    text = to_text(failed)
    assert text.isascii()
    assert from_text(text, model.Failed) == failed


def test_a_record_of_a_version_with_fewer_or_more_fields_is_read_with_defaults():
    back = from_text('{"epoch":1,"leader":false,"colour":"blue"}', Leadership)
    assert back == Leadership(leader=False, epoch=1)


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "3", "nonsense", '{"epoch":null,"leader":true}', '{"epoch":1,"leader":true,"until":true}'],
)
def test_a_text_that_is_not_the_value_is_an_error_that_names_the_type(text):
    with pytest.raises(ValueError, match="not a Leadership that this version can read"):
        from_text(text, Leadership)


def test_an_unknown_member_of_a_union_is_an_error():
    with pytest.raises(ValueError, match="not a Ruled"):
        from_text('{"after":1,"guard":"g","ruling":{"type":"Maybe"}}', Ruled)


def test_a_patch_body_keeps_its_shape():
    body = {"spec": {"replicas": 3, "ratio": 0.5}, "list": [1, None, "x", True]}
    step = Step(
        target=TargetRef(namespace="shop", name="checkout"),
        subresource="scale",
        body=body,
        uid="u",
        resource_version="1",
        summary="",
    )
    assert from_text(to_text(step), Step).body == body
