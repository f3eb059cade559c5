"""A recording comes back from its file as it was, and a file that is none says why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aiops.core.model import SeriesIndex
from aiops.core.policies import PolicySet, SignalQuery, WatchQuery
from aiops.errors import InvalidInput, SourceUnavailable
from aiops.policy import parse
from aiops.policy.promql import parsed
from aiops.ports import Matrix
from simulators.backtest.pieces import Pieces
from simulators.backtest.price_metrics import PriceMetrics
from simulators.backtest.recorder import Asked, ReplicaMetrics, Span, appended, asked, record, without_data
from simulators.backtest.recording import Recording, read, write
from tests.commands import aiops
from tests.unit.recorded import POLICY

AT = 1_700_000_010.0 + 15.0 * np.arange(20)


def parquet(folder: Path, columns: dict[str, Any]) -> Path:
    pq.write_table(pa.table(columns), folder / "one.parquet")
    return folder / "one.parquet"


def test_a_hole_in_time_is_a_gap(tmp_path: Path) -> None:
    kept = np.r_[0:5, 9:20]
    one = read(parquet(tmp_path, {"at": AT[kept], "demand": np.arange(20.0)[kept]}))
    assert len(one.times) == 20
    assert np.isnan(one.columns["demand"]).tolist() == [5 <= place < 9 for place in range(20)]


def test_timestamps_are_times_too(tmp_path: Path) -> None:
    at = pa.array((AT * 1e3).astype(np.int64), pa.timestamp("ms", tz="UTC"))
    one = read(parquet(tmp_path, {"at": at, "demand": np.arange(20)}))
    assert one.times[0] == AT[0]
    assert one.step_s == 15.0


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"time": AT}, "column `at`"),
        ({"at": AT[::-1]}, "row 2 is earlier"),
        ({"at": np.r_[AT, AT[-1]]}, "row 21 is the same time"),
        ({"at": np.r_[AT, AT[-1] + 22.0]}, "steps are mixed"),
        ({"at": AT[:1]}, "1 rows"),
        ({"at": np.r_[AT, np.nan]}, "row 21 has no time"),
        ({"at": AT * 7 / 15}, "a step of 7 s"),
        ({"at": np.r_[AT, AT[-1] + 15e9]}, "at most"),
        ({"at": AT, "demand": ["x"] * 20}, "numbers are needed"),
    ],
)
def test_a_file_that_is_no_recording_says_why(tmp_path: Path, columns: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        read(parquet(tmp_path, columns))


@pytest.mark.parametrize("content", [b"", b"at,demand\n1,2\n", b"PAR1" * 10])
def test_what_is_not_parquet_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "one.parquet").write_bytes(content)
    with pytest.raises(InvalidInput, match="no Parquet file"):
        read(tmp_path / "one.parquet")


def of(policies: PolicySet) -> Asked:
    return asked(policies, ReplicaMetrics(), PriceMetrics())


class Remembered:
    """A metrics source that knows the demand, with a hole, and two series of a watch."""

    def range(self, query: SignalQuery | WatchQuery, start: float, end: float, step_s: float) -> Matrix:
        times = start + step_s * np.arange(int((end - start) / step_s + 1e-6) + 1)
        if isinstance(query, WatchQuery):
            keys = (f"{query.policy}#a", f"{query.policy}#b")
            return Matrix(times=times, values=np.stack([times, -times]), index=SeriesIndex(keys=keys, labels=({}, {})))
        if "http_requests_total" not in query.expr:
            return Matrix(times=times, values=np.empty((0, len(times))), index=SeriesIndex(keys=(), labels=()))
        values = np.where(times % 900.0 == 0.0, np.nan, times)
        return Matrix(times=times, values=values[None, :], index=SeriesIndex(keys=("x",), labels=({},)))


WATCH = """
---
apiVersion: policy.aiops/v1alpha1
kind: WatchPolicy
metadata: {name: requests, namespace: shop}
spec: {query: 'sum by (service) (rate(http_requests_total[1m]))', identity: [service], history: 1h}
"""


def test_what_is_recorded_in_pieces_is_whole_and_comes_back_from_its_file(tmp_path: Path) -> None:
    policies = parse(POLICY + WATCH, "test")
    made = record(Remembered(), of(policies), Span(start=AT[0] + 3.0, end=AT[0] + 2 * 86_400.0, step_s=15.0))
    demand = made.columns["ScalingPolicy/shop/checkout#demand"]
    assert np.array_equal(demand, np.where(made.times % 900.0 == 0.0, np.nan, made.times), equal_nan=True)
    assert np.array_equal(made.columns["watch:WatchPolicy/shop/requests#b"], -made.times)
    assert "replicas:shop/checkout" in without_data(made)
    again = read(write(made, tmp_path / "deep" / "one.parquet"))
    assert set(again.columns) == set(made.columns)
    assert np.array_equal(again.times, made.times)
    for name, values in made.columns.items():
        assert np.array_equal(again.columns[name], values, equal_nan=True)
    assert again.about["queries"] == made.about["queries"]
    found = again.signal(policies.scaling[0], "demand")
    assert found is not None
    assert np.array_equal(found, demand, equal_nan=True)


def test_a_source_that_remembers_nothing_is_said(tmp_path: Path) -> None:
    text = POLICY.replace("http_requests_total", "other_total")
    with pytest.raises(InvalidInput, match="remembers nothing"):
        record(Remembered(), of(parse(text, "test")), Span(start=0.0, end=3600.0, step_s=15.0))


@pytest.mark.parametrize(("start", "end", "said"), [(10.0, 5.0, "--from is after --to"), (0.0, 20.0, "two steps")])
def test_a_span_has_a_length(start: float, end: float, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        Span(start=start, end=end, step_s=15.0)


# -- broken off and gone on with ---------------------------------------------------------------------

POLICIES = parse(POLICY + WATCH, "test")
DAY = 86_400.0


class Counted(Remembered):
    """Breaks off after so many answers, and notes which instants were asked for, by query."""

    def __init__(self, most: int = 1_000_000) -> None:
        self.left = most
        self.asked: dict[str, list[tuple[float, float]]] = {}

    def range(self, query: SignalQuery | WatchQuery, start: float, end: float, step_s: float) -> Matrix:
        if not self.left:
            raise SourceUnavailable("it went away")
        self.left -= 1
        self.asked.setdefault(query.expr, []).append((start, end))
        if "node_cpu_hourly_cost" in query.expr:
            times = start + step_s * np.arange(int((end - start) / step_s + 1e-6) + 1)
            return Matrix(
                times=times, values=np.full((1, len(times)), 0.04), index=SeriesIndex(keys=("x",), labels=({},))
            )
        return super().range(query, start, end, step_s)


def pieces(folder: Path, what: Asked) -> Pieces:
    return Pieces(file=folder / "one.parquet", step_s=15.0, asked=what.named)


def same(one: Recording, other: Recording) -> bool:
    return (
        np.array_equal(one.times, other.times)
        and set(one.columns) == set(other.columns)
        and all(np.array_equal(one.columns[name], other.columns[name], equal_nan=True) for name in one.columns)
    )


@pytest.mark.parametrize("most", [1, 3, 7, 8, 15, 22])
def test_what_was_broken_off_goes_on_and_is_what_one_call_makes(tmp_path: Path, most: int) -> None:
    what, span = of(POLICIES), Span(start=3.0, end=4 * DAY + 100.0, step_s=15.0)
    whole = record(Counted(), what, span)
    with pytest.raises(SourceUnavailable):
        record(Counted(most), what, span, pieces(tmp_path, what))
    later = Span(start=span.start + 600.0, end=span.end + 3000.0, step_s=15.0)
    on, kept = Counted(), pieces(tmp_path, what)
    made = record(on, what, later, kept)
    assert same(made, record(Counted(), what, later))
    assert same(made.between(None, span.end), whole.between(later.start, None))
    first = sorted(on.asked[POLICIES.scaling[0].signals["demand"].query.expr])
    assert kept.taken + sum(round((b - a) / 15.0) + 1 for a, b in first) == len(made.times), "no step twice, and no gap"
    assert (kept.taken > 0) is (most >= len(set(what.exprs.values())) + len(what.watches))
    kept.over()
    assert not kept.folder.exists()


def test_what_comes_after_pieces_is_asked_for_and_nothing_else(tmp_path: Path) -> None:
    what = of(POLICIES)
    record(Counted(), what, Span(start=0.0, end=1.5 * DAY, step_s=15.0), pieces(tmp_path, what))
    on, later = Counted(), Span(start=0.0, end=1.6 * DAY, step_s=15.0)
    assert same(record(on, what, later, pieces(tmp_path, what)), record(Counted(), what, later))
    assert {asked_for for some in on.asked.values() for asked_for in some} == {(1.5 * DAY + 15.0, 1.6 * DAY)}


def test_a_damaged_piece_is_asked_for_again_and_pieces_of_other_questions_are_left_alone(tmp_path: Path) -> None:
    what, span = of(POLICIES), Span(start=0.0, end=3 * DAY, step_s=15.0)
    record(Counted(), what, span, pieces(tmp_path, what))
    one, *others = sorted(pieces(tmp_path, what).folder.iterdir())
    one.write_bytes(one.read_bytes()[:100])
    kept = pieces(tmp_path, what)
    assert same(record(Counted(), what, span, kept), record(Counted(), what, span))
    assert [str(one) in said for said in kept.broken] == [True]
    other = asked(POLICIES, ReplicaMetrics(), PriceMetrics(query=""))
    assert pieces(tmp_path, other).found(0, 100) is None
    assert all(path.exists() for path in others)


def test_prices_are_recorded_where_they_are_known() -> None:
    what, span = of(POLICIES), Span(start=0.0, end=DAY, step_s=15.0)
    known, unknown = record(Counted(), what, span), record(Remembered(), what, span)
    assert set(known.columns) - set(unknown.columns) == {"price:shop/checkout"}
    assert set(known.columns["price:shop/checkout"]) == {0.04}
    assert "price:shop/checkout" not in unknown.about["queries"]
    own = asked(POLICIES, ReplicaMetrics(), PriceMetrics(query='cost{ns="{{namespace}}",of="{{kind}}/{{name}}"}'))
    assert own.exprs["price:shop/checkout"] == 'cost{ns="shop",of="deployment/checkout"}'
    for one in (what, own):
        parsed(one.exprs["price:shop/checkout"])


def test_a_recording_goes_on_where_its_file_ends() -> None:
    what = of(POLICIES)
    first = record(Counted(), what, Span(start=0.0, end=DAY, step_s=15.0))
    second = record(Counted(), what, Span(start=DAY + 15.0, end=2 * DAY, step_s=15.0))
    assert same(appended(first, second), record(Counted(), what, Span(start=0.0, end=2 * DAY, step_s=15.0)))


def otherwise(about: dict[str, Any], policies: PolicySet = POLICIES) -> str:
    made = record(Counted(), of(POLICIES), Span(start=0.0, end=DAY, step_s=15.0))
    return of(policies).other_than(replace(made, about={**made.about, **about}))


def test_a_recording_goes_on_by_the_same_queries_of_signals_and_watches_alone() -> None:
    assert otherwise({}) == ""
    (watch,) = POLICIES.watches
    assert otherwise({"watches": {watch.key: "up"}}) == f"it has {watch.key} by up, and not by {watch.query.expr}"
    assert otherwise({}, parse(POLICY, "test")).endswith("which is not asked any more")
    assert otherwise({"watches": {}}) == f"it does not say by what query it has the series of {watch.key}"
    assert otherwise({"watches": {}, "queries": {}}) == "it does not say what was asked"
    signal = next(iter(of(POLICIES).exprs))
    assert otherwise({"queries": {signal: "up"}}).startswith(f"it has {signal} by up, and not by ")


def test_record_append_refuses_a_file_that_has_another_query_of_a_watch(tmp_path: Path) -> None:
    made = record(Counted(), of(POLICIES), Span(start=0.0, end=DAY, step_s=15.0))
    was = replace(made, about={**made.about, "watches": dict.fromkeys(made.about["watches"], "up")})
    write(was, tmp_path / "was.parquet")
    (tmp_path / "policies.yaml").write_text(POLICY + WATCH)
    command = ("record", "policies.yaml", "-o", "was.parquet", "--append", "--prometheus", "http://127.0.0.1:1")
    done = aiops(*command, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "was.parquet: was not asked for what these policies ask now: it has WatchPolicy/" in done.stderr
