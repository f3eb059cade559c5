"""What the loop needs of whatever runs its shards: to ask without waiting, and to wait no longer than it may."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class ShardFailed(Exception):
    """A shard did not answer what it was asked. gone: its process has ended, and it is made anew; else it is a bug."""

    def __init__(self, message: str, *, gone: bool) -> None:
        super().__init__(message)
        self.gone = gone


class Unreached(ShardFailed):
    """Nobody could ask the shard: there is no connection. That says nothing of the shard."""

    def __init__(self, message: str) -> None:
        super().__init__(message, gone=True)


class Crew(Protocol):
    """The processes of shards 0, 1, ...; none of these calls waits, but for `wait`. A handle is one question's."""

    def ask(self, shard: int, method: str, *given: Any) -> Any:
        """Ask a shard, whether it is there or not, and return the handle of its answer."""
        ...

    def wait(self, handles: Sequence[Any], timeout_s: float) -> None:
        """Wait until all have an answer or a failure, and no longer than `timeout_s`; for as long without any."""
        ...

    def done(self, handle: Any) -> bool:
        """Return whether there is an answer or a failure."""
        ...

    def answer(self, handle: Any) -> Any:
        """Return the answer of a handle that is done; raise ShardFailed."""
        ...

    def renew(self, shard: int) -> None:
        """End a shard's process, whatever it does, and make it anew from what it has kept."""
        ...

    def pending(self, shard: int) -> str:
        """Return why a shard has no process yet, such as what it waits for; '' when nothing is known of that."""
        ...

    def close(self) -> None:
        """Let go; the shards stay for whoever comes next."""
        ...
