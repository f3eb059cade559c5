"""`aiops rightsize` as a user meets it, from the record: what should be requested, why, how sure, what it is worth."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aiops.adapters.store import Store
from aiops.core.model import Tick
from aiops.core.pipeline.planning import plan_turn
from aiops.core.policies import PolicySet
from aiops.core.record.codec import to_text
from tests.commands import aiops
from tests.unit.rightsized import World, a_policy


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store with the newest decision of a policy in dry-run, and the settings that name it."""
    tmp_path = tmp_path_factory.mktemp("rightsize")
    world = World(policy=a_policy(("mode: enforce", "mode: dry-run")))
    world.run(6.5 * 3600.0)
    world.now += 600.0
    made = plan_turn(world.state, world.lane())
    (decision,) = made.decisions
    url = f"sqlite:///{tmp_path / 'aiops.db'}"
    store = Store.open(url)
    store.journal.note_policies(PolicySet(digest="p", plans=(world.policy,)))
    tick = Tick(
        id=decision.tick_id, at=world.now, decisions=made.decisions, actions=(), outcomes=(), findings=(), incidents=()
    )
    store.journal.note_inputs(tick, {decision.id: to_text(made.seen[decision.policy])})
    store.journal.begin(tick, made.state)
    store.close()
    file = tmp_path / "aiops.yaml"
    file.write_text(f"store: {{url: '{url}'}}\n")
    return str(file)


def test_what_would_change_is_listed_with_reason_and_money(config: str) -> None:
    found = aiops("--config", config, "rightsize")
    assert found.returncode == 0, found.stderr
    head, cpu, memory, total = found.stdout.splitlines()
    assert head.split()[:5] == ["WORKLOAD", "CONTAINER", "RESOURCE", "PODS", "REQUEST"]
    assert cpu.split()[:6] == ["shop/checkout", "app", "cpu", "4", "4", "->"]
    assert cpu.endswith("larger than what is used")
    assert memory.split()[2] == "memory"
    assert total.startswith("2 of 2 sizes would change: ")
    assert total.endswith(" USD a month less")


def test_the_same_is_there_for_programs(config: str) -> None:
    rows = json.loads(aiops("--config", config, "-o", "json", "rightsize", "--policy", "fleet", "--all").stdout)
    cpu, memory = rows
    assert (cpu["resource"], cpu["request"], cpu["changes"], cpu["reason"]) == ("cpu", "4", True, "too_large")
    assert cpu["usd_per_month"] > 200.0  # about three cores of four pods at 3 cents an hour
    assert cpu["limit"] is cpu["wished_limit"] is None
    assert memory["wished_limit"] == memory["wished"]
    assert 0.25 < cpu["history_days"] < 0.3
    assert json.loads(aiops("--config", config, "-o", "json", "rightsize", "--policy", "other").stdout) == []


def test_without_such_a_policy_it_says_so(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'aiops.db'}"
    Store.open(url).close()
    (tmp_path / "aiops.yaml").write_text(f"store: {{url: '{url}'}}\n")
    found = aiops("--config", str(tmp_path / "aiops.yaml"), "rightsize")
    assert found.returncode == 0
    assert found.stdout.startswith("nothing is sized: there is no CostPolicy that rightsizes")
