"""The wired daemon over a template: members decide, are promoted together, explained, replayed and remembered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from aiops.app.expanding import remembered
from aiops.app.live import LiveService
from aiops.app.settings import Settings
from aiops.app.wiring import Built, build
from aiops.core.model import Mode, TargetRef
from aiops.errors import ClusterUnavailable, InvalidInput

KEY = "ScalingPolicy/shop/web"
SERVICES = {"cart": "web", "checkout": "web", "search": "web", "ledger": "batch"}
POLICY = {
    "apiVersion": "policy.aiops/v1alpha1",
    "kind": "ScalingPolicy",
    "metadata": {"name": "web", "namespace": "shop"},
    "spec": {
        "mode": "enforce",
        "target": {"selector": {"matchLabels": {"tier": "web"}}, "maxTargets": 4},
        "signals": {
            "demand": {"query": 'sum(rate(http_requests_total{namespace="shop",service="$(target.name)"}[1m]))'}
        },
        "objective": {"perReplica": 50},
        "bounds": {"minReplicas": 3, "maxReplicas": 20},
    },
}


class Listing:
    """Who there is, by hand. away: whether that can be read."""

    def __init__(self) -> None:
        self.tiers: dict[str, str] = dict(SERVICES)
        self.away = False

    def listed(self, kind: TargetRef, at: float) -> Mapping[str, Mapping[str, str]]:
        if self.away:
            raise ClusterUnavailable("the API does not answer")
        return {name: {"tier": tier} for name, tier in self.tiers.items()}


class Shop:
    """A daemon over a simulated shop with four services, turned by hand."""

    def __init__(self, folder: Path, **promotion: object) -> None:
        self.file, scenario = folder / "web.yaml", folder / "shop.yaml"
        self.write(POLICY)
        load = {"base": 100, "noise": {"fast": 0, "slow": 0, "daily": 0}}
        services = [{"name": name, "load": load, "labels": {"tier": tier}} for name, tier in SERVICES.items()]
        world = {"name": "shop", "start": "2026-03-02T07:00:00Z", "duration": "1h", "step": "15s", "services": services}
        scenario.write_text(yaml.safe_dump(world))
        settings = Settings(
            mode=Mode.ENFORCE,
            policies=(self.file,),
            simulation={"scenario": str(scenario)},
            store={"url": f"sqlite:///{folder / 'aiops.db'}"},
            **({"promotion": promotion} if promotion else {}),
        )
        self.built: Built = build(settings)
        self.listing = Listing()
        self.built.policies.roster = self.listing  # the scenario's services neither come nor go
        self.service = LiveService(self.built)

    def write(self, document: Mapping[str, Any]) -> None:
        self.file.write_text(yaml.safe_dump(document))

    def turn(self, times: int = 1) -> None:
        for _ in range(times):
            self.built.tick()

    def edit(self, **spec: object) -> None:
        self.write({**POLICY, "spec": {**POLICY["spec"], **spec}})
        self.built.policies.reload(force=True)

    def promote(self, name: str = "shop/web", to: str = "enforce", **more: object) -> dict[str, Any]:
        answer = self.service.promote({"policy": name, "to": to, "by": "ann", "reason": "it was well", **more})
        self.built.policies.reload()
        return answer

    def modes(self) -> dict[str, Mode]:
        return {one.key.removeprefix(KEY): one.reach for one in self.built.policies.current().scaling}

    def verdicts(self) -> dict[str, str]:
        return {one.target.name: one.verdict.word.value for one in self.built.loop.last.decisions}


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path)
    yield made
    made.built.store.close()


@pytest.fixture
def gated(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path, by="evidence", evidence_for=60.0)
    yield made
    made.built.store.close()


def test_every_member_decides_for_itself_and_the_others_are_left_alone(shop: Shop):
    shop.turn(2)
    decided = {one.target.name: one.verdict.proposal.change.after for one in shop.built.loop.last.decisions}
    assert decided == {"cart": 2, "checkout": 2, "search": 2}
    assert {one.policy for one in shop.built.loop.last.decisions} == {f"{KEY}_{name}" for name in decided}
    (row,) = shop.service.status()["templates"]
    assert (row["policy"], row["targets"], row["max_targets"], row["held"]) == (
        KEY, ["cart", "checkout", "search"], 4, ""
    )  # fmt: skip


def test_a_members_decision_is_replayed_as_any_other(shop: Shop):
    shop.turn(3)
    rows = shop.service.decisions({"policy": f"{KEY}_checkout", "limit": 5})
    assert rows
    for row in rows:
        assert shop.service.replay(row["id"])["agreement"] == "identical"


def test_why_is_asked_by_target_by_member_and_by_template(shop: Shop):
    shop.turn(2)
    by_target, by_member = shop.service.why("shop/checkout"), shop.service.why("shop/web_checkout")
    assert [one["policy"] for one in by_target["policies"]] == [f"{KEY}_checkout"]
    assert by_member["policies"] == by_target["policies"]
    whole = shop.service.why("shop/web")
    assert (whole["target"], len(whole["policies"])) == ("shop/web (3 targets)", 3)


def test_a_template_is_promoted_for_all_of_its_targets_on_the_time_of_one_s6(gated: Shop):
    gated.turn(3)
    assert gated.modes() == dict.fromkeys(("_cart", "_checkout", "_search"), Mode.DRY_RUN)
    refused = gated.promote()
    assert refused["missing"] == ["it ran for 45 s in dry-run and approve, 1 min are needed (promotion.evidence_for)"]
    assert refused["evidence"]["targets"] == ["shop/cart", "shop/checkout", "shop/search"]
    gated.turn(1)
    made = gated.promote()
    assert (made["promoted"], made["policy"], made["evidence"]["ticks"]) == (True, KEY, 12)
    assert gated.modes() == dict.fromkeys(("_cart", "_checkout", "_search"), Mode.ENFORCE)
    with pytest.raises(InvalidInput, match="is a member of shop/web: promote that, for all of its targets"):
        gated.promote("shop/web_cart")


def test_an_edited_template_runs_beside_each_member_and_its_word_is_one(gated: Shop):
    gated.turn(4)
    gated.promote()
    gated.turn(1)
    gated.edit(bounds={"minReplicas": 5, "maxReplicas": 20})
    gated.turn(5)
    shadows = {key: mode for key, mode in gated.modes().items() if "@" in key}
    assert [key.partition("@")[0] for key in shadows] == ["_cart", "_checkout", "_search"]
    assert set(shadows.values()) == {Mode.DRY_RUN}
    diff = gated.service.diff({"live": "shop/web_cart"})
    assert diff["differences"][-1]["candidate"]["wanted"] == [5, 5]
    with pytest.raises(InvalidInput, match="is for several targets: name one of shop/web_cart, shop/web_checkout"):
        gated.service.diff({"live": "shop/web"})
    assert gated.promote()["promoted"]
    assert set(gated.modes().values()) == {Mode.ENFORCE}
    gated.turn(2)
    assert {one.verdict.change.after for one in gated.built.loop.last.decisions} == {5}


def test_growth_that_nobody_expected_holds_all_until_it_is_promoted_again_s3(gated: Shop):
    gated.listing.tiers.update(search="other", cart="other")
    gated.turn(4)
    gated.promote()
    gated.turn(1)
    gated.listing.tiers.update(search="web", cart="web")
    gated.turn(1)
    (decision,) = gated.built.loop.last.decisions
    assert decision.target.name == "checkout"
    status = gated.service.status()
    assert status["templates"][0]["waiting"] == ["cart", "search"]
    held = "2 Deployments joined tier=web within an hour, maxGrowth is 1 (not joined: cart, search)"
    assert status["templates"][0]["held"] == held
    assert [one for one in status["problems"] if held in one] != []
    assert gated.built.policies.held == {f"{KEY}_checkout": held}
    gated.edit()
    gated.promote()
    gated.turn(1)
    assert list(gated.verdicts()) == ["cart", "checkout", "search"]
    assert gated.built.policies.held == {}


def test_what_is_held_changes_nothing_and_says_why(shop: Shop):
    shop.turn(1)
    shop.listing.tiers.update({f"more-{number}": "web" for number in range(3)})
    shop.edit(bounds={"minReplicas": 9, "maxReplicas": 20})
    shop.turn(2)
    bound = [one.verdict.binding for one in shop.built.loop.last.decisions]
    assert [(one.guard, one.ruling.reason.value) for one in bound] == [("pause", "paused")] * 3
    assert all("6 Deployments match tier=web, maxTargets is 4" in one.ruling.detail for one in bound)


def test_while_the_api_is_away_members_stay_and_who_left_is_gone_once_that_is_known_s9(shop: Shop):
    shop.turn(1)
    shop.listing.away = True
    del shop.listing.tiers["cart"]
    shop.turn(8)
    assert set(shop.verdicts()) == {"cart", "checkout", "search"}
    assert any("its targets cannot be listed" in one for one in shop.service.status()["problems"])
    shop.listing.away = False
    shop.turn(2)
    assert set(shop.verdicts()) == {"cart", "checkout", "search"}
    shop.turn(1)
    assert set(shop.verdicts()) == {"checkout", "search"}


def test_a_process_that_follows_remembers_who_the_members_were(shop: Shop):
    shop.turn(3)
    del shop.listing.tiers["cart"]
    shop.turn(10)
    found = remembered(shop.built.store, 15.0)
    assert list(found) == [KEY]
    assert list(found[KEY].members) == ["checkout", "search"]
    assert found[KEY].selection == shop.built.policies.current().templates[0].selection
    assert found[KEY].grown == ()
