"""Whatever stands in a price list, it is read or refused with its place, and no price is out of bounds (S10)."""

from __future__ import annotations

import math
import tempfile
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.adapters.prices import Terms, read_list
from aiops.adapters.prices.listed import FIELDS
from aiops.core.model import Machine, Priced
from aiops.core.money.prices import MOST_USD_PER_HOUR
from aiops.errors import ConfigurationError

AT = 1_772_450_000.0
TERMS = Terms(currency="USD", rates={"EUR": 1.08, "JPY": 0.0066})
MACHINE = Machine(cluster="c", node="n", instance_type="a", zone="z", cores=4.0, memory_gib=16.0)

ODD = [
    "a",
    "z",
    "spot",
    "on-demand",
    "EUR",
    "JPY",
    "XXX",
    "usd",
    "2026-01-01",
    "2026-13-01",
    "0001-01-01",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59",
    "1e308",
    "-0",
    "inf",
    "nan",
    "1_0",
    "٣",
    "!!int",
    "[",
    "{",
    "#",
    ":",
    "|",
]
cells = st.one_of(st.sampled_from(ODD), st.floats().map(str), st.floats(0.0, 2000.0).map(str), st.text(max_size=8))
rows = st.lists(st.lists(cells, max_size=11).map(",".join), max_size=6).map("\n".join)
headers = st.lists(st.sampled_from(FIELDS), max_size=10).map(",".join)
csvs = st.builds(lambda header, body: f"{header}\n{body}", headers, rows)
names = st.one_of(st.sampled_from(FIELDS), st.text(max_size=4))
values = st.one_of(cells, st.none(), st.booleans(), st.integers())
yamls = st.lists(st.dictionaries(names, values, max_size=6), max_size=4).map(lambda made: f"entries: {made!r}")


def read(text: str, name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / name
        file.write_text(text, encoding="utf-8", errors="surrogatepass", newline="")
        try:
            prices, problems = read_list(file, TERMS, AT)
        except ConfigurationError:
            return
        lines = max(1, text.count("\n") + text.count("\r") + 1)
        assert all(one.file == str(file) and 1 <= one.line <= lines + 1 and one.column >= 1 for one in problems)
        for machine in (MACHINE, replace(MACHINE, spot=True)):
            quote = prices.node(machine, AT)
            assert not isinstance(quote, Priced) or 0.0 < quote.usd_per_hour <= MOST_USD_PER_HOUR
        for one in prices.entries:
            assert one.valid_from < one.valid_to
            for price in (one.node_hour, one.core_hour, one.gib_hour, one.gpu_hour):
                assert price is None or (math.isfinite(price) and price > 0.0)


@settings(max_examples=300, deadline=None)
@given(csvs)
def test_any_csv_s10(text):
    read(text, "p.csv")


@settings(max_examples=300, deadline=None)
@given(yamls)
def test_any_yaml_s10(text):
    read(text, "p.yaml")


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200), st.sampled_from(("p.csv", "p.yaml")))
def test_any_text_s10(text, name):
    read(text, name)
