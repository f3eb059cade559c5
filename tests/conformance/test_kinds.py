"""What every kind of policy owes: whoever adds one to `kinds` is held to this without a line here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, get_origin

import jsonschema
import pytest
import yaml
from pydantic import TypeAdapter

from aiops.core.decide import quantities
from aiops.core.versions import spec_hash
from aiops.errors import InvalidPolicy
from aiops.policy import check, parse, recompile, schema
from aiops.policy.crd import crd
from aiops.policy.kinds import kinds

SHIPPED = check([Path("policies")])
EXAMPLES = [(policy.key.partition("/")[0], document, policy) for document, policy in SHIPPED.made]
KINDS = pytest.mark.parametrize("name", kinds())


def examples(name: str) -> list[tuple[Any, Any]]:
    found = [(document, policy) for kind, document, policy in EXAMPLES if kind == name]
    assert found, f"there is no {name} in policies/"
    return found


@KINDS
def test_a_policy_comes_back_equal_from_its_canonical_document(name):
    for _, policy in examples(name):
        again = recompile(policy.document)
        assert again.document == policy.document
        assert again.digest == policy.digest
        assert type(again) is type(policy)
        assert {field: getattr(again, field) for field in policy.__slots__ if field != "origin"} == {
            field: getattr(policy, field) for field in policy.__slots__ if field != "origin"
        }


@KINDS
def test_the_schema_takes_the_shipped_examples_and_the_canonical_documents(name):
    validator = jsonschema.Draft202012Validator(schema())
    for document, policy in examples(name):
        for data in (document.data, json.loads(policy.document)):
            assert [one.message for one in validator.iter_errors(data)] == []


QUANTITIES = {
    TypeAdapter(one).json_schema().get("description")
    for one in vars(quantities).values()
    if get_origin(one) is Annotated
}


@KINDS
def test_every_field_says_what_it_is_and_not_only_how_it_is_written(name):
    made = kinds()[name].model.model_json_schema(by_alias=True)
    models = {name: made, **made.get("$defs", {})}
    silent = [
        f"{model}.{field}"
        for model, one in models.items()
        for field, about in one.get("properties", {}).items()
        if about.get("description") in {None, "", *QUANTITIES}
    ]
    assert silent == []


@KINDS
def test_a_field_that_is_not_known_is_refused_where_it_stands(name):
    document, _ = examples(name)[0]
    text = yaml.safe_dump({**document.data, "spec": {**document.data["spec"], "nonsense": 1}}, sort_keys=False)
    with pytest.raises(InvalidPolicy) as caught:
        parse(text, "one.yaml")
    problem = next(one for one in caught.value.problems if one.field == "spec.nonsense")
    assert text.split("\n")[problem.line - 1][problem.column - 1 :].startswith("nonsense")


@KINDS
def test_the_hash_by_which_it_is_promoted_knows_the_spec_and_neither_mode_nor_labels(name):
    _, policy = examples(name)[0]
    whole = json.loads(policy.document)
    whole["metadata"]["labels"] = {"team": "another"}
    if "mode" in whole["spec"]:
        whole["spec"]["mode"] = "observe"
    assert spec_hash(json.dumps(whole)) == spec_hash(policy.document)
    whole["spec"]["another"] = 1
    assert spec_hash(json.dumps(whole)) != spec_hash(policy.document)


@KINDS
def test_its_resource_is_named_as_it_is_and_shows_what_there_is(name):
    resource = kinds()[name].resource
    assert resource.kind == name
    assert resource.plural == resource.plural.lower()
    version = crd(resource)["spec"]["versions"][0]
    spec = version["schema"]["openAPIV3Schema"]["properties"]
    for column in resource.columns:
        first, *rest = column.path.removeprefix(".").split("[")[0].split(".")
        inside = spec.get(first, {"properties": {}})
        for part in rest if first in ("spec", "status") else ():
            inside = inside["properties"][part]


def test_names_in_the_api_are_given_once():
    resources = [one.resource for one in kinds().values()]
    names = [name for one in resources for name in (one.kind, one.plural, *one.short)]
    assert len(names) == len(set(names))
