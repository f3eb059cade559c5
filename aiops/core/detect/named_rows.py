"""What a series' key says of its labels, and which series belong together by them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import numpy as np

from aiops.core.model import Rows

_LABEL = re.compile(r"(?:^|,)([a-zA-Z_][a-zA-Z0-9_]*)=")


def labels_of(key: str) -> dict[str, str]:
    """Return the labels that a key names; a value may have commas, as long as no label's name follows them.

    >>> labels_of("WatchPolicy/shop/inputs#le=0.5,model=churn")
    {'le': '0.5', 'model': 'churn'}
    >>> labels_of("WatchPolicy/shop/inputs#")
    {}
    """
    identity = key.partition("#")[2]
    found = list(_LABEL.finditer(identity))
    ends = [*(one.start() for one in found[1:]), len(identity)]
    return {one[1]: identity[one.end() : ends[number]] for number, one in enumerate(found)}


def shared_name(labels: Mapping[str, str], names: Sequence[str]) -> str:
    """Return what series with these labels have in common, as a key has it.

    >>> shared_name({"service": "web", "le": "1"}, ["service"])
    'service=web'
    """
    return ",".join(f"{name}={labels.get(name, '')}" for name in names)


def by_name(keys: Sequence[str], rows: Rows, by: Sequence[str]) -> dict[str, Rows]:
    """Return rows by what they have in common, in the order of their keys. by: labels, none: all are together."""
    found: dict[str, list[int]] = {}
    for row in sorted(rows.tolist(), key=lambda one: keys[one]):
        found.setdefault(shared_name(labels_of(keys[row]), by), []).append(row)
    return {name: np.array(mine, np.intp) for name, mine in found.items()}


def bound(labels: Mapping[str, str]) -> float:
    """Return the bound of a histogram's bucket, NaN of what is none.

    >>> bound({"le": "0.5"}), bound({"le": "+Inf"}), bound({})
    (0.5, inf, nan)
    """
    try:
        return float(labels.get("le", "nan"))
    except ValueError:
        return math.nan
