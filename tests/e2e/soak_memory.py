"""Whether a daemon stays as large as it is: its memory, descriptors and threads over the life of one process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from tests.e2e.processes import Process

SAMPLE_S, EVERY_S = 15.0, 120.0
"""How often a sample is taken, and how often one is shown."""
WARM_S = 480.0
"""The first minutes of a process, in which things happen to it for the first time.

Imports, caches and pools fill up, and the allocator takes what the largest of everything needs at once. Without faults
that is over after some hundred turns. Under faults it goes on until each of their kinds has come a few times: turned
ten times a second under a fault every three seconds, a daemon grew from 115.7 to 117.1 MB within the first 50 of them,
and by 0.1 MB with the next 20. In a soak a fault comes every 16 s.
"""
LONG_ENOUGH_S = 360.0
"""After these minutes of warmth a life is long enough for a line; of a shorter one nothing is said."""
MOST_MB_PER_HOUR = 10.0
"""What a life of minutes can tell from noise: 2.8 kB for each turn of 1 s, or 40 kB for each fault.

A day of turns tells more: see MOST_BYTES_A_TURN.
"""
NOISE_MB = 1.5
"""The allocator takes and keeps whole arenas (1 MB): a rise that small says nothing, whatever its slope."""
WARM_TURNS = 1500
MOST_BYTES_A_TURN = 400.0
"""Over a day of turns without faults (test_memory.py), after the first: 2.3 MB a day. A leak of 1 kB is twice that.

Measured: 154 bytes, of which the changes of the last hour are kept (at ten turns a second more than a day's), and 1,728
with the leak. Memory is judged by the turn and not by the hour: tests turn more often than the 15 s of production.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What a process was at one time."""

    at: float
    rss_mb: float
    descriptors: int
    threads: int


@dataclass(slots=True, kw_only=True)
class Life:
    """One process, sampled until it ended."""

    name: str
    pid: int
    born: float
    samples: list[Sample] = field(default_factory=list)

    def look(self, process: Process, now: float) -> None:
        """Take a sample; none of a process that ends meanwhile."""
        try:
            sample = Sample(
                at=now,
                rss_mb=process.rss_bytes() / 1e6,
                descriptors=process.descriptors(),
                threads=process.threads(),
            )
        except (OSError, IndexError):
            return
        self.samples.append(sample)

    @property
    def warm(self) -> list[Sample]:
        """Return the samples after the first minutes."""
        return [one for one in self.samples if one.at - self.born >= WARM_S]

    @property
    def judged(self) -> bool:
        """Return whether the life is long enough to be judged."""
        warm = self.warm
        return len(warm) >= 10 and warm[-1].at - warm[0].at >= LONG_ENOUGH_S

    def slope(self) -> tuple[float, float, float]:
        """Return megabytes per hour, after the first minutes: its median and its 95 % interval."""
        warm = self.warm
        return theil_sen([one.at / 3600.0 for one in warm], [one.rss_mb for one in warm])

    def growth(self) -> list[str]:
        """Return what grows: nothing, if all is well.

        Memory grows when even the low end of the slope's interval is above the most that is allowed, and the last third
        of the samples lies above the first by more than noise. Descriptors and threads come and go with connections;
        they grow when the fewest of the last third are more than the most of the first.
        """
        if not self.judged:
            return []
        found = []
        middle, low, _ = self.slope()
        risen_mb = _median(self._last(_rss)) - _median(self._first(_rss))
        if low > MOST_MB_PER_HOUR and risen_mb > NOISE_MB:
            found.append(f"memory of {self} grows by {middle:.1f} MB/h (at least {low:.1f}), {risen_mb:.1f} MB so far")
        for what, of in (("descriptors", _descriptors), ("threads", _threads)):
            least, most = min(self._last(of)), max(self._first(of))
            if least > most:
                found.append(f"{what} of {self} grow: at most {most:.0f} at first, at least {least:.0f} in the end")
        return found

    def _first(self, of: Callable[[Sample], float]) -> Sequence[float]:
        warm = self.warm
        return [of(one) for one in warm[: len(warm) // 3]]

    def _last(self, of: Callable[[Sample], float]) -> Sequence[float]:
        warm = self.warm
        return [of(one) for one in warm[-(len(warm) // 3) :]]

    def row(self) -> str:
        """Return a line of a table."""
        if not self.samples:
            return f"  {self}: never seen"
        first, last = self.samples[0], self.samples[-1]
        line = f"  {self}: {first.rss_mb:.1f} -> {last.rss_mb:.1f} MB in {(last.at - self.born) / 60:.1f} min"
        counts = [one.descriptors for one in self.samples]
        threads = [one.threads for one in self.samples]
        line += f", descriptors {min(counts)} to {max(counts)} (now {counts[-1]})"
        line += f", threads {min(threads)} to {max(threads)} (now {threads[-1]})"
        if not self.judged:
            return f"{line}; too short for a line"
        middle, low, high = self.slope()
        every = [f"{one.rss_mb:.1f}" for one in self.samples[:: round(EVERY_S / SAMPLE_S)]]
        line += f"; warm slope {middle:+.1f} MB/h (95 %: {low:+.1f} to {high:+.1f})"
        return f"{line}\n    MB every {EVERY_S / 60:.0f} minutes: {' '.join(every)}"

    def __str__(self) -> str:
        """Return which process."""
        return f"{self.name} ({self.pid})"


@dataclass(slots=True)
class Turning:
    """One process by its turns: how often it had turned, and how large it was then, in bytes."""

    pid: int
    looks: list[tuple[int, int]] = field(default_factory=list)

    def note(self, turns: int, rss_bytes: int) -> None:
        """Keep a look."""
        self.looks.append((turns, rss_bytes))

    @property
    def turns(self) -> int:
        """Return how often it has turned by the last look."""
        return self.looks[-1][0] if self.looks else 0

    def slope(self) -> tuple[float, float, float]:
        """Return bytes a turn after the first WARM_TURNS: the median and its 95 % interval."""
        warm = [look for look in self.looks if look[0] >= WARM_TURNS]
        return theil_sen([turns for turns, _ in warm], [rss for _, rss in warm])

    @property
    def grows(self) -> bool:
        """Return whether even the low end of the slope's interval is above the most that is allowed."""
        return self.slope()[1] > MOST_BYTES_A_TURN

    def __str__(self) -> str:
        """Return the slope, and some of the looks."""
        middle, low, high = self.slope()
        shown = self.looks[:: max(1, len(self.looks) // 12)]
        sizes = " ".join(f"{turns}:{rss / 1e6:.2f}" for turns, rss in (*shown, self.looks[-1]))
        return f"{middle:+.0f} bytes a turn (95 %: {low:+.0f} to {high:+.0f}); turns:MB {sizes}"


def _rss(one: Sample) -> float:
    return one.rss_mb


def _descriptors(one: Sample) -> float:
    return one.descriptors


def _threads(one: Sample) -> float:
    return one.threads


def _median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


def theil_sen(x: Sequence[float], y: Sequence[float]) -> tuple[float, float, float]:
    """Return the median of the slopes of all pairs, and its 95 % interval (Sen 1968, without ties)."""
    n = len(x)
    first, second = np.triu_indices(n, 1)
    xs, ys = np.asarray(x), np.asarray(y)
    slopes = np.sort((ys[second] - ys[first]) / (xs[second] - xs[first]))
    half = 1.96 * np.sqrt(n * (n - 1) * (2 * n + 5) / 18.0) / 2.0
    low = max(0, int(np.floor(len(slopes) / 2.0 - half)))
    high = min(len(slopes) - 1, int(np.ceil(len(slopes) / 2.0 + half)))
    return float(np.median(slopes)), float(slopes[low]), float(slopes[high])
