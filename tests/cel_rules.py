"""Rules of the API server evaluated here: CEL over a document as it was written."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from cel_expr_python import cel


@cache
def _program(expr: str) -> Any:
    return cel.NewEnv(variables={"self": cel.Type.DYN}).compile(expr)


def holds(expr: str, document: Mapping[str, Any]) -> bool:
    """Return whether a rule holds for a document."""
    return bool(_program(expr).eval(data={"self": dict(document)}).value())
