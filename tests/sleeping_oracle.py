"""The oracle of lives that sleep: what each object was before it was put to rest, held against every write."""

from __future__ import annotations

import copy
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from aiops.core.model import (
    Errand,
    Sleep,
    StepResult,
    StepStatus,
    TargetRef,
)
from aiops.core.model import Step as Request
from aiops.core.objects.resting import RECORD
from aiops.core.planning.saving import SavingPolicy
from tests.fake_api import Refused
from tests.unit.rested import (
    API,
    CRON,
    DB,
    HPA,
    NIGHTS,
    SCALED,
    WEB,
    Cluster,
    Daemon,
    a_policy,
    at,
    cron,
    hpa,
    scaled,
    workload,
)

WORKER = replace(WEB, name="worker")
OBJECTS = (WEB, API, DB, CRON, SCALED)
"""What is written to let workloads rest; `worker` rests by its ScaledObject."""

SPEC = (
    NIGHTS.replace("[Deployment, CronJob]", "[Deployment, StatefulSet, CronJob]")
    + "    scaleIn: allowed\n    manualOverride: 10m\n"
)
BUSY = SPEC.replace('"0 8 * * 1-5"', '"0 */4 * * *"').replace("12h", "2h")
ALWAYS = SPEC.replace('"0 8 * * 1-5"', '"0 0 * * *"').replace("12h", "24h")
WRITTEN: dict[str, SavingPolicy] = {}


def policy_of(spec: str) -> SavingPolicy:
    """Return a policy, compiled once."""
    if spec not in WRITTEN:
        WRITTEN[spec] = a_policy(spec)
    return WRITTEN[spec]


class Lost(AssertionError):
    """What an object was is lost, or was written over, or a person's wish was."""


@dataclass
class Known:
    """What is true of one object. was: before it was put to rest, or now while it is awake.

    asleep: whether aiops let it rest. touched: what a person wrote while it should rest, None if nobody did since.
    torn: a person took traces of it away that nobody has written anew yet. void: it was brought back from a backup as
    it lay at rest, and is nobody's to wake.
    """

    uid: str
    was: Any
    asleep: bool = False
    touched: Any = None
    torn: bool = False
    void: bool = False


@dataclass
class Watched:
    """A namespace with its daemons, and an oracle at every write. seed: by which it can be lived again."""

    seed: int
    dice: random.Random = field(init=False)
    cluster: Cluster = field(init=False)
    daemons: list[Daemon] = field(init=False)
    truth: dict[TargetRef, Known] = field(default_factory=dict)
    backups: dict[TargetRef, dict[str, Any]] = field(default_factory=dict)
    late: list[tuple[Errand, Request]] = field(default_factory=list)
    happened: Counter[str] = field(default_factory=Counter)
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self.cluster = Cluster(now=at("2026-03-03 18:00") + self.dice.uniform(0, 7 * 86_400.0))
        self.cluster.slow = self.dice.choice([0.0, 60.0, 400.0])
        for where, body in self._born().items():
            self.cluster.make(where, copy.deepcopy(body))
        self.cluster.control()
        self.daemons = [self._daemon()]
        for where in OBJECTS:
            self._born_again(where)

    def _born(self) -> dict[TargetRef, dict[str, Any]]:
        aim = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "worker"}
        of_keda = scaled("worker")
        of_keda["spec"]["scaleTargetRef"] = aim
        made = {WEB: workload(self._some()), API: workload(4), HPA: hpa(), DB: workload(self._some()), CRON: cron()}
        return {**made, WORKER: workload(2), SCALED: of_keda}

    def _some(self) -> int:
        return self.dice.randint(1, 6)

    def _daemon(self) -> Daemon:
        made = Daemon(cluster=self.cluster, policy=policy_of(self.dice.choice([SPEC, BUSY, BUSY])), replayed=False)
        made._perform = self._performing(made)  # type: ignore[method-assign]
        return made

    def _born_again(self, where: TargetRef) -> None:
        uid = self.cluster.objects[where]["metadata"]["uid"]
        self.truth[where] = Known(uid=uid, was=self.cluster.value(where))

    # -- what aiops writes, against the oracle ---------------------------------------------------------

    def _performing(self, daemon: Daemon) -> Callable[[Errand, Request], StepResult]:
        def perform(errand: Errand, step: Request) -> StepResult:
            chance = self.dice.random()
            if chance < 0.04:
                self.late.append((errand, step))  # it is under way, and nobody knows
                return self._result(daemon, errand, StepStatus.UNKNOWN, 0)
            if chance < 0.07:
                return self._result(daemon, errand, StepStatus.REFUSED, self.dice.choice([403, 409, 429, 500]))
            result = self._write(daemon, errand, step)
            if chance < 0.12:
                return self._result(daemon, errand, StepStatus.UNKNOWN, 504)
            return result

        return perform

    def _result(self, daemon: Daemon, errand: Errand, status: StepStatus, code: int) -> StepResult:
        return StepResult(action_id=errand.id, status=status, at=daemon.now, code=code, message=f"code {code}")

    def _write(self, daemon: Daemon, errand: Errand, step: Request) -> StepResult:
        before = copy.deepcopy(self.cluster.objects.get(step.target))
        value = None if before is None else self.cluster.value(step.target)
        try:
            self.cluster.apply(step)
        except Refused:
            return self._result(daemon, errand, StepStatus.REFUSED, 409)
        self.log.append(f"{self.cluster.now:.0f} aiops {step.summary}")
        self._checked(step, value)
        return self._result(daemon, errand, StepStatus.DONE, 200)

    def _checked(self, step: Request, before: Any) -> None:
        """Hold one write of the daemon against what is true."""
        where, known = step.target, self.truth[step.target]
        notes = step.body["metadata"]["annotations"]
        after = self._asked(step, before)
        if known.void:
            raise Lost(f"{where.name}: written, though it is not what was put to rest ({step.summary})")
        if notes.get(RECORD) is not None:
            self.happened["rested"] += 1
            record = self.cluster.record(where)
            assert record is not None
            if self._read(where, record["original"]) != known.was:
                raise Lost(f"{where.name}: recorded {record['original']!r}, it was {known.was!r}")
            if self._off(where, known.was):
                raise Lost(f"{where.name}: somebody had switched it off")
            known.asleep, known.touched, known.torn = True, None, False
        elif RECORD in notes:
            self.happened["woken"] += 1
            if after not in (before, known.was):
                raise Lost(f"{where.name}: woken with {after!r}, it was {known.was!r}")
            if after != before and known.touched is not None:
                raise Lost(f"{where.name}: a person's {known.touched!r} was written over")
            if not known.asleep:
                raise Lost(f"{where.name}: woken, though it did not rest")
            known.asleep, known.torn = False, False
            if known.touched is not None and after == before:
                known.was = self.cluster.value(where)
            known.touched = None

    def _asked(self, step: Request, before: Any) -> Any:
        """Return what a write asks the field to be, whatever controllers do about it afterwards."""
        spec, notes = step.body.get("spec") or {}, step.body["metadata"]["annotations"]
        if step.target.kind == "ScaledObject":
            key = "autoscaling.keda.sh/paused-replicas"
            return (notes[key] or "") if key in notes else before
        return spec.get("suspend" if step.target.kind == "CronJob" else "replicas", before)

    def _read(self, where: TargetRef, text: str) -> Any:
        if where.kind == "CronJob":
            return text == "true"
        return text if where.kind == "ScaledObject" else int(text)

    def _off(self, where: TargetRef, value: Any) -> bool:
        return bool(value == {"CronJob": True, "ScaledObject": "0"}.get(where.kind, 0))

    # -- what is never lost ----------------------------------------------------------------------------

    def kept(self) -> None:
        """Raise Lost unless what every resting object was is on the object, or in a journal."""
        journals = [one.journal for one in self.daemons]
        for where, known in self.truth.items():
            body = self.cluster.objects.get(where)
            if body is None or not known.asleep or known.void:
                continue
            originals = [
                self._read(where, step.operation.original)
                for state in journals
                for plan in state.plans.values()
                for step in plan.steps
                if isinstance(step.operation, Sleep) and step.operation.uid == known.uid
            ]
            text = self.cluster.notes(where).get(RECORD)
            record = None if known.torn or text is None else self.cluster.record(where)
            if record is not None:
                originals.append(self._read(where, record["original"]))
            if known.was not in originals:
                raise Lost(f"{where.name}: nobody knows any more that it was {known.was!r}")
