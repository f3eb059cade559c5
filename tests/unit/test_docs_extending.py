"""docs/extending.md: each worked example is the plug-in that the page says, held to what the shipped ones keep."""

from __future__ import annotations

import importlib
import inspect
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops.core.detect import DETECTORS
from aiops.core.forecast import FORECASTERS
from aiops.core.guard import chain, verdict
from aiops.core.model import Answered, Failed, NoSeries, Reason, VerdictWord
from aiops.core.policies import SignalQuery, WatchPolicy
from aiops.errors import InvalidPolicy, SourceUnavailable
from aiops.policy import parse
from aiops.policy.kinds import kinds
from tests import manual
from tests.builders import context, proposal, workload
from tests.conformance import test_detectors, test_forecasters
from tests.manual import DOCS
from tests.unit.rulings import bound

BLOCKS = manual.blocks(DOCS / "extending.md")


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], ModuleType]]:
    """The modules of the page, by name, as files of a package."""
    folder = tmp_path_factory.mktemp("extending")
    for block in BLOCKS:
        if block.language == "python":
            file = folder / block.marks["file"]
            file.parent.mkdir(exist_ok=True)
            file.write_text(block.text, encoding="utf-8")
    sys.path.insert(0, str(folder))
    yield lambda name: importlib.import_module(f"ours.{name}")
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name.partition(".")[0] == "ours"]:
        del sys.modules[name]


def promises(module: ModuleType) -> list[Callable[[str], None]]:
    """Return the conformance tests that are asked of a plug-in by its name."""
    made = [one for name, one in vars(module).items() if name.startswith("test_")]
    return [one for one in made if [*inspect.signature(one).parameters] == ["name"]]


@pytest.mark.parametrize("promise", promises(test_detectors), ids=lambda one: one.__name__)
def test_the_detector_keeps_what_every_detector_promises(promise, ours, monkeypatch):
    monkeypatch.setitem(DETECTORS, "ewma", ours("ewma").Ewma)  # the line that the page adds
    promise("ewma")


@pytest.mark.parametrize("promise", promises(test_forecasters), ids=lambda one: one.__name__)
def test_the_forecaster_keeps_what_every_forecaster_promises(promise, ours, monkeypatch):
    monkeypatch.setitem(FORECASTERS, "held-peak", ours("held").HeldPeak)
    promise("held-peak")


def test_upper_quantiles_stay_up(ours, monkeypatch):
    monkeypatch.setitem(FORECASTERS, "held-peak", ours("held").HeldPeak)
    forecaster, now = test_forecasters.taught("seasonal-naive", 3)
    held = test_forecasters.a_forecaster("held-peak")
    held.restore(forecaster.arrays())
    plain, kept = forecaster.paths(now + 6 * 3600.0, 60), held.paths(now + 6 * 3600.0, 60)
    for level, fell, stays in zip(held.quantiles, plain, kept, strict=True):
        assert stays[-1] == (fell.max() if level > 0.5 else fell[-1])
    assert plain[-1][-1] < plain[-1].max()


@given(before=st.integers(1, 200), after=st.integers(0, 200))
def test_the_guard_takes_at_most_half_whatever_is_wished(before: int, after: int):
    half = module_of("half").half
    wish = chain.Wish(proposal(before, after), after)
    match half(wish, context()):
        case None:
            assert after >= before
        case chain.Clamp(after=left):
            assert after < left <= before
            assert 2 * left >= before
        case _:
            assert 2 * after >= before


def module_of(name: str) -> ModuleType:
    """Return a module of the page that needs no other."""
    (block,) = [one for one in BLOCKS if one.marks.get("file") == f"ours/{name}.py"]
    made = ModuleType(name)
    exec(compile(block.text, block.name, "exec", dont_inherit=True), made.__dict__)
    return made


def test_the_guard_at_its_place_in_the_chain_is_told_as_the_one_that_bound(monkeypatch):
    monkeypatch.setattr(chain, "CHAIN", (*chain.CHAIN[:18], ("half", module_of("half").half), *chain.CHAIN[18:]))
    for tables, passed_by in (("_WHOLE", frozenset()), ("_PLAIN", chain.OF_EXTRAS)):
        monkeypatch.setattr(chain, tables, chain._tables(passed_by))  # made of the chain when it is read
    assert bound(verdict(proposal(8, 3), context())) == (VerdictWord.ALLOW, Reason.RATE, 4)
    assert bound(verdict(proposal(8, 5), context())) == (VerdictWord.ALLOW, None, 5)


def test_the_action_says_its_request_and_its_undo(ours):
    module = ours("parallelism")
    job, origin = workload(replicas=4), {"action": "01A", "policy": "JobPolicy/shop/batch"}
    change = module.SetParallelism(before=4, after=9)
    (step,), (back,) = module.VERBS.steps(change, job, origin), module.VERBS.undo(change, job, origin)
    assert (step.body["spec"], back.body["spec"]) == ({"parallelism": 9}, {"parallelism": 4})
    assert (step.uid, step.resource_version) == (job.uid, job.resource_version)
    assert module.VERBS.level(change, job) == 4


def test_the_kind_reads_the_policy_of_the_page_and_says_where_a_slip_is(ours, monkeypatch):
    monkeypatch.setitem(kinds(), "ErrorWatch", ours("errors").KIND)
    (block,) = [one for one in BLOCKS if one.marks.get("checked as") == "ErrorWatch"]
    (policy,) = parse(block.text, "page").every
    assert isinstance(policy, WatchPolicy)
    assert policy.ignore_below == 0.02
    assert 'namespace="shop",service="checkout",code=~"5.."' in policy.query.expr
    with pytest.raises(InvalidPolicy, match=r"page:4:8: spec\.servce"):
        parse(block.text.replace("service:", "servce:"), "page")


def test_the_source_answers_what_the_file_says_and_nothing_is_no_zero(ours, tmp_path: Path):
    file = tmp_path / "readings.json"
    source = ours("readings").ReadingsSource(file)
    asked = [
        SignalQuery(policy="ScalingPolicy/shop/checkout", name=name, expr="", age_exprs=(), coverage_exprs=())
        for name in ("demand", "latency", "callers")
    ]
    with pytest.raises(SourceUnavailable):
        source.read(asked, [], 1.0)
    file.write_text(json.dumps({"checkout": {"demand": {"value": 240.5, "at": 1.0}, "callers": {"value": "x"}}}))
    answers = source.read(asked, [], 2.0).answers["ScalingPolicy/shop/checkout"]
    assert answers["demand"] == Answered(value=240.5, newest_at=1.0)
    assert answers["latency"] == NoSeries()
    assert isinstance(answers["callers"], Failed)
    assert source.range(asked[0], 0.0, 60.0, 15.0).values.shape == (0, 5)
