"""engine: ray on a cluster of two nodes: the same journal as in one process, and the death of whatever may die."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aiops.adapters.store import Store, StoreVault
from aiops.app.sharding import means, ray_options
from aiops.app.wiring import Built
from aiops.core.detect.elsewhere import Elsewhere
from aiops.core.forecast.fitting import fit
from aiops.core.model import Leadership
from aiops.engine.clerk import RayOptions
from aiops.engine.ray_crew import RayCrew
from aiops.engine.ray_trainer import RayTrainer
from aiops.engine.sharded import Sharded, Terms
from aiops.engine.told import Driver
from aiops.policy import parse
from tests.e2e.processes import eventually
from tests.e2e.ray_nodes import STEP_S, Cluster, World, descendants, past, slain
from tests.integration.prometheus_server import free_port, running_prometheus
from tests.unit.test_trainer import became, job, work

ROOT = Path(__file__).parents[2]
MINUTES = 100.0
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def start() -> float:
    return (time.time() - 60.0 * (MINUTES + 20.0)) // 60.0 * 60.0


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, start: float) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("ray")
    with running_prometheus(folder, "127.0.0.1:9", past(start, MINUTES)) as url:
        made = World(folder, url)
        yield made
        made.cluster.stop()


@pytest.fixture(scope="module")
def ray() -> Iterator[Cluster]:
    # sockets of Ray have names of up to 107 bytes, and its own part is 70: as short a folder as there is
    with (
        tempfile.TemporaryDirectory(prefix="r", ignore_cleanup_errors=True) as folder,
        pytest.MonkeyPatch.context() as environment,
    ):
        environment.setenv("RAY_AUTH_MODE", "token")
        environment.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        made = Cluster(Path(folder))
        yield made
        made.stop()


@pytest.fixture(scope="module")
def daemons(world: World, ray: Cluster) -> Iterator[tuple[Built, Built]]:
    with (
        world.daemon("local") as local,
        world.daemon("ray", kind="ray", address=ray.address, shards=2, cpus=0.4, deadline="8s") as far,
    ):
        ready(far)
        yield local, far


def turns(built: Built, start: float, minutes: tuple[float, float]) -> None:
    steps = range(round(minutes[0] * 60.0 / STEP_S), round(minutes[1] * 60.0 / STEP_S))
    for step in steps:
        built.loop.run_once(start + STEP_S * step)
        assert not built.loop.held, built.loop.held


def ready(built: Built) -> None:
    """Wait until the processes of all shards have begun."""
    crew = engine_of(built)._crew
    handles = [crew.ask(number, "code") for number in range(2)]
    crew.wait(handles, 150.0)
    assert [crew.answer(one) for one in handles] == [first_code(built)] * 2


def engine_of(built: Built) -> Sharded:
    engine = built.loop.ports.engine
    assert isinstance(engine, Sharded)
    return engine


def test_a_seeded_hour_has_the_same_journal_as_in_one_process(daemons, world, start):
    _, far = daemons
    for built in daemons:
        turns(built, start, (0.0, 71.0))
    print([(seat.number, seat.turns, seat.late, seat.failures, seat.why) for seat in engine_of(far).seats])
    mine, theirs = world.journal("ray"), world.journal("local")
    assert len(theirs["findings"]) >= 5
    assert len(theirs["decisions"]) >= 3
    assert theirs["incidents"]
    assert mine == theirs
    seats = engine_of(far).seats
    assert [seat.why for seat in seats] == ["", ""]
    assert sum(seat.told.series for seat in seats) == 16 + 8 + 3
    assert min(seat.told.series for seat in seats) > 0
    assert (seats[0].late, seats[0].failures) == (0, 0)


def test_a_node_dies_in_mid_turn_its_shard_goes_on_within_two_turns_and_nothing_is_found_twice(
    daemons, world, ray, start
):
    local, far = daemons
    for built in daemons:
        turns(built, start, (71.0, 74.0))
    engine = engine_of(far)
    engine.keep()
    for built in daemons:
        turns(built, start, (74.0, 77.0))  # some findings are younger than what was kept
    victims = set(descendants(ray.second.pid))
    there = [seat for seat in engine.seats if int(seat.born.split("/")[1]) in victims]
    assert len(there) == 1
    before = {seat.number: seat.born for seat in engine.seats}
    at = start + 77.0 * 60.0
    policies = far.policies.current()
    os.kill(int(there[0].born.split("/")[1]), signal.SIGSTOP)  # so that it is in the middle of its work
    engine.begin(policies, Leadership(leader=True, epoch=1), at)
    ray.kill(ray.second)
    held: list[dict[int, str]] = []
    stories: list[str] = []
    for step in range(3):
        if step:
            time.sleep(6.0)
        far.loop.run_once(at + STEP_S * step)
        local.loop.run_once(at + STEP_S * step)
        held.append({seat.number: seat.why for seat in engine.seats if seat.why})
        told = [one.story for one in far.loop.last.decisions if one.policy.startswith("Remediation")]
        stories += told if held[-1] else []
        if not held[-1]:
            break
    assert not held[-1], held
    assert len(held) <= 3
    assert there[0].restarts == 1
    assert {n for n, born in before.items() if engine.seats[n].born != born} == {there[0].number}
    for built in daemons:
        turns(built, start, (77.0 + len(held) * STEP_S / 60.0, 82.0))
    mine, theirs = world.journal("ray"), world.journal("local")
    assert [row[:2] for row in mine["findings"]] == [row[:2] for row in theirs["findings"]]
    assert [row[0] for row in mine["incidents"]] == [row[0] for row in theirs["incidents"]]
    print(f"held: {held}; said: {stories}")
    assert all(f"(shard {there[0].number}: " in story for story in stories)


def test_the_driver_dies_and_its_successor_goes_on_with_the_same_shards_and_fences_it_off(daemons, world, ray, start):
    _, far = daemons
    first = engine_of(far)
    born, policies = [seat.born for seat in first.seats], far.policies.current()
    settings = far.settings
    crew = RayCrew(ray_options(settings.engine), means(settings, first_code(far)))
    successor = Sharded(crew, Terms(shards=2, deadline_s=8.0), far.loop.ports.clock, "successor")
    at = start + 82.0 * 60.0
    try:
        successor.begin(policies, Leadership(leader=True, epoch=1), at)
        refused = successor.gather(at)
        assert "asks this shard, too" in "".join(refused.unseen.values())
        successor.begin(policies, Leadership(leader=True, epoch=2), at)
        found = successor.gather(at)
        assert found.unseen == {}
        assert [seat.born for seat in successor.seats] == born
        assert {one.series.partition("#")[2] for one in found.findings} >= {"mount=x,node=n-2", "mount=x,node=n-6"}
        first.begin(policies, Leadership(leader=True, epoch=1), at + STEP_S)
        deposed = first.gather(at + STEP_S)
        assert set(deposed.unseen) == {one.key for one in policies.watches}
        assert "leads with epoch 2" in "".join(deposed.unseen.values())
    finally:
        successor.stop(5.0)


def test_the_connection_dies_and_is_made_anew_while_what_depends_on_it_holds(daemons, ray, start):
    _, far = daemons
    engine = engine_of(far)
    process = engine._crew._process
    slain(process.pid)
    process.join(10)
    policies, leads = far.policies.current(), Leadership(leader=True, epoch=3)
    at, seen = start + 85.0 * 60.0, []
    for step in range(40):
        engine.begin(policies, leads, at + STEP_S * step)
        seen.append(engine.gather(at + STEP_S * step).unseen)
        if not seen[-1]:
            break
        time.sleep(0.5)
    assert seen[-1] == {}
    assert [seat.failures for seat in engine.seats] == [seat.failures for seat in engine.seats if seat.failures < 3]


def first_code(built: Built) -> str:
    from aiops.app.replay import code_version

    return code_version()


# -- bad input -----------------------------------------------------------------------------------------


def test_without_room_for_a_shard_its_policies_hold_and_say_what_it_waits_for(world, ray, start):
    with world.daemon(
        "big", kind="ray", address=ray.address, namespace="big", shards=1, cpus=16, deadline="3s"
    ) as built:
        policies = built.policies.current()
        engine = engine_of(built)
        for step in range(6):  # what it waits for is looked up every other second
            engine.begin(policies, Leadership(leader=True, epoch=1), start + STEP_S * step)
            unseen = engine.gather(start + STEP_S * step).unseen
            assert set(unseen) == {one.key for one in policies.watches}
            if "waits for room" in next(iter(unseen.values())):
                break
        assert "it waits for room in Ray (CPU 16;" in next(iter(unseen.values()))


def run(world: World, name: str, environment: dict[str, str] | None = None, **engine: Any) -> tuple[int, str, float]:
    world.settings(name, {"kind": "ray", **engine})
    command = [sys.executable, "-m", "aiops", "run", "--config", str(world.folder / name / "aiops.yaml")]
    began = time.monotonic()
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **(environment or {})}, capture_output=True, text=True, timeout=90
    )
    return done.returncode, done.stderr, time.monotonic() - began


def test_where_nothing_listens_the_daemon_says_so_and_ends_with_4(world):
    code, said, _ = run(world, "nowhere", address=f"127.0.0.1:{free_port()}")
    assert code == 4
    assert "nothing listens there" in said


def test_what_is_not_ray_is_not_waited_for_longer_than_is_said(world):
    address = world.prometheus.removeprefix("http://")
    code, said, took = run(world, "other", address=address, connect_within="6s")
    assert code == 4
    assert "no connection within 6 s" in said
    assert took < 60.0


def test_another_version_of_ray_is_a_configuration_error(world, ray, tmp_path):
    # Ray of another version, as far as its handshake goes: it cannot be installed beside
    fake = tmp_path / "ray"
    fake.mkdir()
    words = "Version mismatch: The cluster was started with: Ray: 2.60.0 Python: 3.11.7 This process is: Ray: 1.0.0"
    (fake / "__init__.py").write_text(f"def init(*_, **__):\n    raise RuntimeError({words!r})\n")
    code, said, _ = run(world, "old", {"PYTHONPATH": str(tmp_path)}, address=ray.address)
    assert code == 3
    assert "another version" in said


# -- what is learnt, where nodes have no folder in common ------------------------------------------------


def test_a_shard_on_another_node_goes_on_with_what_the_store_kept_where_nodes_share_no_folder(
    world, ray, start, postgres, tmp_path
):
    store = Store.open(postgres.create("shards"))
    room = {"shards": 1, "cpus": 1.5}  # more than the other nodes have
    settings = world.settings(
        "apart", {"kind": "ray", "address": ray.address, "namespace": "apart", "checkpoints": None, **room}
    )
    settings = settings.model_copy(update={"store": settings.store.model_copy(update={"url": store.url})})
    stands_on, policies = means(settings, "e2e"), parse((world.folder / "policies.yaml").read_text(), "policies.yaml")
    assert isinstance(stands_on.vault, StoreVault)

    def looked(crew: RayCrew, epoch: int, minutes: tuple[float, float]) -> tuple[Elsewhere, str]:
        engine = Sharded(crew, Terms(shards=1, deadline_s=90.0), Steady(), f"driver-{epoch}")
        for step in range(round(minutes[0] * 60.0 / STEP_S), round(minutes[1] * 60.0 / STEP_S)):
            engine.begin(policies, Leadership(leader=True, epoch=epoch, elected=True), start + STEP_S * step)
            found = engine.gather(start + STEP_S * step)
            assert found.unseen == {}
        return found, engine.seats[0].born

    first = ray.grown(tmp_path, 2)
    crew = RayCrew(ray_options(settings.engine), stands_on)
    before, born = looked(crew, 4, (0.0, 74.0))
    assert int(born.split("/")[1]) in descendants(first.pid)
    kept = crew.ask(0, "keep", Driver(epoch=4, name="driver-4", elected=True))
    crew.wait([kept], 60.0)
    assert crew.answer(kept) > 0.0
    assert stands_on.vault.names() == ("shard-0-of-1",)
    crew.close()
    ray.kill(first)
    second = ray.grown(tmp_path, 2)
    crew = RayCrew(ray_options(settings.engine), stands_on)
    # a driver that knows of nothing, so that what is found was known to the shard alone
    after, born = looked(crew, 5, (74.0, 74.5))
    crew.close()
    store.close()
    assert int(born.split("/")[1]) in descendants(second.pid)
    since = {one.series: one.since for one in before.findings}
    assert len(since) >= 2
    assert {one.series: one.since for one in after.findings if one.since < start + 60.0 * 74.0} == since


class Steady:
    def elapsed_s(self) -> float:
        return time.monotonic()


def test_models_are_fitted_by_the_nodes_as_they_are_here(ray):
    options = RayOptions(address=ray.address, namespace="fits", shards=1, cpus=0.1, connect_within_s=120.0)
    patient, hurried = (RayTrainer(options, limit_s=limit_s, work=work) for limit_s in (90.0, 3.0))
    jobs = [job(), job("raise"), job(), job("hang")]
    try:
        assert [patient.submit(one) for one in jobs[:3]] == ["", "", ""]
        found = {one.job: one for one in became(patient, 3, 150.0)}
        assert hurried.submit(jobs[3]) == ""
        (late,) = became(hurried, 1, 150.0)
    finally:
        patient.stop()
        hurried.stop()
    assert late.error == "the fit took longer than 3 s and was ended"
    assert found[jobs[1]].error == "ZeroDivisionError: singular matrix"
    for name, array in fit(jobs[0].history, jobs[0].members).arrays().items():
        for one in (jobs[0], jobs[2]):
            assert np.array_equal(found[one].fitted.arrays()[name], array, equal_nan=True), name


# -- work that is spread -------------------------------------------------------------------------------


def test_a_grid_on_ray_says_what_one_process_says_though_a_worker_dies(ray):
    example = ROOT / "docs" / "examples" / "checkout-4d"
    command = [sys.executable, "-m", "aiops", "-o", "json", "backtest", f"{example}.yaml"]
    command += ["--data", f"{example}.parquet", "--grid", "objective.perReplica=40,55", "--baselines", "none"]
    far = subprocess.Popen(
        [*command, "--engine", "ray", "--ray-address", ray.address],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "AIOPS_ENGINE__CPUS": "0.1"},  # beside the shards
    )
    victim = eventually(lambda: working(ray.head.pid), 60.0, "a task to begin")
    slain(victim)
    here = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    said, _ = far.communicate(timeout=120)
    assert (far.returncode, here.returncode) == (0, 0)
    assert json.loads(said)["results"] == json.loads(here.stdout)["results"]
    assert len(json.loads(said)["results"]) == 2


def working(pid: int) -> int | None:
    """Return the process that does a task of a node, None while none does."""
    for one in descendants(pid):
        try:
            if Path(f"/proc/{one}/cmdline").read_bytes().startswith(b"ray::outcome"):
                return one
        except OSError:
            continue
    return None
