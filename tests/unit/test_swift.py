"""Values that are made fast are the values that dataclasses make."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, dataclass, field, fields, replace

import pytest

from aiops.core.model import Inputs, Signal, SignalState, TargetState
from aiops.core.model.swift import changed, making, swift
from tests.builders import NOW, snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    name: str
    level: int = 3
    notes: Mapping[str, str] = field(default_factory=dict)


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Quick:
    name: str
    level: int = 3
    notes: Mapping[str, str] = field(default_factory=dict)


@swift
@dataclass(frozen=True, slots=True)
class Placed:
    low: int
    high: int = 7


def test_it_is_made_told_and_compared_as_a_dataclass_is():
    assert repr(Quick(name="a", level=4)) == repr(Plain(name="a", level=4)).replace("Plain", "Quick")
    assert str(inspect.signature(Quick)) == str(inspect.signature(Plain))
    assert Quick(name="a") == Quick(name="a", level=3, notes={}) != Quick(name="b")
    assert (Placed(1), Placed(1, 2), Placed(high=4, low=3)) == (Placed(1, 7), Placed(low=1, high=2), Placed(3, 4))
    assert hash(Placed(1)) == hash(Placed(1, 7))


def test_each_has_a_mapping_of_its_own():
    assert Quick(name="a").notes is not Quick(name="a").notes


def test_it_is_frozen_and_stays_what_it_is_when_it_is_copied_or_stored():
    made = Quick(name="a", notes={"k": "v"})
    with pytest.raises(FrozenInstanceError):
        made.level = 5
    for same in (copy.copy(made), copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert type(same) is Quick
        assert same == made


@pytest.mark.parametrize(
    "wrong", [{}, {"name": "a", "other": 1}], ids=["a field that must be given", "a field that there is none of"]
)
def test_what_is_missing_and_what_is_unknown_is_an_error(wrong):
    with pytest.raises(TypeError):
        Quick(**wrong)
    with pytest.raises(TypeError):
        changed(Quick(name="a"), other=1)


def test_changed_is_replace_of_every_field():
    state = TargetState(uid="u", recommendations=((NOW, 4),), owned=True)
    for one in fields(TargetState):
        assert changed(state, **{one.name: None}) == replace(state, **{one.name: None})
    assert changed(state) == state
    assert state.uid == "u"


def test_a_value_with_a_check_of_its_own_cannot_be_made_fast():
    @dataclass(frozen=True, slots=True)
    class Checked:
        level: int

        def __post_init__(self) -> None:
            raise ValueError

    @dataclass(frozen=True, slots=True)
    class Derived(Placed):
        more: int = 0

    for cls in (Checked, Derived):
        with pytest.raises(TypeError, match=cls.__name__):
            swift(cls)


def test_values_of_the_loop_hold_what_they_are_given():
    read = Signal(name="demand", state=SignalState.VALUE, value=2.0)
    assert (read.name, read.value, read.detail, read.usable) == ("demand", 2.0, "", True)
    given = {one.name: one.name for one in fields(Inputs)} | {"snapshot": snapshot()}
    assert {name: getattr(Inputs(**given), name) for name in given} == given


def test_what_makes_it_sooner_makes_the_same_of_the_same():
    quick, placed = making(Quick), making(Placed)
    made = quick(name="a", level=4)
    assert type(made) is Quick
    assert made == Quick(name="a", level=4)
    assert quick(name="a").notes is not quick(name="a").notes
    assert (placed(1), placed(1, 2), placed(high=4, low=3)) == (Placed(1), Placed(1, 2), Placed(3, 4))
    with pytest.raises(FrozenInstanceError):
        made.level = 5
    with pytest.raises(TypeError):
        quick(nome="a")
