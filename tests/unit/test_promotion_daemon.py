"""The wired daemon: an edited file runs beside what was promoted, and people see where each policy stands (S6)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from aiops.app.live import LiveService
from aiops.app.settings import Settings
from aiops.app.wiring import Built, build
from aiops.core.model import Mode
from aiops.web.api import application
from aiops.web.locks.doors import Doors

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "simulators" / "demo"
KEY = "ScalingPolicy/shop/checkout"


class Web:
    """The API, asked without a socket."""

    def __init__(self, service: LiveService) -> None:
        self._application = application(service, Doors())

    def get(self, path: str, **asked: Any) -> httpx.Response:
        return asyncio.run(self._ask("GET", path, **asked))

    def post(self, path: str, **asked: Any) -> httpx.Response:
        return asyncio.run(self._ask("POST", path, **asked))

    async def _ask(self, method: str, path: str, **asked: Any) -> httpx.Response:
        transport = httpx.ASGITransport(app=self._application)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.request(method, path, **asked)


class Shop:
    """A daemon over the simulated shop, turned by hand. by: who promotes."""

    def __init__(self, folder: Path, **promotion: object) -> None:
        self.file = folder / "shop.yaml"
        self.file.write_text((DEMO / "policies" / "shop.yaml").read_text())
        more = {"promotion": promotion} if promotion else {}
        settings = Settings(
            mode=Mode.ENFORCE,
            policies=(self.file,),
            simulation={"scenario": str(DEMO / "demo.yaml")},
            store={"url": f"sqlite:///{folder / 'aiops.db'}"},
            **more,
        )
        self.built: Built = build(settings)
        self.service = LiveService(self.built)
        self.web = Web(self.service)

    def turn(self, times: int = 1) -> None:
        for _ in range(times):
            self.built.tick()

    def edit(self, **spec: object) -> None:
        documents = list(yaml.safe_load_all(self.file.read_text()))
        documents[0]["spec"].update(spec)
        self.file.write_text(yaml.safe_dump_all(documents))
        self.built.policies.reload(force=True)

    def promote(self, to: str = "enforce") -> dict:
        wish = {"policy": "checkout", "to": to, "by": "ann", "reason": "it was well"}
        answer = self.web.post("/api/v1/promotions", json=wish)
        assert answer.status_code == 200
        self.built.policies.reload()
        return answer.json()

    def modes(self) -> dict[str, Mode]:
        return {policy.key: policy.reach for policy in self.built.policies.current().scaling}


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path, by="evidence", evidence_for=60.0)
    yield made
    made.built.store.close()


def test_the_whole_way_of_a_policy_s6(shop: Shop):
    shop.turn(3)
    assert shop.modes() == {KEY: Mode.DRY_RUN}
    refused = shop.promote()
    assert (refused["promoted"], refused["missing"]) == (
        False,
        ["it ran for 45 s in dry-run and approve, 1 min are needed (promotion.evidence_for)"],
    )
    shop.turn(1)
    assert shop.promote()["promoted"]
    assert shop.modes() == {KEY: Mode.ENFORCE}
    shop.turn(2)
    shop.edit(bounds={"minReplicas": 7, "maxReplicas": 40})
    shop.turn(6)
    (shadow,) = set(shop.modes()) - {KEY}
    assert shop.modes() == {KEY: Mode.ENFORCE, shadow: Mode.DRY_RUN}
    # the acting one stays where it is, the edited one would go up to its floor
    diff = shop.web.get("/api/v1/diff", params={"live": "shop/checkout"}).json()
    assert diff["differences"][-1]["candidate"] == {"wanted": [7, 7], "reason": "bounds"}
    assert diff["differences"][-1]["live"]["wanted"] == [5, 5]
    assert shop.promote()["promoted"]
    assert shop.modes() == {KEY: Mode.ENFORCE}
    shop.turn(2)
    assert shop.service.status()["targets"][0]["current"] == 7
    assert shop.promote("dry-run")["promoted"]
    assert shop.modes() == {KEY: Mode.DRY_RUN}


def test_people_see_where_a_policy_stands(shop: Shop):
    shop.turn(1)
    status = shop.web.get("/api/v1/status").json()
    assert [one["notice"] for one in status["standings"]] == [
        "not promoted, runs as dry-run; promote with: aiops policy promote shop/checkout"
    ]
    shop.turn(4)
    shop.promote()
    shop.edit(scaleIn="forbidden")
    shop.turn(1)
    status = shop.service.status()
    assert [one["policy"] for one in status["targets"]] == [KEY]
    assert [(one["policy"].partition("@")[0], one["mode"]) for one in status["shadows"]] == [(KEY, "dry-run")]
    assert "1 in the shadow" in shop.built.sentence
    (standing,) = shop.web.get("/api/v1/promotions").json()["standings"]
    assert (standing["place"], standing["shadow"]) == ("edited", status["shadows"][0]["policy"])
    told = shop.web.get("/api/v1/why", params={"target": "shop/checkout"}).json()
    assert [bool(one["candidate_for"]) for one in told["policies"]] == [False, True]


FOREVER = [{"name": "sale", "from": "2020-01-01T00:00:00Z", "to": "2040-01-01T00:00:00Z"}]


def test_a_freeze_in_the_file_holds_what_was_promoted_and_the_record_says_so_s9(shop: Shop):
    shop.turn(4)
    shop.promote()
    shop.turn(1)
    shop.edit(freezes=FOREVER, bounds={"minReplicas": 2, "maxReplicas": 4})
    shop.turn(2)
    assert shop.modes()[KEY] is Mode.ENFORCE
    told = shop.web.get("/api/v1/why", params={"target": "shop/checkout"}).json()
    acting = next(one for one in told["policies"] if one["policy"] == KEY)
    assert "held by the new freeze sale too" in acting["notice"]
    # it would not go down by a sale's quiet hour: that is what a freeze holds
    assert "frozen" in {one["reason"] for one in acting["in_the_way_of_less"]}
    made = [one for one in shop.service.decisions({"limit": 50}) if one["policy"] == KEY]
    assert made
    for one in made:
        assert shop.service.replay(one["id"])["agreement"] == "identical"
        assert shop.service.decision(one["id"])["text"]


def test_a_freeze_in_the_defaults_of_the_cluster_holds_what_was_promoted_s9(shop: Shop):
    shop.turn(4)
    shop.promote()
    defaults = {
        "apiVersion": "policy.aiops/v1alpha1",
        "kind": "PolicyDefaults",
        "metadata": {"name": "everywhere", "namespace": "admin"},
        "spec": {"scope": "cluster", "freezes": FOREVER},
    }
    before = shop.file.read_text()
    shop.file.write_text(before + "\n---\n" + yaml.safe_dump(defaults))
    shop.built.policies.reload(force=True)
    acting = next(one for one in shop.built.policies.current().scaling if one.key == KEY)
    assert (acting.reach, [one.name for one in acting.freezes]) == (Mode.ENFORCE, ["sale"])
    shop.turn(2)
    # nobody promoted the freeze, and taking it away again is what was promoted
    shop.file.write_text(before)
    shop.built.policies.reload(force=True)
    (acting,) = shop.built.policies.current().scaling
    assert (acting.reach, acting.freezes) == (Mode.ENFORCE, ())


def test_whatif_answers_and_changes_nothing(shop: Shop):
    shop.turn(2)
    state, policies = shop.built.loop.state, shop.built.policies.current()
    wish = {"target": "shop/checkout", "signals": {"use": 0.9}}
    (one,) = shop.web.post("/api/v1/whatif", json=wish).json()["policies"]
    assert one["after"]["wants"] > one["before"]["wants"]
    assert (shop.built.loop.state, shop.built.policies.current()) == (state, policies)
    assert shop.web.post("/api/v1/whatif", json={"target": "shop/checkout", "signals": {"x": 1}}).status_code == 409
    assert shop.web.get("/api/v1/why", params={"target": "shop/nobody"}).status_code == 404


def test_what_the_acting_version_has_learnt_the_edited_one_knows(shop: Shop):
    shop.built.learn()
    shop.turn(4)
    shop.promote()
    shop.edit(scaleIn="forbidden")
    shop.turn(1)
    (shadow,) = set(shop.modes()) - {KEY}
    seen = shop.built.loop.seen
    assert seen[shadow].forecast.learned
    assert seen[shadow].forecast.paths == seen[KEY].forecast.paths


def test_a_virtual_world_that_asks_for_no_promotion_acts_by_its_files(tmp_path: Path):
    made = Shop(tmp_path)
    try:
        assert made.modes() == {KEY: Mode.ENFORCE}
        made.edit(scaleIn="forbidden")
        assert made.modes() == {KEY: Mode.ENFORCE}
        assert [one["by"] for one in made.service.promotions()["promotions"]] == ["file", "file"]
    finally:
        made.built.store.close()
