"""What stands for the target in a query: `$(target.name)`, `$(target.namespace)`, `$(target.labels.KEY)`.

A name or a label of an object is somebody else's text. It becomes a part of a label matcher's value, after it was seen
to be a DNS label, and nothing else (S10).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from aiops.core.selection import Member, is_dns_label
from aiops.policy.lint.trees import facts

NAME, NAMESPACE, LABELS = "target.name", "target.namespace", "target.labels."
KNOWN = "$(target.name), $(target.namespace) and $(target.labels.KEY)"

_PLACEHOLDER = re.compile(r"\$\(\s*(target\b[^()]*?|[A-Za-z]+\.[^()]*?)\s*\)")
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
        selectors = facts(marked).selectors
    except ValueError:
        selectors = ()
    matchers = [one for selector in selectors for one in selector.matchers]
    for sentinel in numbered:
        inside = [one for one in matchers if sentinel in one.value]
        if len(inside) != 1:
            raise ValueError('a placeholder stands inside the value of a label matcher: {app="$(target.name)"}')
        if inside[0].op in ("=~", "!~") and _in_class(inside[0].value, inside[0].value.index(sentinel)):
            raise ValueError("a placeholder inside [...] of a regular expression would stand for its characters")


def filled(expr: str, namespace: str, member: Member) -> str:
    """Return the query for one target; raise ValueError for a value that is no DNS label, or a label that is missing.

    >>> filled('up{job="$(target.namespace)/$(target.name)"}', "shop", Member(name="checkout"))
    'up{job="shop/checkout"}'
    """
    values = {name: _value(name, namespace, member) for name in used(expr)}
    return _PLACEHOLDER.sub(lambda found: values[found.group(1)], expr)


def values_of(names: tuple[str, ...], labels: Mapping[str, str]) -> dict[str, str]:
    """Return the labels of an object that placeholders name; those that are missing are left out."""
    return {name: labels[name] for name in names if name in labels}


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
