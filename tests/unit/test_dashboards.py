"""Dashboards for Grafana: whole, laid out without gaps in sense, and of nothing but what is exported."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aiops.policy.promql import parsed
from tests.exposition import everything
from tests.expressions import OF_THE_TARGET, misnamed

ROOT = Path(__file__).parents[2]
BOARDS = {file.stem: json.loads(file.read_text()) for file in sorted((ROOT / "config" / "grafana").glob("*.json"))}
UNITS = {"none", "short", "s", "bytes", "percentunit", "currencyUSD"}
"""Of https://github.com/grafana/grafana/blob/main/packages/grafana-data/src/valueFormats/categories.ts."""

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
NOT_SHOWN = {
    "aiops_audit_records",
    "aiops_audit_checked_timestamp_seconds",
    "aiops_last_tick_timestamp_seconds",
    "aiops_events_failing",
    "aiops_alertmanager_silences_failures_total",
}
"""Metrics for alerts and for whoever asks, which no panel shows."""

boards = pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in board["panels"] if one["type"] != "row"]


def plain(expr: str) -> str:
    """Return an expression as Grafana sends it: with values for its variables."""
    told = expr.replace("$__rate_interval", "5m").replace("$__range", "6h").replace("$__interval", "1m")
    return re.sub(r"\$\{?(\w+)\}?", ".*", told)


def asked(board: dict[str, Any]) -> Iterator[str]:
    """Yield every expression of a board."""
    for panel in panels(board):
        yield from (target["expr"] for target in panel["targets"])
    yield from (one["expr"] for one in board["annotations"]["list"] if "expr" in one)


def test_there_is_one_for_each_subject():
    assert set(BOARDS) == {"loop", "scaling", "plans", "money", "models", "incidents"}
    assert len({board["uid"] for board in BOARDS.values()}) == len(BOARDS)


@boards
def test_a_board_is_what_grafana_takes(board):
    assert board["schemaVersion"] >= 36
    assert re.fullmatch(r"[a-z-]{1,40}", board["uid"])
    assert board["title"].startswith("aiops / ")
    assert board["tags"] == ["aiops"], "by which the boards find each other"
    assert "id" not in board, "which belongs to one Grafana"
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


@boards
def test_whoever_imports_it_chooses_the_data_source(board):
    variables = {one["name"]: one for one in board["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert variables["datasource"]["query"] == "prometheus"
    for panel in panels(board):
        assert panel["datasource"] == SOURCE
        assert all(target["datasource"] == SOURCE for target in panel["targets"])
    assert all(one["datasource"] == SOURCE for one in variables.values() if one["type"] == "query")


@boards
def test_panels_lie_beside_each_other(board):
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not taken & cells, panel["title"]
        taken |= cells


@boards
def test_a_panel_says_what_it_shows_and_in_which_unit(board):
    for panel in panels(board):
        assert panel["title"], panel["id"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, panel["title"]
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references)


@boards
def test_seconds_dollars_bytes_and_shares_are_shown_as_such(board):
    for panel in panels(board):
        names = " ".join(re.findall(r"\b(?:aiops|process)_\w+", panel["targets"][0]["expr"]))
        unit = panel["fieldConfig"]["defaults"]["unit"]
        if re.fullmatch(r"\S*_seconds", names):
            assert unit == "s", panel["title"]
        if re.fullmatch(r"\S*_ratio", names):
            assert unit == "percentunit", panel["title"]
        if re.fullmatch(r"\S*_bytes aiops_build_info", names):
            assert unit == "bytes", panel["title"]
        if re.fullmatch(r"aiops_cost\S*_usd_total", names):
            assert unit == "currencyUSD", panel["title"]


@boards
def test_every_name_label_and_word_in_a_panel_is_exported(board):
    for expr in asked(board):
        assert misnamed(plain(expr)) == [], expr


@boards
def test_a_legend_names_labels_that_its_series_have(board):
    for panel in panels(board):
        for target in panel["targets"]:
            by = re.findall(r"by \(([^)]*)\)", target["expr"])
            kept = {label.strip() for some in by for label in some.split(",")}
            for label in re.findall(r"{{(\w+)}}", target["legendFormat"]):
                assert label in kept if by else label in OF_THE_TARGET, (panel["title"], label)


@boards
def test_variables_that_are_used_are_there_and_hold_what_is_exported(board):
    there = {one["name"] for one in board["templating"]["list"]}
    text = json.dumps(board)
    used = {name for name in re.findall(r"\$\{?(\w+)\}?", text) if not name.startswith("__")}
    assert used <= there
    for one in board["templating"]["list"]:
        if one["type"] == "query":
            selector, label = re.fullmatch(r"label_values\((.+), (\w+)\)", one["query"]["query"]).groups()
            name = re.match(r"\w+", selector)[0]
            assert label in OF_THE_TARGET or label in everything()[name].labels
            parsed(plain(selector))
            assert one["allValue"] == ".*", "also for what has no such label"


def test_every_metric_is_on_some_board():
    text = " ".join(expr for board in BOARDS.values() for expr in asked(board))
    own = {name for name in everything() if name.startswith("aiops_")}
    shown = {name for name in own if re.search(rf"\b{name}(_bucket|_sum|_count)?\b", text)}
    assert own - shown == NOT_SHOWN
