"""What is said of a Ray that is not as it should be, without one; and what shards keep."""

from __future__ import annotations

import socket
from pathlib import Path

import numpy as np
import pytest

from aiops.app.doctor import engine as examined
from aiops.app.doctor.findings import Finding, Status
from aiops.app.doctor.scene import Scene
from aiops.app.settings import Settings
from aiops.app.sharding import engine, ray_options
from aiops.engine.clerk import RayOptions, Trouble, _trouble
from aiops.engine.hiring import probe
from aiops.engine.vault import FolderVault, layout
from aiops.errors import CannotReach, ConfigurationError
from aiops.loop.seams import InProcess
from tests.unit.test_engine_sharded import Clock

PROMETHEUS = {"url": "http://127.0.0.1:9090"}


def options(address: str) -> RayOptions:
    return RayOptions(address=address, namespace="n", shards=1)


def test_an_address_that_is_none_is_a_configuration_error():
    with pytest.raises(ConfigurationError, match="'ray-head' is no address"):
        probe(options("ray-head"))


def test_where_nothing_listens_it_is_said_at_once():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(CannotReach, match=rf"Ray at ray://127.0.0.1:{port}: nothing listens there"):
        probe(options(f"ray://127.0.0.1:{port}"))


@pytest.mark.parametrize(
    ("words", "trouble"),
    [
        ("Version mismatch: The cluster was started with: Ray: 2.60.0", Trouble.VERSION),
        ("RPC error: InvalidAuthToken: Authentication token is missing", Trouble.REFUSED),
        ("Timed out while waiting for GCS to become available", Trouble.UNREACHABLE),
    ],
)
def test_why_there_is_no_connection_is_told_apart(words, trouble):
    assert _trouble(words) is trouble


def test_the_engine_is_one_word_or_a_section():
    assert Settings(engine="ray", prometheus=PROMETHEUS).engine.kind == "ray"
    assert Settings(engine={"kind": "ray", "shards": 7}, prometheus=PROMETHEUS).engine.shards == 7
    assert isinstance(engine(Settings(prometheus=PROMETHEUS), Clock(), "v"), InProcess)
    assert ray_options(Settings(engine={"shards": 7}, prometheus=PROMETHEUS).engine).shards == 7


def test_shards_need_a_prometheus_that_they_can_read_themselves():
    with pytest.raises(ConfigurationError, match=r"prometheus\.url is not set"):
        engine(Settings(engine="ray", simulation={"scenario": "day"}), Clock(), "v")


def test_the_doctor_says_where_series_are_watched_and_what_is_wrong_there():
    def looked(settings: Settings) -> list[Finding]:
        return [found for check in examined.checks(Scene(settings=settings, timeout_s=1.0)) for found in check.look()]

    (here,) = looked(Settings(prometheus=PROMETHEUS))
    assert (here.status, here.what) == (Status.OK, "series are watched in this process")
    wrong = Settings(engine={"kind": "ray", "address": "nowhere"}, prometheus=PROMETHEUS)
    (away,) = looked(wrong)
    assert away.status is Status.FAIL
    assert "'nowhere' is no address" in away.what


def test_what_shards_keep_is_found_by_name_and_what_is_broken_says_so(tmp_path: Path):
    vault = FolderVault(tmp_path / "shards")
    assert vault.names() == ()
    vault.keep("shard-0-of-2", {"a": np.arange(3)}, 1, 0.0)
    (tmp_path / "shards" / "notes.txt").write_text("of somebody else")
    assert vault.names() == ("shard-0-of-2",)
    assert vault.load("shard-0-of-2")["a"].tolist() == [0, 1, 2]
    (tmp_path / "shards" / "shard-0-of-2.npz").write_bytes(b"half a fi")
    with pytest.raises(ValueError, match="cannot be used"):
        vault.load("shard-0-of-2")
    vault.drop("shard-0-of-2")
    with pytest.raises(LookupError):
        vault.load("shard-0-of-2")
    assert (layout("shard-0-of-2"), layout("models")) == (2, 0)
