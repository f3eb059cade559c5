"""Label selectors of the Kubernetes API: `a=b`, `a==b`, `a!=b`, `a in (b,c)`, `a notin (b,c)`, `a`, `!a`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_PART = r"[A-Za-z0-9](?:[-._A-Za-z0-9]{0,61}[A-Za-z0-9])?"
_KEY = rf"(?:[a-z0-9](?:[-.a-z0-9]{{0,251}}[a-z0-9])?/)?{_PART}"
_THERE = re.compile(rf"(?P<no>!?)\s*(?P<key>{_KEY})")
_EQUAL = re.compile(rf"(?P<key>{_KEY})\s*(?P<how>==|!=|=)\s*(?P<value>(?:{_PART})?)")
_AMONG = re.compile(rf"(?P<key>{_KEY})\s+(?P<how>in|notin)\s*\((?P<values>[^()]*)\)")
_VALUE = re.compile(rf"(?:{_PART})?")
_COMMA = re.compile(r",(?![^()]*\))")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One requirement. values: those of which the label is one; None is any. wanted: False turns it round."""

    key: str
    values: frozenset[str] | None
    wanted: bool

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Return whether labels meet it; a label that is not there is none of any values."""
        value = labels.get(self.key)
        return (value is not None and (self.values is None or value in self.values)) is self.wanted


@dataclass(frozen=True, slots=True)
class Selector:
    """All requirements of a selector; none selects everything."""

    requirements: tuple[Requirement, ...] = ()

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Return whether labels meet every requirement."""
        return all(one.holds(labels) for one in self.requirements)

    def may_hold(self, labels: Mapping[str, str]) -> bool:
        """Return whether labels of which only these are known can meet every requirement."""
        return all(one.holds(labels) for one in self.requirements if one.key in labels)


def selector(text: str) -> Selector:
    """Return the selector of a text; raise ValueError, which says what is wrong.

    >>> chosen = selector("policy=checkout,horizon in (lead, 5m),!shadow")
    >>> chosen.holds({"policy": "checkout", "horizon": "5m"}), chosen.holds({"policy": "checkout", "horizon": "1m"})
    (True, False)
    """
    if not text.strip():
        return Selector()
    return Selector(tuple(_requirement(part.strip()) for part in _COMMA.split(text)))


def _requirement(text: str) -> Requirement:
    if match := _AMONG.fullmatch(text):
        values = frozenset(value.strip() for value in match["values"].split(","))
        if all(_VALUE.fullmatch(value) for value in values):
            return Requirement(match["key"], values, match["how"] == "in")
    elif match := _EQUAL.fullmatch(text):
        return Requirement(match["key"], frozenset((match["value"],)), match["how"] != "!=")
    elif match := _THERE.fullmatch(text):
        return Requirement(match["key"], None, not match["no"])
    raise ValueError(f"{text!r} is no requirement of a label selector, such as policy=checkout or horizon in (lead,5m)")
