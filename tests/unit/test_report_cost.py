"""The report: sums that add up, unknown that stays unknown, and the same numbers in every form."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from aiops.adapters.store import Store
from aiops.app.books import WRITE_S, StoredBooks
from aiops.app.cli import app
from aiops.app.costing import answered, tables
from aiops.app.costing.exchanged import exchanged
from aiops.app.costing.page import page
from aiops.app.costing.parquet import write
from aiops.core.model import Action
from aiops.core.money.spend import DAY_S, HOUR_MS, HOUR_S, LOOP, Row, Subject, nano
from aiops.core.policies import PolicySet
from aiops.errors import InvalidInput
from tests.builders import KEY, action, policy
from tests.unit.spending import start, turned
from tests.unit.test_cost_budget import budget

NOW = float(1_772_409_600 + 12 * HOUR_S)  # noon, 2 March 2026, UTC


def subject(name: str, team: str = "a", namespace: str = "shop") -> Subject:
    labels = (("team", team),) if team else ()
    target = f"default/{namespace}/apps/v1/Deployment/{name}"
    return Subject(target=target, policy=f"ScalingPolicy/{namespace}/{name}", namespace=namespace, labels=labels)


def hour(replicas: int, usd: float | None, **more) -> Row:
    made = Row(seen_ms=HOUR_MS, replica_ms=replicas * HOUR_MS)
    if usd is None:
        return replace(made, unpriced_ms=made.replica_ms, **more)
    return replace(made, money=nano(usd) * made.replica_ms, **more)


@pytest.fixture
def store(tmp_path: Path):
    made = Store.open(f"sqlite:///{tmp_path / 'aiops.db'}")
    rows = []
    for number in range(48):
        at = int(NOW) - (number + 1) * HOUR_S
        saved = {"saved": nano(0.1) * HOUR_MS, "realised": nano(0.04) * HOUR_MS, "reference_ms": 5 * HOUR_MS, "peak": 6}
        saved |= {"saved_low": 0, "saved_high": nano(0.2) * HOUR_MS, "compared_ms": 4 * HOUR_MS}
        busy = {"use_known_ms": 4 * HOUR_MS, "used_ms": HOUR_MS}
        rows.append((subject("web"), at, hour(4, 0.1, **saved, **busy)))
        rows.append((subject("night", team=""), at, hour(1, 0.5, use_known_ms=HOUR_MS, idle_ms=HOUR_MS)))
        rows.append((subject("gpu", team="b", namespace="ml"), at, hour(2, None)))
        if number != 20:
            rows.append((LOOP, at, Row(seen_ms=HOUR_MS)))
    made.costs.write(rows, (), None)
    yield made
    made.close()


def test_sums_by_team_namespace_policy_target_day_and_week_add_up_to_the_whole(store):
    found = answered(store, {"days": 3}, NOW)
    assert found["total"]["spent"] == pytest.approx(48 * (0.4 + 0.5))
    for kind in ("team", "namespace", "policy", "target"):
        assert sum(one["spent"] or 0.0 for one in found["by"][kind]) == pytest.approx(found["total"]["spent"])
    for kind in ("days", "weeks"):
        assert sum(one["spent"] for one in found[kind]) == pytest.approx(found["total"]["spent"])
    assert [one["name"] for one in found["by"]["team"]] == ["", "a", "b"], "the dearest first; '' names none"
    assert [one["date"] for one in found["days"]] == ["2026-02-28", "2026-03-01", "2026-03-02"]
    assert [one["week"] for one in found["weeks"]] == ["2026-W09", "2026-W10"]


def test_what_has_no_price_is_unknown_and_not_nothing(store):
    found = answered(store, {"days": 3}, NOW)
    (ml,) = [one for one in found["by"]["namespace"] if one["name"] == "ml"]
    assert (ml["spent"], ml["saved"], ml["unpriced_replica_hours"]) == (None, None, 96.0)
    assert "96.0 replica-hours have no price: what they cost is not known" in tables.text(found)


def test_realised_and_freed_are_what_is_saved(store):
    (web,) = [one for one in answered(store, {"days": 3}, NOW)["by"]["policy"] if one["name"].endswith("web")]
    assert (web["saved"], web["realised"], web["freed"]) == (
        pytest.approx(4.8), pytest.approx(1.92), pytest.approx(2.88),
    )  # fmt: skip
    assert (web["saved_low"], web["saved_high"]) == (0.0, pytest.approx(9.6))
    assert web["static_usd"] == pytest.approx(48 * 6 * 0.1), "the peak of the reference, at what a replica cost"


def test_in_another_currency_every_amount_is_its_own_by_one_rate(store):
    found = answered(store, {"days": 3}, NOW)
    euros = exchanged(found, "EUR", {"EUR": 1.25})
    assert (euros["currency"], euros["total"]["spent"]) == ("EUR", pytest.approx(found["total"]["spent"] / 1.25))
    for kind in ("team", "policy", "target"):
        for here, there in zip(euros["by"][kind], found["by"][kind], strict=True):
            assert here["replica_hours"] == there["replica_hours"]
            for name in ("spent", "saved", "saved_low", "realised", "freed"):
                assert here[name] == (None if there[name] is None else pytest.approx(there[name] / 1.25))
            assert here["static_usd"] == there["static_usd"]
    assert "in EUR" in tables.text(euros)
    with pytest.raises(InvalidInput, match=r"no rate for JPY \(prices.rates of the settings have EUR, USD\)"):
        exchanged(found, "JPY", {"EUR": 1.25})
    with pytest.raises(InvalidInput, match="did you mean EUR"):
        exchanged(found, "eur", {"EUR": 1.25})


def test_an_hour_that_nobody_watched_is_told(store):
    found = answered(store, {"days": 3}, NOW)
    assert (found["total"]["watched_hours"], found["total"]["unwatched_hours"]) == (47.0, 1.0)


def test_how_long_anybody_looked_is_said_and_that_nothing_is_idle(store):
    from aiops.app.costing.tables import text

    found = answered(store, {"days": 700}, NOW)
    assert "watched   47.0 h of these 16,800.0 h: of the rest nothing is known" in text(found)
    assert "idle      no target" not in text(found)
    busy = {**found, "idle": [], "oversized": []}
    assert "idle      no target, and none is oversized, as far as their use is known" in text(busy)
    whole = {**found, "total": {**found["total"], "watched_hours": 16_800.0}}
    assert "\nwatched " not in text(whole)


def test_filters_leave_the_rest_out(store):
    assert answered(store, {"days": 3, "team": "a"}, NOW)["total"]["spent"] == pytest.approx(19.2)
    assert answered(store, {"days": 3, "policy": "night"}, NOW)["total"]["spent"] == pytest.approx(24.0)
    assert answered(store, {"days": 3, "namespace": "ml"}, NOW)["by"]["team"][0]["name"] == "b"
    assert answered(store, {"days": 1}, NOW)["total"]["spent"] == pytest.approx(24 * 0.9)
    assert answered(store, {"days": 3, "team": "nobody"}, NOW)["days"] == []


@pytest.mark.parametrize("days", [0, -1, 801, float("nan"), "7", True])
def test_days_that_are_none_are_refused(store, days):
    with pytest.raises(InvalidInput, match="is no number of days"):
        answered(store, {"days": days}, NOW)


def test_idle_and_oversized_are_listed_the_dearest_first(store):
    found = answered(store, {"days": 3}, NOW)
    assert [(one["policy"].rpartition("/")[2], one["idle_ratio"]) for one in found["idle"]] == [("night", 1.0)]
    assert [(one["policy"].rpartition("/")[2], one["use_ratio"]) for one in found["oversized"]] == [
        ("night", 0.0),
        ("web", 0.25),
    ]


def test_every_form_says_the_same(store, tmp_path):
    found = answered(store, {"days": 3}, NOW)
    rows = list(csv.DictReader(io.StringIO(tables.as_csv(found))))
    path = tmp_path / "costs.parquet"
    assert write(found, path) == len(rows)
    told = pq.read_table(path).to_pylist()
    for row, one in zip(rows, told, strict=True):
        assert (row["by"], row["name"]) == (one["by"], one["name"])
        assert (float(row["spent"]) if row["spent"] else None) == one["spent"]
    assert {row["by"] for row in rows} == {"all", "team", "namespace", "policy", "target", "day", "week"}
    made = page(found)
    assert made.count("<svg") == 1
    assert "43.20 for 336.0 replica-hours" in made
    assert "http" not in made.replace("http://www.w3.org", ""), "it needs nothing else"


def test_texts_of_others_become_neither_markup_nor_formulas(store):
    evil = replace(subject("x"), labels=(("team", "=cmd()|<script>alert(1)</script>"),))
    store.costs.write([(evil, int(NOW) - HOUR_S, hour(1, 0.1))], (), None)
    found = answered(store, {"days": 1}, NOW)
    assert "<script>" not in page(found)
    assert "'=cmd()" in tables.as_csv(found)


@pytest.fixture
def empty(tmp_path: Path):
    made = Store.open(f"sqlite:///{tmp_path / 'empty.db'}")
    yield made
    made.close()


def test_nothing_stored_is_nothing_spent_and_says_so(empty):
    found = answered(empty, {}, NOW)
    assert (found["total"]["replica_hours"], found["total"]["saved"], found["days"]) == (0.0, None, [])
    assert tables.text(found).startswith("costs 2026-01-31 12:00 to 2026-03-02 12:00, in USD")


# -- the books of a daemon --------------------------------------------------------------------------------


def lived(books: StoredBooks, minutes: range, actions: tuple[Action, ...] = ()) -> None:
    made = budget(amount=0.5, period="day", priorities=[{"policies": ["checkout"], "maxReplicas": 10}])
    policies = PolicySet(digest="d", scaling=(policy(),), budgets=(made,), labels={KEY: {"team": "payments"}})
    for minute in minutes:
        done = actions if minute == minutes.start else ()
        one = turned(start() + 60.0 * minute, 6, 0.1, need=8, policies=policies, actions=done)
        books.standings(policies, one.snapshot.at)
        books.note(one)


def test_what_a_daemon_counts_is_read_back_by_the_next_one(empty):
    first = StoredBooks(empty, {})
    lived(first, range(31), actions=(action(before=8, after=6),))
    first.write(start() + 1800.0)
    second = StoredBooks(empty, {})
    lived(second, range(31, 61))
    second.write(start() + 3600.0)
    found = answered(empty, {"days": 1}, start() + 3600.0)
    assert found["total"]["spent"] == pytest.approx(6 * 0.1 * 59 / 60), "the minute between the two is a gap"
    (entry,) = [one for one in found["ledger"] if one["id"] == "A1" and one["closed_at"] is None]
    assert entry["stood_hours"] == pytest.approx(59 / 60)
    (told,) = found["budgets"]
    assert (told["name"], told["spent"]) == ("payments", pytest.approx(0.58)), "a minute old at most"
    assert told["ceilings"] == [{"policy": KEY, "ceiling": 10, "max": 40, "binds": True}]
    since = told["over_since"]
    third = StoredBooks(empty, {})
    lived(third, range(61, 62))
    assert third.latest["CostBudget/shop/payments"].over_since == since, "nobody is called again for it"


def test_a_store_that_is_full_loses_no_spend(empty):
    books = StoredBooks(empty, {}, epoch=lambda: 7)  # not in force: every write is refused
    lived(books, range(5))
    assert answered(empty, {"days": 1}, start() + 300.0)["by"]["policy"] == []
    books.epoch = lambda: None
    books.write(start() + 300.0)
    (one,) = answered(empty, {"days": 1, "team": "payments"}, start() + 300.0)["by"]["policy"]
    assert one["spent"] == pytest.approx(6 * 0.1 * 4 / 60)


def test_who_stands_by_forgets_and_reads_again(empty):
    books = StoredBooks(empty, {})
    lived(books, range(3))
    books.stand_by()
    lived(books, range(10, 12))
    assert sum(one.seen_ms for (s, _), one in books.books.accounts.rows.items() if s.is_target) <= 4 * 60_000
    assert WRITE_S == 60.0


# -- the command line -------------------------------------------------------------------------------------


def test_the_command_line_prints_a_table_json_and_files(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "c.yaml"
    config.write_text(f"store: {{url: 'sqlite:///{tmp_path / 'aiops.db'}'}}\n")
    run = CliRunner()
    base = ["--config", str(config)]
    shown = run.invoke(app, [*base, "report", "cost", "--days", "700"])
    assert shown.exit_code == 0, shown.output
    assert "NAMESPACE" in shown.output
    asked = run.invoke(app, [*base, "-o", "json", "report", "cost", "--days", "700", "--namespace", "ml"])
    assert json.loads(asked.output)["by"]["policy"][0]["name"] == "ScalingPolicy/ml/gpu"
    assert "watched   47.0 h of these" in shown.output
    nobody = run.invoke(app, [*base, "report", "cost", "--days", "700", "--policy", "nope"])
    assert nobody.exit_code == 0
    said = "nothing is known of policy nope in this time; there are policies: ScalingPolicy/ml/gpu, ScalingPolicy/shop/"
    assert said in nobody.stderr
    files = [*base, "report", "cost", "--days", "700", "--csv", "a.csv", "--html", "a.html", "--parquet", "a.parquet"]
    assert run.invoke(app, files).exit_code == 0
    assert {one.name for one in tmp_path.glob("a.*")} == {"a.csv", "a.html", "a.parquet"}
    piped = run.invoke(app, [*base, "report", "cost", "--csv", "-"])
    assert piped.output.startswith("since,until,currency,by,name,spent")
    assert DAY_S == 86_400
