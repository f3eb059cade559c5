"""Lives of a namespace that sleeps: random interleavings of people, crashes, double runs, clocks and policies.

Everything that aiops does here is done by its own pipeline, machine and operations; only the API server, the people
and the way in which a process dies are made. An oracle beside the API server knows what each object was before it was
put to rest, and every write of the daemon is held against it.
"""

from __future__ import annotations

import copy
import random
from typing import Any

from aiops.core.model import (
    Direction,
    Order,
    OrderKind,
    Pause,
    PlanStatus,
    Reason,
    TargetRef,
)
from aiops.core.objects.resting import MARK, RECORD
from tests.sleeping_oracle import ALWAYS, BUSY, OBJECTS, SPEC, WORKER, Lost, Watched, policy_of
from tests.unit.rested import (
    API,
    CRON,
    DB,
    HPA,
    OLD,
    SCALED,
    TICK_S,
    WEB,
    workload,
)


class Life(Watched):
    """One life: what happens to a namespace, by chance."""

    # -- what happens ----------------------------------------------------------------------------------

    def live(self, moments: int = 30) -> None:
        """Let so many things happen, and everything come to rest in the end."""
        for _ in range(moments):
            self._moment()
            self.kept()
        self._end()

    def _moment(self) -> None:
        chance = self.dice.random()
        if chance < 0.45:
            self._turns(self.dice.randint(1, 3))
        elif chance < 0.62:
            self._pass(self.dice.choice([60.0, 600.0, 3_600.0, 4 * 3_600.0, 10 * 3_600.0]))
        elif chance < 0.80:
            self._person()
        else:
            self._world()

    def _turns(self, count: int) -> None:
        for _ in range(count):
            for daemon in self.daemons:
                self.cluster.now += self.dice.choice([0.0, TICK_S, TICK_S, 45.0])
                self.cluster.control()
                daemon.lags = self.dice.random() < 0.08
                daemon.turn(self._dies)
                daemon.lags = False
                self.kept()

    def _dies(self, point: str) -> bool:
        dies = self.dice.random() < 0.06
        if dies:
            self.happened[f"crash {point}"] += 1
            self.log.append(f"{self.cluster.now:.0f} crash: {point}")
        return dies

    def _pass(self, seconds: float) -> None:
        """Let time pass, looked at now and then."""
        for _ in range(4):
            self.cluster.now += seconds / 4
            self._turns(1)

    def _note(self, what: str, where: TargetRef | None = None) -> None:
        self.happened[what] += 1
        self.log.append(f"{self.cluster.now:.0f} {what} {'' if where is None else where.name}")

    # -- people ----------------------------------------------------------------------------------------

    def _person(self) -> None:
        resting = [where for where, known in self.truth.items() if known.asleep]
        where = self.dice.choice(resting if resting and self.dice.random() < 0.6 else OBJECTS)
        missing = [one for one in OBJECTS if one not in self.cluster.objects]
        if missing and (where in missing or self.dice.random() < 0.4):
            return self._again(self.dice.choice(missing))
        deeds = [self._set, self._off_on, self._tear, self._falsify, self._delete, self._roll_back]
        (deed,) = self.dice.choices(deeds, weights=[4, 1, 3, 3, 1, 1])
        return deed(where)

    def _set(self, where: TargetRef) -> None:
        """Write the field, as `kubectl scale` does."""
        values: list[Any] = [1, 2, 5, 7]
        if where.kind == "CronJob":
            values = [False]
        if where.kind == "ScaledObject":
            values = ["", "3"]
        self._written(where, self.dice.choice(values))

    def _off_on(self, where: TargetRef) -> None:
        """Switch it off."""
        self._written(where, {"CronJob": True, "ScaledObject": "0"}.get(where.kind, 0))

    def _written(self, where: TargetRef, value: Any) -> None:
        known = self.truth[where]
        if self.cluster.value(where) == value:
            return
        self._note(f"person sets {value!r}", where)

        def change(body: dict[str, Any]) -> None:
            if where.kind == "CronJob":
                body["spec"]["suspend"] = value
            elif where.kind == "ScaledObject":
                notes = body["metadata"].setdefault("annotations", {})
                notes["autoscaling.keda.sh/paused-replicas"] = value
                if not value:
                    del notes["autoscaling.keda.sh/paused-replicas"]
            else:
                body["spec"]["replicas"] = value

        self.cluster.edit(where, change)
        after = self.cluster.value(where)
        if known.void:
            return
        traces = {RECORD, MARK} & set(self.cluster.notes(where))
        if known.asleep and traces:
            known.touched = None if self._off(where, after) else after
        else:
            # whoever takes every trace away and writes the field has it in hand
            known.was, known.asleep, known.torn, known.touched = after, False, False, None

    def _tear(self, where: TargetRef) -> None:
        """Take the record away, or both annotations once a daemon has seen them."""
        known = self.truth[where]
        if RECORD not in self.cluster.notes(where) or known.void or len(self.daemons) > 1:
            return
        both = self.dice.random() < 0.5
        if not self._seen(where):
            return
        if both and known.touched is not None:
            # awake, and without a trace: it is theirs
            known.was, known.asleep = self.cluster.value(where), False
        self._note("person takes both annotations away" if both else "person takes the record away", where)
        known.torn = known.asleep
        self.cluster.annotate(where, record=None, **({"mark": None} if both else {}))
        if known.touched is not None and known.asleep is False:
            known.touched = None

    def _seen(self, where: TargetRef) -> bool:
        """Return whether the journal says that the object rests."""
        state = self.daemons[0].journal
        mark = self.cluster.notes(where).get(MARK, "")
        plan = state.plans.get(mark)
        return plan is not None and plan.status is PlanStatus.DONE

    def _falsify(self, where: TargetRef) -> None:
        """Write something else into the record."""
        known, record = self.truth[where], None
        if known.void or known.torn or len(self.daemons) > 1 or not self._seen(where):
            return
        text = self.cluster.notes(where).get(RECORD)
        if text is None:
            return
        record = self.cluster.record(where)
        assert record is not None
        wrong = {"CronJob": "true", "ScaledObject": "9"}.get(where.kind, "9")
        bad = self.dice.choice(["{", "[]", text.replace(f'"original":"{record["original"]}"', f'"original":"{wrong}"')])
        self._note("person edits the record", where)
        known.torn = True
        self.cluster.annotate(where, record=bad)

    def _delete(self, where: TargetRef) -> None:
        self._note("person deletes", where)
        self.backups[where] = copy.deepcopy(self.cluster.objects[where])
        self.cluster.delete(where)
        if where == SCALED:
            self.cluster.delete(WORKER)
        del self.truth[where]

    def _again(self, where: TargetRef) -> None:
        """Make it anew, from its manifest or from a backup."""
        body = copy.deepcopy(self._born()[where])
        body["metadata"]["creationTimestamp"] = OLD
        from_backup = where in self.backups and self.dice.random() < 0.6
        if from_backup:
            body = self.backups[where]
            body["metadata"].pop("uid", None)
        self._note("person brings back from a backup" if from_backup else "person makes anew", where)
        self.cluster.make(where, body)
        if where == SCALED:
            self.cluster.make(WORKER, workload(2))
        self.cluster.control()
        self._born_again(where)
        self.truth[where].void = bool({RECORD, MARK} & set(self.cluster.notes(where)))

    def _roll_back(self, where: TargetRef) -> None:
        """Order a rollback of the plan by which it rests, as `aiops plans rollback` does."""
        daemon = self.dice.choice(self.daemons)
        done = [one for one in daemon.state.plans.values() if one.status is PlanStatus.DONE and one.touches_back]
        if not done:
            return
        self._note("person rolls back")
        plan = self.dice.choice(done)
        now = daemon.now
        kind, until = OrderKind.ROLL_BACK, now + 600.0
        daemon.orders.append(
            Order(id=f"order-{now}", kind=kind, subject=plan.id, by="ann", at=now, reason="x", expires_at=until)
        )

    # -- the world -------------------------------------------------------------------------------------

    def _world(self) -> None:
        deed = self.dice.choice(
            [self._policy, self._policy, self._clock, self._late, self._second, self._store, self._blind, self._release]
        )
        deed()

    def _policy(self) -> None:
        """Edit the policy, take it away, or lower its mode."""
        modes = [("enforce", "dry-run"), ("enforce", "observe")]
        made: list[str | None] = [SPEC, BUSY, BUSY, ALWAYS, None, *(SPEC.replace(*one) for one in modes)]
        spec = self.dice.choice(made)
        self._note("policy goes" if spec is None else "policy is edited")
        for daemon in self.daemons:
            daemon.policy = None if spec is None else policy_of(spec)

    def _clock(self) -> None:
        """Set a process's clock."""
        daemon = self.dice.choice(self.daemons)
        daemon.ahead = self.dice.choice([0.0, 0.0, 300.0, -300.0, 7_200.0, -7_200.0])
        self._note("clock is set")

    def _late(self) -> None:
        """Let a request arrive that was under way."""
        if self.late:
            self._note("a late request arrives")
            errand, step = self.late.pop(self.dice.randrange(len(self.late)))
            self._write(self.daemons[0], errand, step)

    def _second(self) -> None:
        """Let a second process run, with a journal of its own or with a copy; or let it end."""
        if len(self.daemons) > 1:
            self._note("the second process ends")
            del self.daemons[1]
            return
        if any(one.torn for one in self.truth.values()):
            return  # what a person broke, only who knows the plan can mend
        self._note("a second process runs")
        other = self._daemon()
        other.policy, other.ahead = self.daemons[0].policy, self.dice.choice([0.0, 20.0, -20.0])
        if self.dice.random() < 0.5:
            other.journal = self.daemons[0].journal
            other.restart()
        self.daemons.append(other)

    def _store(self) -> None:
        """Lose the journal: what is on the objects must do."""
        if any(one.torn for one in self.truth.values()) or self.late:
            return
        self._note("the journal is lost")
        self.daemons[0].restart(without_store=True)

    def _blind(self) -> None:
        """Let some objects be unreadable for a while."""
        self._note("the API server does not answer")
        chosen = self.dice.sample([WEB, API, DB, CRON, SCALED], k=2)
        why = (Reason.CLUSTER_UNAVAILABLE, "timed out")
        wanted = {one.key: why for one in chosen}
        assert self.daemons[0].cluster is self.cluster
        selections = {} if self.daemons[0].policy is None else self.daemons[0].policy.wanted.selections
        wanted.update({one.key: why for one in selections if self.dice.random() < 0.3})
        self.cluster.unknown = wanted
        self._turns(2)
        self.cluster.unknown = {}

    def _release(self) -> None:
        """Release everything, and resume a little later."""
        self._note("a person releases")
        made = Pause(
            id="p", scope="*", direction=Direction.ALL, reason="x", by="ann", since=self.cluster.now, release=True
        )
        for daemon in self.daemons:
            daemon.pauses = [made]
        self._turns(3)
        for daemon in self.daemons:
            daemon.pauses = []

    # -- the end ---------------------------------------------------------------------------------------

    def _end(self) -> None:
        """Let nothing happen any more in hours of work: everything is as it was, and nothing of ours is left."""
        self.dice = random.Random(self.seed + 1)
        self.late.clear()
        calm = self.daemons[:1]
        self.daemons = calm
        for daemon in calm:
            daemon.ahead, daemon.policy = 0.0, policy_of(ALWAYS)
            daemon._perform = lambda errand, step, daemon=daemon: self._write(daemon, errand, step)  # type: ignore[method-assign]
        for _ in range(40):
            self.cluster.now += 60.0
            self.cluster.control()
            for daemon in calm:
                daemon.turn()
            if self._calm():
                break
        self._resume_asking()
        for where, known in self.truth.items():
            value = self.cluster.value(where)
            if known.void:
                continue
            if known.asleep:
                raise Lost(f"{where.name}: it still rests ({self.daemons[0].said.detail})")
            if value != known.was and not self._autoscaled(where, value, known.was):
                raise Lost(f"{where.name}: it is {value!r}, and was {known.was!r}")
            if {RECORD, MARK} & set(self.cluster.notes(where)):
                raise Lost(f"{where.name}: something of ours is left on it")

    def _calm(self) -> bool:
        """Return whether nothing rests any more and no plan stands."""
        standing = [one for one in self.daemons[0].state.plans.values() if not one.status.ended or one.touches_back]
        return not standing and not any(one.asleep for one in self.truth.values() if not one.void)

    def _resume_asking(self) -> None:
        """Say `resume` to plans that ask, as a person does in the end."""
        for _ in range(3):
            for daemon in self.daemons:
                asking = [one for one in daemon.state.plans.values() if one.status is PlanStatus.ASKING]
                if not asking:
                    continue
                daemon.orders = [
                    Order(
                        id=f"{plan.id}-{daemon.now}",
                        kind=OrderKind.RESUME,
                        subject=plan.id,
                        by="ann",
                        at=daemon.now,
                        reason="x",
                        expires_at=daemon.now + 600,
                    )
                    for plan in asking
                ]
                for _ in range(6):
                    self.cluster.now += 60.0
                    self.cluster.control()
                    daemon.turn()

    def _autoscaled(self, where: TargetRef, value: Any, was: Any) -> bool:
        """Return whether an HPA has raised what was woken to its floor."""
        return where == API and HPA in self.cluster.objects and value == max(value, 2) and was in (1, value)


def lived(seed: int, moments: int = 30) -> Life:
    """Live one life; raise Lost, with its seed and what happened in it."""
    life = Life(seed=seed)
    try:
        life.live(moments)
    except AssertionError as err:
        raise Lost(f"seed {seed}: {err}\n" + "\n".join(life.log[-40:])) from err
    return life
