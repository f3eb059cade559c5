"""The feed that fills the port: read beside the loop, kept while nobody answers, and told by its age."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aiops.adapters.metrics import PriceCollector
from aiops.adapters.prices import Feed, FeedOptions, ListFile, Terms, unread
from aiops.app.price_settings import PriceSettings
from aiops.app.pricelist import of_last, text, unknown
from aiops.app.pricing import LastPrices, unwell
from aiops.core.model import PriceGap
from aiops.core.money.pricing import Given
from aiops.errors import ConfigurationError, SourceUnavailable
from aiops.ports import Inventory
from tests.unit.test_price_list import HEADER, written
from tests.unit.test_prices import AT, NODE, POD, TARGET, metered

TARGETS = (TARGET,)
SEEN = Inventory(workloads={}, pods={TARGET.key: (POD,)}, machines={NODE.key: NODE})


class Wall:
    def __init__(self) -> None:
        self.at = AT

    def __call__(self) -> float:
        return self.at


class Meter:
    """A meter that can be cut off."""

    def __init__(self) -> None:
        self.silent = ""

    def read(self, at: float):
        if self.silent:
            raise SourceUnavailable(self.silent)
        return metered(as_of=at)


def feed(meter: Meter | None = None, listed: ListFile | None = None, **given: object):
    wall = Wall()
    beginning = None if meter is None else (meter, unread("opencost", 1800.0, ("USD", 1.0)))
    return wall, Feed(FeedOptions(given=Given(**given), wall=wall), listed, beginning)


def test_before_the_first_reading_nothing_is_known():
    _, prices = feed(Meter())
    assert prices.book(TARGETS, SEEN, AT).nodes[NODE.key].gap is PriceGap.UNREACHABLE


def test_a_reading_prices_nodes_and_replicas():
    _, prices = feed(Meter())
    prices.look()
    made = prices.book(TARGETS, SEEN, AT + 15.0)
    assert made.nodes[NODE.key].usd_per_hour == 0.2
    assert made.replica_usd_per_hour[TARGET.key] == pytest.approx(0.04)


def test_a_reading_grows_old_while_nobody_answers_and_then_is_not_known():
    meter = Meter()
    wall, prices = feed(meter)
    prices.look()
    meter.silent = "http://opencost:9003 cannot be reached (ConnectionError)"
    wall.at += 900.0
    prices.look()
    still = prices.book(TARGETS, SEEN, AT + 900.0).nodes[NODE.key]
    assert (still.usd_per_hour, still.as_of) == (0.2, AT)
    gone = prices.book(TARGETS, SEEN, AT + 1801.0).nodes[NODE.key]
    assert gone.gap is PriceGap.STALE
    assert "cannot be reached" in gone.detail
    assert prices.failures == 1
    assert prices.unwell() == ["opencost: http://opencost:9003 cannot be reached (ConnectionError)"]
    meter.silent, wall.at = "", AT + 2000.0
    prices.look()
    assert prices.book(TARGETS, SEEN, AT + 2000.0).nodes[NODE.key].usd_per_hour == 0.2
    assert prices.unwell() == []


def test_a_list_stands_behind_a_meter(tmp_path):
    meter = Meter()
    meter.silent = "gone"
    listed = ListFile(written(tmp_path, HEADER + "m6i.xlarge,,,0.5,,,,,,\n", "p.csv"), Terms(rates={}))
    _, prices = feed(meter, listed)
    prices.begin()
    assert prices.book(TARGETS, SEEN, AT).nodes[NODE.key].usd_per_hour == 0.5
    meter.silent = ""
    prices.look()
    assert prices.book(TARGETS, SEEN, AT).nodes[NODE.key].usd_per_hour == 0.2


def test_a_list_that_becomes_bad_stands_as_it_was(tmp_path):
    file = written(tmp_path, HEADER + "m6i.xlarge,,,0.5,,,,,,\n", "p.csv")
    _, prices = feed(None, ListFile(file, Terms(rates={})))
    prices.begin()
    file.write_text(HEADER + "m6i.xlarge,,,-0.5,,,,,,\n")
    prices.look()
    prices.look()
    assert prices.failures == 2
    assert f"{file}:2:14: entries[0].nodeHour: -0.5 is not more than 0" in prices.unwell()[0]
    assert prices.book(TARGETS, SEEN, AT).nodes[NODE.key].usd_per_hour == 0.5
    file.unlink()
    prices.look()
    assert prices.book(TARGETS, SEEN, AT).nodes[NODE.key].usd_per_hour == 0.5


def test_a_list_that_is_bad_from_the_start_is_an_error(tmp_path):
    file = written(tmp_path, HEADER + "m6i.xlarge,,,-0.5,,,,,,\n", "p.csv")
    _, prices = feed(None, ListFile(file, Terms(rates={})))
    with pytest.raises(ConfigurationError, match="is not more than 0"):
        prices.start()


def test_it_reads_in_the_background_until_it_is_stopped():
    _, prices = feed(Meter())
    prices.start()
    prices.stop(5.0)
    assert prices.book(TARGETS, SEEN, AT).nodes[NODE.key].usd_per_hour == 0.2


def test_without_anything_named_only_what_is_given_is_known():
    _, prices = feed(targets={"shop/checkout": 0.042})
    prices.start()
    prices.stop(1.0)
    made = prices.book(TARGETS, SEEN, AT)
    assert dict(made.replica_usd_per_hour) == {TARGET.key: 0.042}
    assert made.nodes == {}
    other = replace(TARGET, name="other")
    assert prices.book((other,), SEEN, AT).replicas[other.key].gap is PriceGap.NO_FEED


def test_what_was_said_of_a_node_stands_for_a_minute_and_no_longer():
    meter = Meter()
    wall, prices = feed(meter)
    prices.look()
    start = AT - AT % 60.0
    meter.silent = "gone"
    last = start + 1800.0 + 60.0
    assert prices.book(TARGETS, SEEN, last - 61.0).nodes[NODE.key].usd_per_hour == 0.2
    assert prices.book(TARGETS, SEEN, last + 60.0).nodes[NODE.key].gap is PriceGap.STALE
    meter.silent, wall.at = "", last + 61.0
    prices.look()  # a new reading counts at once
    assert prices.book(TARGETS, SEEN, last + 61.0).nodes[NODE.key].usd_per_hour == 0.2


# -- told to Prometheus ------------------------------------------------------------------------------------------


def scraped(book, present: float) -> dict[tuple[str, ...], float]:
    collector = PriceCollector(lambda: book, lambda: present)
    samples = (sample for family in collector.collect() for sample in family.samples)
    return {(one.name.removeprefix("aiops_prices_"), *one.labels.values()): one.value for one in samples}


def test_metrics_say_what_is_known_how_old_and_why_not():
    meter = Meter()
    _, prices = feed(meter)
    prices.look()
    other = replace(TARGET, name="other")
    book = prices.book((TARGET, other), SEEN, AT)
    assert scraped(book, AT + 90.0) == {
        ("known", "replica"): 1.0,
        ("known", "node"): 1.0,
        ("unknown", "replica", "no_requests"): 1.0,
        ("age_seconds", "replica"): 90.0,
        ("age_seconds", "node"): 90.0,
    }


def test_the_last_book_is_kept_for_who_tells_of_it():
    _, prices = feed(Meter())
    kept = LastPrices(prices, {"EUR": 1.1})
    assert scraped(kept.last, AT) == {("known", "replica"): 0.0, ("known", "node"): 0.0}
    book = kept.book(TARGETS, SEEN, AT)
    assert kept.last == book
    assert book.rates == {"EUR": 1.1}
    kept.book((), SEEN, AT + 5.0)  # a fast turn
    assert kept.last.replicas == book.replicas
    kept.book((), SEEN, AT + 200.0)
    assert kept.last.replicas == {}


def test_the_status_tells_of_prices_that_cannot_be_read():
    meter = Meter()
    meter.silent = "gone"
    _, prices = feed(meter)
    prices.look()
    assert unwell(prices) == ["prices: opencost: gone"]
    assert unwell(LastPrices(prices, {})) == []


def test_a_daemon_tells_what_it_knew_at_its_last_tick():
    meter = Meter()
    _, prices = feed(meter)
    prices.look()
    kept = LastPrices(prices, {"EUR": 1.25})
    kept.book(TARGETS, SEEN, AT)
    told = of_last(kept, AT + 15.0, PriceSettings(currency="EUR", rates={"EUR": 1.25}))
    (replica,), (node,) = told["replicas"], told["nodes"]
    assert (replica["target"], replica["per_hour"], replica["age_s"]) == ("shop/checkout", pytest.approx(0.032), 15.0)
    assert (node["node"], node["kind"], node["per_hour"]) == (NODE.key, "m6i.xlarge eu-1a", pytest.approx(0.16))
    assert (told["currency"], told["errors"]) == ("EUR", [])
    meter.silent = "gone"
    prices.look()
    assert of_last(kept, AT, PriceSettings())["errors"] == ["prices: opencost: gone"]


def test_who_has_only_the_record_says_that_it_knows_no_prices():
    told = unknown(AT)
    assert (told["replicas"], told["nodes"], told["pools"]) == ([], [], [])
    assert "not asked: prices are not recorded" in text(told)
