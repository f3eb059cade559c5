"""What can be wrong with a workload's metrics while it serves as ever: set at run time, on either of two surfaces."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, TypeAdapter

from aiops.core.decide.quantities import Duration
from aiops.core.decide.spec import Spec

LONGEST_LAG_S = 600.0


class Surface(StrEnum):
    """Where metrics are seen: `/metrics`, or metrics.k8s.io."""

    METRICS = "metrics"
    KUBERNETES = "kubernetes-metrics"


class _Somewhere(Spec):
    """on: where it is seen."""

    on: tuple[Surface, ...] = Field((Surface.METRICS,), min_length=1)


class NanFault(_Somewhere):
    """Every number is NaN; metrics.k8s.io, which has no NaN, says nothing."""

    kind: Literal["nan"]


class FrozenFault(_Somewhere):
    """What was shown stays. Afterwards counters show at once what was counted meanwhile."""

    kind: Literal["frozen"]


class AbsentFault(_Somewhere):
    """The workload is not exposed."""

    kind: Literal["absent"]


class LagFault(_Somewhere):
    """What is shown is old; nothing is, while there is nothing that old."""

    kind: Literal["lag"]
    seconds: Duration = Field(gt=0, le=LONGEST_LAG_S)


class WrongFault(_Somewhere):
    """Rates, load and CPU use are multiplied; counters go on from where they are."""

    kind: Literal["wrong"]
    factor: float = Field(ge=0, allow_inf_nan=False)


Fault = NanFault | FrozenFault | AbsentFault | LagFault | WrongFault


def _by_name(value: Any) -> Any:
    return {"kind": value} if isinstance(value, str) else value


FAULT: TypeAdapter[Fault] = TypeAdapter(Annotated[Fault, Field(discriminator="kind"), BeforeValidator(_by_name)])
"""Reads `"nan"` as well as `{"kind": "lag", "seconds": 30, "on": ["metrics"]}`."""
