"""The whole API against what it says of itself: a running daemon, every operation, every check, and no 5xx."""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
import yaml

ROOT = Path(__file__).parents[2]
TOKEN = secrets.token_urlsafe(32)
AUTH = {"Authorization": f"Bearer {TOKEN}"}
SECONDS = 180
"""The run stops by itself after so long."""

STREAMS = "/api/v1/events"
"""Does not end, and is tried by hand in tests/integration/test_web_shield.py."""


def free_port() -> int:
    """Return a port of loopback on which nobody listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as one:
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def daemon(tmp_path_factory) -> Iterator[str]:
    """Yield the address of a daemon over the simulated shop, with everything that it stores."""
    folder, port = tmp_path_factory.mktemp("daemon"), free_port()
    settings = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text())
    many = 10_000_000
    settings |= {
        "store": {"url": f"sqlite:///{folder / 'aiops.db'}"},
        "telemetry": {"enabled": False},
        "web": {
            "port": port,
            "token": TOKEN,
            "rates": {"address": many, "read": many, "write": many, "failed": many},
        },
        "log": {"format": "json"},
    }
    file, log = folder / "aiops.yaml", folder / "log"
    file.write_text(yaml.safe_dump(settings))
    command = [sys.executable, "-m", "aiops", "run", "--config", str(file)]
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, cwd=ROOT)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for_decisions(url, process)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    failed = [line for line in log.read_text().splitlines() if "request_failed" in line]
    assert failed == [], "a request met a bug"


def _wait_for_decisions(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        assert process.poll() is None, "the daemon has ended"
        try:
            if httpx.get(f"{url}/api/v1/decisions", headers=AUTH, timeout=10).json():
                return
        except (httpx.HTTPError, ValueError):
            pass
        time.sleep(0.25)
    raise AssertionError("the daemon decides nothing")


RULES = """
# 413 is a refusal, too: no schema says that a body as a whole has 1 MiB at most
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "409", "413", "415", "422", "429"]
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "401", "403", "404", "409", "413", "429"]
"""


@pytest.mark.timeout(SECONDS * 3)
def test_every_operation_does_what_the_document_says_and_none_fails(daemon, tmp_path):
    # one worker: two threads that parse at once meet a bug of CPython 3.11 (AST constructor recursion depth mismatch)
    rules = tmp_path / "rules.toml"
    rules.write_text(RULES)
    command = [
        str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(rules),
        "run", f"{daemon}/api/v1/openapi.json",
        "--header", f"Authorization: Bearer {TOKEN}", "--exclude-path", STREAMS,
        "--checks", "all", "--phases", "examples,coverage,fuzzing,stateful",
        "--max-examples", "15", "--continue-on-failure", "--request-timeout", "30",
        "--max-time", str(SECONDS), "--workers", "1", "--no-color",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS * 2, env=_plain())
    said = done.stdout + done.stderr
    tested = re.search(r"Tested:\s+(\d+)", said)
    cases = re.search(r"(\d+) generated", said)
    short = "\n".join(line[:300] for line in said.splitlines())
    print(short[-2500:])
    assert done.returncode == 0, short[-8000:]
    assert tested is not None
    assert int(tested.group(1)) == len(_operations(daemon)) - 1
    assert cases is not None
    assert int(cases.group(1)) > 500


def test_the_document_names_every_way_in_which_a_request_can_be_refused(daemon):
    document = httpx.get(f"{daemon}/api/v1/openapi.json", headers=AUTH).json()
    for path, verb, operation in _operations(daemon):
        answers = operation["responses"]
        assert {"401", "403", "404", "405", "429", "500", "503"} <= set(answers), (verb, path)
        assert ("413" in answers) is ("requestBody" in operation), (verb, path)
        assert operation["x-aiops-role"], (verb, path)
    assert document["info"]["version"]
    assert json.dumps(document).count("#/components/schemas/Problem") > 5


def _operations(url: str) -> list[tuple[str, str, dict]]:
    document = httpx.get(f"{url}/api/v1/openapi.json", headers=AUTH).json()
    return [(path, verb, one) for path, verbs in document["paths"].items() for verb, one in verbs.items()]


def _plain() -> dict[str, str]:
    return {**os.environ, "NO_COLOR": "1", "COLUMNS": "120"}
