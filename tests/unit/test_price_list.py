"""A list of prices in a file: both ways of writing it, what is wrong with it and where, and a file that changes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from aiops.adapters.prices import ListFile, Terms, read_list
from aiops.app.cli import app
from aiops.core.model import Machine
from aiops.errors import ConfigurationError
from tests.unit.test_prices import AT, NODE

TERMS = Terms(currency="USD", rates={"EUR": 1.25})
GOOD_YAML = """\
currency: EUR
entries:
  - {instanceType: m6i.xlarge, zone: eu-1a, capacity: spot, nodeHour: 0.04}
  - {instanceType: m6i.xlarge, nodeHour: 0.16, validFrom: 2026-01-01, validTo: 2026-07-01}
  - {instanceType: m6i.xlarge, nodeHour: 0.2, validFrom: '2026-07-01T00:00:00+00:00'}
  - {coreHour: 0.03, gibHour: 0.004, gpuHour: 0.9, currency: USD}
"""
GOOD_CSV = """\
instanceType,zone,capacity,nodeHour,coreHour,gibHour,gpuHour,currency,validFrom,validTo
m6i.xlarge,eu-1a,spot,0.04,,,,EUR,,
"m6i.xlarge",,,0.16,,,,EUR,2026-01-01,2026-07-01

m6i.xlarge,,,0.2,,,,EUR,2026-07-01T00:00:00Z,
,,,,0.03,0.004,0.9,USD,,
"""


def written(folder: Path, text: str, name: str = "prices.yaml") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def wrong(folder: Path, text: str, name: str = "prices.csv") -> list[str]:
    _, problems = read_list(written(folder, text, name), TERMS, AT)
    return [str(one).removeprefix(f"{folder}/") for one in problems]


@pytest.mark.parametrize(("name", "text"), [("prices.yaml", GOOD_YAML), ("prices.csv", GOOD_CSV)])
def test_both_ways_of_writing_say_the_same(tmp_path, name, text):
    prices, problems = read_list(written(tmp_path, text, name), TERMS, AT)
    assert problems == []
    spot = Machine(cluster="c", node="n", instance_type="m6i.xlarge", zone="eu-1a", spot=True, cores=4, memory_gib=16)
    assert prices.node(spot, AT).usd_per_hour == pytest.approx(0.05)
    assert prices.node(NODE, AT).usd_per_hour == pytest.approx(0.2)
    assert prices.node(NODE, AT + 180 * 86_400.0).usd_per_hour == pytest.approx(0.25)
    assert prices.elsewhere(AT).gpu_usd == 0.9
    assert prices.entries[0].where.rpartition(":")[2] == ("3" if name.endswith("yaml") else "2")


def test_what_is_absurd_in_one_currency_is_not_in_another(tmp_path):
    file = written(tmp_path, HEADER + "p5,,,15000,,,,JPY,,\n", "p.csv")
    prices, problems = read_list(file, Terms(currency="USD", rates={"JPY": 0.0066}), AT)
    assert problems == []
    assert prices.node(Machine(cluster="c", node="n", instance_type="p5"), AT).usd_per_hour == pytest.approx(99.0)
    _, problems = read_list(file, Terms(currency="USD", rates={"JPY": 1.0}), AT)
    assert "15000 an hour is more than anything costs (at most 1000 USD)" in str(problems[0])


HEADER = "instanceType,zone,capacity,nodeHour,coreHour,gibHour,gpuHour,currency,validFrom,validTo\n"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a,,,-0.1,,,,,,", "prices.csv:2:5: entries[0].nodeHour: -0.1 is not more than 0"),
        ("a,,,0,,,,,,", "prices.csv:2:5: entries[0].nodeHour: 0 is not more than 0"),
        ("a,,,nan,,,,,,", "prices.csv:2:5: entries[0].nodeHour: nan an hour is more than anything costs"),
        ("a,,,1e9,,,,,,", "prices.csv:2:5: entries[0].nodeHour: 1e9 an hour is more than anything costs"),
        ("a,,,cheap,,,,,,", "prices.csv:2:5: entries[0].nodeHour: 'cheap' is no number"),
        ("a,,,,,,,,,", "prices.csv:2:5: entries[0].nodeHour: an entry needs nodeHour, or coreHour and gibHour"),
        ("a,,,,0.1,,,,,", "prices.csv:2:5: entries[0].nodeHour: an entry needs nodeHour, or coreHour and gibHour"),
        (",,,0.1,,,,,,", "prices.csv:2:1: entries[0].instanceType: nodeHour is of nodes of one type: name it"),
        ("a,,spott,0.1,,,,,,", "prices.csv:2:4: entries[0].capacity: 'spott' is neither spot nor on-demand"),
        ("a,,,0.1,,,,EURO,,", "prices.csv:2:12: entries[0].currency: 'EURO' is no currency of ISO 4217"),
        ("a,,,0.1,,,,JPY,,", "prices.csv:2:12: entries[0].currency: there is no rate of JPY to USD"),
        ("a,,,0.1,,,,,soon,", "prices.csv:2:13: entries[0].validFrom: 'soon' is no day or time"),
        ("a,,,0.1,,,,,2026-01-01T00:00:00,", "prices.csv:2:13: entries[0].validFrom: '2026-01-01T00:00:00' names no"),
        ("a,,,0.1,,,,,2026-02-01,2026-01-01", "prices.csv:2:24: entries[0].validTo: it is not after validFrom"),
        ("a,,,0.1,,,,,,,,", "prices.csv:2:1: [0]: 12 fields, and the header names 10"),
    ],
)
def test_what_is_wrong_says_where_it_stands(tmp_path, row, said):
    (found,) = wrong(tmp_path, HEADER + row + "\n")
    assert found.startswith(said)


def test_every_mistake_is_told_in_one_pass(tmp_path):
    assert len(wrong(tmp_path, HEADER + "a,,,-1,,,,,,\nb,,,2,,,,,,\nc,,,x,,,,,,\n")) == 2


def test_two_prices_for_the_same_time_are_a_mistake(tmp_path):
    (found,) = wrong(tmp_path, HEADER + "a,,,1,,,,,,\na,,,2,,,,,2026-01-01,\n")
    assert "prices.csv:2 is for the same nodes and times" in found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "prices.yaml:1:1: entries: a price list is a mapping with `entries`"),
        ("[1, 2]", "prices.yaml:1:1: entries: a price list is a mapping with `entries`"),
        ("entries: 3", "prices.yaml:1:10: entries: this is a list"),
        ("entries: [", "prices.yaml:1:11: this is no YAML"),
        ("entries: [1]", "prices.yaml:1:11: entries[0]: an entry is a mapping"),
        ("entries: [{nodeHuor: 1}]", "prices.yaml:1:12: entries[0].nodeHuor: unknown field"),
        ("entries: [{nodeHour: [1]}]", "prices.yaml:1:12: entries[0].nodeHour: this is one word or number"),
        ("currency: XXX\nentries: []", "prices.yaml:1:11: currency: 'XXX' is no currency"),
        ("more: 1\nentries: []", "prices.yaml:1:1: more: unknown field"),
    ],
)
def test_yaml_that_is_no_list_of_prices(tmp_path, text, said):
    assert wrong(tmp_path, text, "prices.yaml")[0].startswith(said)


def test_an_unknown_column_is_named_at_its_place(tmp_path):
    assert wrong(tmp_path, "instanceType,price\n")[0].startswith("prices.csv:1:14: price: unknown column")
    assert wrong(tmp_path, "")[0].startswith("prices.csv:1:1: the list is empty")


def test_a_file_that_cannot_be_read_says_so(tmp_path):
    with pytest.raises(ConfigurationError, match="the price list cannot be read: No such file"):
        read_list(tmp_path / "none.csv", TERMS, AT)
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="is no UTF-8"):
        read_list(tmp_path / "bytes.csv", TERMS, AT)


def test_a_list_is_read_again_when_it_has_changed_and_stands_while_it_is_not_good(tmp_path):
    file = written(tmp_path, HEADER + "m6i.xlarge,,,0.2,,,,,,\n", "prices.csv")
    listed = ListFile(file, TERMS)
    listed.begin(AT)
    assert listed.again(AT + 1.0).as_of == AT

    written(tmp_path, HEADER + "m6i.xlarge,,,-0.2,,,,,,\n", "prices.csv")
    os.utime(file, (AT, AT))
    with pytest.raises(ConfigurationError, match="is not more than 0"):
        listed.again(AT + 2.0)
    assert listed.prices.node(NODE, AT).usd_per_hour == 0.2

    written(tmp_path, HEADER + "m6i.xlarge,,,0.3,,,,,,\n", "prices.csv")
    os.utime(file, (AT + 1, AT + 1))
    assert listed.again(AT + 3.0).node(NODE, AT).usd_per_hour == 0.3


# -- the command -----------------------------------------------------------------------------------------------


def run(*words: str):
    return CliRunner().invoke(app, list(words))


def settings(folder: Path, text: str) -> str:
    return str(written(folder, text, "settings.yaml"))


def test_a_good_list_is_counted(tmp_path):
    file = written(tmp_path, GOOD_YAML)
    config = settings(tmp_path, "prices: {rates: {EUR: 1.25}}")
    done = run("--config", config, "prices", "check", str(file), "--at", "2026-03-01T00:00:00Z")
    assert done.exit_code == 0
    assert "4 entries for 1 types of nodes; valid now 3, later 1, over 0" in done.stdout
    assert (
        '"currencies": [\n    "EUR",\n    "USD"\n  ]'
        in run("-o", "json", "--config", config, "prices", "check", str(file)).stdout
    )


def test_a_bad_list_is_refused_with_its_places(tmp_path):
    file = written(tmp_path, GOOD_YAML)
    done = run("--config", settings(tmp_path, "{}"), "prices", "check", str(file))
    assert done.exit_code == 1
    assert f"{file}:3:5: entries[0].currency: there is no rate of EUR to USD" in str(done.exception)


def test_what_is_known_of_a_simulated_world_is_listed(tmp_path):
    policies = Path(__file__).parents[2] / "policies" / "checkout.yaml"
    world = f"policies: [{policies}]\nsimulation: {{scenario: flash-crowd}}"
    config = settings(tmp_path, f"{world}\nprices: {{currency: EUR, rates: {{EUR: 2}}}}")
    done = run("-o", "json", "--config", config, "prices", "list")
    assert done.exit_code == 0, done.exception
    (one,) = json.loads(done.stdout)["replicas"]
    assert (one["target"], one["known"], one["per_hour"]) == ("shop/checkout", True, pytest.approx(0.021))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prices: {currency: EUR}", "settings.yaml:1:1: prices: rates has none of EUR"),
        ("prices:\n  currency: euro", "settings.yaml:2:3: prices.currency: 'euro' is no currency"),
        ("prices:\n  rates: {EUR: -1}", "settings.yaml:2:11: prices.rates.EUR: Input should be greater than 0"),
        ("prices:\n  rates: {USD: 2}", "settings.yaml:2:3: prices.rates: rates are USD for one of another currency"),
        ("prices:\n  targets: {shop/a: -1}", "settings.yaml:2:13: prices.targets.shop/a: Input should be greater"),
        (
            "prices:\n  default: 1e6",
            "settings.yaml:1:1: prices: default: 1e+06 USD per hour is more than",
        ),
        ("prices:\n  opencost: {by: api}", "settings.yaml:2:3: prices.opencost: url belongs to `by: api`"),
    ],
)
def test_settings_of_money_that_cannot_be_are_refused_where_they_stand(tmp_path, text, said):
    done = run("--config", settings(tmp_path, text), "prices", "list")
    assert said in str(done.exception)
    assert done.exception.exit_code == 3
