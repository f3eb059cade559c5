"""Files of series: what is wrong is said with its line and column, and what is odd has a defined result."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiops.app.detecting.table import MOST_SAID, Table, rates, read
from aiops.errors import InvalidInput


def table(tmp_path: Path, text: str | bytes, name: str = "t.csv") -> Table:
    file = tmp_path / name
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return read(file)


def names(made: Table) -> list[str]:
    return [labels["__name__"] for labels in made.columns]


@pytest.mark.parametrize(
    ("text", "times", "values"),
    [
        ("timestamp,value\n60,1\n120,2\n", [60, 120], [1, 2]),
        ("60,1\n120,2", [60, 120], [1, 2]),
        ("t;v\n60;1.5\n", [60], [1.5]),
        ("t\tv\n60\t1e3\n", [60], [1000]),
        ("\ufefftime,v\n2026-03-02 12:00:00,1\n", [1_772_452_800], [1]),
        ("time,v\n2026-03-02T13:00:00+01:00,1\n", [1_772_452_800], [1]),
        ("time,v\n1772452800000,1\n", [1_772_452_800], [1]),
        ("time,v\n1772452800000000000,1\n", [1_772_452_800], [1]),
        ('time,v\n"60","-1"\n\n', [60], [-1]),
        ("time,v\r\n60,1\r\n", [60], [1]),
        ("60,\n120,NaN\n180,null\n240,5\n", [60, 120, 180, 240], [None, None, None, 5]),
        ("60,1e308\n120,-1e308\n", [60, 120], [1e308, -1e308]),
    ],
)  # fmt: skip
def test_files_as_people_have_them_are_read(tmp_path, text, times, values):
    made = table(tmp_path, text)
    assert made.times.tolist() == times
    assert [None if math.isnan(v) else v for v in made.values[0].tolist()] == values
    assert made.notes == ()


def test_a_column_is_a_series(tmp_path):
    made = table(tmp_path, "t,checkout,cart\n60,1,2\n120,3,\n")
    assert names(made) == ["checkout", "cart"]
    np.testing.assert_array_equal(made.values, [[1, 3], [2, np.nan]])
    assert names(table(tmp_path, "60,1,2\n")) == ["value", "value1"]


def test_a_compressed_file_is_read_too(tmp_path):
    assert table(tmp_path, gzip.compress(b"t,v\n60,1\n"), "t.csv.gz").times.tolist() == [60]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "t.csv:1:1: there is no sample in this file"),
        ("timestamp,value\n", "t.csv:1:1: there is no sample"),
        ("\n\n", "t.csv:1:1: there is no sample"),
        ("timestamp\n60\n", "t.csv:2:1: one column only"),
        ("t,v\n60,1\n120,x\n", "t.csv:3:5: 'x' is no number (a missing value is empty or NaN)"),
        ("t,v\n60,1\n120\n", "t.csv:3:1: 1 columns, 2 are wanted"),
        ("t,v\n60,1\n120,1,2\n", "t.csv:3:5: 3 columns, 2 are wanted"),
        ("t,v\nyesterday,1\n", "t.csv:2:1: 'yesterday' is no time (ISO 8601, or seconds since 1970)"),
        ("t,v\n-5,1\n", "t.csv:2:1: '-5' is no time"),
        ("t,v\nnan,1\n", "t.csv:2:1: 'nan' is no time"),
        ("t,v\ninf,1\n", "t.csv:2:1: 'inf' is no time"),
        ("2026-13-45,1\n", "t.csv:1:1: '2026-13-45' is no time"),
        ("t,a,a\n60,1,2\n", "t.csv:1:1: two columns are called 'a'"),
        ('t,v\n60,"1\n', "t.csv:2:1: unexpected end of data"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(tmp_path, text, said):
    with pytest.raises(InvalidInput) as refused:
        table(tmp_path, text)
    assert said.removeprefix("t.csv") in str(refused.value) or said in str(refused.value)


def test_every_bad_row_is_named_up_to_a_number(tmp_path):
    with pytest.raises(InvalidInput) as refused:
        table(tmp_path, "t,v\n" + "60,x\n" * 50)
    lines = str(refused.value).splitlines()
    assert len(lines) == MOST_SAID + 1
    assert lines[-1] == "and 30 more such lines"


@pytest.mark.parametrize(
    ("raw", "name", "said"),
    [
        (b"t,v\n60,1\n\xff\xfe,2\n", "t.csv", ":3:1: this is no text in UTF-8"),
        (b"no gzip", "t.csv.gz", ":0:0: cannot be read"),
        (gzip.compress(b"60,1\n" * 9, mtime=0)[:-9], "t.csv.gz", ":0:0: cannot be read"),
    ],
)
def test_what_is_no_text_is_said(tmp_path, raw, name, said):
    with pytest.raises(InvalidInput, match=said):
        table(tmp_path, raw, name)


def test_a_file_that_is_not_there_or_a_folder_is_said(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(InvalidInput, match=f"{path}:0:0: cannot be read: "):
            read(path)


def test_of_a_timestamp_that_comes_again_the_last_counts_and_it_is_said(tmp_path):
    made = table(tmp_path, "t,v\n60,1\n120,2\n60,3\n")
    assert made.times.tolist() == [60, 120]
    assert made.values[0].tolist() == [3, 2]
    sorted_, again = made.notes
    assert sorted_.endswith("t.csv:4: the rows are not in order of time, they were sorted (here first)")
    assert again.endswith("t.csv:4: timestamps that come again: 1, the last row of each counts (here first)")


def test_infinities_are_no_samples_and_it_is_said(tmp_path):
    made = table(tmp_path, "t,v\n60,inf\n120,-Infinity\n180,1e999\n240,4\n")
    assert np.isnan(made.values[0]).tolist() == [True, True, True, False]
    assert "infinite values: 3, taken" in made.notes[0]


def test_counters_become_rates_and_a_reset_counts_from_zero(tmp_path):
    made = rates(table(tmp_path, "t,v\n0,100\n60,160\n120,\n180,220\n240,30\n"))
    np.testing.assert_allclose(made.values[0], [np.nan, 1.0, np.nan, 0.5, 0.5])


def test_a_negative_counter_is_refused_with_its_line(tmp_path):
    with pytest.raises(InvalidInput, match=r"t.csv:4: -3 is no value of a counter: they are never negative"):
        rates(table(tmp_path, "t,v\n60,1\n\n120,-3\n180,-4\n"))


CELLS = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True).map(repr), st.integers(-(10**30), 10**30).map(str),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.sampled_from(["", "NaN", "1e308", "-1e309", '"', "2026-03-02", "60"]),
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.lists(CELLS, max_size=4), max_size=6), ends=st.sampled_from(["\n", "\r\n"]))
def test_whatever_is_in_a_file_is_a_table_in_order_or_a_message_with_a_line(tmp_path, rows, ends):
    file = tmp_path / "any.csv"
    file.write_bytes(ends.join(",".join(row) for row in rows).encode())
    try:
        made = read(file)
    except InvalidInput as err:
        said = str(err)
    else:
        said = f"{file}:1:"
        assert np.all(np.diff(made.times) > 0)
        assert made.values.shape == (len(made.columns), len(made.times))
        assert not np.isinf(made.values).any()
    assert said.startswith(f"{file}:")
    assert said.removeprefix(f"{file}:").split(":")[0].isdigit()
