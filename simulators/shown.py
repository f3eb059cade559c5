"""What small worlds show: signals one by one, without watched series, and objects one by one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

import numpy as np

from aiops.core.model import Answer, Frame, Instant, Looked, SeenObject, Selection, SeriesIndex, TargetRef, Wanted
from aiops.core.policies import SignalQuery, WatchQuery
from aiops.ports import Observation


class SignalSource(ABC):
    """ports.Source of a world that nobody watches."""

    def read(self, signals: Sequence[SignalQuery], watches: Sequence[WatchQuery], at: Instant) -> Observation:
        """Answer each signal, and no series."""
        answers: dict[str, dict[str, Answer]] = {}
        for query in signals:
            answers.setdefault(query.policy, {})[query.name] = self._answer(query, at)
        empty = Frame(at=at, index=SeriesIndex(keys=(), labels=()), values=np.zeros(0), learn=np.zeros(0, np.bool_))
        return Observation(answers=answers, frame=empty)

    @abstractmethod
    def _answer(self, query: SignalQuery, at: Instant) -> Answer: ...


class Objects(ABC):
    """The reading part of ports.Cluster, where every object can be read at every time."""

    def look(self, wanted: Wanted, at: Instant) -> Looked:
        """Return the objects that are asked for, and nothing else."""
        found = {ref.key: one for ref in wanted.objects if (one := self._one(ref, at)) is not None}
        return Looked(objects=found, selections={one.key: tuple(self._several(one, at)) for one in wanted.selections})

    @abstractmethod
    def _one(self, ref: TargetRef, at: Instant) -> SeenObject | None: ...

    @abstractmethod
    def _several(self, one: Selection, at: Instant) -> Iterable[SeenObject]: ...
