"""What an operation must be able to say of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from aiops.core.model import Instant, Looked, Message, Operation, Reason, Step, TargetRef, Wanted

NOTHING = Wanted()


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Who asks; left on objects that can carry it. key: the same attempt of the same step has the same key.

    first: whether nothing of the step was sent before.
    """

    plan_id: str
    policy: str
    key: str
    epoch: int
    now: Instant
    first: bool = False

    @property
    def annotations(self) -> Mapping[str, str]:
        """Return what is left on an object."""
        return {"policy.aiops/plan": self.plan_id, "policy.aiops/policy": self.policy}


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """What is to be sent now: requests to clusters, or messages; nothing when all is as it should be."""

    steps: tuple[Step, ...] = ()
    messages: tuple[Message, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.steps or self.messages)


class Verbs(Protocol):
    """One kind of operation. `Any` is the operation's own class, by which the registry is keyed."""

    @property
    def shown(self) -> bool:
        """Return whether the world shows when it is done; what is only told is done when it was answered."""
        ...

    @property
    def again_s(self) -> float:
        """Return after how long its requests may be made anew while its aim is not seen, infinite for never."""
        ...

    def wanted(self, operation: Any) -> Wanted:
        """Return which objects must be looked at."""
        ...

    def requests(self, operation: Any, looked: Looked, origin: Origin) -> Requests:
        """Return what is to be sent now, made from what is seen: with uids and versions as preconditions."""
        ...

    def reached(self, operation: Any, looked: Looked) -> bool | None:
        """Return whether its aim is seen, None while that is not known."""
        ...

    def undo(self, operation: Any, looked: Looked) -> tuple[Operation, ...] | None:
        """Return what takes it back to what is seen now, () when there is nothing to take back, None if nothing can."""
        ...

    def refusal(self, operation: Any, looked: Looked) -> tuple[Reason, str] | None:
        """Return why it must not be done to what is seen: not there, another's, no room in a budget (S3, S4, S5)."""
        ...

    def touches(self, operation: Any) -> tuple[TargetRef, ...]:
        """Return the objects that it changes, for the protected set and opt-in (S3)."""
        ...

    def says(self, operation: Any) -> str:
        """Return what it does, as an imperative sentence without a full stop."""
        ...
