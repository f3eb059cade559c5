"""From prices of nodes to prices of replicas: lists, meters, validity, kinds of money, and what is not known."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops.core.model import Machine, PodShare, PriceBook, Priced, PriceGap, TargetRef, Unpriced
from aiops.core.money.currency import ISO_4217, known_currency, usd_per
from aiops.core.money.prices import MOST_USD_PER_HOUR, flat, judged
from aiops.core.money.pricing import Given, Stock, book
from aiops.core.money.tariff import Entry, FirstOf, Meter, MeteredNode, PriceList, split, worth
from aiops.core.record.codec import from_text, to_text

AT = 1_772_450_000.0
DAY = 86_400.0
TARGET = TargetRef(namespace="shop", name="checkout")
NODE = Machine(cluster="default", node="a", instance_type="m6i.xlarge", zone="eu-1a", cores=4.0, memory_gib=16.0)
SPOT = replace(NODE, node="s", spot=True)
POD = PodShare(pod="checkout-1", node="a", cores=1.0, memory_gib=2.0)
ANY = Entry(core_hour=0.03, gib_hour=0.004, where="prices.csv:9")


def listed(*entries: Entry, **changes) -> PriceList:
    return replace(PriceList(entries=entries, source="prices.csv", as_of=AT), **changes)


def metered(**changes) -> Meter:
    nodes = {"a": MeteredNode(total=0.2, core=0.03, gib=0.005), "s": MeteredNode(total=0.06, core=0.01, gib=0.00125)}
    return replace(Meter(source="opencost", as_of=AT - 30.0, max_age_s=1800.0, nodes=nodes), **changes)


def priced(tariff, *pods: PodShare, machines=(NODE, SPOT), given_=Given()) -> PriceBook:  # noqa: B008  # frozen
    stock = Stock(pods={TARGET.key: pods} if pods else {}, machines={one.key: one for one in machines})
    return book((TARGET,), stock, tariff, given_, AT)


def replica(made: PriceBook):
    return made.replicas[TARGET.key]


# -- what may be reckoned with -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("usd", "gap"),
    [
        (0.0, PriceGap.ZERO),
        (-0.1, PriceGap.NEGATIVE),
        (math.nan, PriceGap.ABSURD),
        (math.inf, PriceGap.ABSURD),
        (-math.inf, PriceGap.ABSURD),
        (MOST_USD_PER_HOUR * 1.01, PriceGap.ABSURD),
    ],
)
def test_a_price_that_cannot_be_is_not_known(usd, gap):
    assert judged(usd, "list", AT).gap is gap
    made = flat({TARGET.key: usd}, AT, "settings")
    assert dict(made.replica_usd_per_hour) == {}
    assert made.replicas[TARGET.key].gap is gap


def test_a_price_that_can_be_is_known_with_its_source():
    assert judged(0.04, "list", AT) == Priced(usd_per_hour=0.04, source="list", as_of=AT)


@given(st.floats(0.001, 900.0), st.floats(0.5, 128.0), st.floats(0.5, 1024.0), st.sampled_from((0.0, 1.0, 8.0)))
def test_the_parts_of_a_node_cost_what_the_node_costs(usd, cores, gib, gpus):
    units = split(usd, Machine(cluster="c", node="n", cores=cores, memory_gib=gib, gpus=gpus))
    assert worth(units, cores, gib, gpus) == pytest.approx(usd)
    assert min(units.core_usd, units.gib_usd) > 0.0


def test_a_node_of_unknown_size_is_not_split():
    assert split(0.2, Machine(cluster="c", node="n")) is None


# -- a list --------------------------------------------------------------------------------------------------


def test_the_most_particular_entry_counts():
    general = Entry(instance_type="m6i.xlarge", node_hour=0.5, where="p:2")
    zone = Entry(instance_type="m6i.xlarge", zone="eu-1a", node_hour=0.4, where="p:3")
    spot = Entry(instance_type="m6i.xlarge", zone="eu-1a", spot=True, node_hour=0.1, where="p:4")
    prices = listed(ANY, general, zone, spot)
    assert prices.node(NODE, AT).usd_per_hour == 0.4
    assert prices.node(SPOT, AT).usd_per_hour == 0.1
    assert prices.node(replace(NODE, zone="eu-1b"), AT).usd_per_hour == 0.5
    other = prices.node(replace(NODE, instance_type="c7g"), AT)
    assert other.usd_per_hour == pytest.approx(4 * 0.03 + 16 * 0.004)


def test_spot_prices_are_no_prices_of_nodes_on_demand():
    only_spot = listed(Entry(instance_type="m6i.xlarge", spot=True, node_hour=0.1))
    assert only_spot.node(NODE, AT).gap is PriceGap.NOT_LISTED
    assert "m6i.xlarge on demand" in only_spot.node(NODE, AT).detail


def test_a_price_holds_from_its_first_instant_to_its_last():
    entry = Entry(instance_type="m6i.xlarge", node_hour=0.2, valid_from=AT, valid_to=AT + DAY, where="p:2")
    later = replace(entry, node_hour=0.3, valid_from=AT + DAY, valid_to=math.inf)
    prices = listed(entry, later)
    assert prices.node(NODE, AT - 1.0).gap is PriceGap.NOT_VALID
    assert prices.node(NODE, AT).usd_per_hour == 0.2
    assert prices.node(NODE, AT + DAY - 1.0).usd_per_hour == 0.2
    assert prices.node(NODE, AT + DAY).usd_per_hour == 0.3
    assert not entry.overlaps(later)
    assert entry.overlaps(replace(later, valid_from=AT + DAY - 1.0))


def test_an_older_price_of_the_zone_gives_way_to_a_valid_one_of_the_type():
    over = Entry(instance_type="m6i.xlarge", zone="eu-1a", node_hour=0.1, valid_to=AT)
    stands = Entry(instance_type="m6i.xlarge", node_hour=0.2)
    assert listed(over, stands).node(NODE, AT).usd_per_hour == 0.2


def test_money_is_turned_into_usd_by_the_given_rate_alone():
    euro = listed(Entry(instance_type="m6i.xlarge", node_hour=0.2, currency="EUR", where="p:2"))
    assert euro.node(NODE, AT).gap is PriceGap.NO_RATE
    assert replace(euro, rates={"EUR": 1.25}).node(NODE, AT).usd_per_hour == pytest.approx(0.25)
    assert replace(euro, rates={"EUR": -1.0}).node(NODE, AT).gap is PriceGap.NO_RATE


def test_a_node_whose_price_is_split_and_a_split_that_is_written():
    split_by_us = listed(Entry(instance_type="m6i.xlarge", node_hour=0.2)).node(NODE, AT)
    assert worth(split_by_us.units, 4.0, 16.0, 0.0) == pytest.approx(0.2)
    written = listed(Entry(instance_type="m6i.xlarge", node_hour=0.2, core_hour=0.01, gib_hour=0.01)).node(NODE, AT)
    assert (written.units.core_usd, written.units.gib_usd, written.usd_per_hour) == (0.01, 0.01, 0.2)


def test_pools_say_what_could_be_had():
    prices = listed(
        Entry(instance_type="m6i.xlarge", spot=False, node_hour=0.2),
        Entry(instance_type="m6i.xlarge", spot=True, node_hour=0.06, zone="eu-1a"),
        Entry(instance_type="old", node_hour=0.1, valid_to=AT),
    )
    made = priced(prices)
    assert made.pool("m6i.xlarge", "eu-1a", spot=True).usd_per_hour == 0.06
    assert made.pool("m6i.xlarge", "eu-1b", spot=True).gap is PriceGap.NOT_LISTED
    assert made.pool("m6i.xlarge", "eu-1b", spot=False).usd_per_hour == 0.2
    assert made.pool("old", "", spot=False).gap is PriceGap.NOT_LISTED


# -- a meter -------------------------------------------------------------------------------------------------


def test_a_meter_knows_its_nodes():
    assert metered().node(NODE, AT).usd_per_hour == 0.2
    assert metered().node(replace(NODE, node="new"), AT).gap is PriceGap.NOT_LISTED


def test_an_old_reading_is_not_known_any_more():
    old = metered(as_of=AT - 1801.0, why="connection refused")
    gap = old.node(NODE, AT)
    assert gap.gap is PriceGap.STALE
    assert "read 1801 s ago, at most 1800 s count: connection refused" in gap.detail
    assert old.elsewhere(AT).gap is PriceGap.STALE


def test_a_reading_of_a_time_to_come_is_not_known_either():
    ahead = metered(as_of=AT + 86_400.0)
    assert ahead.node(NODE, AT).gap is PriceGap.STALE
    assert metered(as_of=AT + 60.0).node(NODE, AT).usd_per_hour == 0.2


def test_a_meter_that_was_never_read_says_why():
    never = metered(as_of=-math.inf, why="no route to host")
    assert never.node(NODE, AT) == Unpriced(gap=PriceGap.UNREACHABLE, detail="no route to host", source="opencost")


def test_a_meter_of_one_cluster_says_nothing_of_another():
    mine = metered(cluster="eu")
    assert mine.node(NODE, AT).gap is PriceGap.NOT_LISTED
    assert mine.node(replace(NODE, cluster="eu"), AT).usd_per_hour == 0.2


def test_a_meter_without_totals_prices_a_node_by_its_resources():
    units_only = metered(nodes={"a": MeteredNode(total=math.nan, core=0.03, gib=0.005)})
    assert units_only.node(NODE, AT).usd_per_hour == pytest.approx(4 * 0.03 + 16 * 0.005)
    assert units_only.node(replace(NODE, cores=0.0), AT).gap is PriceGap.NOT_LISTED


def test_a_free_node_of_a_meter_is_not_known():
    assert metered(nodes={"a": MeteredNode(total=0.0)}).node(NODE, AT).gap is PriceGap.ZERO


def test_what_is_allocated_is_the_greater_of_request_and_usage():
    meter = metered(shares={"shop/checkout-1": PodShare(pod="checkout-1", node="a", cores=2.5, memory_gib=1.0)})
    share = meter.share("default", "shop", POD)
    assert (share.cores, share.memory_gib) == (2.5, 2.0)
    assert meter.share("default", "shop", replace(POD, pod="other")) == replace(POD, pod="other")
    assert replace(meter, cluster="eu").share("default", "shop", POD) == POD


def test_of_several_the_first_that_knows_says_it():
    both = FirstOf(tariffs=(metered(as_of=-math.inf), listed(ANY)))
    assert both.node(NODE, AT).source == "prices.csv"
    assert FirstOf(tariffs=(metered(), listed(ANY))).node(NODE, AT).source == "opencost"
    neither = FirstOf(tariffs=(metered(as_of=-math.inf), listed()))
    assert neither.node(NODE, AT).gap is PriceGap.UNREACHABLE


# -- replicas ------------------------------------------------------------------------------------------------


def test_a_replica_costs_what_it_takes_of_its_node():
    made = replica(priced(metered(), POD))
    assert made.usd_per_hour == pytest.approx(0.03 + 2 * 0.005)
    assert (made.source, made.as_of, made.note) == ("opencost", AT - 30.0, "1 of 1 on known nodes")


def test_replicas_on_nodes_of_two_prices_cost_the_mean():
    made = replica(priced(metered(), POD, replace(POD, pod="checkout-2", node="s")))
    assert made.usd_per_hour == pytest.approx((0.03 + 2 * 0.005 + 0.01 + 2 * 0.00125) / 2)


def test_a_pod_that_waits_for_a_node_costs_what_it_would_in_the_default_pool():
    made = replica(priced(listed(ANY), replace(POD, node="")))
    assert made.usd_per_hour == pytest.approx(0.03 + 2 * 0.004)
    assert (made.source, made.note) == ("the default pool", "no node known")


def test_a_pod_that_requests_nothing_has_no_price():
    nothing = replace(POD, cores=None, memory_gib=None)
    assert replica(priced(metered(), nothing)).gap is PriceGap.NO_REQUESTS
    usage = metered(shares={"shop/checkout-1": PodShare(pod="checkout-1", node="a", cores=0.5, memory_gib=1.0)})
    assert replica(priced(usage, nothing)).usd_per_hour == pytest.approx(0.5 * 0.03 + 0.005)


def test_a_gpu_without_a_price_makes_its_pod_unknown():
    assert replica(priced(metered(), replace(POD, gpus=1.0))).gap is PriceGap.NOT_LISTED
    gpus = listed(replace(ANY, gpu_hour=0.95))
    assert replica(priced(gpus, replace(POD, gpus=1.0, node=""))).usd_per_hour == pytest.approx(0.03 + 0.008 + 0.95)


def test_no_pods_no_price():
    assert replica(priced(metered())).gap is PriceGap.NO_REQUESTS


def test_without_a_feed_only_what_is_given_has_a_price():
    assert replica(priced(None, POD)).gap is PriceGap.NO_FEED
    made = priced(None, POD, given_=Given(otherwise=0.04))
    assert dict(made.replica_usd_per_hour) == {TARGET.key: 0.04}


def test_what_is_given_for_a_target_counts_first_and_what_is_given_for_all_last():
    both = Given(targets={"shop/checkout": 0.5}, otherwise=0.04)
    assert replica(priced(metered(), POD, given_=both)).usd_per_hour == 0.5
    assert replica(priced(metered(), POD, given_=Given(otherwise=0.04))).source == "opencost"
    assert replica(priced(metered(as_of=0.0), POD, given_=Given(otherwise=0.04))).source == "prices.default"
    assert replica(priced(metered(), POD, given_=Given(targets={"shop/checkout": 0.0}))).gap is PriceGap.ZERO


def test_a_book_says_what_resources_cost_where_a_target_runs():
    made = priced(metered(), POD)
    assert (made.units(TARGET.key).core_usd, made.units(TARGET.key).gib_usd) == (0.03, 0.005)
    assert made.node_usd_per_hour("default/a") == 0.2
    assert made.node_usd_per_hour("default/gone") is None
    assert made.units("other") is None


def test_a_book_is_stored_and_read_again():
    made = priced(FirstOf(tariffs=(metered(), listed(ANY))), POD, given_=Given(rates={"EUR": 1.1}))
    assert from_text(to_text(made), PriceBook) == made


def test_currencies():
    assert len(ISO_4217) == 155
    assert usd_per("EUR", {"EUR": math.inf}) is None
    with pytest.raises(ValueError, match="did you mean EUR"):
        known_currency("eur")
