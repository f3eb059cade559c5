"""Rehearsals in the background: what may be asked for, how many, and what is kept of them."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from aiops.app.rehearsals import DAYS, KEPT, MOST_WAITING, Given, Rehearsals
from aiops.app.settings import PrometheusSettings
from aiops.errors import InvalidInput, NotFound
from simulators.scenario import policies_for

NOWHERE = PrometheusSettings(url="http://127.0.0.1:1", retries=0)


@pytest.fixture
def stage(tmp_path):
    made = Rehearsals(tmp_path / "rehearsals", Given(prometheus=NOWHERE, documents=lambda: {"P": "{}"}))
    yield made
    made.close()


def kept(stage, number, state="done"):
    stage.folder.mkdir(exist_ok=True)
    name = f"01{number:024d}"
    job = {"id": name, "kind": "simulation", "name": "flash-crowd", "seed": 1, "by": "ann", "at": float(number)}
    job |= {"state": state, "done": 1, "total": 1, "ended_at": 2.0, "error": "", "about": "", "rows": [["aiops"]]}
    (stage.folder / f"{name}.json").write_text(json.dumps(job))
    (stage.folder / f"{name}.html").write_text("a report")
    return name


def until(stage, name, *states):
    ends = time.monotonic() + 50.0
    while (job := stage.one(name))["state"] not in states:
        assert time.monotonic() < ends, job
        time.sleep(0.05)
    return job


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"scenario": "../../etc/passwd"}, "is not shipped"),
        ({"scenario": "flash-crowd", "policies": "/etc"}, "policies: '/etc' is not one of shipped"),
        ({"scenario": "flash-crowd", "seed": -1}, "no whole number"),
        ({"scenario": "flash-crowd", "seed": 2**31}, "no whole number"),
        ({"backtest": "Q"}, "cannot be; there are P"),
        ({"backtest": "P", "days": 400}, "is not one of 1, 3, 7, 14"),
        ({}, "scenario: None is not shipped"),
    ],
)
def test_what_is_not_offered_cannot_be_asked_for(stage, wish, said):
    with pytest.raises(InvalidInput, match=said.replace("(", r"\(")):
        stage.begin(wish)
    assert stage.listed() == []


def test_what_can_be_asked_for_is_what_ships_and_what_is_in_force(stage, tmp_path):
    offered = stage.offered()
    assert {"flash-crowd", "grey-drawn"} <= set(offered["scenarios"])
    assert (offered["policies"], offered["backtests"], offered["days"]) == (["shipped"], ["P"], [*DAYS])
    assert Rehearsals(tmp_path, Given(documents=lambda: {"P": "{}"})).offered()["backtests"] == []


def test_a_few_may_wait_and_no_more_and_each_can_be_stopped(stage):
    begun = [stage.begin({"scenario": "flash-crowd", "seed": n, "by": "ann"})["id"] for n in range(MOST_WAITING)]
    with pytest.raises(InvalidInput, match="wait or run already"):
        stage.begin({"scenario": "flash-crowd"})
    for name in begun:
        assert stage.stop(name)["state"] == "stopped"
    assert {one["state"] for one in stage.listed()} == {"stopped"}
    with pytest.raises(InvalidInput, match="is over"):
        stage.stop(begun[0])
    with pytest.raises(NotFound):
        stage.stop("NOPE")


@pytest.mark.slow
def test_a_rehearsal_that_fails_says_why(stage):
    job = stage.begin({"backtest": "P", "by": "ann"})
    found = until(stage, job["id"], "failed")
    assert found["error"]
    assert found["rows"] is None


@pytest.mark.slow
def test_the_password_of_the_history_is_kept_nowhere_and_told_nobody(tmp_path):
    policy = (policies_for("flash-crowd") / "shop.yaml").read_text()
    history = PrometheusSettings(url="http://ann:pass-word@127.0.0.1:1", retries=0)
    there = Given(prometheus=history, documents=lambda: {"P": policy})
    stage = Rehearsals(tmp_path / "rehearsals", there)
    name = stage.begin({"backtest": "P"})["id"]
    (file,) = stage.folder.glob("*.json")
    assert "pass-word" not in file.read_text()
    assert file.stat().st_mode & 0o077 == 0, "what is rehearsed is nobody else's on this machine"
    found = until(stage, name, "failed")
    assert ("http://127.0.0.1:1 cannot be reached" in found["error"], "pass-word" in str(found)) == (True, False), found
    stage.close()


@pytest.mark.slow
def test_the_history_is_reached_as_the_settings_say(tmp_path):
    heard: list[str | None] = []

    class Doorman(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(self.headers.get("Authorization"))
            self.send_error(403)

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Doorman)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    policy = (policies_for("flash-crowd") / "shop.yaml").read_text()
    history = PrometheusSettings(url=f"http://127.0.0.1:{server.server_port}", bearer_token="to-ken", retries=0)
    stage = Rehearsals(tmp_path / "rehearsals", Given(prometheus=history, documents=lambda: {"P": policy}))
    name = stage.begin({"backtest": "P"})["id"]
    until(stage, name, "failed")
    assert set(heard) == {"Bearer to-ken"}
    assert "to-ken" not in "".join(path.read_text() for path in stage.folder.iterdir())
    stage.close()
    server.shutdown()
    server.server_close()


def test_one_that_takes_too_long_is_ended(tmp_path):
    stage = Rehearsals(tmp_path / "rehearsals", most_s=0.2)
    job = stage.begin({"scenario": "flash-crowd"})
    assert "took longer" in until(stage, job["id"], "failed")["error"]
    stage.close()


def test_what_is_kept_outlives_the_daemon_and_the_oldest_goes_first(tmp_path):
    stage = Rehearsals(tmp_path / "rehearsals")
    names = [kept(stage, number) for number in range(KEPT)]
    unfinished = kept(stage, KEPT + 1, state="running")
    (stage.folder / "broken.json").write_text("{")
    listed = stage.listed()
    assert [one["id"] for one in listed] == [unfinished, *reversed(names)]
    assert (listed[0]["state"], listed[0]["error"]) == ("stopped", "the daemon ended")
    assert stage.one(names[0])["rows"] == [["aiops"]]
    assert stage.report(names[0]).read_text() == "a report"
    stage.stop(stage.begin({"scenario": "flash-crowd"})["id"])
    stage.begin({"scenario": "flash-crowd"})
    assert len(stage.listed()) == KEPT
    assert not (stage.folder / f"{names[0]}.html").exists()
    with pytest.raises(NotFound):
        stage.report(names[0])
    stage.close()


def test_what_a_job_holds_for_its_process_is_told_to_nobody(stage):
    job = stage.begin({"backtest": "P", "by": "ann"})
    assert not {"prometheus", "document", "report"} & set(stage.one(job["id"]))
