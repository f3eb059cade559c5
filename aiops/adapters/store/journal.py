"""Writing: ticks with their intents before anything is sent, and what became of them (S6).

Writes are gathered and committed every `batch` ticks, or at once when a tick carries an action that will be sent. Of
several processes only the one whose epoch is in force commits anything: the fence is checked in the same transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, insert, select, update

from aiops.adapters.store import fence
from aiops.adapters.store.audit import chain
from aiops.adapters.store.audited import Auditor
from aiops.adapters.store.carried import Carried, loaded, put
from aiops.adapters.store.database import insert_absent, translated, writing
from aiops.adapters.store.rows import (
    Row,
    action_row,
    decision_row,
    finding_row,
    incident_row,
    outcome_row,
    packed,
    result_row,
    sample_row,
    unpacked,
)
from aiops.adapters.store.tables import (
    ACTIONS,
    DECISIONS,
    DOCUMENTS,
    FINDINGS,
    INCIDENTS,
    INPUTS,
    OUTCOMES,
    SAMPLES,
    TICKS,
)
from aiops.core.model import (
    Action,
    Instant,
    LoopState,
    Outcome,
    Plan,
    StepResult,
    StepStatus,
    Tick,
)
from aiops.core.policies import PolicySet
from aiops.core.record.codec import from_text

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from aiops.core.record.audit import Entry

_NO_EPOCH = -1
"""Of a writer whose claim did not succeed: nothing is in force under it."""

_SAMPLE_COLUMNS = tuple(column.name for column in SAMPLES.columns)


class _Batch:
    """What is to be written with the next commit."""

    def __init__(self) -> None:
        self.ticks: list[Row] = []
        self.decisions: dict[str, Row] = {}
        self.runs: dict[str, tuple[float, int]] = {}
        self.inputs: list[Row] = []
        self.samples: list[tuple[Any, ...]] = []
        self.actions: list[Row] = []
        self.results: list[Row] = []
        self.outcomes: list[Row] = []
        self.findings: dict[tuple[str, float], Row] = {}
        self.incidents: dict[str, Row] = {}
        self.plans: dict[str, Plan] = {}
        self.audited: list[Entry] = []

    def __bool__(self) -> bool:
        return any(vars(self).values())


class JournalWriter:
    """ports.Journal over a database."""

    def __init__(self, engine: Engine, batch: int) -> None:
        self._engine = engine
        self._every = batch
        self._batch = _Batch()
        self._epoch: int | None = None
        self._stored: LoopState | None = LoopState()
        self._digests: set[str] = set()
        self._latest: LoopState | None = None
        self._open: dict[tuple[str, float], Row] = {}
        self._auditor = Auditor()

    # -- ports.Journal ---------------------------------------------------------------------------------

    @property
    def claimed(self) -> int | None:
        """Return the epoch under which is written, None before any was claimed."""
        return self._epoch

    def load(self) -> LoopState:
        """Return the state that the last committed tick carried on; an empty one at first."""
        with translated("the state cannot be read"), self._engine.connect() as connection:
            state = self._stored = loaded(connection)
        self._auditor.know(state)
        return state

    def epoch(self) -> int:
        """Return the highest epoch that was ever claimed; 0 at first."""
        with translated("the epoch cannot be read"), self._engine.connect() as connection:
            return fence.standing(connection)

    def claim(self, epoch: int, holder: str, at: Instant) -> LoopState:
        """Fence off every lower epoch, forget what was gathered, and return the state of the last committed tick.

        Until a claim succeeds nothing is written any more. Raises Fenced when a higher epoch was claimed, or this one
        by another holder; again by the same holder changes nothing.
        """
        self._batch, self._latest, self._open = _Batch(), None, {}
        self._epoch = _NO_EPOCH
        with translated("the journal cannot be claimed"), writing(self._engine) as connection:
            fence.raise_to(connection, epoch, holder, at)
            state = loaded(connection)
        self._epoch = epoch
        self._stored = state
        self._auditor.lead(epoch)
        self._auditor.know(state)
        return state

    def begin(self, tick: Tick, state: LoopState) -> None:
        """Write the tick, its decisions and its intents, with the state, before anything is sent."""
        batch, at = self._batch, tick.at
        batch.ticks.append({"id": tick.id, "at": at})
        full = {decision.id: decision_row(decision) for decision in tick.decisions if decision.changed}
        actions = [action_row(action) for action in tick.actions]
        # what must be looked up for the chain is looked up before anything is gathered
        batch.audited += self._auditor.ticked(tick, full, actions, self._engine)
        batch.decisions.update(full)
        for decision in tick.decisions:
            batch.samples.append(sample_row(decision))
            if not decision.changed:
                _, ticks = batch.runs.get(decision.id, (at, 0))
                batch.runs[decision.id] = (at, ticks + 1)
        batch.actions += actions
        # how older actions ended is written with the state that has forgotten them, or a death in between would lose it
        batch.outcomes += [outcome_row(outcome) for outcome in tick.outcomes]
        self._note_findings(tick)
        batch.incidents.update({incident.id: incident_row(incident) for incident in tick.incidents})
        self._latest = state
        batch.plans.update({plan.id: plan for plan in tick.plans})
        if len(batch.ticks) >= self._every or _must_be_written(tick):
            self.flush()

    def _note_findings(self, tick: Tick) -> None:
        """Keep each open finding with its peak, and what was said of it then.

        A tick that looks at no series, as one of plans alone, ends none.
        """
        if not tick.findings:
            return
        still: dict[tuple[str, float], Row] = {}
        for finding in tick.findings:
            key = (finding.series, finding.since)
            known = self._open.get(key)
            past = known is not None and known["peak"] >= finding.score
            still[key] = {**known, "until": finding.at} if known is not None and past else finding_row(finding)
        self._open = still
        self._batch.findings.update(still)

    def settle(self, results: Sequence[StepResult], outcomes: Sequence[Outcome], state: LoopState) -> None:
        """Write what became of the actions, with the state that knows it."""
        self._batch.results += [result_row(result) for result in results]
        self._batch.outcomes += [outcome_row(outcome) for outcome in outcomes]
        self._batch.audited += self._auditor.settled(results, outcomes)
        self._latest = state
        if self._every == 1 or any(result.status is not StepStatus.DRY_RUN for result in results):
            self.flush()

    def note_inputs(self, tick: Tick, inputs: Mapping[str, str]) -> None:
        """Keep the inputs of the decisions that changed, for replay."""
        self._batch.inputs += [{"decision_id": key, "body": packed(body)} for key, body in inputs.items()]

    def unsettled(self) -> Sequence[Action]:
        """Return actions that were begun and never settled: the process died in between."""
        query = select(ACTIONS.c.body).where(ACTIONS.c.status == "begun")
        with translated("the actions cannot be read"), self._engine.connect() as connection:
            return [from_text(unpacked(row.body), Action) for row in connection.execute(query)]

    # -- beside the port -------------------------------------------------------------------------------

    def note_policies(self, policies: PolicySet) -> None:
        """Keep every policy's document by its digest, for replay."""
        new = [p for p in policies.every if p.digest not in self._digests]
        if not new:
            return
        rows = [{"digest": p.digest, "policy": p.key, "body": p.document} for p in new]
        with translated("the policies cannot be written"), writing(self._engine) as connection:
            insert_absent(connection, DOCUMENTS, rows)
        self._digests.update(policy.digest for policy in new)

    def flush(self) -> None:
        """Commit what was gathered. When that fails, nothing of it is kept: the loop holds what it did not journal.

        Raises Fenced when another epoch than the claimed one is in force.
        """
        batch, self._batch = self._batch, _Batch()
        state, self._latest = self._latest, None
        if not batch and state is None:
            return
        # a commit of which the answer is lost may have happened: what is stored is unknown until one is answered
        stored, self._stored = self._stored, None
        # written out before the transaction begins: its locks are held no longer than they must be
        carried = None if state is None else Carried.of(state, stored, batch.plans)
        with self._remembering(), translated("the journal cannot be written"), writing(self._engine) as connection:
            if self._epoch is not None:
                fence.check(connection, self._epoch)
            _insert_all(connection, batch)
            _update_runs(connection, batch)
            _update_results(connection, batch)
            put(connection, FINDINGS, ("series", "since"), batch.findings.values())
            put(connection, INCIDENTS, ("id",), batch.incidents.values())
            if carried is not None:
                carried.write(connection)
            if batch.audited:
                chain(connection, batch.audited)
        self._stored = stored if state is None else state

    @contextmanager
    def _remembering(self) -> Iterator[None]:
        """Let the chain's memory be what was written."""
        try:
            yield
        except BaseException:
            self._auditor.lost()
            raise
        self._auditor.kept()


def _must_be_written(tick: Tick) -> bool:
    """Return whether a tick must be on disk before anything is sent: it carries an intent, or a plan has moved."""
    return bool(tick.plans or tick.errands) or any(not action.dry_run for action in tick.actions)


def _insert_all(connection: Connection, batch: _Batch) -> None:
    for decision_id, (until, ticks) in list(batch.runs.items()):
        row = batch.decisions.get(decision_id)
        if row is not None:
            row["until"], row["ticks"] = until, row["ticks"] + ticks
            del batch.runs[decision_id]
    samples = [dict(zip(_SAMPLE_COLUMNS, sample, strict=True)) for sample in batch.samples]
    for table, rows in (
        (TICKS, batch.ticks),
        (DECISIONS, list(batch.decisions.values())),
        (INPUTS, batch.inputs),
        (SAMPLES, samples),
        (ACTIONS, batch.actions),
        (OUTCOMES, batch.outcomes),
    ):
        if rows:
            connection.execute(insert(table), rows)


def _update_runs(connection: Connection, batch: _Batch) -> None:
    if batch.runs:
        statement = update(DECISIONS).where(DECISIONS.c.id == bindparam("b_id"))
        statement = statement.values(until=bindparam("b_until"), ticks=DECISIONS.c.ticks + bindparam("b_ticks"))
        rows = [{"b_id": key, "b_until": until, "b_ticks": n} for key, (until, n) in batch.runs.items()]
        connection.execute(statement, rows)


def _update_results(connection: Connection, batch: _Batch) -> None:
    if batch.results:
        statement = update(ACTIONS).where(ACTIONS.c.id == bindparam("b_id"))
        connection.execute(statement.values(status=bindparam("status"), message=bindparam("message")), batch.results)
