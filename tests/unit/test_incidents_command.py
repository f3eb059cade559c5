"""`aiops incidents`, `alerts` and `watch explain` as a user meets them, from the record."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from aiops.adapters.store import Store
from aiops.core.model import Alert, AlertStatus, Incident, IncidentState, Suspect
from tests.builders import NOW
from tests.commands import aiops
from tests.stored import ALERT, FINDING, INCIDENT, made

DB = Suspect(name="shop/db", series=FINDING.series, kind="point", since=NOW, score=9.0, why=("began first",))
SECOND = replace(
    INCIDENT, id="01SECOND00000000000000000X", since=NOW + 30, seen_at=NOW + 90, state=IncidentState.OPEN,
    series=tuple(f"WatchPolicy/shop/errors#service=s{n:04}" for n in range(700)), standing=600, peak_score=9.0,
    suspects=(DB, *(replace(DB, name=f"shop/s{n}", why=()) for n in range(9))),
)  # fmt: skip


@pytest.fixture
def config(tmp_path: Path) -> str:
    """A store with an ended and an open incident, a finding and two alerts; and the settings that name it."""
    url = f"sqlite:///{tmp_path / 'aiops.db'}"
    store, turn = Store.open(url), made()
    ended: Incident = replace(INCIDENT, state=IncidentState.ENDED, seen_at=NOW + 60)
    tick = replace(turn.tick, decisions=(), findings=(replace(FINDING, reason="errors are up"),))
    store.journal.begin(replace(tick, incidents=(ended, SECOND)), turn.state)
    other: Alert = replace(ALERT, fingerprint="f2", name="Old\x1b[31m", status=AlertStatus.RESOLVED, ends_at=NOW)
    store.alerts.note([ALERT, other])
    store.close()
    file = tmp_path / "aiops.yaml"
    file.write_text(f"store: {{url: '{url}'}}\n")
    return str(file)


def test_incidents_are_listed_with_their_suspects_newest_first(config: str) -> None:
    found = aiops("--config", config, "incidents")
    assert found.returncode == 0, found.stderr
    head, second, first = found.stdout.splitlines()
    assert head.split() == ["ID", "STATE", "SINCE", "LASTED", "SERIES", "PEAK", "KIND", "SUSPECTS"]
    assert second.endswith("60 s    700     9     point  shop/db, shop/s0, shop/s1 and 7 more")
    assert first.split()[:4] == [INCIDENT.id, "ended", "2026-03-02T11:13:20Z", "60"]
    opened = aiops("--config", config, "-o", "json", "incidents", "--open")
    assert [row["id"] for row in json.loads(opened.stdout)] == [SECOND.id]


def test_one_incident_is_told_whole_and_a_storm_is_told_short(config: str) -> None:
    found = aiops("--config", config, "incidents", "show", "01sec")
    lines = found.stdout.splitlines()
    assert lines[0] == f"incident {SECOND.id}  OPEN"
    assert lines[2].startswith("peak       score 9 at 2026-03-02T11:13:25Z")
    assert lines[3] == "shared     zone=a"
    assert lines[6].split()[:2] == ["1", "shop/db"]
    assert lines[6].endswith("began first")
    assert "700 series, 600 with a finding when it was last seen" in lines
    assert "  and 680 more (-o json has the first 500)" in lines
    assert lines[-1].endswith("aiops watch explain 'WatchPolicy/shop/errors#service=s0000'")
    plain = json.loads(aiops("--config", config, "-o", "json", "incidents", "show", "01sec").stdout)
    assert (len(plain["members"]), plain["series"], len(plain["suspects"])) == (500, 700, 10)


def test_an_id_that_there_is_not_names_the_newest(config: str) -> None:
    found = aiops("--config", config, "incidents", "show", "01NONE")
    assert (found.returncode, found.stdout) == (1, "")
    assert found.stderr.strip() == f"there is no incident 01NONE; the newest are {SECOND.id}, {INCIDENT.id}"


def test_alerts_that_fire_are_listed_and_what_a_terminal_would_obey_is_not_printed(config: str) -> None:
    firing = aiops("--config", config, "alerts").stdout
    assert len(firing.splitlines()) == 2
    assert firing.splitlines()[1].split()[:4] == ["firing", "2026-03-02T11:13:20Z", "2026-03-02T11:13:20Z", ALERT.name]
    everything = aiops("--config", config, "alerts", "--all").stdout
    assert len(everything.splitlines()) == 3
    assert "\x1b" not in everything


def test_a_series_is_explained_from_the_record(config: str) -> None:
    found = aiops("--config", config, "watch", "explain", "service=checkout")
    assert found.returncode == 0, found.stderr
    assert "said       errors are up" in found.stdout
    at = aiops("--config", config, "watch", "explain", "service=checkout", "--at", "2026-03-02T12:00:00Z")
    assert "was not flagged at 2026-03-02T12:00:00Z" in at.stdout
    none = aiops("--config", config, "watch", "explain", "service=none")
    assert (none.returncode, "no finding of a series" in none.stderr) == (1, True)
    wrong = aiops("--config", config, "watch", "explain", "x", "--at", "soon")
    assert (wrong.returncode, "--at soon" in wrong.stderr) == (2, True)


def test_status_says_what_goes_on(config: str) -> None:
    found = aiops("--config", config, "status")
    (line,) = [line for line in found.stdout.splitlines() if "out of the ordinary" in line]
    assert line == (
        "700 series are out of the ordinary since 2026-03-02T11:13:50Z, suspected: shop/db, shop/s0, shop/s1: "
        f"aiops incidents show {SECOND.id}"
    )
