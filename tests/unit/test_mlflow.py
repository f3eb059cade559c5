"""Versions told to an MLflow tracking server: each once, what was not told later, and nothing waits for the server."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

import pytest

from aiops.adapters.mlflow import MlflowOptions, Outbox, Publisher, Tracking
from aiops.adapters.mlflow.runs import ID_TAG, run_of
from aiops.app.engine_settings import ModelsSettings
from aiops.app.tracking import options, versions
from aiops.core.lineage.version import Role, Scores, Version
from aiops.core.model import Leadership
from aiops.errors import ConfigurationError, SourceUnavailable
from tests.loopback import serving
from tests.unit.test_lineage import lineage, live, refitted

KEY = "ScalingPolicy/shop/web"
MADE = 1_800_000_000.0
ONE = Version(
    number=7,
    model="combined",
    code="combined-v1 of aiops test",
    made_at=MADE,
    why="its history has grown",
    window=(MADE - 86_400.0, MADE),
    parent=6,
    parameters={"season": "1440 min"},
    role=Role.CHALLENGER,
    since=MADE,
    scores=Scores(judged=142, pinball=0.02, ratio=0.994),
)


@dataclass
class Server:
    """What a tracking server has been told, answered as its documentation says."""

    url: str = ""
    experiments: dict[str, str] = field(default_factory=dict)
    runs: dict[str, dict] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    down: int = 0
    held: threading.Event | None = None

    def answer(self, path: str, said: dict) -> tuple[int, dict]:
        if self.down:
            return self.down, {"error_code": "INTERNAL_ERROR", "message": "away"}
        noun, verb = path.removeprefix("/api/2.0/mlflow/").split("/")
        return (self._experiments if noun == "experiments" else self._runs)(verb, said)

    def _experiments(self, verb: str, said: dict) -> tuple[int, dict]:
        if verb == "create":
            self.experiments[said["name"]] = "5"
            return 200, {"experiment_id": "5"}
        number = self.experiments.get(said["experiment_name"])
        if number is None:
            return 404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no"}
        return 200, {"experiment": {"experiment_id": number, "lifecycle_stage": "active"}}

    def _runs(self, verb: str, said: dict) -> tuple[int, dict]:
        if verb == "search":
            found = [one for one in self.runs.values() if f"'{one['tags'][ID_TAG]}'" in said["filter"]]
            return 200, {"runs": [{"info": {"run_id": one["id"]}} for one in found]}
        if verb == "create":
            name = f"run-{len(self.runs) + 1}"
            tags = {pair["key"]: pair["value"] for pair in said["tags"]}
            self.runs[name] = {"id": name, "tags": tags, "params": {}, "metrics": [], "told": said}
            return 200, {"run": {"info": {"run_id": name}}}
        return self._written(verb, said)

    def _written(self, verb: str, said: dict) -> tuple[int, dict]:
        one = self.runs.get(said["run_id"])
        if one is None:
            return 404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such run"}
        if verb == "update":
            one |= {"status": said["status"], "ended": said.get("end_time")}
            return 200, {}
        if any(pair["value"] == "not to be had" for pair in said["tags"]):
            return 400, {"error_code": "INVALID_PARAMETER_VALUE", "message": "no such thing"}
        one["params"] |= {pair["key"]: pair["value"] for pair in said["params"]}
        one["tags"] |= {pair["key"]: pair["value"] for pair in said["tags"]}
        one["metrics"] += said["metrics"]
        return 200, {}


@contextmanager
def tracking_servers() -> Iterator[Callable[[], Server]]:
    """Yield what puts a new server in the place of the last; what was asked of the last is answered by the last."""
    current = [Server()]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._say({key: values[0] for key, values in parse_qs(urlsplit(self.path).query).items()})

        def do_POST(self) -> None:
            self._say(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _say(self, said: dict) -> None:
            told, path = current[0], urlsplit(self.path).path
            told.asked.append(path.removeprefix("/api/2.0/mlflow/"))
            told.tokens.append(self.headers.get("Authorization", ""))
            if told.held is not None:
                told.held.wait(5.0)
            status, answer = told.answer(path, said)
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with serving(Handler) as url:

        def fresh() -> Server:
            current[0] = Server(url=url)
            return current[0]

        yield fresh


@pytest.fixture(scope="module")
def fresh_server() -> Iterator[Callable[[], Server]]:
    with tracking_servers() as fresh:
        yield fresh


@pytest.fixture
def server(fresh_server: Callable[[], Server]) -> Server:
    return fresh_server()


def publisher(server: Server, seen: dict, timeout_s: float = 5.0) -> Publisher:
    return Publisher(
        Tracking(MlflowOptions(url=server.url, timeout_s=timeout_s)), lambda: seen, 3600.0, lambda: MADE + 60.0
    )


def test_a_version_is_a_run_with_its_lineage_its_parameters_its_scores_and_its_state(server):
    told = publisher(server, {KEY: (ONE,)})
    assert told.round() == 1
    (run,) = server.runs.values()
    assert run["told"]["experiment_id"] == "5"
    assert run["told"]["run_name"] == f"{KEY} v7"
    assert run["told"]["start_time"] == MADE * 1000
    assert run["params"]["season"] == "1440 min"
    assert run["params"]["code"] == "combined-v1 of aiops test"
    assert run["params"]["window_end"] == "2027-01-15T08:00:00+00:00"
    assert (run["tags"]["aiops.parent"], run["tags"]["aiops.state"]) == ("6", "challenger")
    assert {one["key"]: one["value"] for one in run["metrics"]} == {
        "judged_minutes": 142.0,
        "pinball": 0.02,
        "loss_ratio": 0.994,
    }
    assert (run["status"], run["ended"]) == ("RUNNING", None)


def test_what_is_told_is_told_once_and_again_when_it_has_changed(server):
    seen = {KEY: (ONE,)}
    told = publisher(server, seen)
    assert (told.round(), told.round()) == (1, 0)
    seen[KEY] = (replace(ONE, role=Role.REFUSED, detail="it lost", since=MADE + 30.0),)
    assert told.round() == 1
    (run,) = server.runs.values()
    assert (run["status"], run["ended"], run["tags"]["aiops.detail"]) == ("FAILED", (MADE + 30.0) * 1000, "it lost")
    assert server.asked.count("runs/create") == 1


def test_after_a_restart_the_runs_that_are_there_are_found_again(server):
    assert publisher(server, {KEY: (ONE,)}).round() == 1
    assert publisher(server, {KEY: (ONE,)}).round() == 1
    assert len(server.runs) == 1


def test_what_a_server_that_is_away_was_not_told_waits_even_when_it_is_seen_no_more(server, caplog):
    seen = {KEY: (ONE,)}
    told = publisher(server, seen)
    server.down = 503
    with caplog.at_level(logging.INFO):
        assert (told.round(), told.round()) == (0, 0)
    assert "503" in told.failing
    assert [one.message for one in caplog.records] == ["versions_not_told_to_mlflow"]
    seen[KEY] = (replace(ONE, number=8),)
    assert told.round() == 0
    server.down = 0
    assert told.round() == 2
    assert told.failing == ""
    assert {one["tags"]["aiops.version"] for one in server.runs.values()} == {"7", "8"}


def test_what_waits_is_not_told_by_who_leads_no_more(server):
    seen = {KEY: (ONE,)}
    told = publisher(server, seen)
    server.down = 503
    assert told.round() == 0
    seen.clear()  # another replica leads, and tells what became of the version
    server.down = 0
    assert publisher(server, {KEY: (replace(ONE, role=Role.RETIRED, since=MADE + 9.0),)}).round() == 1
    assert told.round() == 0
    assert [one["tags"]["aiops.state"] for one in server.runs.values()] == ["retired"]
    seen[KEY] = (replace(ONE, role=Role.RETIRED, since=MADE + 9.0),)
    assert told.round() == 1
    assert len(server.runs) == 1


def test_a_version_that_the_server_will_not_have_keeps_no_other_from_being_told(server, caplog):
    told = publisher(server, {KEY: (replace(ONE, why="not to be had"), replace(ONE, number=8))})
    assert told.round() == 1
    assert [one.message for one in caplog.records] == ["version_refused_by_mlflow"]
    assert told.round() == 0
    assert told.failing == ""


def test_a_server_that_hangs_holds_neither_a_look_at_the_models_nor_the_end(server):
    server.held = threading.Event()
    looked = threading.Event()

    def seen() -> dict:
        looked.set()
        return {KEY: (ONE,)}

    slow = Publisher(Tracking(MlflowOptions(url=server.url, timeout_s=30.0)), seen, 0.01, lambda: MADE)
    slow.start()
    assert looked.wait(5.0)
    began = time.monotonic()
    slow.stop(0.2)
    took_s = time.monotonic() - began
    server.held.set()
    for thread in threading.enumerate():
        if thread.name == "mlflow":
            thread.join(10.0)  # what it still says is no other test's
    assert took_s < 2.0


def test_an_answer_that_does_not_come_in_time_is_an_error_in_our_words(server):
    server.held = threading.Event()
    with pytest.raises(SourceUnavailable, match="did not answer in time"):
        Tracking(MlflowOptions(url=server.url, timeout_s=0.05)).write(run_of(KEY, ONE, MADE), "")
    server.held.set()


def test_another_server_than_one_of_mlflow_is_said_to_be_another():
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with serving(Page) as url, pytest.raises(SourceUnavailable, match="is that an MLflow tracking server"):
        Tracking(MlflowOptions(url=url)).write(run_of(KEY, ONE, MADE), "")


def test_a_run_that_was_deleted_there_is_made_again_when_the_version_has_changed(server, caplog):
    told = publisher(server, seen := {KEY: (ONE,)})
    told.round()
    server.runs.clear()
    seen[KEY] = (replace(ONE, detail="newer"),)
    assert told.round() == 0
    assert [one.message for one in caplog.records] == ["version_refused_by_mlflow"]
    seen[KEY] = (replace(ONE, detail="newest"),)
    assert told.round() == 1
    assert [one["tags"]["aiops.detail"] for one in server.runs.values()] == ["newest"]


def test_the_token_is_read_anew_from_its_file_and_no_secret_stays_in_the_address(server, tmp_path):
    file = tmp_path / "token"
    file.write_text("first\n")
    tracking = Tracking(MlflowOptions(url=server.url, bearer_token_file=file))
    tracking.write(run_of(KEY, ONE, MADE), "")
    file.write_text("second")
    tracking.write(run_of(KEY, ONE, MADE), "run-1")
    assert (server.tokens[0], server.tokens[-1]) == ("Bearer first", "Bearer second")
    known = MlflowOptions(url="https://ada:secret@mlflow.example/")
    assert (known.url, known.username, known.password) == ("https://mlflow.example", "ada", "secret")
    assert "secret" not in repr(known)
    with pytest.raises(ConfigurationError, match=r"models\.mlflow\.ca_file: there is no file"):
        MlflowOptions(url=server.url, ca_file=tmp_path / "gone")


@dataclass
class Running:
    """What of a daemon is asked for its versions."""

    lineages: dict
    leadership: Leadership | None
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def loop(self) -> Running:
        return self

    @property
    def bank(self) -> Running:
        return self


def test_who_leads_tells_every_version_with_what_it_has_shown_until_now_and_nobody_else_does():
    lived = lineage()
    now = live(lived, 100)
    refitted(lived, now)
    running = Running({KEY: lived}, Leadership(leader=True, epoch=1))
    told = {one.number: one for one in versions(running)[KEY]}
    current = lived.current
    assert set(told) == {one.number for one in lived.versions}
    assert told[current.number].scores == lived.scores()[current.number]
    assert told[current.number].scores.judged > current.scores.judged
    assert versions(Running({KEY: lived}, Leadership(leader=False, epoch=1))) == {}
    assert versions(Running({KEY: lived}, None)) == {}


def test_the_settings_name_a_server_or_none_and_a_wrong_one_is_an_error():
    settings = ModelsSettings.model_validate({"mlflow": {"url": "https://mlflow.example", "bearer_token": "s3"}})
    made = options(settings.mlflow)
    assert (made.url, made.experiment, made.bearer_token, made.timeout_s) == (
        "https://mlflow.example",
        "aiops",
        "s3",
        10,
    )
    assert ModelsSettings().mlflow is None
    with pytest.raises(ValueError, match="url"):
        ModelsSettings.model_validate({"mlflow": {"url": "mlflow.example"}})
    with pytest.raises(ValueError, match="Extra inputs"):
        ModelsSettings.model_validate({"mlflow": {"url": "https://mlflow.example", "tracking": True}})


def test_more_than_can_wait_lets_the_oldest_go_and_counts_them():
    waiting = Outbox(most=3)
    waiting.note({KEY: tuple(replace(ONE, number=number) for number in range(1, 6))})
    assert [one.version.number for _, one in waiting.due()] == [3, 4, 5]
    assert waiting.let_go == 2
