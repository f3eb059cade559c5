"""The policy language: YAML in, compiled policies out, and every mistake with its file, line, column and field.

Imports are inside: pydantic's models and CEL cost start-up time that `aiops --help` does not owe.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiops.core.policies import AnyPolicy, CostBudget, PolicySet, WatchPolicy
from aiops.errors import InvalidPolicy

if TYPE_CHECKING:
    from aiops.policy.checking import Checked

__all__ = ["check", "load", "parse", "queries_per_tick", "recompile", "schema"]

STEP_S = 15.0


def check(
    paths: Sequence[Path], step_s: float = STEP_S, *, may_be_empty: bool = False, rivals: bool = False
) -> Checked:
    """Return the policies of files and folders, and every problem, warnings included.

    may_be_empty: a folder in which there is no policy is none of the problems. rivals: neither are two for one target.
    """
    from aiops.policy.checking import Checked, checked
    from aiops.policy.files import policy_files, texts

    listing = policy_files(paths)
    problems = list(listing.problems if may_be_empty else listing.refused())
    found = checked(texts(listing.files, problems), step_s, rivals=rivals)
    if problems:
        return Checked(policies=None, problems=(*problems, *found.problems), made=found.made)
    return found


def load(
    paths: Sequence[Path], step_s: float = STEP_S, *, may_be_empty: bool = False, rivals: bool = False
) -> PolicySet:
    """Return the policies of files and folders, all or nothing; raise InvalidPolicy with every problem."""
    found = check(paths, step_s, may_be_empty=may_be_empty, rivals=rivals)
    if found.policies is None:
        raise InvalidPolicy(found.errors)
    return found.policies


def parse(text: str, origin: str, step_s: float = STEP_S) -> PolicySet:
    """Return the policies of a text, all or nothing; raise InvalidPolicy with every problem."""
    from aiops.policy.checking import checked

    found = checked([(origin, text)], step_s)
    if found.policies is None:
        raise InvalidPolicy(found.errors)
    return found.policies


def recompile(document: str) -> AnyPolicy:
    """Return the policy of a stored document (`policy.document`); raise InvalidPolicy when this version refuses it."""
    from aiops.policy.checking import checked

    found = checked([("stored policy", document)], STEP_S, stored=True)
    if found.policies is None or not found.policies.every:
        raise InvalidPolicy(found.errors)
    return found.policies.every[0]


def schema() -> dict[str, Any]:
    """Return the JSON Schema of every kind, for editors."""
    from aiops.policy.json_schema import schema as made

    return made()


def queries_per_tick(policy: AnyPolicy) -> tuple[str, ...]:
    """Return what the metrics source is asked for a policy each tick, each query once."""
    if isinstance(policy, CostBudget):
        return ()
    if isinstance(policy, WatchPolicy):
        return (policy.query.expr,)
    asked: list[str] = []
    for spec in policy.signals.values():
        query = spec.query
        asked += [query.expr, *query.age_exprs, *query.coverage_exprs, *query.up_exprs]
        asked += [query.presence_expr] if query.presence_expr is not None else []
    return tuple(dict.fromkeys(asked))
