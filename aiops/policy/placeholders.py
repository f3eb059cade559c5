"""What stands for the target in a query: `$(target.name)`, `$(target.namespace)`, `$(target.labels.KEY)`.

A name or a label of an object is somebody else's text. It becomes a part of a label matcher's value, after it was seen
to be a DNS label, and nothing else (S10).
"""

from __future__ import annotations

import re

from aiops.core.selection import Member, is_dns_label
from aiops.policy import promql

NAME, NAMESPACE, LABELS = "target.name", "target.namespace", "target.labels."
KNOWN = "$(target.name), $(target.namespace) and $(target.labels.KEY)"

_PLACEHOLDER = re.compile(r"\$\(\s*(target\b[^()]*?|[A-Za-z]+\.[^()]*?)\s*\)")
_MATCHER = re.compile(r'(=~|!~|!=|=)"([^"]*\$\([^"]*)"')
"""A matcher whose value has a placeholder, as the parser writes it."""

_SENTINEL = "aiops0placeholder{}x"


def used(expr: str) -> tuple[str, ...]:
    """Return the placeholders of a query, each once; raise ValueError for one that is not known.

    >>> used('sum(rate(http_requests_total{app="$(target.labels.app)", namespace="$(target.namespace)"}[1m]))')
    ('target.labels.app', 'target.namespace')
    """
    found = tuple(dict.fromkeys(one.group(1) for one in _PLACEHOLDER.finditer(expr)))
    for name in found:
        if name not in (NAME, NAMESPACE) and not (name.startswith(LABELS) and len(name) > len(LABELS)):
            raise ValueError(f"$({name}) is no placeholder; there are {KNOWN}")
    return found


def any_in(expr: str) -> bool:
    """Return whether a query has a placeholder, known or not."""
    return _PLACEHOLDER.search(expr) is not None


def labels_used(expr: str) -> tuple[str, ...]:
    """Return the keys of the labels that a query names."""
    return tuple(name.removeprefix(LABELS) for name in used(expr) if name.startswith(LABELS))


def check(expr: str) -> None:
    """Raise ValueError when a placeholder is not known, or stands elsewhere than inside the value of a label matcher.

    The query is known to parse: what is between quotes is a text, a placeholder, too.
    """
    if not used(expr):
        return
    numbered: list[str] = []

    def mark(_: re.Match[str]) -> str:
        numbered.append(_SENTINEL.format(len(numbered)))
        return numbered[-1]

    marked = _PLACEHOLDER.sub(mark, expr)
    try:
        matchers = promql.matchers(marked)
    except ValueError:
        matchers = ()
    for sentinel in numbered:
        inside = [one for one in matchers if sentinel in one.value]
        if len(inside) != 1:
            raise ValueError('a placeholder stands inside the value of a label matcher: {app="$(target.name)"}')
        if inside[0].regular and _in_class(inside[0].value, inside[0].value.index(sentinel)):
            raise ValueError("a placeholder inside [...] of a regular expression would stand for its characters")


def filled(expr: str, namespace: str, member: Member | None) -> str:
    """Return the query for one target; raise ValueError for a value that is no DNS label, or a label that is missing.

    member: None for a template, of which the namespace alone is known.

    >>> filled('up{job="$(target.namespace)/$(target.name)"}', "shop", Member(name="checkout"))
    'up{job="shop/checkout"}'
    """
    known = used(expr) if member is not None else (NAMESPACE,)
    values = {name: _value(name, namespace, member or Member(name="")) for name in known}
    return _PLACEHOLDER.sub(lambda found: values.get(found.group(1), found.group()), expr)


def widened(expr: str) -> str:
    """Return a query for all targets there may be at once, by which its cost is measured; one without is itself.

    >>> widened('sum(rate(http_requests_total{app="$(target.name)"}[1m]))')
    'sum(rate(http_requests_total{app=~".+"}[1m]))'
    """
    if not any_in(expr):
        return expr
    return _MATCHER.sub(_any_value, promql.normal(expr))


def _any_value(found: re.Match[str]) -> str:
    op, value = found.group(1), found.group(2)
    parts = _PLACEHOLDER.split(value)[::2]
    # what the parser writes is a text between quotes, in which each backslash stands twice
    literal = (re.escape(part).replace("\\", "\\\\") for part in parts)
    pattern = ".+".join(parts if op.endswith("~") else literal)
    return f'{"!~" if op.startswith("!") else "=~"}"{pattern}"'


def _value(name: str, namespace: str, member: Member) -> str:
    if name.startswith(LABELS):
        key = name.removeprefix(LABELS)
        value, said = member.labels.get(key), f"its label {key}"
        if value is None:
            raise ValueError(f"it has no label {key}, which the query names")
    else:
        value, said = (member.name, "its name") if name == NAME else (namespace, "its namespace")
    if not is_dns_label(value):
        raise ValueError(f"{said} {value[:80]!r} is no DNS label, and becomes part of no query")
    return value


def _in_class(pattern: str, place: int) -> bool:
    """Return whether a place of a regular expression is between brackets."""
    before = re.sub(r"\\.", "", pattern[:place])
    return before.rfind("[") > before.rfind("]")
