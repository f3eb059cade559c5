"""Learning from history, beside the loop."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, TypeAlias

import numpy as np

from aiops.core.bank import Bank
from aiops.core.lineage.version import FitResult
from aiops.core.lookahead import Lookahead
from aiops.core.model import F64, Instant, PolicyKey
from aiops.core.policies import PolicySet, SignalQuery, WatchQuery
from aiops.errors import PortError, TooMuch
from aiops.ports import History, Matrix, Trainer

_LOG = logging.getLogger("aiops.loop")

Lock: TypeAlias = AbstractContextManager[Any]

BACKFILL_STEP_S = 60.0
LEAST_S = 1800.0
"""A history that is shorter teaches nothing that is not lived through soon."""


def backfill(bank: Bank, policies: PolicySet, history: History, span: tuple[Instant, Instant], lock: Lock) -> list[str]:
    """Let the models learn what was between two instants, and return what could not be learnt, with the reason.

    The lock is held while the bank learns, and not while the history is asked.
    """
    start, now = span
    missed = []
    soon: dict[PolicyKey, tuple[F64, F64]] = {}
    asked: dict[tuple[str, float], Matrix] = {}
    for policy in policies.scaling:
        if policy.forecast is None:
            continue
        query = policy.signals[policy.objective.demand].query
        since = now - policy.forecast.history_s
        try:
            # versions of a policy ask the same: once
            past = asked.get((query.expr, since)) or _past(history, query, since, now)
        except PortError as err:
            missed.append(f"{policy.key}: {err}")
            continue
        asked[query.expr, since] = past
        values = past.values[0] if len(past.values) else past.times * np.nan
        if policy.forecast.by_slo:
            soon[policy.key] = (past.times, values)
        with lock:
            bank.backfill_demand(policy.key, past.times, values)
    if soon and not bank.knows_soon:
        learnt = _lived(policies, soon, now)
        with lock:
            bank.adopt_soon(learnt)
    for watch in policies.watches:
        try:
            past = _past(history, watch.query, max(start, now - watch.history_s), now)
        except PortError as err:
            missed.append(f"{watch.key}: {err}")
            continue
        with lock:
            bank.backfill_watch(past.times, past.values, past.index)
    return missed


def _past(history: History, query: SignalQuery | WatchQuery, start: Instant, now: Instant) -> Matrix:
    """Return what was since `start`, or of so many series since when it is not too much: what is newer teaches more."""
    while True:
        try:
            return history.range(query, start, now, BACKFILL_STEP_S)
        except TooMuch as err:
            if now - start < 2 * LEAST_S:
                raise
            start = now - math.floor((now - start) / 2 / BACKFILL_STEP_S) * BACKFILL_STEP_S
            _LOG.warning("history_shortened", extra={"query": query.expr, "to_s": now - start, "reason": str(err)})


def _lived(policies: PolicySet, soon: Mapping[PolicyKey, tuple[F64, F64]], now: Instant) -> Lookahead:
    """Return the next minutes as they would be known, had the last days been lived through; takes some seconds."""
    learnt = Lookahead()
    learnt.follow(policies)
    leads = {policy.key: policy.forecast.lead_s for policy in policies.scaling if policy.forecast is not None}
    learnt.learn_history(soon, now, leads)
    return learnt


def train(bank: Bank, trainer: Trainer, now: Instant) -> None:
    """Take the fits that are done, and ask for those that are due; a turn waits for none of them."""
    for result in trainer.finished():
        bank.take(result, now)
    for job in bank.jobs(now):
        why = trainer.submit(job)
        if why:
            bank.take(FitResult(job=job, fitted=None, error=why), now)
    for lineage in bank.lineages.values():
        for one in lineage.told:
            about = {"policy": lineage.policy, "version": one.number, "what": one.what, "why": one.why}
            _LOG.info("model_version", extra=about)
        lineage.told.clear()
