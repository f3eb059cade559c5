"""Who acts among the versions of one model, who is judged in its shadow, and who replaces whom: the ranks and records.

What a version is made of, how it learns and where it is kept is told by `lineage` (a forecast of its own) and by
`next_minutes` (a row of many).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Generic, Protocol, TypeVar

from aiops.core.lineage import contest
from aiops.core.lineage.contenders import Move, Verdict, verdict
from aiops.core.lineage.contest import Record
from aiops.core.lineage.drift import Drift, Drifted
from aiops.core.lineage.version import Role, Scores, Told, Version
from aiops.core.model import Instant, PolicyKey
from aiops.errors import Conflict

MOST_VERSIONS = 20
"""How many are told of; who acts or is judged is never forgotten."""


class Judged(Protocol):
    """What is known of a model of any kind."""

    @property
    def name(self) -> str:
        """Return what kind it is."""
        ...

    @property
    def version(self) -> int:
        """Return the version of its code's state."""
        ...

    @property
    def history_s(self) -> float:
        """Return how much history it has seen."""
        ...

    @property
    def learned(self) -> bool:
        """Return whether it may act."""
        ...

    @property
    def skill(self) -> float | None:
        """Return how much better it is than what needs no model, None while unknown."""
        ...


M = TypeVar("M", bound=Judged)


class Ranks(ABC, Generic[M]):
    """Versions of one policy's model. Changed in place. counts: of what happened to versions, in this process."""

    def __init__(self, policy: PolicyKey, champion: M, code: str) -> None:
        self.policy, self.code = policy, code
        self.champion = champion
        self.versions: tuple[Version, ...] = ()
        self.told: list[Told] = []
        self._shadow: dict[int, M] = {}
        self._records: dict[int, Record] = {}
        self._drift = Drift()
        self._minute = -1
        self._size = 0.0
        self.counts: dict[str, int] = {}

    # -- who there is ------------------------------------------------------------------------------------

    @property
    def current(self) -> Version | None:
        """Return the champion's version, None before anything was seen."""
        return next((one for one in self.versions if one.role is Role.CHAMPION), None)

    def _one(self, number: int) -> Version:
        found = next((one for one in self.versions if one.number == number), None)
        if found is None:
            known = ", ".join(str(one.number) for one in self.versions) or "none"
            raise Conflict(f"{self.policy} has no version {number}; there are {known}")
        return found

    def _put(self, one: Version) -> None:
        self.versions = tuple(one if old.number == one.number else old for old in self.versions)

    def _add(self, model: M, now: Instant, why: str, role: Role) -> Version:
        number = 1 + max((one.number for one in self.versions), default=0)
        parent = self.current
        made = Version(
            number=number,
            model=model.name,
            code=f"{model.name}-v{model.version}{f' of {self.code}' if self.code else ''}",
            made_at=now,
            why=why,
            window=self._window(model, now),
            parent=0 if parent is None else parent.number,
            parameters=self._parameters(model),
            role=role,
            since=now,
        )
        kept = [one for one in self.versions if one.role is Role.CHAMPION or one.role.in_shadow]
        rest = [one for one in self.versions if one not in kept][-max(0, MOST_VERSIONS - 1 - len(kept)) :]
        self.versions = tuple(sorted((*kept, *rest, made), key=lambda one: one.number))
        self._records[number] = Record()
        return made

    def _window(self, model: M, now: Instant) -> tuple[Instant, Instant]:
        """Return between which instants lies what a version was made of."""
        return (now - model.history_s, now)

    @abstractmethod
    def _parameters(self, model: M) -> Mapping[str, str]:
        """Return what a version is made of, in words."""

    def _models(self) -> dict[int, M]:
        current = self.current
        return dict(self._shadow) if current is None else {current.number: self.champion, **self._shadow}

    @property
    def drifted(self) -> Drifted | None:
        """Return that the errors of who acts are not what they were, None while they are."""
        return self._drift.stands

    @property
    def drift(self) -> str:
        """Return why that is so, '' while it is not."""
        found = self.drifted
        return "" if found is None else found.why

    # -- decisions ---------------------------------------------------------------------------------------

    def scores(self) -> Mapping[int, Scores]:
        """Return how every version that acts or is judged has done, by number."""
        current = self.current
        if current is None or current.number not in self._records:
            return {}
        return contest.table(self._records, current.number, self._minute - 1, self._size)

    def _decide(self, now: Instant) -> None:
        found = self.scores()
        for number in sorted(self._shadow):
            one = replace(self._one(number), scores=found[number])
            self._put(one)
            said = verdict(one, now, refit=one.model == self.champion.name)
            if said is not None:
                self._follow_verdict(one, said, now)
                return  # who is left is judged against the new champion

    def _follow_verdict(self, one: Version, said: Verdict, now: Instant) -> None:
        match said.move:
            case Move.PROMOTE | Move.ROLL_BACK:
                self._crown(one, now, said.why)
                self._tell(one.number, "promoted" if said.move is Move.PROMOTE else "rolled back to", said.why)
            case Move.REFUSE:
                self._leave(one, Role.REFUSED, now, said.why)
                self._tell(one.number, "refused", said.why)
            case Move.RETIRE:
                self._leave(one, Role.RETIRED, now, said.why)

    def _crown(self, one: Version, now: Instant, why: str) -> None:
        """Let a version in the shadow act; who acted until now is watched for a while."""
        before, found = self.current, self.scores()
        old = self.champion
        self.champion = self._shadow.pop(one.number)
        for other in [each for each in self.versions if each.role is Role.PREDECESSOR and each.number != one.number]:
            self._leave(other, Role.RETIRED, now, "another one has taken its place")
        if before is not None:
            scores = found.get(before.number, Scores())
            self._put(replace(before, role=Role.PREDECESSOR, since=now, detail=f"replaced: {why}", scores=scores))
            self._shadow[before.number] = old
        self._put(replace(one, role=Role.CHAMPION, since=now, detail=why, scores=found.get(one.number, one.scores)))
        self._drift = Drift()

    def _leave(self, one: Version, role: Role, now: Instant, why: str) -> None:
        self._shadow.pop(one.number, None)
        self._records.pop(one.number, None)
        self._put(replace(one, role=role, since=now, detail=why))

    def _tell(self, number: int, what: str, why: str) -> None:
        self.told.append(Told(number, what, why))
        self.counts[what] = self.counts.get(what, 0) + 1

    # -- people ------------------------------------------------------------------------------------------

    def promote(self, number: int, why: str, now: Instant) -> None:
        """Let a version that is in the shadow act at once; raise Conflict for another one."""
        one = self._one(number)
        if not one.role.in_shadow:
            raise Conflict(f"version {number} of {self.policy} is {one.role.value}: only one in the shadow can act")
        self._crown(one, now, why)
        self._tell(number, "promoted", why)

    def roll_back(self, why: str, now: Instant) -> int:
        """Let the predecessor act again, and return its number; raise Conflict when there is none any more."""
        one = next((each for each in self.versions if each.role is Role.PREDECESSOR), None)
        if one is None:
            raise Conflict(f"no predecessor of {self.policy}'s model is kept: it is for a day after a promotion")
        self._crown(one, now, why)
        self._tell(one.number, "rolled back to", why)
        return one.number

    @abstractmethod
    def refit(self, why: str) -> None:
        """Ask for a fit; raise Conflict where nothing is fitted or nobody fits."""
