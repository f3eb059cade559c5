"""A backlog as people write it."""

from __future__ import annotations

from pydantic import Field, field_validator

from aiops.core.decide.quantities import Duration, Whole
from aiops.core.decide.spec import Spec


class BacklogSpec(Spec):
    """What waits in a queue, and how soon it must be gone."""

    signal: str = Field(description="the signal that says how much waits, in the unit that demand counts per second")
    drain_within: Duration = Field(gt=0, description="a backlog is gone so long after it began to stand")
    partitions: Whole | str | None = Field(
        None,
        description="consumers that share the work at most, as a number or a signal's name; more are idle",
    )
    rebalance: Duration = Field(0.0, description="how long consuming pauses when the number of consumers changes")

    @field_validator("partitions")
    @classmethod
    def at_least_one(cls, value: int | str | None) -> int | str | None:
        """Refuse a queue that nobody can consume."""
        if isinstance(value, int) and value < 1:
            raise ValueError("partitions is 1 or more")
        return value
