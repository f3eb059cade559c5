"""What is legal and unwise: rules over compiled policies, each with a code that an annotation can silence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import assert_never

from aiops.core.policies import AnyPolicy, ScalingPolicy, WatchPolicy
from aiops.errors import Problem
from aiops.policy.document import Document
from aiops.policy.lint.asked import asked
from aiops.policy.lint.ignoring import RULES_OF_IGNORING, ignored
from aiops.policy.lint.registry import RULES
from aiops.policy.lint.rule import Explained, QueryRule, Remark, Rule, ScalingRule, SetRule, Subject, Terms, WatchRule

__all__ = ["RULES", "RULES_OF_IGNORING", "Terms", "linted"]

Made = Sequence[tuple[Document, AnyPolicy]]


def linted(made: Made, terms: Terms) -> tuple[Problem, ...]:
    """Return a warning for every rule that a policy breaks and does not silence, sorted by place."""
    subjects = [Subject(policy=policy, asked=asked(policy)) for _, policy in made]
    found: dict[int, list[tuple[Explained, Remark]]] = {id(one): [] for one in subjects}
    for rule in RULES:
        for subject, remark in _broken(rule, subjects, terms):
            found[id(subject)].append((rule, remark))
    known = [rule.code for rule in RULES]
    problems: list[Problem] = []
    for subject, (document, _) in zip(subjects, made, strict=True):
        own, silenced = found[id(subject)], ignored(document)
        said = [(rule, remark) for rule, remark in own if rule.code not in silenced.codes]
        said += silenced.remarks({rule.code for rule, _ in own}, known)
        problems += [_problem(document, rule, remark) for rule, remark in said]
    return tuple(sorted(problems, key=lambda one: (one.file, one.line, one.column, one.code)))


def _broken(rule: Rule, subjects: Sequence[Subject], terms: Terms) -> Iterator[tuple[Subject, Remark]]:
    match rule:
        case SetRule():
            yield from rule.find(subjects)
        case ScalingRule() | WatchRule() | QueryRule():
            for subject in subjects:
                for remark in _of_one(rule, subject, terms):
                    yield subject, remark
        case _:
            assert_never(rule)


def _of_one(rule: ScalingRule | WatchRule | QueryRule, subject: Subject, terms: Terms) -> Iterator[Remark]:
    match rule, subject.policy:
        case ScalingRule(), ScalingPolicy() as policy:
            yield from rule.find(policy, terms)
        case WatchRule(), WatchPolicy() as policy:
            yield from rule.find(policy, terms)
        case QueryRule(), _:
            for one in subject.asked:
                yield from rule.find(one, terms)


def _problem(document: Document, rule: Explained, remark: Remark) -> Problem:
    return document.problem(remark.path, remark.message, hint=remark.hint, severity="warning", code=rule.code)
