"""What the audit chain promises on every database: what is recorded is recorded with the thing itself, in one chain."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace

import pytest
from sqlalchemy import text

from aiops.adapters.store import Said, Sought, Store
from aiops.adapters.store.audit_check import check
from aiops.core.model import (
    Approval,
    Direction,
    FindingKind,
    Mode,
    Order,
    OrderKind,
    Pause,
    StepResult,
    StepStatus,
)
from aiops.core.record.anchors import AnchorKind, anchor_of
from aiops.core.record.audit import AuditKind, Entry, Head, head_of
from aiops.core.versions import Promotion
from aiops.errors import InvalidInput, StoreUnavailable
from tests.builders import KEY, NOW, snapshot
from tests.properties.test_audit_chain import Key, believes
from tests.stored import FINDING, INCIDENT, acting, made, refusing_commits
from tests.unit.test_pipeline import later

DAY_S = 86_400.0


def entry(number: int, at: float = NOW) -> Entry:
    return Entry(at=at, kind=AuditKind.LOGIN, by=f"p{number}", subject="page", did="refused", said="no\x00pe\ud800")


def told(store: Store) -> list[tuple[str, str]]:
    return [(line.columns["kind"], line.columns["by"]) for line in store.audit.after(0)]


def said(store: Store) -> str:
    return "; ".join(one.said for one in check(store.engine).faults)


def write(store: Store, statement: str, **values: object) -> None:
    with store.engine.begin() as connection:
        connection.execute(text(statement), values)


class AuditContract:
    """The chain in a database."""

    def test_a_tick_is_recorded_with_its_decisions_its_actions_and_how_they_ended(self, opened):
        store = opened()
        store.journal.claim(7, "a", NOW)
        turn = acting()
        store.journal.begin(turn.tick, turn.state)
        action = turn.tick.actions[0]
        result = StepResult(action_id=action.id, status=StepStatus.REFUSED, at=NOW + 1, code=403, message="forbidden")
        store.journal.settle([result], [], turn.state)
        decided, begun, answered = store.audit.after(0)
        assert [one.columns["by"] for one in (decided, begun, answered)] == ["loop, epoch 7"] * 3
        assert decided.columns["ref"] == turn.tick.decisions[0].id
        assert begun.columns["ref"] == answered.columns["ref"] == action.id
        assert answered.columns["subject"] == KEY
        assert '"did":"refused"' in answered.text
        found = check(store.engine)
        assert (found.whole, found.records, found.rows) == (True, 3, 2)

    def test_what_does_not_change_makes_no_record(self, opened):
        store = opened()
        one = made()
        store.journal.begin(one.tick, one.state)
        was = store.audit.head()
        two = made(one.state, later(snapshot(), 15))
        store.journal.begin(two.tick, two.state)
        assert store.audit.head() == was

    def test_a_tick_that_is_not_written_is_not_recorded(self, opened):
        store = opened()
        turn = acting()
        with refusing_commits(store), pytest.raises(StoreUnavailable):
            store.journal.begin(turn.tick, turn.state)
        assert store.audit.after(0) == []
        assert check(store.engine).whole

    def test_what_could_not_be_written_is_recorded_when_it_is_written(self, opened):
        store, turn = opened(), made()
        store.journal.load()
        opens = replace(turn.tick, decisions=(), incidents=(INCIDENT,))
        with refusing_commits(store), pytest.raises(StoreUnavailable):
            store.journal.begin(opens, turn.state)
        for number in range(2):
            store.journal.begin(replace(opens, id=f"T{number}"), turn.state)
        assert [(line.columns["kind"], line.columns["ref"]) for line in store.audit.after(0)] == [
            ("incident", INCIDENT.id)
        ]

    def test_what_people_say_is_recorded_with_who_said_it(self, opened):
        store = opened()
        pause = store.people.add_pause(
            Pause(id="", scope="*", direction=Direction.ALL, reason="fire", by="ann", since=NOW, until=math.inf)
        )
        store.people.end_pause(pause.id, NOW + 5, "ben")
        store.people.answer(Approval(ask_id="Q" * 26, approved=True, by="cyd", at=NOW, reason="fine"))
        with pytest.raises(InvalidInput):
            store.people.answer(Approval(ask_id="Q" * 26, approved=False, by="dan", at=NOW, reason=""))
        promotion = Promotion(
            policy=KEY, spec_hash="h1", mode=Mode.ENFORCE, by="eve", at=NOW, reason="a week", forced=True,
            evidence="{}", document="{}",
        )  # fmt: skip
        store.promotions.add(promotion)
        store.promotions.add(replace(promotion, spec_hash="h2", forced=False))
        order = Order(
            id="O" * 26, kind=OrderKind.ABORT, subject="P" * 26, by="fay", at=NOW, reason="no", expires_at=NOW + 60
        )
        for _ in range(2):
            store.plans.order(order)
        assert told(store) == [
            ("pause", "ann"), ("resume", "ben"), ("approval", "cyd"), ("promotion", "eve"), ("promotion", "eve"),
            ("order", "fay"),
        ]  # fmt: skip
        assert '"did":"stopped"' in store.audit.after(0)[0].text
        assert '"after":"h2 enforce"' in store.audit.after(0)[4].text
        assert '"before":"h1 enforce"' in store.audit.after(0)[4].text
        assert check(store.engine).whole

    def test_a_budget_is_recorded_when_it_is_overrun_when_all_is_spent_and_when_it_is_kept_again(self, opened):
        turn, seen = made(), []
        over = replace(FINDING, kind=FindingKind.OVERRUN, series="BudgetPolicy/shop/team#month", p_value=0.1)
        spent = replace(over, p_value=0.0)
        for number, findings in enumerate([(over,), (over,), (), (over,), (spent,), (), ()]):
            # each by a process of its own: what is known is in the store
            store, at = opened(), NOW + number * 400
            store.journal.load()
            tick = replace(turn.tick, id=f"T{number}", at=at, decisions=(), findings=findings)
            store.journal.begin(tick, turn.state)
            seen.append([json.loads(line.text)["did"] for line in store.audit.after(0)])
        assert seen[0] == seen[3] == ["overrun"]
        assert seen[4] == ["overrun", "exceeded"]
        same = opened().journal
        same.load()
        for number in (7, 9):
            same.begin(
                replace(turn.tick, id=f"T{number}", at=NOW + number * 400, decisions=(), findings=()), turn.state
            )
        kept = [json.loads(line.text)["did"] for line in opened().audit.after(0)]
        assert kept == ["overrun", "exceeded", "within"]

    def test_policies_are_recorded_when_they_differ_from_those_before_also_over_a_start(self, opened):
        first = opened()
        assert first.audit.note_policies({"A/x/y": "1", "A/x/z": "1"}, "files", NOW) == 2
        again = opened()
        assert again.audit.note_policies({"A/x/y": "1", "A/x/z": "1"}, "files", NOW) == 0
        assert again.audit.note_policies({"A/x/y": "2"}, "files", NOW) == 2
        found = [(line.columns["subject"], line.text) for line in again.audit.sought(Sought(limit=2))]
        assert ['"did":"removed"' in found[0][1], '"before":"1","by":"files"' in found[1][1]] == [True, True]

    def test_records_are_found_by_what_they_are_of_page_by_page(self, opened):
        store = opened()
        store.audit.note(*(entry(number, NOW + number) for number in range(10)))
        assert [one.seq for one in store.audit.sought(Sought(limit=4))] == [10, 9, 8, 7]
        assert [one.seq for one in store.audit.sought(Sought(limit=4, before=7))] == [6, 5, 4, 3]
        assert [one.seq for one in store.audit.sought(Sought(by="p3"))] == [4]
        assert [one.seq for one in store.audit.sought(Sought(since=NOW + 2, until=NOW + 3))] == [4, 3]
        assert store.audit.sought(Sought(kind="token")) == []

    # -- one chain -------------------------------------------------------------------------------------

    def test_two_processes_that_write_at_once_make_one_chain(self, opened, url):
        store = opened()
        processes = [
            subprocess.Popen([sys.executable, "-c", _WRITE, url, name], stdout=subprocess.PIPE) for name in ("a", "b")
        ]
        for process in processes:
            out, _ = process.communicate(timeout=50)
            assert (process.returncode, out) == (0, b"done\n")
        found = check(store.engine)
        assert (found.whole, found.records, found.head.seq) == (True, 120, 120)
        written = [line.columns["by"][0] for line in store.audit.after(0)]
        assert (written.count("a"), written.count("b")) == (60, 60)

    # -- tampering -------------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        ("statement", "seq", "why"),
        [
            ("UPDATE audit SET text = replace(text, 'p4', 'p5') WHERE seq = 5", 5, "record 5 does not follow"),
            ("UPDATE audit SET digest = :other WHERE seq = 5", 5, "record 5 does not follow"),
            ("UPDATE audit SET \"by\" = 'nobody' WHERE seq = 5", 5, "record 5 is stored under another by"),
            ("UPDATE audit SET \"at\" = \"at\" + 1 WHERE seq = 5", 5, "record 5 is stored under another at"),
            ("DELETE FROM audit WHERE seq = 5", 5, "record 5 is missing"),
            ("DELETE FROM audit WHERE seq < 5", 1, "record 1 to 4 are missing"),
            ("DELETE FROM audit WHERE seq > 5", 6, "records 6 to 9 are missing: the end of the chain is cut"),
            ("UPDATE audit SET seq = CASE seq WHEN 5 THEN 105 ELSE seq END", 5, "record 5 is missing"),
            ("INSERT INTO audit SELECT 10, at, kind, \"by\", subject, ref, text, digest FROM audit WHERE seq = 9",
             10, "record 10 does not follow"),
            ("UPDATE meta SET value = :head WHERE key = 'audit'", 9, "knows no record after 7"),
        ],
    )  # fmt: skip
    def test_what_is_done_to_the_chain_is_seen(self, opened, statement, seq, why):
        store = opened()
        store.audit.note(*(entry(number) for number in range(9)))
        values = {"other": "0" * 64, "head": f"7 {store.audit.after(6)[0].digest}"}
        write(store, statement, **{name: value for name, value in values.items() if f":{name}" in statement})
        found = check(store.engine)
        assert not found.whole
        assert (found.faults[0].seq, why in found.faults[0].said) == (seq, True), found.faults

    def test_a_tail_that_is_cut_together_with_what_the_store_says_of_it_is_seen_by_an_anchor(self, opened):
        store = opened()
        store.audit.signer = Key()
        store.audit.note(*(entry(number) for number in range(9)))
        kept = anchor_of(store.audit.anchor(NOW, AnchorKind.ASKED).line())
        end = head_of(store.audit.after(4)[0])
        write(store, "DELETE FROM audit WHERE seq > 5")
        write(store, "DELETE FROM anchors")
        write(store, "UPDATE meta SET value = :v WHERE key = 'audit'", v=f"{end.seq} {end.digest}")
        assert check(store.engine).whole, "the store alone cannot know"
        assert "its end is cut" in check(store.engine, [kept], believes).faults[0].said

    def test_a_decision_that_is_changed_removed_or_made_up_is_seen(self, opened):
        store = opened()
        for number in range(3):
            turn = acting(15.0 * number)
            store.journal.begin(turn.tick, turn.state)
        assert check(store.engine).whole
        ids = [line.columns["ref"] for line in store.audit.sought(Sought(kind="decision"))]
        body = bytes(range(20))
        with store.engine.begin() as connection:
            was = connection.execute(text("SELECT body FROM decisions WHERE id = :i"), {"i": ids[0]}).scalar()
        write(store, "UPDATE decisions SET body = :b WHERE id = :i", b=body, i=ids[0])
        assert f"decision {ids[0]} was changed after it was recorded" in said(store)
        write(store, "UPDATE decisions SET body = :b WHERE id = :i", b=was, i=ids[0])
        assert said(store) == ""
        write(
            store,
            "INSERT INTO decisions SELECT 'made up', tick_id, \"at\", until, ticks, policy, target, verdict, reason,"
            " before, after, dry_run, action_id, policy_digest, story, body FROM decisions WHERE id = :i",
            i=ids[0],
        )
        assert "1 decisions stand in the store, and no record knows them" in said(store)
        write(store, "INSERT INTO meta (key, value) VALUES ('audit_unchained', '1e12')")
        assert "no record knows them" in said(store), "nobody hides rows behind a time until which there was no chain"
        write(store, "DELETE FROM decisions WHERE id = 'made up' OR id = :i", i=ids[0])
        assert f"decision {ids[0]} is recorded, and is gone from the store" in said(store)

    @pytest.mark.parametrize(
        ("table", "change"),
        [
            ("decisions", "story = 'nothing happened'"), ("decisions", "verdict = 'steady'"),
            ("decisions", "after = 1"), ("decisions", "policy = 'ScalingPolicy/shop/other'"),
            ("actions", "after = 1"), ("actions", "policy = 'ScalingPolicy/shop/other'"),
        ],
    )  # fmt: skip
    def test_what_lists_show_of_a_row_is_held_against_its_record_too(self, opened, table, change):
        store = opened()
        turn = acting()
        store.journal.begin(turn.tick, turn.state)
        assert said(store) == ""
        write(store, f"UPDATE {table} SET {change}")
        assert "was changed after it was recorded" in said(store)

    # -- retention, backup, restore -----------------------------------------------------------------------

    def test_retention_cuts_the_chain_at_a_signed_place_and_what_is_left_is_whole(self, opened):
        store = opened()
        store.audit.signer = Key()
        store.audit.note(*(entry(number, NOW + number * DAY_S) for number in range(10)))
        early = store.audit.anchor(NOW, AnchorKind.ASKED)
        removed = store.prune(NOW + 9 * DAY_S, 100 * DAY_S, 10**9, audit_s=4 * DAY_S)
        assert removed == {"audit": 5}
        found = check(store.engine, [early], believes)
        assert (found.whole, found.records, found.start.seq, found.head.seq) == (True, 6, 5, 11)
        assert "retention removed records 1 to 5" in store.audit.after(10)[0].text
        assert store.prune(NOW + 9 * DAY_S + 60, 100 * DAY_S, 10**9, audit_s=4 * DAY_S) == {}, "once a day is enough"
        store.prune(NOW + 12 * DAY_S, 100 * DAY_S, 10**9, audit_s=4 * DAY_S)
        again = check(store.engine, [early], believes)
        assert (again.whole, again.start.seq) == (True, 8)

    def test_a_cut_that_retention_did_not_make_is_seen_where_a_key_is_known(self, opened):
        store = opened()
        store.audit.note(*(entry(number) for number in range(9)))
        fourth = store.audit.after(3)[0]
        store.audit.signer = None
        write(store, "DELETE FROM audit WHERE seq <= 4")
        forged = store.audit.anchor(NOW, AnchorKind.CUT)
        line = replace(forged, seq=4, digest=fourth.digest).line()
        write(store, "INSERT INTO meta VALUES ('audit_start', :v)", v=line)
        assert check(store.engine).whole
        assert (
            "the cut before record 5 was not signed by a key that is known"
            in check(store.engine, (), believes).faults[0].said
        )

    def test_a_signed_anchor_that_is_no_cut_stands_for_none(self, opened):
        store = opened()
        store.audit.signer = Key()
        store.audit.note(*(entry(number) for number in range(4)))
        daily = store.audit.anchor(NOW, AnchorKind.DAILY)
        store.audit.note(*(entry(number) for number in range(4, 9)))
        write(store, "DELETE FROM audit WHERE seq <= 4")
        write(store, "INSERT INTO meta VALUES ('audit_start', :v)", v=daily.line())
        for key in (None, believes):
            found = check(store.engine, (), key)
            assert [(one.seq, one.said) for one in found.faults] == [
                (4, "records up to 4 are missing: no cut by retention is there in their place, but a daily anchor")
            ]

    def test_decisions_that_retention_removed_are_not_missed(self, opened):
        store = opened()
        for at in (0.0, 100 * DAY_S):
            turn = acting(at)
            store.journal.begin(turn.tick, turn.state)
            done = StepResult(action_id=turn.tick.actions[0].id, status=StepStatus.DONE, at=NOW + at)
            store.journal.settle([done], [], turn.state)
        assert store.prune(NOW + 100 * DAY_S, 10 * DAY_S, 10**9)["decisions"] == 1
        found = check(store.engine)
        assert (found.whole, found.records, found.rows) == (True, 7, 2), found.faults
        last = json.loads(store.audit.after(6)[0].text)
        assert (last["kind"], last["did"], last["after"]) == ("store", "pruned", NOW + 90 * DAY_S)
        assert store.prune(NOW + 100 * DAY_S, 10 * DAY_S, 10**9) == {}
        assert store.audit.head().seq == 7, "where nothing went there is nothing to record"

    def test_decisions_that_retention_did_not_remove_are_missed_whatever_the_store_says_beside_the_chain(self, opened):
        store = opened()
        turn = acting()
        store.journal.begin(turn.tick, turn.state)
        write(store, "DELETE FROM decisions")
        write(store, "DELETE FROM meta WHERE key = 'pruned'")
        write(store, "INSERT INTO meta VALUES ('pruned', '1e12')")
        assert f"decision {turn.tick.decisions[0].id} is recorded, and is gone from the store" in said(store)

    def test_a_backup_keeps_the_chain_and_a_restore_is_recorded_in_it(self, opened, url, another_url, tmp_path):
        store, other = opened(), opened(url=another_url)
        store.audit.note(*(entry(number) for number in range(3)))
        store.audit.anchor(NOW, AnchorKind.DAILY)
        other.audit.note(entry(9))
        Store.backup(url, tmp_path / "copy.db")
        was = other.audit.head()
        Store.restore(another_url, tmp_path / "copy.db", replace=True, said=Said(by="ann", at=NOW))
        restored = opened(url=another_url)
        found = check(restored.engine)
        assert (found.whole, found.records, found.anchors) == (True, 4, 1)
        last = restored.audit.after(3)[0]
        assert (last.columns["by"], f'"before":"{was.seq} {was.digest}"' in last.text) == ("ann", True)
        restored.audit.note(entry(5))
        assert check(restored.engine).whole

    def test_an_anchor_of_the_same_end_is_made_once(self, opened):
        store = opened()
        assert store.audit.anchor(NOW, AnchorKind.DAILY).seq == 0
        store.audit.note(entry(1))
        for at in (NOW, NOW + 1):
            store.audit.anchor(at, AnchorKind.DAILY)
        assert [one.seq for one in store.audit.anchors()] == [0, 1]
        assert store.audit.head() == Head(seq=1, digest=store.audit.anchors()[1].digest)

    # -- followers ----------------------------------------------------------------------------------------

    def test_a_follower_begins_at_the_end_and_is_told_what_retention_took_before_it_came(self, opened):
        store = opened()
        store.audit.note(*(entry(number, NOW + number * DAY_S) for number in range(10)))
        assert store.notices.cursor("x") == (10, 0)
        store.notices.move("x", 2, 0)
        store.prune(NOW + 9 * DAY_S, 100 * DAY_S, 10**9, audit_s=4 * DAY_S)
        assert opened().notices.cursor("x") == (5, 3)


_WRITE = """
import sys
from aiops.adapters.store import Store
from tests.store_audit_contract import entry
from dataclasses import replace
url, name = sys.argv[1:]
store = Store.open(url)
for number in range(30):
    store.audit.note(*(replace(entry(number), by=f"{name}{number}") for _ in range(2)))
print("done")
"""
