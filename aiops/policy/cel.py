"""Conditions in CEL, type-checked at load against the variables that the loop knows.

Numbers are doubles: an integer literal is read as one where the expression does not type-check otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from aiops.core.protocols import ConditionError, Env


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A name that conditions may use. members: of the entries of a list."""

    name: str
    unit: str
    meaning: str
    members: tuple[str, ...] = ()


_OF_BUDGETS = (
    ("budget", "the amount of the CostBudget that covers the policy; of several the one nearest to its end,"),
    ("spent", "what is known to be spent so far in its scope,"),
    ("projected", "what its scope will have spent when it ends, where that can be told,"),
    ("low", "the lower end of the 80 % interval of that,"),
    ("high", "the upper end of the 80 % interval of that,"),
)

VARIABLES = (
    Variable(name="slo.atMost", unit="of its signal", meaning="objective.slo.atMost, where there is an SLO"),
    Variable(name="forecast.p50", unit="of demand", meaning="the greatest median demand until a new replica serves"),
    Variable(name="forecast.p95", unit="of demand", meaning="the same of the 95 % quantile"),
    Variable(name="forecast.p99", unit="of demand", meaning="the same of the 99 % quantile"),
    Variable(name="replicas.current", unit="1", meaning="replicas that are asked for now"),
    Variable(name="replicas.ready", unit="1", meaning="replicas that serve"),
    Variable(name="replicas.min", unit="1", meaning="the floor in force, by window"),
    Variable(name="replicas.max", unit="1", meaning="the ceiling in force, by window"),
    Variable(name="replicas.wanted", unit="1", meaning="what is left of the wish at this guard"),
    Variable(name="time.hour", unit="h", meaning="0 to 23, in spec.timeZone"),
    Variable(name="time.minute", unit="min", meaning="0 to 59"),
    Variable(name="time.weekday", unit="d", meaning="0 is Monday, 6 Sunday"),
    Variable(name="cost.hour", unit="USD/h", meaning="price of a replica and hour, times the replicas; where known"),
    *(
        Variable(name=f"cost.{period}.{name}", unit="USD", meaning=f"{meaning} of this {period}")
        for period in ("month", "day")
        for name, meaning in _OF_BUDGETS
    ),
    Variable(
        name="findings",
        unit="list",
        meaning="anomalies that are open now",
        members=("kind", "series", "score", "policy", "labels"),
    ),
    Variable(
        name="incidents",
        unit="list",
        meaning="findings that belong together, while they are open; start is in seconds since 1970; the five "
        "likeliest suspects, such as shop/db",
        members=("id", "kind", "score", "labels", "start", "suspects"),
    ),
    Variable(
        name="alerts",
        unit="list",
        meaning="alerts that Alertmanager says fire now; since is in seconds since 1970",
        members=("name", "labels", "since"),
    ),
)
"""Beside them `signals.NAME` of each signal of the policy, in its own unit. What is not known then is missing."""

NUMBERS = tuple(one.name for one in VARIABLES if not one.members)
LISTS = tuple(one.name for one in VARIABLES if one.members)
MEMBERS = {one.name: one.members for one in VARIABLES if one.members}

_PLACE = re.compile(r"<input>:(\d+):(\d+): (.*)")
_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|(?<![\w.\[])(\d+)(?![\w.])')
_MACRO = re.compile(rf"\b({'|'.join(LISTS)})\s*\.\s*(?:exists_one|exists|all|filter|map)\s*\(\s*(\w+)\s*,")
_ITEM = re.compile(rf"\b({'|'.join(LISTS)})\s*\[[^\]]*\]\s*\.\s*(\w+)")
_COUNTED = re.compile(r"\bsize\([^()]*\)\s*[<>=!]=?\s*$")
_WORDS = re.compile(r"[A-Za-z_][\w]*(?:\.[A-Za-z_]\w*)*")


MAX_CHARACTERS = 10_000
"""Of a condition: the library takes a hundred times the memory of a text."""


SHORT = 500
"""Characters of a condition that is kept: many policies have the same ones, and only an edited one is compiled."""


class InvalidCondition(ValueError):
    """A condition that does not compile; offset: of the character in its text, from 0."""

    def __init__(self, message: str, offset: int = 0) -> None:
        super().__init__(message)
        self.offset = offset


@dataclass(frozen=True, slots=True)
class CelCondition:
    """A compiled condition; two are equal when their texts and their variables are."""

    text: str
    variables: tuple[str, ...]
    program: Any = field(compare=False, repr=False)
    used: tuple[str, ...] = field(compare=False, repr=False, default=())

    def holds(self, env: Env) -> bool:
        """Return whether it holds; raise ConditionError when a variable is missing or it has no answer."""
        missing = [name for name in self.used if name not in env]
        if missing:
            raise ConditionError(f"{', '.join(missing)} is not known")
        try:
            value = self.program.eval(data=env).value()
        except (RuntimeError, ValueError, TypeError) as err:
            raise ConditionError(str(err)) from err
        if not isinstance(value, bool):
            raise ConditionError(f"it gives {value!r}, neither true nor false")
        return value

    def __deepcopy__(self, memo: object) -> CelCondition:
        return self


def condition(text: str, signals: Sequence[str]) -> CelCondition:
    """Return the compiled condition; raise InvalidCondition with its place."""
    if len(text) > MAX_CHARACTERS:
        raise InvalidCondition(f"CEL: a condition of {len(text)} characters; at most {MAX_CHARACTERS} are read")
    made = _short if len(text) <= SHORT else _condition
    return made(text, tuple(sorted(signals)))


def _condition(text: str, signals: tuple[str, ...]) -> CelCondition:
    env = _environment(signals)
    variables = known_variables(signals)
    program = _compiled(env, text)
    from cel_expr_python import cel

    if program.return_type() != cel.Type.BOOL:
        raise InvalidCondition(f"a condition is true or false, this is a {program.return_type().name()}")
    _members_known(text)
    used = _used(text, variables)
    return CelCondition(text=text, variables=variables, program=program, used=used)


_short = lru_cache(maxsize=256)(_condition)


def _members_known(text: str) -> None:
    """Refuse fields that entries of a list do not have: for CEL they are of any type, and would fail at night."""
    bare = re.sub(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'', lambda match: " " * len(match[0]), text)
    for macro in _MACRO.finditer(bare):
        listed, name = macro[1], macro[2]
        for use in re.finditer(rf"(?<![\w.]){re.escape(name)}\s*\.\s*(\w+)", bare[macro.end() :]):
            if use[1] not in MEMBERS[listed]:
                raise _no_member(listed, use[1], macro.end() + use.start(1))
    for use in _ITEM.finditer(bare):
        if use[2] not in MEMBERS[use[1]]:
            raise _no_member(use[1], use[2], use.start(2))


def _no_member(listed: str, name: str, offset: int) -> InvalidCondition:
    return InvalidCondition(f"{listed} have {', '.join(MEMBERS[listed])}, and no {name}", offset)


def known_variables(signals: Sequence[str]) -> tuple[str, ...]:
    """Return every name that a condition may use."""
    return (*NUMBERS, *LISTS, *(f"signals.{name}" for name in sorted(signals)))


def _as_double(match: re.Match[str]) -> str:
    """Return an integer literal as a double, but for one that a size is compared with."""
    counted = _COUNTED.search(match.string[: match.start()])
    return f"{match[1]}.0" if match[1] and counted is None else match[0]


def _compiled(env: Any, text: str) -> Any:
    try:
        return env.compile(text)
    except Exception as first:  # the library raises a bare exception for every kind of error
        doubles = _TOKENS.sub(_as_double, text)
        if doubles != text:
            try:
                return env.compile(doubles)
            except Exception as second:  # the rewritten text's error, unless the text itself was broken
                if "no matching overload" in str(first):
                    raise _invalid(second, doubles, _added(text)) from second
                raise _invalid(first, text) from second
        raise _invalid(first, text) from first


def _added(text: str) -> tuple[int, ...]:
    """Return where `.0` was put behind an integer, as offsets in the text without any."""
    return tuple(one.end() for one in _TOKENS.finditer(text) if _as_double(one) != one[0])


def _invalid(err: Exception, text: str, added: Sequence[int] = ()) -> InvalidCondition:
    match = _PLACE.search(str(err))
    if match is None:
        return InvalidCondition(f"CEL: {str(err).splitlines()[0]}")
    before = text.split("\n")[: int(match[1]) - 1]
    offset = sum(len(line) + 1 for line in before) + int(match[2]) - 1
    for at in added:
        offset = max(at, offset - 2) if offset > at else offset
    return InvalidCondition(f"CEL: {match[3]}", offset)


def _used(text: str, variables: Sequence[str]) -> tuple[str, ...]:
    words = set(_WORDS.findall(re.sub(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'', "", text)))
    return tuple(name for name in variables if any(w == name or w.startswith(f"{name}.") for w in words))


@lru_cache(maxsize=256)
def _environment(signals: tuple[str, ...]) -> Any:
    from cel_expr_python import cel

    variables: Mapping[str, Any] = {
        **dict.fromkeys(NUMBERS, cel.Type.DOUBLE),
        **{name: cel.Type.List(cel.Type.DYN) for name in LISTS},
        **{f"signals.{name}": cel.Type.DOUBLE for name in signals},
    }
    return cel.NewEnv(variables=variables)


@lru_cache(maxsize=8192)
def matched(pattern: str, text: str) -> bool | None:
    """Return whether a text matches an RE2 pattern from end to end, None when there is no such pattern.

    >>> matched("check(out|in)", "checkout"), matched("check", "checkout"), matched("(", "checkout")
    (True, False, None)
    """
    try:
        value = _matching().eval(data={"text": text, "pattern": f"^(?:{pattern})$"}).value()
    except (RuntimeError, ValueError, TypeError):
        return None
    return value if isinstance(value, bool) else None


@lru_cache(maxsize=1)
def _matching() -> Any:
    from cel_expr_python import cel

    env = cel.NewEnv(variables={"text": cel.Type.STRING, "pattern": cel.Type.STRING})
    return env.compile("text.matches(pattern)")
