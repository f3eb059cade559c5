"""Conditions in CEL, type-checked at load against the variables that the loop knows.

Numbers are doubles: an integer literal is read as one where the expression does not type-check otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product
from typing import Any

from aiops.core.protocols import ConditionError, Env
from aiops.policy.entries import PACKAGE, descriptors
from aiops.policy.variables import LISTS, MEMBERS, NUMBERS, known_variables

_PLACE = re.compile(r"<input>:(\d+):(\d+): (.*)")
_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|(?<![\w.\[])(\d+)(?![\w.])')
_NO_FIELD = re.compile(rf"undefined field '(\w+)' not found in struct '{PACKAGE}\.({'|'.join(LISTS)})'")
_MIXED = re.compile(r"applied to '\((?:int, double|double, int)\)'")
_COMPARES = re.compile(r"\)\s*[<>=!]=?\s*$")
_TEXTS = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'')
_SIZE = re.compile(r"\bsize\s*$")
_WORDS = re.compile(r"[A-Za-z_][\w]*(?:\.[A-Za-z_]\w*)*")


MAX_CHARACTERS = 10_000
"""Of a condition: the library takes a hundred times the memory of a text."""


SHORT = 500
"""Characters of a condition that is kept: many policies have the same ones, and only an edited one is compiled."""


MOST_TRIED = 6
"""So many integers of a condition are tried as either kind of number, each with each: 64 times some tenths of a ms."""


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
        try:
            named = {name: env[name] for name in self.used}
        except KeyError:
            missing = [name for name in self.used if name not in env]
            raise ConditionError(f"{', '.join(missing)} is not known") from None
        # the library takes every variable that it is given apart, so it is given those that are named
        value = self._value(named)
        if not isinstance(value, bool):
            value = self._value(env)  # one that is written in a way that nobody saw may be missing, or it has no answer
        if isinstance(value, Exception):
            raise ConditionError(str(value)) from value
        if not isinstance(value, bool):
            raise ConditionError(f"it gives {value!r}, neither true nor false")
        return value

    def _value(self, env: Env) -> object:
        try:
            return self.program.eval(data=env).value()
        except (RuntimeError, ValueError, TypeError) as err:
            return err

    def __deepcopy__(self, memo: object) -> CelCondition:
        return self


def condition(text: str, signals: Sequence[str]) -> CelCondition:
    """Return the compiled condition; raise InvalidCondition with its place."""
    if len(text) > MAX_CHARACTERS:
        raise InvalidCondition(f"CEL: a condition of {len(text)} characters; at most {MAX_CHARACTERS} are read")
    made = _short if len(text) <= SHORT else _condition
    return made(text, tuple(sorted(signals)))


def _condition(text: str, signals: tuple[str, ...]) -> CelCondition:
    variables = known_variables(signals)
    used = _used(text, variables)
    lists = any(name in LISTS for name in used)
    # with entries whose fields have types, so that what is wrong is said now, and not at night
    checked, program = _compiled(_environment(signals, entries=lists), text)
    from cel_expr_python import cel

    if program.return_type() != cel.Type.BOOL:
        raise InvalidCondition(f"a condition is true or false, this is a {program.return_type().name()}")
    if lists:
        program = _untyped(_environment(signals, entries=False), checked)
    return CelCondition(text=text, variables=variables, program=program, used=used)


def _untyped(env: Any, text: str) -> Any:
    """Return what runs: on plain maps, of a text that was found to be right with their types."""
    try:
        return env.compile(text)
    except Exception as err:  # the library raises a bare exception for every kind of error
        raise _invalid(err, text) from err


_short = lru_cache(maxsize=256)(_condition)


def _as_double(match: re.Match[str]) -> str:
    """Return an integer literal as a double, but for one that a size is compared with."""
    return f"{match[1]}.0" if match[1] and not _counted(match.string[: match.start()]) else match[0]


def _counted(before: str) -> bool:
    """Return whether what stands before a literal compares it with a size, whatever that is the size of."""
    compares = _COMPARES.search(before)
    if compares is None:
        return False
    # parentheses in texts are none
    plain, depth = _TEXTS.sub(lambda one: "_" * len(one[0]), before), 0
    for place in range(compares.start(), -1, -1):
        depth += {")": 1, "(": -1}.get(plain[place], 0)
        if depth == 0:
            return _SIZE.search(plain[:place]) is not None
    return False


def _compiled(env: Any, text: str) -> tuple[str, Any]:
    """Return what compiles, the text or the text with doubles for integers, and what becomes of it."""
    try:
        return text, env.compile(text)
    except Exception as first:  # the library raises a bare exception for every kind of error
        doubles = _TOKENS.sub(_as_double, text)
        if doubles == text or "no matching overload" not in str(first):
            raise _invalid(first, text) from first
        try:
            return doubles, env.compile(doubles)
        except Exception as second:
            if "no matching overload" in str(second):
                for some in _some_doubles(text):
                    with suppress(Exception):
                        return some, env.compile(some)
            raise _invalid(second, doubles, _added(text)) from second


def _some_doubles(text: str) -> Iterator[str]:
    """Yield the text with doubles for some of its integers: a size may be counted, compared or added to anywhere.

    >>> list(_some_doubles("1 < size(findings) && time.hour > 8"))[1]
    '1 < size(findings) && time.hour > 8.0'
    """
    literals = [one for one in _TOKENS.finditer(text) if one[1]]
    if len(literals) > MOST_TRIED:
        return
    for chosen in product((False, True), repeat=len(literals)):
        made, done = [], 0
        for one, double in zip(literals, chosen, strict=True):
            made += [text[done : one.end()], ".0" if double else ""]
            done = one.end()
        yield "".join(made) + text[done:]


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
    unknown = _NO_FIELD.search(match[3])
    if unknown is None:
        mixed = _MIXED.search(match[3])
        hint = " (a size is a whole number: compare it with one, as 2, or write double(size(...)))" if mixed else ""
        return InvalidCondition(f"CEL: {match[3].replace(f'{PACKAGE}.', '')}{hint}", offset)
    # the checker points at the dot before it
    return InvalidCondition(f"{unknown[2]} have {', '.join(MEMBERS[unknown[2]])}, and no {unknown[1]}", offset + 1)


def _used(text: str, variables: Sequence[str]) -> tuple[str, ...]:
    words = set(_WORDS.findall(re.sub(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'', "", text)))
    return tuple(name for name in variables if any(w == name or w.startswith(f"{name}.") for w in words))


@lru_cache(maxsize=256)
def _environment(signals: tuple[str, ...], *, entries: bool) -> Any:
    """Return what names there are. entries: whether lists have entries of known fields, or of any type."""
    from cel_expr_python import cel

    lists = {name: cel.Type.List(cel.Type(f"{PACKAGE}.{name}") if entries else cel.Type.DYN) for name in LISTS}
    variables: Mapping[str, Any] = {
        **dict.fromkeys(NUMBERS, cel.Type.DOUBLE),
        **lists,
        **{f"signals.{name}": cel.Type.DOUBLE for name in signals},
    }
    return cel.NewEnv(descriptors(), variables=variables) if entries else cel.NewEnv(variables=variables)


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
