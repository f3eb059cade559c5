"""Ten thousand random lives of a namespace that sleeps: whether what slept was ever lost, and what happened in them.

    python -m benchmarks.sleep_lives [LIVES] [FIRST_SEED]

Each life is a random interleaving of turns of the own pipeline with edits by people (replicas, records, deletion,
backups, rollbacks), crashes between any two steps, answers that are lost, requests that arrive late, a second process,
a lost journal, stale looks, clocks that are set, policies that are edited. tests/sleeping_lives.py is the world.
"""

from __future__ import annotations

import sys
import time
from collections import Counter

from tests.sleeping_lives import lived
from tests.sleeping_oracle import Lost

MOMENTS = 20
"""How much happens in a life; the tests live 30."""


def main(lives: int = 10_000, first: int = 0) -> int:
    """Live, print what happened, and return how many lives lost something."""
    happened: Counter[str] = Counter()
    lost: list[str] = []
    began = time.monotonic()
    for number, seed in enumerate(range(first, first + lives), 1):
        try:
            happened += lived(seed, MOMENTS).happened
        except Lost as err:
            lost.append(str(err))
        if number % 500 == 0:
            print(f"{number} lives, {len(lost)} lost, {time.monotonic() - began:.0f} s", flush=True)
    for name, count in sorted(happened.items()):
        print(f"  {name:<40} {count:>8}")
    print(f"{lives} lives: {happened['rested']} rests, {happened['woken']} wakes, {len(lost)} lives lost something")
    for one in lost[:3]:
        print(one)
    return len(lost)


if __name__ == "__main__":
    sys.exit(min(1, main(*(int(one) for one in sys.argv[1:]))))
