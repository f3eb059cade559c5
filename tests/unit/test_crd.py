"""The kinds as CustomResourceDefinitions: structural by the API server's rules, one with the loader, up to date."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field, ValidationError, model_validator

from aiops.core.decide.budget.spec import PrioritySpec
from aiops.core.decide.cost.sleep.spec import ExceptionSpec
from aiops.core.decide.cost.targets_spec import TargetsSpec
from aiops.core.decide.quantities import Duration, Level, Quantity, QuantityOrLearn, Ratio
from aiops.core.decide.scaling.spec import (
    BoundsSpec,
    FreezeSpec,
    GuardrailSpec,
    ObjectiveSpec,
    ScalingSpec,
    SignalSpec,
    WindowSpec,
)
from aiops.core.decide.scaling.target_spec import RequirementSpec, SelectorSpec, Target
from aiops.core.decide.spec import CelRule, SchemaRule, ServerRule, Spec, in_cel, server_rules
from aiops.core.decide.watch.spec import MaintenanceSpec
from aiops.policy.crd import CONDITIONS, RESOURCES, crds
from aiops.policy.kinds import kinds
from aiops.policy.structural import INT_OR_STRING, RULES, UNTYPED, NotStructural, structural
from tests.cel_rules import holds
from tests.commands import aiops
from tests.structural_rules import bounded, violations
from tests.unit.documents import (
    BOUNDS,
    CHOICES,
    FREEZES,
    GUARDRAILS,
    INSTANTS,
    REQUIREMENTS,
    SELECTORS,
    SIGNALS,
    SPECS,
    WINDOWS,
)

COMMITTED = Path(__file__).parents[2] / "config/deploy/crds"
Schema = dict[str, Any]


def root(one: Schema) -> Schema:
    return dict(one["spec"]["versions"][0]["schema"]["openAPIV3Schema"])


@pytest.mark.parametrize("one", crds(), ids=lambda one: one["spec"]["names"]["kind"])
def test_every_kind_has_a_structural_schema(one):
    assert list(violations(root(one))) == []
    assert list(bounded(root(one)["properties"]["spec"])) == []


BROKEN = {
    "no type": {"properties": {}},
    "type ['string', 'number']": {"type": ["string", "number"]},
    "$ref is forbidden": {"type": "object", "$ref": "#/x"},
    "default is forbidden": {"type": "integer", "default": 3},
    "additionalProperties is false": {"type": "object", "additionalProperties": False},
    "exclusiveMinimum is no flag": {"type": "integer", "exclusiveMinimum": 0},
    "a list without items": {"type": "array"},
    "inside: type": {"type": "string", "anyOf": [{"type": "string"}]},
    "x is not known outside": {"type": "object", "properties": {}, "not": {"properties": {"x": {"enum": [1]}}}},
}


@pytest.mark.parametrize("what", BROKEN)
def test_the_checker_finds_what_the_api_server_would_refuse(what):
    assert [one for one in violations(BROKEN[what]) if what in one] != []


def test_every_kind_that_is_loaded_is_a_resource():
    assert {one.kind for one in RESOURCES} == set(kinds())


def test_what_is_committed_is_what_the_models_say():
    """`aiops policy crd --folder config/deploy/crds` writes it anew."""
    assert {file.name: yaml.safe_load(file.read_text()) for file in COMMITTED.iterdir()} == {
        f"{one['metadata']['name']}.yaml": one for one in crds()
    }


def test_the_command_line_prints_what_is_committed(tmp_path: Path):
    printed = aiops("policy", "crd")
    assert list(yaml.safe_load_all(printed.stdout)) == crds()
    assert "&id" not in printed.stdout
    assert json.loads(aiops("-o", "json", "policy", "crd").stdout)["items"] == crds()
    assert aiops("policy", "crd", "--folder", str(tmp_path)).returncode == 0
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {
        file.name: file.read_text() for file in COMMITTED.iterdir()
    }


# -- what has no schema of its own ---------------------------------------------------------------------------------


def test_a_number_or_a_text_has_no_type_and_yet_takes_nothing_else():
    class Made(Spec):
        share: Ratio = 0.5
        often: int | str = 3

    found = structural(Made)["properties"]
    assert found["share"][UNTYPED] is True
    assert (found["share"]["maxProperties"], found["share"]["maxItems"]) == (0, 0)
    assert found["share"]["not"] == {"enum": [True, False]}
    assert found["often"] == {INT_OR_STRING: True}


def test_open_ends_are_flags():
    class Made(Spec):
        count: int = Field(gt=0, lt=9)

    ends = {"minimum": 0, "exclusiveMinimum": True, "maximum": 9, "exclusiveMaximum": True}
    assert structural(Made)["properties"]["count"] == {"type": "integer", **ends}


def test_one_of_several_shapes_is_left_to_the_loader():
    class Inner(Spec):
        a: int

    class Made(Spec):
        either: Inner | Literal["auto"] = "auto"

    assert structural(Made)["properties"]["either"] == {UNTYPED: True}


class Tree(Spec):
    """Holds itself."""

    inner: Tree | None = None


def test_a_model_that_holds_itself_is_refused_with_its_place():
    with pytest.raises(NotStructural, match=r"inner: Tree holds itself"):
        structural(Tree)


# -- validators and their rules --------------------------------------------------------------------------------------


def models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Yield a model and those in it."""
    seen: list[type[BaseModel]] = [model]
    for one in seen:
        yield one
        for info in one.model_fields.values():
            found = re.findall(r"\w+", repr(info.annotation))
            seen += [m for m in _subclasses(Spec) if m.__name__ in found and m not in seen]


def _subclasses(of: type[BaseModel]) -> list[type[BaseModel]]:
    # test files are no resources: an API server never sees what is in them
    mine = [one for one in of.__subclasses__() if one.__module__.startswith("aiops.")]
    direct = [one for one in mine if not one.__module__.startswith("aiops.policy.testing.")]
    return [*direct, *(deeper for one in direct for deeper in _subclasses(one))]


EVERY = sorted({one for kind in kinds().values() for one in models(kind.model)}, key=lambda one: one.__name__)


@pytest.mark.parametrize("model", EVERY, ids=lambda model: model.__name__)
def test_no_validator_is_without_its_rule(model):
    """A validator that the API server does not know of says so beside it, or has its rule there."""
    decorators = model.__pydantic_decorators__
    bare = [name for name, one in decorators.model_validators.items() if not hasattr(one.func, "api_server_rules")]
    assert bare == []


def test_a_rule_that_looks_at_what_has_no_type_is_refused_with_its_place():
    """The API server would refuse the whole kind: to it there is no such field."""

    class Made(Spec):
        lasts: Duration = 1.0

        @model_validator(mode="after")
        @in_cel("has(self.lasts)", "it lasts")
        def says_so(self) -> Made:
            return self

    with pytest.raises(NotStructural, match=r"spec.lasts: a number or a text, at which CEL cannot look"):
        structural(Made)


def test_rules_stand_in_the_order_in_which_they_are_read():
    class Made(Spec):
        @model_validator(mode="after")
        @in_cel("1 == 1", "first")
        @in_cel("2 == 2", "second")
        def both(self) -> Made:
            return self

    assert [one.message for one in server_rules(Made) if isinstance(one, CelRule)] == ["first", "second"]
    assert [one["message"] for one in structural(Made)[RULES]] == ["first", "second"]


PRIORITIES = st.fixed_dictionaries(
    {"maxReplicas": st.integers(1, 40)},
    optional={
        "policies": st.lists(st.sampled_from(["mailer", "search"]), max_size=2),
        "selector": st.just({"matchLabels": {"tier": "batch"}}),
    },
)

WORKLOADS = st.fixed_dictionaries(
    {"kinds": st.just(["Deployment"])},
    optional={
        "name": st.just("web"),
        "selector": st.just({"matchLabels": {"tier": "web"}}),
        "every": st.booleans(),
        "maxTargets": st.integers(1, 9),
    },
)
EXCEPTIONS = st.fixed_dictionaries({"from": INSTANTS, "to": INSTANTS})

OF: dict[type[Spec], st.SearchStrategy[Schema]] = {
    SignalSpec: SIGNALS,
    WindowSpec: WINDOWS,
    FreezeSpec: FREEZES,
    BoundsSpec: BOUNDS,
    GuardrailSpec: GUARDRAILS,
    ScalingSpec: SPECS,
    Target: CHOICES,
    SelectorSpec: SELECTORS,
    RequirementSpec: REQUIREMENTS,
    PrioritySpec: PRIORITIES,
    MaintenanceSpec: FREEZES,
    TargetsSpec: WORKLOADS,
    ExceptionSpec: EXCEPTIONS,
}
"""Documents of each model that has rules in CEL, valid but for them."""


def test_every_model_with_rules_is_drawn_from():
    with_cel = {one for one in EVERY if any(isinstance(rule, CelRule) for rule in server_rules(one))}
    assert with_cel == set(OF)


@pytest.mark.parametrize("model", OF, ids=lambda model: model.__name__)
def test_rules_and_loader_say_the_same(model):
    """The API server's verdict on the same documents is asked for in tests/e2e/test_custom_resources.py."""
    rules = server_rules(model)

    @settings(max_examples=300, deadline=None)
    @given(document=OF[model])
    def same(document: Schema) -> None:
        assert all(taken(rule, document) for rule in rules) == loads(model, document)

    same()


def taken(rule: ServerRule, document: Schema) -> bool:
    if isinstance(rule, CelRule):
        return holds(rule.expr, document)
    return bool(Draft202012Validator(rule.schema).is_valid(document))


def loads(model: type[BaseModel], document: Schema) -> bool:
    try:
        model.model_validate(document)
    except ValidationError:
        return False
    return True


def test_to_learn_a_capacity_needs_an_slo_and_a_utilisation_for_the_api_server_too():
    (rule,) = server_rules(ObjectiveSpec)
    assert isinstance(rule, SchemaRule)
    number, both = rule.schema["anyOf"]
    pattern = number["properties"]["perReplica"]["pattern"]
    assert both == {"required": ["slo", "utilisation"]}
    taken = {text: re.search(pattern, text) is not None for text in ("learn", " learn ", "50", "1.5k", "+3", " 250m")}
    assert taken == {"learn": False, " learn ": False, "50": True, "1.5k": True, "+3": True, " 250m": True}


# -- numbers as text -------------------------------------------------------------------------------------------------


class Quantities(Spec):
    """One field for each way to write a number."""

    duration: Duration = 1.0
    quantity: Quantity = 1.0
    level: Level = 1.0
    ratio: Ratio = 0.5
    learn: QuantityOrLearn = 1.0


TEXTS = st.one_of(
    st.from_regex(r"[+-]?[0-9]{1,3}(\.[0-9]{1,2})?(ms|s|m|h|d|w|y|k|Ki|M|Mi|G|Ti|%)?", fullmatch=True),
    st.sampled_from(
        ["learn", "", " 5m ", "1h30m", "1h 30m", "5 m", "1e3", "abc", "0x10", "1_000", "5mm", ".5", "99.5 %"]
    ),
)


@settings(max_examples=800, deadline=None)
@given(field=st.sampled_from(sorted(Quantities.model_fields)), text=TEXTS)
def test_a_text_that_the_loader_takes_is_one_that_the_api_server_takes(field, text):
    """The other way round the pattern may be wider: 250m is no level, 120% no share, and the loader says so."""
    pattern = structural(Quantities)["properties"][field]["pattern"]
    if loads(Quantities, {field: text}):
        assert re.search(pattern, text)


@pytest.mark.parametrize("field", sorted(Quantities.model_fields))
@pytest.mark.parametrize("text", ["abc", "", "5 minutes", "1h 30m", "--3", "0x10", "learns"])
def test_a_text_that_is_no_number_at_all_is_refused_by_the_api_server(field, text):
    assert re.search(structural(Quantities)["properties"][field]["pattern"], text) is None
    assert not loads(Quantities, {field: text})


# -- what is shown -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("one", crds(), ids=lambda one: one["spec"]["names"]["kind"])
def test_every_column_shows_a_field_that_there_is(one):
    version = one["spec"]["versions"][0]
    assert version["subresources"] == {"status": {}}
    for column in version["additionalPrinterColumns"]:
        found = root(one)
        condition = re.search(r'\?\(@\.type=="(\w+)"\)', column["jsonPath"])
        assert condition is None or condition[1] in CONDITIONS
        if column["jsonPath"].startswith(".metadata"):
            continue
        for word in re.sub(r"\[.*?\)\]", ".[]", column["jsonPath"]).strip(".").split("."):
            found = found["items"] if word == "[]" else found["properties"][word]
        assert found["type"] == column["type"]
