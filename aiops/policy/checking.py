"""From documents to a set of policies, with every problem found in one pass."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from aiops.core.decide.spec import Spec
from aiops.core.ids import digest
from aiops.core.model import Mode
from aiops.core.planning.failover import FailoverPolicy
from aiops.core.policies import AnyPolicy, CostBudget, PlanPolicy, PolicySet, ScalingPolicy, WatchPolicy
from aiops.core.selection import Member
from aiops.core.versions import MEMBER
from aiops.errors import Problem
from aiops.policy.compile import API_VERSION, MAX_PROBLEMS, Envelope, Problems, did_you_mean
from aiops.policy.defaults import KIND, Defaults, inherited, once
from aiops.policy.defaults import read as read_defaults
from aiops.policy.document import Document, Path, documents
from aiops.policy.kinds import compiled, kinds
from aiops.policy.schema_errors import listed, note

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
MAX_NAME = 253
"""As Kubernetes has it."""

_REFERRED = (("slo",), ("demand",), ("utilisation",), ("refused",), ("backlog",), ("signal",))
"""Fields whose absence would be complained about elsewhere, as the signals' would."""

_FIELDS = ("extra_forbidden", "missing")
"""What pydantic says of one field; `input` is what it holds, or what holds it."""

_FILLERS = (None, 1_000_000, 1, "x")
"""What is put in the place of a wrong value: nothing, where that is allowed; a ceiling is best high."""

_TOP = ("apiVersion", "kind", "metadata", "spec")
_METADATA = ("name", "namespace", "labels", "annotations")
_STORED = (*_METADATA, MEMBER)
"""What the metadata of a document hold that this program wrote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What checking found. policies: None when there are errors. made: each that compiled, with its document.

    A template is among them as it is written; who its members are is known where the workloads are.
    """

    policies: PolicySet | None
    problems: tuple[Problem, ...]
    made: tuple[tuple[Document, AnyPolicy], ...] = ()
    defaults: tuple[Defaults, ...] = ()

    @property
    def errors(self) -> tuple[Problem, ...]:
        """Return the problems that make the set unusable."""
        return tuple(problem for problem in self.problems if problem.severity == "error")


@dataclass(slots=True)
class _Found:
    stored: bool = False
    rivals: bool = False
    made: list[tuple[Document, AnyPolicy]] = field(default_factory=list)
    labels: dict[str, Mapping[str, str]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    defaults: list[Defaults] = field(default_factory=list)


def checked(
    texts: Iterable[tuple[str, str]],
    step_s: float,
    defaults: Sequence[Defaults] = (),
    *,
    stored: bool = False,
    rivals: bool = False,
) -> Checked:
    """Return the policies of (origin, text) pairs and everything that is wrong with them.

    defaults: what they take over beside the defaults among them. stored: they were written by this program, which
    says of a member for whom it is. rivals: several may be for one target, since none of them acts.
    """
    found = _Found(stored=stored, rivals=rivals, defaults=list(defaults))
    read: list[Document] = []
    for origin, text in texts:
        some, problems = documents(text, origin)
        found.problems += problems
        read += some
    for document in read:
        if _is_defaults(document):
            _defaults(document, found)
    for document in read:
        if not _is_defaults(document):
            _one(document, found)
    _across(found)
    if any(problem.severity == "error" for problem in found.problems):
        return Checked(policies=None, problems=tuple(found.problems), made=tuple(found.made))
    return Checked(
        policies=_set(found, step_s),
        problems=tuple(found.problems),
        made=tuple(found.made),
        defaults=tuple(found.defaults),
    )


def _set(found: _Found, step_s: float) -> PolicySet:
    policies = sorted((policy for _, policy in found.made), key=lambda policy: policy.key)
    return PolicySet(
        digest=digest("".join(policy.digest for policy in policies)),
        scaling=tuple(one for one in policies if isinstance(one, ScalingPolicy) and one.selection is None),
        templates=tuple(one for one in policies if isinstance(one, ScalingPolicy) and one.selection is not None),
        watches=tuple(policy for policy in policies if isinstance(policy, WatchPolicy)),
        plans=tuple(policy for policy in policies if isinstance(policy, PlanPolicy)),
        budgets=tuple(policy for policy in policies if isinstance(policy, CostBudget)),
        step_s=step_s,
        labels=found.labels,
    )


def _is_defaults(document: Document) -> bool:
    return isinstance(document.data, dict) and document.data.get("kind") == KIND


def _defaults(document: Document, found: _Found) -> None:
    problems = Problems(document)
    envelope = _envelope(document, problems)
    one = None if envelope is None else read_defaults(envelope, document, problems)
    if one is not None:
        found.defaults.append(one)
    found.problems += problems.found


def _one(document: Document, found: _Found) -> None:
    problems = Problems(document)
    envelope = _envelope(document, problems, _STORED if found.stored else _METADATA)
    if envelope is not None:
        document = inherited(document, envelope, found.defaults)
        problems.document = document
        spec = _spec(document, kinds()[envelope.kind].model, problems)
        policy = None if spec is None else compiled(envelope, spec, problems)
        if policy is not None:
            found.made.append((document, policy))
            found.labels[policy.key] = envelope.labels
    found.problems += problems.found


def _envelope(document: Document, problems: Problems, known_metadata: Sequence[str] = _METADATA) -> Envelope | None:
    data = document.data
    if not isinstance(data, dict):
        problems.add((), "a policy is a mapping with apiVersion, kind, metadata and spec", code="bad-envelope")
        return None
    _known_keys(data, _TOP, (), problems)
    if data.get("apiVersion") != API_VERSION:
        problems.add(("apiVersion",), f"{data.get('apiVersion')!r} is not {API_VERSION}", code="bad-envelope")
    kind, known = data.get("kind"), (*kinds(), KIND)
    if kind not in known:
        hint = did_you_mean(str(kind), known) or f"known kinds: {', '.join(known)}"
        problems.add(("kind",), f"unknown kind {kind!r}", hint=hint, code="unknown-kind")
    metadata = data.get("metadata")
    if not isinstance(metadata, dict):
        problems.add(("metadata",), "metadata with a name is missing", code="bad-envelope")
        return None
    _known_keys(metadata, known_metadata, ("metadata",), problems)
    name, namespace = metadata.get("name"), metadata.get("namespace", "default")
    for key, value in (("name", name), ("namespace", namespace)):
        if not isinstance(value, str) or len(value) > MAX_NAME or not _NAME.fullmatch(value):
            problems.add(("metadata", key), f"{value!r} is no {key} that Kubernetes accepts", code="bad-name")
    for key in ("labels", "annotations"):
        _texts(metadata.get(key), ("metadata", key), problems)
    if kind not in known:
        return None
    metadata = {} if problems.fatal else metadata
    labels = {str(k): str(v) for k, v in (metadata.get("labels") or {}).items()}
    member = _member(metadata.get(MEMBER), problems)
    return Envelope(kind=str(kind), name=str(name), namespace=str(namespace), labels=labels, member=member)


def _member(said: Any, problems: Problems) -> Member | None:
    """Return for which member a stored document is; its texts are looked at again where they become part of a query."""
    if said is None:
        return None
    if not isinstance(said, dict) or not isinstance(said.get("name"), str) or not isinstance(said.get("labels"), dict):
        problems.add(("metadata", MEMBER), "a member has a name and labels")
        return None
    return Member(name=said["name"], labels={str(key): str(value) for key, value in said["labels"].items()})


def _texts(value: Any, path: Path, problems: Problems) -> None:
    """Refuse labels and annotations that Kubernetes would refuse: their values are texts."""
    if value is not None and not isinstance(value, dict):
        problems.add(path, f"{path[-1]} are a mapping of names to texts")
        return
    for key, one in (value or {}).items():
        if not isinstance(one, str):
            problems.add((*path, key), f"{one!r} is no text", hint="put it in quotes")


def _known_keys(data: Mapping[str, Any], known: Sequence[str], path: Path, problems: Problems) -> None:
    for key in data:
        if key not in known and not problems.full:
            hint = did_you_mean(key, known) or f"known fields: {', '.join(known)}"
            problems.add((*path, key), "unknown field", hint=hint, code="unknown-field")


def _spec(document: Document, model: type[Spec], problems: Problems) -> Spec | None:
    data = document.data.get("spec")
    if not isinstance(data, dict):
        problems.add(("spec",), "spec is missing, or no mapping", code="bad-envelope")
        return None
    try:
        return model.model_validate(data)
    except ValidationError as err:
        errors = listed(err.errors(include_url=False))[:MAX_PROBLEMS]
        for one in errors:
            note(one, model, problems)
        return _without(data, errors, model)


def _without(data: Mapping[str, Any], errors: Sequence[ErrorDetails], model: type[Spec]) -> Spec | None:
    """Return the spec without the fields that are wrong, so that what is wrong beside them is found in the same pass.

    What is required has something put in its place that nothing complains about. None where that cannot be done, or
    where others refer to what is wrong.
    """
    left = copy.deepcopy(dict(data))
    wrong = [one["loc"] for one in errors]
    whole = any(isinstance(one["input"], dict | list) and one["type"] not in _FIELDS for one in errors)
    if whole or any(loc[-1:] in _REFERRED or loc[-2:-1] == ("signals",) for loc in wrong):
        return None
    for filler in _FILLERS:
        if not all(wrong):
            break
        for loc in wrong:
            _put(left, loc, filler)
        try:
            return model.model_validate(left)
        except ValidationError as err:
            wrong = [one["loc"] for one in err.errors(include_url=False)[:MAX_PROBLEMS]]
    return None


def _put(inside: Any, loc: Sequence[str | int], filler: object) -> None:
    """Put a filler at a place, nothing for None. Words that pydantic adds for unions are no keys, and passed over."""
    *way, last = loc
    for part in way:
        inside = inside[part] if _has(inside, part) else inside
    if isinstance(inside, dict) and filler is None:
        inside.pop(last, None)
    elif isinstance(inside, dict):
        inside[last] = filler


def _has(inside: Any, part: str | int) -> bool:
    if isinstance(inside, list):
        return isinstance(part, int) and part < len(inside)
    return isinstance(inside, dict) and part in inside


# -- across policies -------------------------------------------------------------------------------


def _across(found: _Found) -> None:
    """Find what is wrong between policies: two of one name, two that act on one target (S4)."""
    for one, why in once(found.defaults):
        found.problems.append(one.document.problem(("spec", "scope"), why, code="two-defaults"))
    names: dict[str, Document] = {}
    acting: dict[str, tuple[str, Document]] = {}
    for document, policy in found.made:
        if policy.key in names:
            first = names[policy.key]
            message = f"{policy.key} is already defined in {_where(first)}"
            found.problems.append(document.problem(("metadata", "name"), message, code="duplicate-name"))
        names.setdefault(policy.key, document)
        if isinstance(policy, ScalingPolicy) and policy.mode is not Mode.OBSERVE and not policy.candidate_for:
            _one_actor(policy, document, acting, found)
        if isinstance(policy, FailoverPolicy) and policy.mode is not Mode.OBSERVE:
            _one_steers(policy, document, acting, found)
    _candidates(found)


def _candidates(found: _Found) -> None:
    """Refuse candidates for a candidate, and for a policy of another target: there is nothing to compare."""
    named = {policy.key: policy for _, policy in found.made if isinstance(policy, ScalingPolicy)}
    for document, policy in found.made:
        live = named.get(policy.candidate_for) if isinstance(policy, ScalingPolicy) else None
        if live is None or not isinstance(policy, ScalingPolicy) or live is policy:
            continue
        path: Path = ("spec", "candidateFor")
        if live.candidate_for:
            message = f"{live.key} is a candidate itself, for {live.candidate_for}"
            hint = f"name {live.candidate_for.rpartition('/')[2]}, which stands for itself"
            found.problems.append(document.problem(path, message, hint=hint, code="bad-candidate"))
        if (live.target, _labels(live)) != (policy.target, _labels(policy)):
            message = f"{live.key} scales {live.target.kind} {live.target}, this is for {policy.target.kind}"
            message, hint = f"{message} {policy.target}", "a candidate has the target of the policy that it names"
            found.problems.append(document.problem(path, message, hint=hint, code="bad-candidate"))


def _labels(policy: ScalingPolicy) -> str:
    return "" if policy.selection is None else str(policy.selection.labels)


def _one_actor(
    policy: ScalingPolicy, document: Document, acting: dict[str, tuple[str, Document]], found: _Found
) -> None:
    if policy.selection is not None or found.rivals:
        return  # of whom a selector is the second actor is known where the workloads are
    target = policy.target.key
    other = acting.get(target)
    if other is not None and other[0] != policy.key:
        message = f"{policy.target.kind} {policy.target} is already scaled by {other[0]} in {_where(other[1])}"
        hint = "one of them in mode: observe"
        found.problems.append(document.problem(("spec", "target"), message, hint=hint, code="two-actors"))
    acting.setdefault(target, (policy.key, document))


def _one_steers(
    policy: FailoverPolicy, document: Document, acting: dict[str, tuple[str, Document]], found: _Found
) -> None:
    """Refuse that two groups steer traffic by one rule of one object (S4)."""
    steered = f"{policy.target.key}#{policy.traffic.rule}"
    other = acting.setdefault(steered, (policy.key, document))
    if other[0] != policy.key:
        message = f"{policy.target.kind} {policy.target} is already steered by {other[0]} in {_where(other[1])}"
        hint = "one of them in mode: observe"
        found.problems.append(document.problem(("spec", "traffic"), message, hint=hint, code="two-actors"))


def _where(document: Document) -> str:
    line, _ = document.places[()]
    return f"{document.origin}:{line}"
