"""Versions of what foretells the next minutes of one policy: rows of the nowcast, one of which acts.

A row learns with every sample, so its history does not outgrow it and there is no fit once a day. What makes a new
version is drift, or a person: it begins as what acts, but with mixes that are learnt nearly anew, since their memory of
days is what holds on to a world that is gone. It lives in the shadow by the rules of every other version.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from aiops.core.lineage.contenders import LOOK_EVERY_MIN
from aiops.core.lineage.contest import KEPT, Record
from aiops.core.lineage.drift import EVERY_MIN, Drift, cover
from aiops.core.lineage.ranks import Ranks
from aiops.core.lineage.version import Role, Version, version_of
from aiops.core.model import Instant, PolicyKey
from aiops.core.nowcast import Seat, Shadows
from aiops.core.nowcast.nowcasts import STEP_S, Nowcasts
from aiops.errors import Conflict

SUFFIX = "next-minutes"
REST_S = 6 * 3600.0
"""After a version was made, drift makes none for so long: until then the last one has been judged."""

MOST_SHADOWS = 2
_COVERED_EVERY_MIN = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What the versions of every policy share. acting: the rows that act. follows: whether drift makes new versions."""

    shadows: Shadows
    acting: Callable[[], Nowcasts]
    code: str = ""
    follows: bool = False


class Row:
    """The row of one version, as a model of any kind is seen: in which rows, and at which place now."""

    name = "nowcast"
    version = Nowcasts.version

    def __init__(self, rows: Callable[[], Nowcasts], place: Callable[[], int]) -> None:
        self._rows, self._place = rows, place

    @property
    def history_s(self) -> float:
        """Return for how long its errors have been seen."""
        return float(self._rows().spreads[1].count[self._place()]) * STEP_S

    @property
    def learned(self) -> bool:
        """Return whether it may act: it has seen an hour of its own errors, and has skill."""
        return bool(self._rows().acts[self._place()])

    @property
    def skill(self) -> float | None:
        """Return 1 - its mean absolute error / that of the better of the last and the last season's value."""
        rows, place = self._rows(), self._place()
        return float(rows.skill[place]) if rows.spreads[1].count[place] else None

    @property
    def parameters(self) -> Mapping[str, str]:
        """Return what it is made of: its horizons, and the mix with which it looks one lead time ahead."""
        rows, place = self._rows(), self._place()
        near, lead = (int(steps * STEP_S) for steps in rows.steps[:, place])
        return {"horizons": f"{near} s, {lead} s", "mix": ", ".join(rows.told_mix(place))}


class NextMinutes(Ranks[Row]):
    """Changed in place. What acts is always the row of the policy: rows change places when a version is promoted."""

    def __init__(self, owner: PolicyKey, acting: Row, place: Callable[[], int], about: About) -> None:
        super().__init__(f"{owner}/{SUFFIX}", acting, about.code)
        self._owner, self._place, self._about = owner, place, about
        self._made_at = -math.inf
        self._size = 1.0  # losses are told in logarithms, which are shares already
        self._now = -math.inf

    def _parameters(self, model: Row) -> Mapping[str, str]:
        return model.parameters

    # -- the tick ----------------------------------------------------------------------------------------

    def begin(self, at: Instant, why: str) -> None:
        """Note that what acts is known from now on, or was learnt anew in its place."""
        self._now = at
        before = self.current
        if before is not None:
            self._leave(before, Role.RETIRED, at, "learnt anew in its place")
        self._add(self.champion, at, why, Role.CHAMPION)

    def minute(self, minute: int, at: Instant, seen: Mapping[int, tuple[float, float]]) -> None:
        """End a minute. seen: by version (0 acts) the mean loss, and how often values lay in the 80 % interval."""
        current = self.current
        if current is None:
            return
        self._now = at
        last, self._minute = self._minute, minute + 1
        column = minute % KEPT
        for number, record in self._records.items():
            if 0 <= last < minute:
                record.skip(last, minute)
            loss, inside = seen.get(0 if number == current.number else number, (math.nan, math.nan))
            record.losses[column], record.inside[column] = loss, inside
        self._watch(minute, at, self._records[current.number])
        if self._shadow and minute % LOOK_EVERY_MIN == 0:
            self._decide(at)

    def _watch(self, minute: int, at: Instant, record: Record) -> None:
        # each policy at a minute of its own, so that a thousand are not looked at in one turn
        own = minute - self._place()
        if own % EVERY_MIN:
            return
        covered = None if own % _COVERED_EVERY_MIN else cover(record, minute)
        why = self._drift.look(at, own, float(record.losses[minute % KEPT]), covered)
        if why and self._about.follows and at - self._made_at >= REST_S:
            self._try(at, f"drift: {why}")

    def _try(self, at: Instant, why: str) -> None:
        while len(self._shadow) >= MOST_SHADOWS:
            self._leave(self._one(min(self._shadow)), Role.REFUSED, at, "a newer version is tried")
        self._made_at = at
        # its row is there before it is described, and its number is the next one
        number = 1 + max((one.number for one in self.versions), default=0)
        self._about.shadows.add(Seat(self._owner, number), self._about.acting(), self._place())
        model = self._row(number)
        made = self._add(model, at, why, Role.CHALLENGER)
        self._shadow[made.number] = model
        self._tell(made.number, "challenges", why)

    def _row(self, number: int) -> Row:
        shadows = self._about.shadows
        return Row(lambda: shadows.rows, lambda: shadows.seats.index(Seat(self._owner, number)))

    # -- who acts ----------------------------------------------------------------------------------------

    def _crown(self, one: Version, now: Instant, why: str) -> None:
        before, acting = self.current, self.champion
        if before is None:
            raise Conflict(f"{self.policy}: nothing acts yet")
        super()._crown(one, now, why)
        # the rows change places; who acts is always the row of the policy
        self._about.shadows.swap(Seat(self._owner, one.number), self._about.acting(), self._place(), before.number)
        self.champion = acting
        self._shadow[before.number] = self._row(before.number)

    def _leave(self, one: Version, role: Role, now: Instant, why: str) -> None:
        super()._leave(one, role, now, why)
        self._about.shadows.drop((Seat(self._owner, one.number),))

    def refit(self, why: str) -> None:
        """Let a version with mixes learnt nearly anew begin in the shadow; raise Conflict before anything acts."""
        if self.current is None:
            raise Conflict(f"{self.policy}: nothing has been learnt yet")
        self._try(self._now, why)

    # -- checkpoints -------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return the versions for a checkpoint, as JSON has them."""
        versions = [asdict(one) for one in self.versions]
        about = {"made_at": _known(self._made_at), "minute": self._minute, "drift": self._drift.state()}
        return {"versions": versions, **about}

    def records(self) -> Mapping[int, Record]:
        """Return the records of who acts or is judged, by version."""
        return self._records

    def resume(self, state: Mapping[str, Any], records: Mapping[int, Record]) -> None:
        """Take the state of a checkpoint; a version whose row is not there any more is retired. ValueError: misfit."""
        try:
            versions = tuple(version_of(fields) for fields in state["versions"])
            made_at, minute = state["made_at"], int(state.get("minute", -1))
            drift = Drift.of(state["drift"]) if "drift" in state else Drift()
        except (KeyError, TypeError, ValueError) as err:
            raise ValueError(f"the versions of {self.policy} cannot be read: {err!r}") from err
        self.versions, self._made_at = versions, -math.inf if made_at is None else float(made_at)
        self._drift = drift
        self._minute = minute  # what was missed since is known to be missing
        self._shadow, self._records = {}, {}
        for one in versions:
            if one.role.in_shadow and Seat(self._owner, one.number) not in self._about.shadows.seats:
                self._leave(one, Role.RETIRED, one.since, "not readable after a restart")
            elif one.role is Role.CHAMPION or one.role.in_shadow:
                self._records[one.number] = records.get(one.number, Record())
                if one.role.in_shadow:
                    self._shadow[one.number] = self._row(one.number)


def _known(at: Instant) -> Instant | None:
    return at if math.isfinite(at) else None
