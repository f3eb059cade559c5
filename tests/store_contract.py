"""What the store promises on every database: one body, run against SQLite and against a real PostgreSQL.

Whoever runs it subclasses `StoreContract` and gives it a fixture `url` of an empty database.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from aiops.adapters.store import Asked
from aiops.adapters.store.alerts import MOST_FIRING
from aiops.adapters.store.database import connect, migrate, writing
from aiops.adapters.store.journal import JournalWriter
from aiops.adapters.store.rows import decision_row
from aiops.adapters.store.tables import DECISIONS, METADATA, REVISION
from aiops.core.model import (
    AlertStatus,
    Approval,
    Direction,
    IncidentState,
    LoopState,
    Mode,
    Pause,
    Percepts,
    StepResult,
    StepStatus,
)
from aiops.core.pipeline import Turn, decide, settled
from aiops.core.policies import PolicySet
from aiops.core.record.codec import to_text
from aiops.core.versions import Promotion
from aiops.errors import ConfigurationError, InvalidInput, NotFound, StoreUnavailable
from tests.builders import KEY, NOW, answer, loaded, policy, snapshot
from tests.stored import (
    ALERT,
    FINDING,
    INCIDENT,
    acting,
    as_of_first_version,
    made,
    refusing_commits,
    rows_of,
    shape,
)
from tests.unit.test_pipeline import later

FIRST = {
    "meta", "ticks", "decisions", "inputs", "documents", "actions", "outcomes", "findings", "incidents", "state",
    "effects", "samples", "pauses", "approvals",
}  # fmt: skip
"""The tables of the first version."""


class StoreContract:
    """The record: what was begun is there after a crash, what did not change is a longer run."""

    def test_a_restart_loses_no_window_and_no_intent_s6(self, opened):
        first = acting()
        store = opened()
        store.journal.begin(first.tick, first.state)
        store.engine.dispose()
        again = opened().journal
        assert again.load() == first.state
        assert [action.id for action in again.unsettled()] == [first.tick.actions[0].id]

    def test_what_stays_the_same_extends_the_newest_record(self, opened):
        store = opened()
        one = made()
        two = made(one.state, later(snapshot(), 15))
        for turn in (one, two):
            store.journal.begin(turn.tick, turn.state)
        (row,) = store.reader.decisions(Asked())
        assert (row["ticks"], row["until"]) == (2, NOW + 15)
        assert len(store.reader.series(KEY, NOW - 1, NOW + 60)["demand"]) == 2

    def test_a_decision_comes_back_with_its_action_and_its_end(self, opened):
        store = opened()
        shot = snapshot(demand=answer(590.0))
        turn = made(shot=shot)
        action = turn.tick.actions[0]
        store.journal.note_inputs(turn.tick, {key: to_text(one) for key, one in turn.inputs.items()})
        store.journal.begin(turn.tick, turn.state)
        result = StepResult(action_id=action.id, status=StepStatus.REFUSED, at=NOW, message="conflict")
        after = settled(turn.state, turn.tick, {action.id: result}, shot)
        store.journal.settle([result], after.outcomes, after.state)
        stored = store.reader.decision(turn.tick.decisions[0].id[:24])
        assert stored.decision == turn.tick.decisions[0]
        assert (stored.action, stored.outcome) == (action, after.outcomes[0])
        assert store.journal.unsettled() == []
        assert store.reader.inputs(stored.decision.id).startswith("{")

    def test_an_unknown_decision_names_the_newest_ones(self, opened):
        store = opened()
        turn = made()
        store.journal.begin(turn.tick, turn.state)
        with pytest.raises(NotFound, match=turn.tick.decisions[0].id):
            store.reader.decision("ZZZ")

    def test_what_is_not_a_number_is_unknown_in_the_curves(self, opened):
        store = opened()
        turn = made()
        (decision,) = turn.tick.decisions
        sample = replace(decision.sample, ahead_p95=float("nan"))
        tick = replace(turn.tick, decisions=(replace(decision, sample=sample),))
        store.journal.begin(tick, turn.state)
        assert store.reader.series(KEY, NOW - 1, NOW + 1)["ahead_p95"] == [None]

    def test_people_pause_resume_and_answer_once(self, opened):
        people = opened().people
        pause = people.add_pause(
            Pause(id="", scope="*", direction=Direction.ALL, reason="r", by="s", since=NOW, until=NOW + 60)
        )
        assert [one.id for one in people.pauses(NOW + 1)] == [pause.id]
        assert people.pauses(NOW + 61) == ()
        assert people.end_pause(pause.id[:20], NOW + 2) == 1
        with pytest.raises(NotFound):
            people.end_pause(pause.id, NOW + 3)
        yes = Approval(ask_id="Q", approved=True, by="s", at=NOW)
        people.answer(yes)
        with pytest.raises(InvalidInput, match="answered already"):
            people.answer(yes)

    def test_two_processes_note_the_same_policies(self, opened):
        policies = PolicySet(digest="p", scaling=(policy(digest="d", document="{}"),))
        one, two = opened(), opened()
        one.journal.note_policies(policies)
        two.journal.note_policies(policies)
        assert two.reader.policy_document("d") == "{}"

    # -- failures --------------------------------------------------------------------------------------

    def test_a_process_killed_after_its_intent_leaves_the_intent_s6(self, opened, url):
        action_id = killed(url, _AFTER)
        assert [one.id for one in opened().journal.unsettled()] == [action_id]

    def test_a_process_killed_in_the_middle_of_a_transaction_leaves_what_was_before_s6(self, opened, url):
        store = opened()
        before = made()
        store.journal.begin(before.tick, before.state)
        was = rows_of(store)
        killed(url, _MIDDLE)
        assert rows_of(store) == was
        assert store.journal.load() == before.state

    def test_a_tick_that_was_not_written_is_not_written_later_either(self, opened):
        store = opened()
        failing = acting()
        with refusing_commits(store), pytest.raises(StoreUnavailable):
            store.journal.begin(failing.tick, failing.state)
        store.journal.flush()
        assert store.journal.load() == LoopState()
        after = acting(15)
        store.journal.begin(after.tick, after.state)
        assert store.journal.load() == after.state

    def test_after_a_commit_without_an_answer_the_next_one_writes_the_whole_state(self, opened):
        store, reader = opened(), opened().journal
        first = made()
        store.journal.begin(first.tick, first.state)
        second = acting(15)
        with refusing_commits(store, after=True), pytest.raises(StoreUnavailable):
            store.journal.begin(second.tick, second.state)
        assert reader.load() == second.state
        third = made(first.state, later(snapshot(), 30))  # the loop goes on from what it knows to be written
        store.journal.begin(third.tick, replace(third.state, targets=first.state.targets))
        assert reader.load().targets == first.state.targets

    # -- schema ----------------------------------------------------------------------------------------

    def test_a_store_of_a_newer_program_is_refused(self, opened):
        store = opened()
        with store.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        with pytest.raises(ConfigurationError, match="9999"):
            opened()

    def test_the_migrations_make_what_the_tables_say_and_lose_nothing(self, opened, url, another_url):
        as_of_first_version(another_url)
        migrated, created = opened(url=another_url), opened(url=url)
        assert (migrated.found, created.found) == ("0001", None)
        assert shape(migrated.engine) == shape(created.engine)
        assert {name: len(rows) for name, rows in rows_of(migrated).items()} == {
            name: {"meta": 3}.get(name, int(name in FIRST)) for name in METADATA.tables
        }
        assert migrated.journal.epoch() == created.journal.epoch() == 0
        assert rows_of(created)["meta"] == ["('fence', '0')"]  # to be locked by the first two claims

    def test_what_acts_before_promotions_are_kept_is_adopted_at_the_upgrade_s6(self, opened, url):
        acted, dry = loaded("acted", "enforce"), loaded("rehearsed", "dry-run")
        lowered = [loaded("lowered", "enforce"), loaded("lowered", "dry-run")]
        engine = connect(url)
        with writing(engine) as connection:
            migrate(connection, "0002")
        journal = JournalWriter(engine, 1)
        for number, policies in enumerate(([acted, dry, lowered[0]], [acted, dry, lowered[1]])):
            found = PolicySet(digest=str(number), scaling=tuple(policies))
            journal.note_policies(found)
            turn = Turn(snapshot=later(snapshot(), number), percepts=Percepts(), policies=found, code="", platform="")
            made = decide(LoopState(ticks=number), turn)
            with writing(engine) as connection:  # as an older program wrote them, which had no audit chain
                connection.execute(DECISIONS.insert(), [decision_row(one) for one in made.tick.decisions])
        engine.dispose()
        (adopted,) = opened().promotions.every()
        assert (adopted.policy, adopted.mode, adopted.by) == (acted.key, Mode.ENFORCE, "upgrade")
        assert (adopted.spec_hash, adopted.document) == (acted.spec_hash, acted.document)

    # -- what was found, and what Alertmanager told -----------------------------------------------------

    def test_a_finding_keeps_what_was_said_of_it_at_its_worst(self, opened):
        store, turn = opened(), made()
        for seconds, score in ((0, 2.0), (15, 9.0), (30, 3.0)):
            finding = replace(FINDING, at=NOW + seconds, score=score, value=score * 10)
            store.journal.begin(replace(turn.tick, id=f"T{seconds}", decisions=(), findings=(finding,)), turn.state)
        ((worst, until),) = store.reader.findings_of("service=checkout", None)
        assert (worst.score, worst.value, worst.at, until) == (9.0, 90.0, NOW + 15, NOW + 30)
        assert store.reader.findings_of("service=checkout", NOW + 31) == []
        assert store.reader.findings_of("service%", None) == [], "a part of a name, and no pattern"
        (row,) = store.reader.findings(0.0)
        assert (row["peak"], row["until"]) == (9.0, NOW + 30)

    def test_a_tick_of_plans_alone_forgets_no_peak(self, opened):
        store, turn = opened(), made()
        for seconds, found in ((0, (9.0,)), (5, ()), (15, (3.0,))):
            findings = tuple(replace(FINDING, at=NOW + seconds, score=score) for score in found)
            tick = replace(turn.tick, id=f"T{seconds}", at=NOW + seconds, decisions=(), findings=findings)
            store.journal.begin(tick, turn.state)
        ((worst, until),) = store.reader.findings_of("service=checkout", None)
        assert (worst.score, until) == (9.0, NOW + 15)

    def test_an_incident_comes_back_with_its_suspects_and_its_end(self, opened):
        store, turn = opened(), made()
        opened_then = replace(INCIDENT, standing=1)
        ended = replace(INCIDENT, state=IncidentState.ENDED, seen_at=NOW + 15)
        for number, one in enumerate((opened_then, ended)):
            tick = replace(turn.tick, id=f"T{number}", at=NOW + number * 60, decisions=(), incidents=(one,))
            store.journal.begin(tick, turn.state)
            found = store.reader.incident(INCIDENT.id[:6].lower())
            assert found["state"] == one.state.value
        assert (found["until"], found["peak_at"], found["labels"]) == (NOW + 15, NOW + 5, {"zone": "a"})
        assert [one["name"] for one in found["suspects"]] == ["shop/db"]
        assert store.reader.incidents(0.0) == [{name: v for name, v in found.items() if name != "members"}]
        assert found["members"] == ["s"]
        with pytest.raises(NotFound, match=f"the newest are {INCIDENT.id}"):
            store.reader.incident("01X")

    def test_an_incident_that_nobody_took_up_again_is_lost_and_not_open(self, opened):
        store, turn = opened(), made()
        store.journal.begin(replace(turn.tick, id="T0", decisions=(), incidents=(INCIDENT,)), turn.state)
        store.journal.begin(replace(turn.tick, id="T1", at=NOW + 86_400, decisions=()), turn.state)
        assert store.reader.incident(INCIDENT.id)["state"] == "lost"

    def test_an_alert_told_twice_is_one_and_ends_when_it_is_resolved(self, opened):
        alerts = opened().alerts
        assert alerts.note([ALERT, ALERT]) == {"new": 1, "again": 1, "resolved": 0}
        again = replace(ALERT, seen_at=NOW + 60)
        alerts.note([again])
        assert opened().alerts.firing(NOW + 60) == (again,), "after a restart, too"
        assert alerts.firing(NOW + 61) == (), "what was not told since is not known to fire"
        resolved = replace(again, status=AlertStatus.RESOLVED, ends_at=NOW + 90)
        assert alerts.note([resolved]) == {"new": 0, "again": 0, "resolved": 1}
        assert (alerts.firing(0.0), alerts.newest()) == ((), (resolved,))
        assert alerts.note([replace(again, seen_at=NOW + 99)])["again"] == 1
        assert alerts.firing(0.0) == (), "a message that comes late opens nothing again"

    def test_of_a_storm_of_alerts_the_newest_are_seen_oldest_first(self, opened):
        alerts = opened().alerts
        alerts.note([replace(ALERT, fingerprint=f"{n}", starts_at=NOW + n) for n in range(MOST_FIRING + 3)])
        seen = [one.starts_at for one in alerts.firing(0.0)]
        assert (len(seen), seen[0], seen[-1]) == (MOST_FIRING, NOW + 3, NOW + MOST_FIRING + 2)

    def test_of_one_alert_only_the_newest_fires(self, opened):
        alerts = opened().alerts
        later_one = replace(ALERT, starts_at=NOW + 600, seen_at=NOW + 600)
        alerts.note([ALERT, later_one])
        assert alerts.firing(0.0) == (later_one,)
        assert [(one.status, one.ends_at) for one in alerts.newest()][1] == (AlertStatus.RESOLVED, NOW + 600)
        early = replace(ALERT, starts_at=NOW - 600)
        assert alerts.note([early]) == {"new": 0, "again": 0, "resolved": 1}
        assert alerts.firing(0.0) == (later_one,)

    def test_the_newest_promotion_of_a_policy_is_surely_the_newest_s6(self, opened):
        store = opened()
        said = Promotion(
            policy=KEY,
            spec_hash="h",
            mode=Mode.APPROVE,
            by="ann",
            at=NOW,
            reason="it was well for a week",
            forced=False,
            evidence="{}",
            document="{}",
        )
        before = store.promotions.newest()
        store.promotions.add(said)
        # whoever's clock is behind comes later all the same
        store.promotions.add(replace(said, mode=Mode.DRY_RUN, at=NOW - 60.0))
        assert [one.mode for one in store.promotions.every()] == [Mode.APPROVE, Mode.DRY_RUN]
        assert store.promotions.newest() != before
        assert not store.promotions.add_new(replace(said, mode=Mode.DRY_RUN))
        assert store.promotions.add_new(said)

    def test_processes_that_begin_at_once_make_one_schema(self, url, opened):
        code = "import sys; from aiops.adapters.store import Store; Store.open(sys.argv[1]).close()"
        processes = [subprocess.Popen([sys.executable, "-c", code, url]) for _ in range(3)]
        assert [process.wait(60) for process in processes] == [0, 0, 0]
        assert opened().found == REVISION

    # -- retention -------------------------------------------------------------------------------------

    def test_retention_keeps_what_is_carried_on(self, opened):
        store = opened()
        turn = acting()
        for epoch in (1, 2):
            store.journal.claim(epoch, f"h{epoch}", NOW)
        store.journal.begin(turn.tick, turn.state)
        removed = store.prune(NOW + 100 * 86400, 86400.0, 10**9)
        assert (removed["decisions"], removed["claims"]) == (1, 1)
        assert store.journal.load() == turn.state
        assert len(store.journal.unsettled()) == 1
        assert store.journal.claim(2, "h2", NOW) == turn.state

    def test_a_store_that_is_too_large_loses_its_oldest_part_and_no_more(self, opened):
        store = opened(batch=50)
        state = LoopState()
        for number in range(200):
            demand = answer(300.0 + 100.0 * (number % 2))
            turn = made(state, later(snapshot(demand=demand), 60.0 * number))
            store.journal.begin(turn.tick, turn.state)
            state = turn.state
        store.journal.flush()
        before = store.live_bytes()
        removed = store.prune(NOW + 12_000.0, 1e9, before // 2)
        assert before // 5 <= store.live_bytes() <= before // 2
        assert removed["samples"] < 200
        assert store.reader.decisions(Asked(limit=1))[0]["until"] == NOW + 60.0 * 199
        assert store.prune(NOW + 12_000.0, 1e9, before // 2) == {}


_AFTER = """
import sys
from aiops.adapters.store import Store
from tests.stored import acting
store = Store.open(sys.argv[1])
turn = acting()
store.journal.begin(turn.tick, turn.state)
print(turn.tick.actions[0].id, flush=True)
sys.stdin.read()
"""

_MIDDLE = """
import sys
from sqlalchemy import event
from aiops.adapters.store import Store
from tests.stored import acting
store = Store.open(sys.argv[1])
turn = acting(15)

@event.listens_for(store.engine, "commit")
def stay(connection):
    print(turn.tick.actions[0].id, flush=True)
    sys.stdin.read()

store.journal.begin(turn.tick, turn.state)
"""


def killed(url: str, code: str) -> str:
    """Run a process until it says the id of its action, kill it, and return what it said."""
    process = subprocess.Popen([sys.executable, "-c", code, url], stdout=subprocess.PIPE, stdin=subprocess.PIPE)
    said = process.stdout.readline().decode().strip()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    process.stdin.close()
    return said
