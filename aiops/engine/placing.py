"""Which shard has a series: by a stable hash of what names it, so that every process finds the same answer alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One of so many shards, counted from 0."""

    number: int
    of: int

    @property
    def name(self) -> str:
        """Return its name, such as `shard-0-of-4`."""
        return f"shard-{self.number}-of-{self.of}"

    def owns(self, what: str) -> bool:
        """Return whether it is this shard that has something."""
        return owner(what, self.of) == self.number

    def own(self, every: Iterable[str]) -> tuple[str, ...]:
        """Return what of all is this shard's."""
        return tuple(one for one in every if self.owns(one))


def owner(what: str, shards: int) -> int:
    """Return the shard with the greatest hash of both (rendezvous: Thaler and Ravishankar, 1998).

    When a shard is added, an (n+1)-th of everything moves to it, and nothing moves between the others.
    """
    return max(range(shards), key=lambda shard: _weight(what, shard))


def _weight(what: str, shard: int) -> int:
    return int.from_bytes(blake2b(f"{shard}\0{what}".encode("utf-8", "surrogatepass"), digest_size=8).digest())
