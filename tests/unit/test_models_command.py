"""What people see of models and say to them: on the command line, over the API, in metrics."""

from __future__ import annotations

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from aiops.adapters.metrics import ModelCollector
from aiops.app import modelling
from aiops.errors import InvalidInput, NotFound
from tests.unit.test_lineage import lineage, live, refitted

KEY = "ScalingPolicy/shop/web"


@pytest.fixture(scope="module")
def lived():
    one = lineage()
    now = live(one, 120)
    refitted(one, now, why="ada: after the sale")
    return one, live(one, 70, begin=now)


def test_versions_are_told_newest_first_with_their_lineage_and_scores(lived):
    one, _ = lived
    (told,) = modelling.models({}, {KEY: one})
    assert (told["policy"], told["model"], told["version"]) == (KEY, "combined", one.current.number)
    challenger, champion = told["versions"][:2]
    assert (challenger["state"], champion["state"]) == ("challenger", "champion")
    assert challenger["parent"] == champion["number"]
    assert challenger["why"] == "ada: after the sale"
    assert challenger["scores"]["judged"] > 0
    assert challenger["scores"]["ratio"] == pytest.approx(1.0, abs=0.2)
    assert champion["scores"]["ratio"] is None
    assert challenger["window"][0] < challenger["window"][1]
    assert challenger["parameters"]["season"] == "60 min"


def test_people_promote_and_go_back_and_who_and_why_are_kept():
    one = lineage()
    now = live(one, 100)
    refitted(one, now)
    number = one.versions[-1].number
    done = modelling.order(
        {KEY: one}, {"policy": "shop/web", "do": "promote", "version": number, "by": "ada", "reason": "seen"}, now
    )
    assert (done["done"], done["version"]) == ("promote", number)
    assert one.current.detail == "ada: seen"
    back = modelling.order({KEY: one}, {"policy": KEY, "do": "rollback", "by": "bob", "reason": "no"}, now)
    assert back["version"] == number - 1


@pytest.mark.parametrize(
    ("wish", "error", "said"),
    [
        ({"policy": "shop/other", "do": "refit"}, NotFound, "no one policy 'shop/other'"),
        ({"policy": KEY, "do": "promote"}, InvalidInput, "which one is to act"),
        ({"policy": KEY, "do": "promote", "version": 99}, InvalidInput, "has no version 99"),
        ({"policy": KEY, "do": "rollback"}, InvalidInput, "no predecessor"),
        ({"policy": KEY, "do": "forget"}, InvalidInput, "not one of promote, rollback, refit"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_reason(lived, wish, error, said):
    one, now = lived
    with pytest.raises(error, match=said):
        modelling.order({KEY: one}, wish, now)


def test_metrics_tell_of_the_version_that_acts_and_leave_out_what_is_not_known(lived):
    one, _ = lived
    registry = CollectorRegistry()
    registry.register(ModelCollector(lambda: {KEY: one, "ScalingPolicy/shop/new": lineage(0.0)}))
    text = generate_latest(registry).decode()
    assert f'aiops_model_version{{policy="{KEY}"}} {float(one.current.number)}' in text
    assert f'aiops_model_challengers{{policy="{KEY}"}} 1.0' in text
    assert 'aiops_model_fits_total{policy="ScalingPolicy/shop/web",result="challenges"} 1.0' in text
    assert "shop/new" not in text
    (covered,) = (line for line in text.splitlines() if line.startswith("aiops_model_coverage_ratio{"))
    assert 0.5 < float(covered.rsplit(" ", 1)[1]) <= 1.0
    assert np.isfinite(one.champion.skill)
