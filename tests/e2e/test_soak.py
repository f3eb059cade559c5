"""A minute and a half of the soak, by a fixed seed; `make soak` is half an hour of it."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest

from tests.e2e.cluster import ControlPlane
from tests.e2e.postgres import PostgresServer
from tests.e2e.soak import soaked
from tests.e2e.soak_faults import FAULTS
from tests.e2e.soak_memory import Life, Sample, Turning
from tests.e2e.soak_schedule import kinds, loads, schedule
from tests.e2e.soak_world import NAMES, world

SEED = 32


@pytest.mark.timeout(300)
def test_a_short_soak_breaks_nothing(
    plane: ControlPlane, postgres: PostgresServer, namespace: str, tmp_path: Path, capsys
):
    with world(plane, postgres, tmp_path, namespace) as made:
        summary = soaked(made, SEED, 1.5)
    with capsys.disabled():
        print(f"\n{summary}")


def test_a_seed_draws_the_same_soak_again_and_every_fault_can_be_made():
    assert schedule(SEED, 30, NAMES) == schedule(SEED, 30, NAMES)
    assert loads(SEED, 30, NAMES) == loads(SEED, 30, NAMES)
    assert schedule(SEED, 30, NAMES) != schedule(SEED + 1, 30, NAMES)
    assert {one.name for one in kinds(NAMES)} == set(FAULTS)
    assert {one.kind for one in schedule(SEED, 30, NAMES)} == set(FAULTS)


def life(mb_per_hour: float, *, seed: int = 1, descriptors: int = 0) -> Life:
    """Return a life of 20 minutes that fills up, less and less, with noise, and grows."""
    dice = random.Random(seed)
    made = Life(name="a", pid=1, born=0.0)
    for number in range(80):
        at = 15.0 * number
        rss_mb = 110.0 + 6.0 * (1.0 - math.exp(-at / 150.0)) + mb_per_hour * at / 3600.0 + dice.uniform(-0.4, 0.4)
        held = 20 + dice.randint(0, 4) + number * descriptors // 10
        made.samples.append(Sample(at=at, rss_mb=rss_mb, descriptors=held, threads=20))
    return made


def test_a_life_that_grows_is_told_from_one_that_warms_up():
    assert [one for seed in range(20) for one in life(0.0, seed=seed).growth()] == []
    assert [one for seed in range(20) for one in life(6.0, seed=seed).growth()] == []
    assert all("memory of a (1) grows" in life(20.0, seed=seed).growth()[0] for seed in range(20))
    assert "descriptors of a (1) grow" in life(0.0, descriptors=4).growth()[0]


def turning(bytes_a_turn: float, seed: int) -> Turning:
    """Return a day of turns: it warms up, its allocator takes 256 kB at a time and a new arena now and then."""
    dice = random.Random(seed)
    made = Turning(1)
    base = 0.0
    for turns in range(0, 6000, 50):
        base += 300_000 if dice.random() < 0.02 else 0
        size = 110e6 + base + 6e6 * (1.0 - math.exp(-turns / 300.0)) + bytes_a_turn * turns
        made.note(turns, round(size / 262_144) * 262_144)
    return made


def test_over_a_day_of_turns_a_leak_of_1_kb_each_is_told_from_warming_up():
    assert [seed for seed in range(40) if turning(0.0, seed).grows] == []
    assert [seed for seed in range(40) if not turning(1024.0, seed).grows] == []
