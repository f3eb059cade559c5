"""Services that call each other or are tried again, moved on together, second by second.

In each second callers go first: what they serve is what those beneath are asked for. The way back takes a second: a
caller's requests are as slow and fail as often as the calls of the second before. A caller's pods are not held up while
they wait for an answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from aiops.core.model import Instant
from simulators.calls import Answering, Times, called
from simulators.retries import Retries, in_the_end
from simulators.service import Tally

if TYPE_CHECKING:
    from simulators.world import Service

MESH_S = 1.0


class _Node:
    """A service among those that it calls."""

    def __init__(self, service: Service, step_s: float) -> None:
        self.service = service
        self.queue = service.sim.queue
        self.queue.coupled = True
        self.calls: list[tuple[float, _Node]] = []
        self.answering = Answering(0.0, Times(1.0, service.spec.service_s, service.spec.service_s**2))
        self.coming = 0.0
        self._answers: list[tuple[float, Answering]] = []
        spec = service.spec.retries
        self._retries = None if spec is None else Retries(spec, step_s)

    def turn(self, at: Instant, seconds: float) -> None:
        """Serve what comes, and hand on what it asks of others."""
        tries = [self.coming, *(self._retries.take() if self._retries is not None else ())]
        self.coming, total = 0.0, sum(tries)
        self.queue.first_ratio = tries[0] / total if total > 0.0 else 1.0
        answers = [(ratio, node.answering) for ratio, node in self.calls]
        if answers and answers != self._answers:
            self._answers, self.queue.beneath = answers, called(answers)
        before = self.queue.tally()
        self.service.sim.flow(at, seconds, total / seconds)
        after = self.queue.tally()
        asking = (after.worked - before.worked) * (1.0 - self.queue.error_ratio)
        for ratio, node in self.calls:
            node.coming += asking * ratio
        self._look_back(tries, Tally(*(late - early for late, early in zip(after, before, strict=True))))

    def _look_back(self, tries: list[float], done: Tally) -> None:
        """See how this second's requests went: some come again, and callers feel it."""
        if done.came <= 0.0:
            return
        failed, late = min(1.0, done.failed / done.came), min(1.0, done.late / done.came)
        wrong = min(1.0, failed + late)
        mean_s = done.time_s / done.admitted if done.admitted > 0.0 else 0.0
        square_s2 = done.time_s2 / done.admitted if done.admitted > 0.0 else 0.0
        times = Times(1.0 - wrong, mean_s, max(0.0, square_s2 - mean_s * mean_s))
        if self._retries is None:
            self.answering = Answering(wrong, times)
        else:
            self._retries.again(tries, failed, wrong - failed)
            self.answering = in_the_end(wrong, times, self._retries.spec)


class Mesh:
    """The services that cannot be moved on one by one. step_s: the world's."""

    def __init__(self, services: Sequence[Service], step_s: float) -> None:
        self._pieces = max(1, round(step_s / MESH_S))
        self._piece_s = step_s / self._pieces
        nodes = {one.spec.name: _Node(one, self._piece_s) for one in services}
        for node in nodes.values():
            node.calls = [(call.ratio, nodes[call.service]) for call in node.service.spec.calls]
        self._nodes = [nodes[name] for name in callers_first({name: _names(node) for name, node in nodes.items()})]

    def advance(self, start: Instant, rates: Mapping[str, float]) -> None:
        """Let one step of the world go by. rates: requests per second from outside, by `namespace/name`."""
        for node in self._nodes:
            node.service.begin(start)
        for piece in range(self._pieces):
            for node in self._nodes:
                node.coming += rates[node.service.key] * self._piece_s
                node.turn(start + piece * self._piece_s, self._piece_s)
        for node in self._nodes:
            node.service.finish(start, self._pieces * self._piece_s)


def _names(node: _Node) -> list[str]:
    return [one.service.spec.name for _, one in node.calls]


def callers_first(calls: Mapping[str, Iterable[str]]) -> list[str]:
    """Return the names in an order in which no service comes before one that calls it; raise ValueError on a circle.

    >>> callers_first({"database": [], "frontend": ["checkout"], "checkout": ["database"]})
    ['frontend', 'checkout', 'database']
    """
    done: list[str] = []
    open_names: list[str] = []

    def visit(name: str) -> None:
        if name in open_names:
            raise ValueError(" -> ".join([*open_names[open_names.index(name) :], name]))
        if name in done:
            return
        open_names.append(name)
        for beneath in calls[name]:
            visit(beneath)
        open_names.pop()
        done.append(name)

    for name in calls:
        visit(name)
    return done[::-1]
