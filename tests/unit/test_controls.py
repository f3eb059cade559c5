"""People's wishes reach the loop from every side (S9)."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from aiops.adapters.store import Store
from aiops.app.controls import StoreControls
from aiops.core.model import Direction, Pause
from aiops.errors import InvalidContent, InvalidInput
from aiops.policy.schedule import window
from simulators.load import read_trace
from simulators.scenario import load
from tests.builders import NOW

PEOPLE_NOW = NOW + 5000.0


def controls(tmp_path: Path) -> StoreControls:
    store = Store.open(f"sqlite:///{tmp_path / 'aiops.db'}")
    people = store.people
    people.add_pause(
        Pause(id="", scope="shop", direction=Direction.IN, reason="r", by="s", since=PEOPLE_NOW, until=PEOPLE_NOW + 60)
    )
    freezes = [("nights", window("0 0 * * *", 86_400.0, "UTC"))]
    return StoreControls(people, store.plans, tmp_path / "pause", freezes, lambda: PEOPLE_NOW)


def test_a_pause_of_peoples_clock_is_moved_to_the_loops_s9(tmp_path):
    (pause,) = controls(tmp_path).read(NOW).pauses
    assert (pause.since, pause.until) == (NOW, NOW + 60)


def test_while_the_pause_file_is_there_everything_is_paused_s9(tmp_path):
    made = controls(tmp_path)
    (tmp_path / "pause").write_text("moving house\nmore words")
    found = [one for one in made.read(NOW).pauses if one.id == "file"]
    assert [(one.scope, one.reason) for one in found] == [("*", "moving house")]
    (tmp_path / "pause").unlink()
    assert len(made.read(NOW).pauses) == 1


def test_a_freeze_of_the_calendar_is_in_force_until_its_end_s9(tmp_path):
    (freeze,) = controls(tmp_path).read(NOW).freezes
    assert (freeze.name, freeze.until > NOW) == ("nights", True)


def test_a_trace_is_read_from_csv_and_its_mistakes_are_placed(tmp_path):
    trace = tmp_path / "trace.csv"
    trace.write_text("timestamp,value\n2026-03-02T00:00:00Z,10\n2026-03-02T01:00:00Z,30\n")
    scenario = tmp_path / "traced.yaml"
    scenario.write_text(
        "{name: traced, start: '2026-03-02T00:00:00Z', duration: 1h,"
        " services: [{name: web, load: {base: 2, csv: trace.csv}}]}"
    )
    world, _ = load(str(scenario)).world()
    world.advance(world.start + 1800.0)
    assert world.services["shop/web"].last.offered / world.step_s == pytest.approx(40.0, rel=0.02)
    trace.write_text("timestamp,value\n1,2\n2,many\n")
    with pytest.raises(InvalidInput, match=r"trace\.csv:3:3: not a number"):
        read_trace(trace)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.csv", b"1,2\n\xff\xfe,3\n", "t.csv:0:0: is no text of comma-separated values"),
        ("t.csv.gz", gzip.compress(b"1,2\n2,3\n", mtime=0)[:12], "t.csv.gz:0:0: cannot be read"),
        ("t.csv.gz", b"1,2\n2,3\n", "t.csv.gz:0:0: cannot be read"),
        ("t.csv", b"1,2\nnan,3\n", "t.csv:2:1: no time that a clock shows: 'nan'"),
        ("t.csv", b"1,2\n1e300,3\n", "t.csv:2:1: no time that a clock shows: '1e300'"),
        ("t.csv", b"1,2\ninf,3\n", "t.csv:2:1: no time that a clock shows: 'inf'"),
    ],
    ids=["no text", "cut short", "not packed", "nan", "far away", "infinite"],
)
def test_a_file_that_is_no_trace_is_refused_where_it_is_wrong(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidContent, match=re.escape(said)):
        read_trace(tmp_path / name)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("{name: x}", "services: Field required"),
        (
            "{name: x, start: '2026-03-02', duration: 1h, services: [{name: a, load: {bass: 1}}]}",
            "services[0].load.bass",
        ),
        (
            "{name: x, start: '2026-03-02', duration: 1h, services: [{name: a, load: {}}],"
            " faults: [{kind: scrape-gap, service: b, at: 1m, hold: 1m}]}",
            "there is no service 'b'",
        ),
    ],
)
def test_a_bad_scenario_is_named_with_its_place(tmp_path, change, said):
    path = tmp_path / "bad.yaml"
    path.write_text(change)
    with pytest.raises(InvalidInput) as caught:
        load(str(path))
    assert said in str(caught.value)
