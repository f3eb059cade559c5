"""The record: what was begun is there after a crash, what did not change is a longer run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect

from aiops.adapters.store import Asked, Store
from aiops.adapters.store.database import _migrate
from aiops.core.model import Approval, Direction, LoopState, Pause, Percepts, StepResult, StepStatus
from aiops.core.pipeline import Turn, decide, settled
from aiops.core.policies import PolicySet
from aiops.core.record.codec import to_text
from aiops.errors import ConfigurationError, InvalidInput, NotFound
from tests.builders import KEY, NOW, answer, policy, snapshot
from tests.unit.test_pipeline import later


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'aiops.db'}"


def made(state=None, shot=None):
    policies = PolicySet(digest="p", scaling=(policy(),))
    turn = Turn(snapshot=shot or snapshot(), percepts=Percepts(), policies=policies, code="c", platform="p")
    return decide(state or LoopState(), turn)


def test_a_restart_loses_no_window_and_no_intent_s6(url):
    first = made(shot=snapshot(demand=answer(590.0)))
    store = Store.open(url)
    store.journal.begin(first.tick, first.state)
    store.engine.dispose()
    again = Store.open(url).journal
    assert again.load() == first.state
    assert [action.id for action in again.unsettled()] == [first.tick.actions[0].id]


def test_what_stays_the_same_extends_the_newest_record(url):
    store = Store.open(url)
    one = made()
    two = made(one.state, later(snapshot(), 15))
    for turn in (one, two):
        store.journal.begin(turn.tick, turn.state)
    (row,) = store.reader.decisions(Asked())
    assert (row["ticks"], row["until"]) == (2, NOW + 15)
    assert len(store.reader.series(KEY, NOW - 1, NOW + 60)["demand"]) == 2


def test_a_decision_comes_back_with_its_action_and_its_end(url):
    store = Store.open(url)
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


def test_an_unknown_decision_names_the_newest_ones(url):
    store = Store.open(url)
    turn = made()
    store.journal.begin(turn.tick, turn.state)
    with pytest.raises(NotFound, match=turn.tick.decisions[0].id):
        store.reader.decision("ZZZ")


def test_one_store_has_one_writer(url):
    store = Store.open(url, writer=True)
    with pytest.raises(ConfigurationError, match="another daemon"):
        Store.open(url, writer=True)
    store.close()
    Store.open(url, writer=True).close()


def test_a_store_of_a_newer_program_is_refused(url):
    store = Store.open(url)
    with store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ConfigurationError, match="9999"):
        Store.open(url)


def test_a_file_that_is_no_database_is_refused_by_name(tmp_path):
    path = tmp_path / "aiops.db"
    path.write_text("this is no database, but a text that is long enough to be looked at")
    with pytest.raises(ConfigurationError, match="not a database"):
        Store.open(f"sqlite:///{path}")


def test_the_migrations_make_what_the_tables_say(tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path / 'migrated.db'}")
    with engine.begin() as connection:
        _migrate(connection)
    store = Store.open(f"sqlite:///{tmp_path / 'created.db'}")
    made_by = [_shape(one) for one in (engine, store.engine)]
    engine.dispose()
    assert made_by[0] == made_by[1]


def _shape(engine):
    found = inspect(engine)
    return {
        table: (
            sorted((c["name"], str(c["type"]), c["nullable"]) for c in found.get_columns(table)),
            sorted(found.get_pk_constraint(table)["constrained_columns"]),
            sorted(tuple(index["column_names"]) for index in found.get_indexes(table)),
        )
        for table in found.get_table_names()
        if table != "alembic_version"
    }


def test_people_pause_resume_and_answer_once(url):
    people = Store.open(url).people
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


def test_retention_keeps_what_is_carried_on(url):
    store = Store.open(url)
    turn = made(shot=snapshot(demand=answer(590.0)))
    store.journal.begin(turn.tick, turn.state)
    removed = store.prune(NOW + 100 * 86400, 86400.0, 10**9)
    assert removed["decisions"] == 1
    assert store.journal.load() == turn.state
    assert len(store.journal.unsettled()) == 1


def test_a_store_that_is_too_large_loses_its_oldest_part(url):
    store = Store.open(url, batch=50)
    state = LoopState()
    for number in range(200):
        demand = answer(300.0 + 100.0 * (number % 2))
        turn = made(state, later(snapshot(demand=demand), 60.0 * number))
        store.journal.begin(turn.tick, turn.state)
        state = turn.state
    store.journal.flush()
    before = store.used_bytes()
    removed = store.prune(NOW + 12_000.0, 1e9, before // 2)
    assert store.used_bytes() <= before // 2
    assert removed["samples"] < 200
    assert store.reader.decisions(Asked(limit=1))[0]["until"] == NOW + 60.0 * 199


def test_a_backup_is_whole_and_overwrites_nothing(url, tmp_path):
    store = Store.open(url)
    turn = made()
    store.journal.begin(turn.tick, turn.state)
    copy = tmp_path / "copy.db"
    assert store.backup(copy) > 0
    assert Store.open(f"sqlite:///{copy}").journal.load() == turn.state
    with pytest.raises(InvalidInput, match="there already"):
        store.backup(copy)


_WRITES = """
import sys
from aiops.adapters.store import Store
from tests.unit.test_store import made
from tests.builders import answer, snapshot
store = Store.open(sys.argv[1])
turn = made(shot=snapshot(demand=answer(590.0)))
store.journal.begin(turn.tick, turn.state)
print(turn.tick.actions[0].id, flush=True)
sys.stdin.read()
"""


def test_a_process_killed_after_its_intent_leaves_the_intent_s6(url):
    process = subprocess.Popen(
        [sys.executable, "-c", _WRITES, url], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    )
    action_id = process.stdout.readline().strip()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    process.stdin.close()
    assert [one.id for one in Store.open(url).journal.unsettled()] == [action_id]
