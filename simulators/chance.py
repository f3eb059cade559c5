"""Chance as an argument: one seed, many independent streams, each named by its purpose.

Two runs with the same seed see the same load, noise and start-up times whatever they decide, because no stream is
shared between purposes; runs can so be compared in pairs.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Chance:
    """A seed from which generators are made by name."""

    seed: int

    def stream(self, *words: str | int) -> np.random.Generator:
        """Return a fresh generator for a purpose; the same words give the same numbers.

        >>> a, b = Chance(1).stream("load", "checkout"), Chance(1).stream("load", "checkout")
        >>> bool(a.random() == b.random()), bool(a.random() == Chance(2).stream("load", "checkout").random())
        (True, False)
        """
        text = "\x1f".join(str(word) for word in (self.seed, *words))
        digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
        return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "big")))
