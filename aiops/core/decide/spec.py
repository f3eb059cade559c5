"""What all specs of policy kinds share: camelCase keys, nothing unknown, nothing changed; validators said in CEL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

F = TypeVar("F", bound=Callable[..., Any])
_RULES = "api_server_rules"


class Spec(BaseModel):
    """Base of everything that people write in a policy."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        frozen=True,
        strict=False,
        validate_default=True,
        use_enum_values=False,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CelRule:
    """A validator as the API server knows it: CEL over `self`, the object as it was written, without defaults."""

    expr: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaRule:
    """A validator as value validations, where CEL may not look: at what is a number or a text."""

    schema: dict[str, Any]


ServerRule = CelRule | SchemaRule


def in_cel(expr: str, message: str) -> Callable[[F], F]:
    """Say a model's validator in CEL, beside it, so that the API server refuses what the loader refuses."""
    return _with(CelRule(expr=expr, message=message))


def in_schema(schema: dict[str, Any]) -> Callable[[F], F]:
    """Say a model's validator as a piece of its schema, beside it; see SchemaRule."""
    return _with(SchemaRule(schema=schema))


def server_rules(model: type[BaseModel]) -> tuple[ServerRule, ...]:
    """Return the rules that stand beside a model's validators, in their order."""
    validators = model.__pydantic_decorators__.model_validators.values()
    return tuple(rule for one in validators for rule in getattr(one.func, _RULES, ()))


def _with(rule: ServerRule) -> Callable[[F], F]:
    def noted(function: F) -> F:
        # decorators are read from the bottom up
        setattr(function, _RULES, (rule, *getattr(function, _RULES, ())))
        return function

    return noted
