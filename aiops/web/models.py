"""What every answer and wish of the API has in common."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AllowInfNan, BaseModel, BeforeValidator, ConfigDict, Field, Strict

MAX_HOURS = 24 * 31
LONGEST_NAME = 512
LONGEST_REASON = 500
MOST_AT = 1e11
TEN_YEARS_S = 10 * 366 * 86400.0
PRINTABLE = r"^[^\x00-\x1f\x7f]+$"
MAYBE_PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
"""Without control characters: neither a log nor a terminal nor a database is to meet one."""


class Answer(BaseModel):
    """What is answered: fields may be added in a later version, none is taken away within v1."""

    model_config = ConfigDict(extra="allow")


class Wish(BaseModel):
    """What is asked for: an unknown field is an error, for it would be ignored."""

    model_config = ConfigDict(extra="forbid")


_NAME = r"^[^\x00-\x20\x7f]([^\x00-\x1f\x7f]*[^\x00-\x20\x7f])?$"
PlainName = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME, pattern=_NAME)]
"""The name of a scope, a policy, a target or a plan."""

Said = Annotated[str, Field(min_length=1, max_length=LONGEST_REASON, pattern=r"^[^\x00]*[^\x00-\x20\s][^\x00]*$")]
"""A reason in words; blanks and control characters alone are none."""

By = Annotated[str | None, Field(max_length=256, deprecated=True, description="Ignored: who calls is who says so.")]


def _whole(value: Any) -> Any:
    """Return 5 for 5.0, which is the same number in JSON; leave the rest to be looked at."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


_Whole = BeforeValidator(_whole)
Count = Annotated[int, Strict(), Field(ge=0, le=1_000_000), _Whole]
Ordinal = Annotated[int, Strict(), Field(ge=1, le=2**31 - 1), _Whole]
Seed = Annotated[int, Strict(), Field(ge=0, le=2**31 - 1), _Whole]
Number = Annotated[float, Strict(), AllowInfNan(False)]
"""Numbers, and neither texts that look like one, nor yes or no."""
