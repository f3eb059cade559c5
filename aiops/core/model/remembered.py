"""What policies of plans remember from tick to tick: the health of sites, and how far a remediation has gone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from aiops.core.model.looked import Wanted
from aiops.core.model.names import Instant
from aiops.core.model.observed import SignalMemory
from aiops.core.model.swift import swift


class Health(StrEnum):
    """What is known of a site. `inconclusive` is a verdict of its own, and a person's to resolve (S8)."""

    WELL = "well"
    SICK = "sick"
    INCONCLUSIVE = "inconclusive"


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """What was counted in the `length_s` before `end`: of requests to a site from one place, or to a revision."""

    end: Instant
    length_s: float
    failed: float
    asked: float


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Spell:
    """Requests that fail without a break, as one vantage point sees one site. lasted_s: for how long.

    failed, asked: how many of how many. evidence: the log-likelihood ratio of failing against well; beyond: the same
    without the worst stretch that could be a blip. over: of its having ended against its going on. trail: the evidence
    at each `lasted_s` of late.
    """

    lasted_s: float = 0.0
    failed: float = 0.0
    asked: float = 0.0
    evidence: float = 0.0
    beyond: float = 0.0
    over: float = 0.0
    trail: tuple[tuple[float, float], ...] = ()


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How one vantage point sees one site. at: of the newest reading, informed_at: of the newest with new requests.

    step_s: between the two newest readings. pieces: of the queries' window, oldest first. share: of the newest
    requests, those that failed; NaN before any. failed_s: for how long requests failed, as if all had, less what health
    forgave; apart_s: the same beyond what other sites suffer as seen from there. evidence, apart_evidence:
    log-likelihood ratios of failing against well, and against failing as other sites do. spell: of failure, apart from
    other sites. bad: failing is confirmed.
    """

    at: Instant = -math.inf
    informed_at: Instant = -math.inf
    step_s: float = 0.0
    pieces: tuple[Piece, ...] = ()
    share: float = math.nan
    failed_s: float = 0.0
    apart_s: float = 0.0
    evidence: float = 0.0
    apart_evidence: float = 0.0
    spell: Spell = Spell()
    bad: bool = False


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class SiteState:
    """The health of one site, since when; well_since: well without a break since, infinite while it is not.

    good_since: since when enough vantage points say good, infinite while some say bad; good_at: when they last did.
    sick_at: when it was last sick without having been well again.
    """

    health: Health = Health.INCONCLUSIVE
    since: Instant = math.inf
    well_since: Instant = math.inf
    good_since: Instant = math.inf
    good_at: Instant = -math.inf
    sick_at: Instant = -math.inf


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class GroupState:
    """What a FailoverPolicy carries. sites: by name. views: by `SITE@VANTAGE`. wanted: see `Wanted`; never more.

    moved_at: when a failover last moved traffic. weights: percent by backend as they were last seen. override_until:
    how long weights that a person wrote are respected. trouble_since: since when users may be failing and it is not
    known, infinite while it is. paged: when people were last told what, while that is not forgotten.
    """

    sites: Mapping[str, SiteState] = field(default_factory=dict)
    views: Mapping[str, View] = field(default_factory=dict)
    signals: Mapping[str, SignalMemory] = field(default_factory=dict)
    moved_at: Instant = -math.inf
    weights: tuple[tuple[str, int], ...] = ()
    override_until: Instant = -math.inf
    trouble_since: Instant = math.inf
    paged: Mapping[str, Instant] = field(default_factory=dict)
    wanted: Wanted = field(default_factory=Wanted)
    fingerprint: str = ""
    decision_id: str = ""


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectState:
    """How far the ladder has been climbed for one subject: `rung` is the next one, not before `not_before`.

    since: since when trouble has been seen, infinite while it is not. known: whether that could be told at the last
    look. calm_since: since when none was seen, infinite while some is. tries: when the ladder was begun lately: the end
    of its first plan, oldest first. counted_at: plans that ended until then are in here. breaker_until: nothing is
    tried before.
    episodes: alerts that stand for the trouble, by fingerprint and start; answered: those that are over, newest last.
    tried_out: the breaker was open for this trouble, so that a person is asked. settled: a dry run has told what it
    would do. harmful: rungs that did harm and were taken back. cordoned: whether we made the node unschedulable, and
    have not taken it back.
    """

    rung: int = 0
    since: Instant = math.inf
    not_before: Instant = -math.inf
    known: bool = True
    calm_since: Instant = math.inf
    tries: tuple[Instant, ...] = ()
    counted_at: Instant = -math.inf
    breaker_until: Instant = -math.inf
    episodes: tuple[str, ...] = ()
    answered: tuple[str, ...] = ()
    tried_out: bool = False
    settled: bool = False
    harmful: tuple[int, ...] = ()
    cordoned: bool = False

    @property
    def attempts(self) -> int:
        """Return how often the ladder was begun lately."""
        return len(self.tries)


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutState:
    """Two revisions of a workload that are compared while one takes over from the other, by their template's hash.

    log_evidence: for each rate ratio of the mixture, the logarithm of its likelihood over that of the null hypothesis.
    p_value: always valid, the least so far. bad, total: what was counted so far of the new and of the old one.
    pieces: of the queries' window, oldest first; the newest of them is no evidence yet. weighed_until: the end of the
    last piece of the new one that is evidence. alone: of the new one, what it was asked without the old one and is
    compared with what the old one had been asked before, `spare`: that which was compared with nothing else.
    """

    new: str = ""
    old: str = ""
    since: Instant = math.inf
    at: Instant = -math.inf
    log_evidence: tuple[float, ...] = ()
    p_value: float = 1.0
    new_bad: float = 0.0
    new_total: float = 0.0
    old_bad: float = 0.0
    old_total: float = 0.0
    new_pieces: tuple[Piece, ...] = ()
    old_pieces: tuple[Piece, ...] = ()
    weighed_until: Instant = -math.inf
    alone_bad: float = 0.0
    alone_total: float = 0.0
    spare_bad: float = 0.0
    spare_total: float = 0.0


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class LadderState:
    """What a RemediationPolicy carries. subjects: by the key of what is remedied, those in trouble now or lately.

    wanted: see `Wanted`. history: of the signals that are foreseen or verified, oldest first, bounded. storm_since:
    since when too much is sick, infinite while it is not; well_since: since when that is over again. paged: when people
    were last told what, while that is not forgotten.
    """

    subjects: Mapping[str, SubjectState] = field(default_factory=dict)
    signals: Mapping[str, SignalMemory] = field(default_factory=dict)
    wanted: Wanted = field(default_factory=Wanted)
    history: Mapping[str, tuple[tuple[Instant, float], ...]] = field(default_factory=dict)
    rollout: RolloutState = field(default_factory=RolloutState)
    storm_since: Instant = math.inf
    well_since: Instant = math.inf
    paged: Mapping[str, Instant] = field(default_factory=dict)
    fingerprint: str = ""
    decision_id: str = ""
