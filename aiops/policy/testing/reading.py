"""Test files in, checked tests out, and every mistake with its file, line, column and field."""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from aiops.core.policies import PlanPolicy, PolicySet, ScalingPolicy, Tested, WatchPolicy
from aiops.core.selection import Member
from aiops.errors import Problem
from aiops.policy.compile import did_you_mean
from aiops.policy.document import Document, Path, documents
from aiops.policy.members import NoMember, labels_named, member_policy
from aiops.policy.testing.cases import Case, Reading
from aiops.policy.testing.expectations import last_moment_s
from aiops.policy.testing.notation import MAX_SAMPLES, Entry, InvalidNotation, series
from aiops.policy.testing.spec import ONLY_PLANS, ONLY_SCALING, TestFileSpec, TestSpec

Loaded = tuple[PolicySet | None, tuple[Problem, ...]]
LoadPolicies = Callable[[tuple[str, ...], float], Loaded]
"""Returns the policies of paths that are relative to the test file, at a step, with every problem."""

Policy = Tested

TIMED = (
    "targets", "objects", "nodes", "use", "expect", "never", "faults", "findings", "incidents", "alerts", "budgets",
    "pauses", "freezes",
)  # fmt: skip
"""Fields of a test whose parts are intervals."""


def read(text: str, origin: str, load: LoadPolicies) -> Reading:
    """Return the tests of a file; where anything is wrong, its problems and no tests."""
    found, problems = documents(text, origin)
    if not problems and len(found) != 1:
        message = "a test file is one document with policies and tests"
        problems = [Problem(file=origin, line=1, column=1, field="", message=message)]
    if problems:
        return Reading(problems=tuple(problems))
    reader = _Reader(found[0], text.split("\n"))
    spec = reader.spec()
    if spec is None:
        return Reading(problems=tuple(reader.problems))
    policies, wrong = load(spec.policies, spec.step)
    if policies is None:
        return Reading(problems=(*reader.problems, *wrong), policies_broken=True)
    cases = [reader.case(number, spec, policies.tested) for number in range(len(spec.tests))]
    reader.unique(spec.tests)
    return Reading(
        cases=() if reader.problems else tuple(one for one in cases if one is not None),
        policies=policies.tested,
        problems=(*reader.problems, *(one for one in wrong if one.severity == "error")),
    )


class _Reader:
    def __init__(self, document: Document, lines: Sequence[str]) -> None:
        self.document = document
        self.problems: list[Problem] = []
        self._lines = lines

    def add(self, path: Path, message: str, hint: str = "") -> None:
        self.problems.append(self.document.problem(path, message, hint=hint))

    def spec(self) -> TestFileSpec | None:
        if not isinstance(self.document.data, dict):
            self.add((), "a test file is a mapping with policies and tests")
            return None
        try:
            return TestFileSpec.model_validate(self.document.data)
        except ValidationError as err:
            for one in err.errors(include_url=False):
                self._note(one)
        return None

    def _note(self, error: ErrorDetails) -> None:
        """Say pydantic's error in our words, at its place."""
        path, kind = _written(error["loc"], self.document), error["type"]
        if kind == "extra_forbidden":
            names = _fields(path[:-1])
            known = f"known fields: {', '.join(names)}" if names else ""
            self.add(path, "unknown field", did_you_mean(str(path[-1]), names) or known)
        elif kind == "missing":
            self.add(error["loc"], "this field is required")
        elif kind in ("enum", "literal_error"):
            words = re.findall(r"'([^']*)'", str(error.get("ctx", {}).get("expected", "")))
            given = str(error["input"])[:60]
            self.add(path, f"{given!r} is not one of {', '.join(words)}", did_you_mean(given, words))
        elif kind == "too_short":
            self.add(path, "this is empty")
        else:
            self.add(path, error["msg"].removeprefix("Value error, ")[:500])

    # -- one test ------------------------------------------------------------------------------------

    def case(self, number: int, spec: TestFileSpec, policies: Sequence[Policy]) -> Case | None:
        path: Path = ("tests", number)
        test = spec.tests[number]
        policy = self._policy(path, test, policies)
        if policy is None:
            return None
        before, template = len(self.problems), None
        if isinstance(policy, ScalingPolicy) and policy.selection is not None:
            template = policy
            policy = self._for_target(path, test, template)
            if policy is None:
                return None
        elif test.targets or test.target is not None:
            self.add((*path, "targets" if test.targets else "target"), f"{policy.key} does not select its targets")
        signals = {name: self._notation((*path, "series", name), text) for name, text in test.series.items()}
        presence = {name: self._notation((*path, "presence", name), text) for name, text in test.presence.items()}
        if isinstance(policy, WatchPolicy):
            if not signals:
                self.add(path, "a WatchPolicy is tested with series, each named by its labels", "service=a: '1x9'")
            if test.inventory.rollout and (policy.rollouts is None or not policy.rollouts.of):
                self.add((*path, "inventory", "rollout"), f"{policy.key} looks at no rollouts (spec.rollouts.of)")
        else:
            self._known_signals(path, test, policy)
        self._of_plans(path, test, plans=isinstance(policy, PlanPolicy))
        self._times(path, test, spec.start)
        given, inventory = test.given, test.inventory
        hpa = None if isinstance(inventory.hpa, str) else inventory.hpa
        history = given.history
        ticks = self._ticks(path, test, spec, max((len(one) for one in signals.values()), default=1))
        made = Case(
            file=self.document.origin,
            spec=test,
            policy=policy,
            start=spec.start,
            step_s=spec.step,
            ticks=ticks,
            series=signals,
            presence=presence,
            ready=self._notation((*path, "inventory", "ready"), inventory.ready),
            desired=self._notation((*path, "inventory", "hpa", "desired"), "0" if hpa is None else hpa.desired),
            forecast=None if given.forecast is None else self._forecast((*path, "given", "forecast"), given.forecast),
            template=template,
            history=()
            if history is None
            else self._notation((*path, "given", "history", "series"), history.series) * history.repeat,
            places={key[2:]: place for key, place in self.document.places.items() if key[:2] == path},
        )
        return made if len(self.problems) == before else None

    def _policy(self, path: Path, test: TestSpec, policies: Sequence[Policy]) -> Policy | None:
        names = [one.key.rsplit("/", 1)[-1] for one in policies]
        if test.policy is None:
            if len(policies) == 1:
                return policies[0]
            self.add(
                path, "which policy is tested?", f"policy: one of {', '.join(names)}" if names else "there is none"
            )
            return None
        fitting = [one for one in policies if test.policy in (one.key, one.key.rsplit("/", 1)[-1])]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            hint = f"write its key: {' or '.join(one.key for one in fitting)}"
            self.add((*path, "policy"), f"{test.policy!r} is the name of several policies", hint)
        else:
            hint = did_you_mean(test.policy, names) or f"policies are {', '.join(names)}"
            self.add((*path, "policy"), f"there is no policy {test.policy!r}", hint)
        return None

    def _for_target(self, path: Path, test: TestSpec, template: ScalingPolicy) -> ScalingPolicy | None:
        """Return what a template is made into for the target of a test."""
        names = [one.name for one in test.targets]
        if not names:
            hint = "targets: [{name: checkout, labels: {tier: web}}]"
            self.add(path, f"{template.key} selects its targets: which are there?", hint)
            return None
        for number, name in enumerate(names):
            if name in names[:number]:
                self.add((*path, "targets", number, "name"), f"{name!r} is there already")
        name = names[0] if test.target is None else test.target
        if name not in names:
            hint = did_you_mean(name, names) or f"targets are {', '.join(names)}"
            self.add((*path, "target"), f"there is no target {name!r}", hint)
            return None
        place = names.index(name)
        given, keys = test.targets[place], labels_named(template)
        try:
            labels = {key: given.labels[key] for key in keys if key in given.labels}
            return member_policy(template, Member(name=name, labels=labels))
        except NoMember as err:
            self.add((*path, "targets", place), f"{name}: {err}")
            return None

    def _forecast(self, path: Path, text: str) -> tuple[Entry, ...]:
        return () if text == "off" else self._notation(path, text)

    def _notation(self, path: Path, text: str | None) -> tuple[Entry, ...]:
        if text is None:
            return ()
        try:
            return series(text)
        except InvalidNotation as err:
            self.problems.append(self._inside(path, err))
            return ()

    def _inside(self, path: Path, err: InvalidNotation) -> Problem:
        """Return the problem at its very column, where the text stands on one line."""
        problem = self.document.problem(path, str(err))
        line, column = self.document.values.get(path, (0, 0))
        rest = self._lines[line - 1][column - 1 :] if 0 < line <= len(self._lines) else "|"
        if rest[:1] in ("|", ">", ""):
            return problem
        inner = column + (1 if rest[:1] in ("'", '"') else 0) + err.column - 1
        return Problem(file=problem.file, line=line, column=inner, field=problem.field, message=problem.message)

    def _known_signals(self, path: Path, test: TestSpec, policy: ScalingPolicy | PlanPolicy) -> None:
        known = tuple(policy.signals)
        named: list[tuple[Path, str]] = [((*path, "series", name), name) for name in test.series]
        named += [((*path, "presence", name), name) for name in test.presence]
        faults = enumerate(test.faults)
        named += [((*path, "faults", n, "signal"), one.signal) for n, one in faults if one.signal is not None]
        for at, name in named:
            if name not in known:
                hint = did_you_mean(name, known) or f"signals are {', '.join(known)}"
                self.add(at, f"policy {policy.key} has no signal {name!r}", hint)
        for name in test.presence:
            if name in known and policy.signals[name].query.presence_expr is None:
                self.add((*path, "presence", name), f"signal {name!r} has no presence query")

    def _of_plans(self, path: Path, test: TestSpec, *, plans: bool) -> None:
        """Refuse what is said of plans and asked of no plan, and the other way round: it would never hold."""
        if not plans:
            for name in ("objects", "use"):
                if getattr(test, name):
                    self.add((*path, name), "is for policies whose decisions are plans")
        strange = ONLY_SCALING if plans else ONLY_PLANS
        for group in ("expect", "never"):
            for number, one in enumerate(getattr(test, group)):
                for name in strange & set(one.asks):
                    what = "a plan has none" if plans else "is said of plans"
                    self.add((*path, group, number, name), f"{name}: {what}")

    def _times(self, path: Path, test: TestSpec, start: datetime) -> None:
        """Refuse intervals that end before they begin."""
        spans: list[tuple[Path, Any]] = []
        for name in TIMED:
            spans += [((*path, name, number), one) for number, one in enumerate(getattr(test, name))]
        for name in ("rollout", "gone", "deleting"):
            inside = getattr(test.inventory, name)
            spans += [((*path, "inventory", name, number), one) for number, one in enumerate(inside)]
        for at, one in spans:
            if one.from_ is not None and one.to is not None and one.from_.after(start) > one.to.after(start):
                self.add((*at, "to"), f"{one.to} is before {one.from_}")

    def _ticks(self, path: Path, test: TestSpec, spec: TestFileSpec, longest: int) -> int:
        last = last_moment_s(test.expect, test.never, spec.start)
        if max(longest - 1, last / spec.step) >= MAX_SAMPLES:
            self.add(path, f"the test lasts longer than {MAX_SAMPLES} steps of {spec.step:g} s")
            return 1
        return max(longest, int((last + 1e-6) // spec.step) + 1)

    def unique(self, tests: Sequence[TestSpec]) -> None:
        seen: dict[str, int] = {}
        for number, one in enumerate(tests):
            if one.name in seen:
                line = self.document.places[("tests", seen[one.name])][0]
                self.add(("tests", number, "name"), f"{one.name!r} is the name of the test in line {line}, too")
            seen.setdefault(one.name, number)


# -- walking the models ----------------------------------------------------------------------------


def _written(location: Path, document: Document) -> Path:
    """Return the parts of a location that people wrote: pydantic adds names of types for unions."""
    path: Path = ()
    for part in location:
        if (*path, part) in document.places:
            path = (*path, part)
    return path


def _fields(location: Path) -> tuple[str, ...]:
    """Return the names that are allowed at a place."""
    current: Any = TestFileSpec
    for part in location:
        if isinstance(part, int):
            continue
        if not _is_model(current):
            return ()
        named = {(info.alias or name): info.annotation for name, info in current.model_fields.items()}
        current = _inner(named.get(part))
    if not _is_model(current):
        return ()
    return tuple(info.alias or name for name, info in current.model_fields.items())


def _is_model(one: Any) -> bool:
    return isinstance(one, type) and issubclass(one, BaseModel)


def _inner(annotation: Any) -> Any:
    """Return the model inside Optional[...] or tuple[..., ...]."""
    if get_origin(annotation) is Annotated:
        return _inner(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType, tuple):
        models = [_inner(one) for one in get_args(annotation)]
        return next((one for one in models if _is_model(one)), None)
    return annotation
