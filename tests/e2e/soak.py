"""A soak: half an hour of a real control plane, two replicas and random faults from a seed (`make soak`).

Every 15 seconds what must hold is checked from outside (`invariants`), the daemons' logs are searched for bugs, and
their memory is measured. In the end every workload stands where its policy wants it. Exit code 1 says that something
does not hold; the records and logs are kept then.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import func, select

from aiops.adapters.store import Store
from aiops.adapters.store.tables import DECISIONS
from aiops.errors import AiopsError
from tests.e2e.audit import AuditEvent, AuditLog
from tests.e2e.cluster import ControlPlane
from tests.e2e.invariants import OWN, Witness
from tests.e2e.postgres import running_postgres
from tests.e2e.rig import SERVICE_NAMESPACE, USER
from tests.e2e.soak_faults import FAULTS
from tests.e2e.soak_memory import SAMPLE_S, Life
from tests.e2e.soak_schedule import REPLICAS, Load, Planned, loads, schedule
from tests.e2e.soak_world import NAMES, World, settled, world

ENDED_S = 180.0
"""How long an action may be without an end while faults go on."""
CALM_S = 2.0
BUGS = frozenset({"tick_failed", "job_failed", "learning_failed", "policy_failed"})
EXITS = (3, 4)
"""How a daemon ends that cannot begin: its store or API server is not there, or its policies are broken."""


class Broken(AssertionError):
    """Something that must hold does not."""


@dataclass(kw_only=True)
class Soak:
    """One run over a world."""

    world: World
    faults: Sequence[Planned]
    loads: Sequence[Load]
    minutes: float
    witness: Witness
    began: float = field(default_factory=time.monotonic)
    since: float = field(default_factory=time.time)
    lives: dict[int, Life] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    checks: int = 0
    _sampled: float = 0.0
    _read: dict[Path, int] = field(default_factory=dict)
    _next_load: int = 0

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.began

    def say(self, text: str) -> None:
        print(f"{self.now:7.1f} s  {text}", file=sys.stderr, flush=True)

    # -- the run -----------------------------------------------------------------------------------------

    def run(self) -> None:
        """Run to the end; raise Broken as soon as something does not hold."""
        for who in REPLICAS:
            self.world.start(who)
        slots = _slots(self.faults)
        for slot in slots:
            self.until(slot[0].at_s)
            self._slot(slot)
            self.until(self.now + CALM_S)
        self.until(self.minutes * 60.0 - 60.0 if self.minutes >= 3 else 0.0)
        self._end()

    def _slot(self, slot: Sequence[Planned]) -> None:
        """Let the faults of a slot begin and end at their times: by the plan, and later when it is late."""
        late_s = max(0.0, self.now - slot[0].at_s)
        events = [(one.at_s, 0, one) for one in slot] + [(one.at_s + one.lasts_s, 1, one) for one in slot]
        running: dict[int, AbstractContextManager[None]] = {}
        try:
            for at_s, ends, one in sorted(events, key=lambda event: event[:2]):
                self.until(at_s + late_s)
                if ends:
                    running.pop(id(one)).__exit__(None, None, None)
                    self.say(f"over    {one.kind}")
                else:
                    self.say(f"begins  {one.what} (for {one.lasts_s:.1f} s)")
                    self.done[one.kind] += 1
                    running[id(one)] = FAULTS[one.kind](self.world, one.given)
                    running[id(one)].__enter__()
        finally:  # whoever comes after a failure finds everything as it was
            for made in reversed(list(running.values())):
                with contextlib.suppress(Exception):
                    made.__exit__(None, None, None)

    def until(self, at_s: float) -> None:
        """Let time go on until then: loads change, samples are taken, what ended by itself is started again."""
        while True:
            while self._next_load < len(self.loads) and self.loads[self._next_load].at_s <= self.now:
                due = self.loads[self._next_load]
                self._next_load += 1
                self.world.load(due.name, due.replicas)
            self.world.look_after(time.monotonic())
            if self.now - self._sampled >= SAMPLE_S:
                self._sampled = self.now
                self.sample()
            if self.now >= at_s:
                return
            time.sleep(min(0.5, max(0.01, at_s - self.now)))

    # -- what is looked at -------------------------------------------------------------------------------

    def sample(self) -> None:
        """Measure the daemons, and check what must hold."""
        for who, daemon in self.world.daemons.items():
            process = daemon.process
            if process.poll() is None:
                now = time.monotonic()
                life = self.lives.setdefault(process.pid, Life(name=who, pid=process.pid, born=now))
                life.look(process, now)
        self._broken(self._bugs())
        self.check(time.time() - ENDED_S)

    def check(self, settled_before: float) -> None:
        """Check both records; while the store is down there is nothing to compare with."""
        if self.world.store_is_up:
            self.checks += 1
            self._broken(self.witness.check(settled_before=settled_before))

    def _broken(self, found: Sequence[str]) -> None:
        if found:
            self.violations += found
            raise Broken("\n".join(found[:20]))

    def _bugs(self) -> list[str]:
        """Return the bugs that the daemons' logs tell of since the last look."""
        found = []
        for daemon in self.world.rig.daemons:
            log = daemon.process.log
            with log.open("rb") as file:
                file.seek(self._read.get(log, 0))
                whole, _, _ = file.read().rpartition(b"\n")
            self._read[log] = self._read.get(log, 0) + (len(whole) + 1 if whole else 0)
            for line in whole.splitlines():
                with contextlib.suppress(ValueError):
                    parsed = json.loads(line)
                    if parsed.get("event") in BUGS:
                        found.append(f"a bug of {log.name}: {line.decode()[:4000]}")
        found += [f"a daemon ended: {one}" for one in self.world.exits if not any(f"with {c}:" in one for c in EXITS)]
        return found

    # -- the end -----------------------------------------------------------------------------------------

    def _end(self) -> None:
        self.say("the faults are over")
        self._broken(settled(self.world, 60.0))
        self.say("every workload stands where its policy wants it")
        self._broken(self._ended(60.0))
        self._sampled = self.now
        self.sample()
        self.check(float("inf"))
        self._broken(self._leaders())
        self._broken([one for life in self.lives.values() for one in life.growth()])
        self._broken([one for who in REPLICAS for one in self._stopped(who)])
        self.check(float("inf"))

    def _ended(self, within_s: float) -> list[str]:
        """Wait until every action has an end, and return those that have none."""
        deadline = time.monotonic() + within_s
        record = self.witness.record
        while True:
            record.read(*self.witness.stores)
            open_ones = [one for one in record.actions.values() if record.statuses.get(one.id, "begun") == "begun"]
            open_ones += [one for one in record.actions.values() if one.id not in record.outcomes]
            if not open_ones or time.monotonic() > deadline:
                return [
                    f"action {one.id} of {one.policy} has status {record.statuses.get(one.id)} and no outcome"
                    for one in {one.id: one for one in open_ones}.values()
                ]
            time.sleep(1.0)

    def _leaders(self) -> list[str]:
        said = {who: daemon.sentences()[-1:] for who, daemon in self.world.daemons.items()}
        leading = [who for who, last in said.items() if last and not any(w in last[0] for w in ("standing by", "held"))]
        return (
            []
            if leading == [self.world.holder()]
            else [f"{leading} lead, the Lease is {self.world.holder()!r}'s: {said}"]
        )

    def _stopped(self, who: str) -> list[str]:
        code = self.world.daemons[who].process.term(30.0)
        self.world.killed.add(who)
        return [f"{who} ended with {code} when it was told to stop"] if code else []

    # -- the summary -------------------------------------------------------------------------------------

    def summary(self, seed: int) -> str:
        """Return the table."""
        writes = [one for one in self.witness.log.events if self.witness.wanted(one) and one.writes]
        writes = [one for one in writes if one.resource not in OWN]
        acts = [one for one in writes if one.action_id]
        refused = Counter(str(one.code) for one in writes if not one.accepted)
        record = self.witness.record
        lines = [
            f"soak of {self.minutes:g} minutes, seed {seed}: {self.now / 60:.1f} minutes, {self.checks} checks",
            f"  faults      {sum(self.done.values())} of {len(self.faults)}: "
            + ", ".join(f"{kind} {count}" for kind, count in sorted(self.done.items())),
            f"  never came  {', '.join(sorted(set(FAULTS) - set(self.done))) or 'none'}",
            f"  processes   {len(self.world.rig.daemons)} started; ended by themselves: {len(self.world.exits)}",
            *(f"    {one[:160]}" for one in sorted(set(self.world.exits))),
            f"  takeovers   {max(0, len(record.claims) - 1)} (the last epoch is {max(record.claims, default=0)})",
            f"  writes      {len(acts)} of actions, {len(writes) - len(acts)} stamps; accepted "
            f"{sum(one.accepted for one in writes)}, refused {sum(refused.values())} {dict(refused)}",
            f"  actions     {len(record.actions)}: {dict(Counter(record.outcomes.values()))}",
            f"  decisions   {self._decisions()}",
            f"  violations  {len(self.violations)}",
            *(life.row() for life in self.lives.values()),
        ]
        return "\n".join(lines)

    def _decisions(self) -> str:
        try:
            store = Store.existing(self.witness.stores[0])
        except AiopsError as err:
            return f"not known: {err}"
        try:
            with store.engine.connect() as connection:
                return str(connection.execute(select(func.count()).select_from(DECISIONS)).scalar())
        finally:
            store.close()


def _slots(faults: Sequence[Planned]) -> list[list[Planned]]:
    """Return the faults in groups that overlap."""
    found: list[list[Planned]] = []
    end_s = -1.0
    for one in sorted(faults, key=lambda fault: fault.at_s):
        if one.at_s <= end_s:
            found[-1].append(one)
        else:
            found.append([one])
        end_s = max(end_s, one.at_s + one.lasts_s)
    return found


def soaked(made: World, seed: int, minutes: float) -> str:
    """Run a soak over a world and return its summary; raise Broken with the records that do not fit."""
    began = time.time()

    def wanted(event: AuditEvent) -> bool:
        return event.at >= began and event.namespace in (made.namespace, SERVICE_NAMESPACE, "")

    def expected(event: AuditEvent) -> bool:
        return any(since <= event.ended_at and event.at <= until for since, until in made.denied)

    faults = schedule(seed, minutes, NAMES)
    print("\n".join(str(one) for one in faults), file=sys.stderr, flush=True)
    log = AuditLog(made.plane.audit_log, users=[USER])
    witness = Witness(log=log, stores=[made.rig.store_url], wanted=wanted, expected=expected)
    soak = Soak(world=made, faults=faults, loads=loads(seed, minutes, NAMES), minutes=minutes, witness=witness)
    try:
        soak.run()
    except BaseException as err:
        soak.say(f"{type(err).__name__}: {err}")
        print(soak.summary(seed), file=sys.stderr, flush=True)
        raise
    return soak.summary(seed)


def main() -> int:
    """Run a soak from the command line, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.soak", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=30.0)
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="aiops-soak-"))
    with ExitStack() as stack:
        plane = ControlPlane(folder=folder / "plane")
        stack.callback(plane.stop)
        plane.start()
        postgres = stack.enter_context(running_postgres(folder))
        (folder / "world").mkdir()
        made = stack.enter_context(world(plane, postgres, folder / "world", "soak"))
        try:
            print(soaked(made, asked.seed, asked.minutes), flush=True)
        except AssertionError as err:
            print(f"{err}\nthe records and logs are in {folder}", flush=True)
            return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
