"""A list of prices in a file, YAML or CSV: every line is checked, and what is wrong with it says where it stands."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import yaml

from aiops.core.model import Instant
from aiops.core.money.currency import USD, known_currency, usd_per
from aiops.core.money.prices import MOST_USD_PER_HOUR
from aiops.core.money.tariff import Entry, PriceList
from aiops.errors import ConfigurationError, Problem

MAX_BYTES = 10_000_000
MAX_ENTRIES = 50_000
PRICES = ("nodeHour", "coreHour", "gibHour", "gpuHour")
CAPACITIES = {"on-demand": False, "spot": True, "": None}
FIELDS = ("instanceType", "zone", "capacity", *PRICES, "currency", "validFrom", "validTo")


@dataclass(frozen=True, slots=True)
class _Line:
    """One entry as it is written. number: its place in the list; places: line and column of each of its fields."""

    number: int
    data: Mapping[str, Any]
    places: Mapping[str, tuple[int, int]]
    where: tuple[int, int]


class _Wrong(Exception):
    """One field cannot be used."""

    def __init__(self, field: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.field, self.hint = field, hint


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the settings say of a list. currency: of entries that name none. rates: USD for one, by currency."""

    currency: str = USD
    rates: Mapping[str, float]


def read_list(file: Path, terms: Terms, at: Instant) -> tuple[PriceList, list[Problem]]:
    """Return the prices in a file that can be used, and everything that is wrong with the others."""
    try:
        raw = file.read_bytes()
    except OSError as err:
        raise ConfigurationError(f"{file}: the price list cannot be read: {err.strerror or err}") from err
    if len(raw) > MAX_BYTES:
        raise ConfigurationError(f"{file}: the price list is larger than {MAX_BYTES} bytes")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        raise ConfigurationError(f"{file}: the price list is no UTF-8: {err}") from err
    reading = _Reading(str(file), terms)
    lines = reading.of_csv(text) if file.suffix.lower() == ".csv" else reading.of_yaml(text)
    entries = reading.entries(lines)
    return PriceList(entries=tuple(entries), source=str(file), as_of=at, rates=terms.rates), reading.problems


class _Reading:
    """Collects what is wrong while a file is read."""

    def __init__(self, origin: str, terms: Terms) -> None:
        self._origin = origin
        self._terms = terms
        self.problems: list[Problem] = []

    def note(self, place: tuple[int, int], field: str, message: str, hint: str = "") -> None:
        line, column = place
        self.problems.append(
            Problem(file=self._origin, line=line, column=column, field=field, message=message, hint=hint)
        )

    # -- the two ways of writing -------------------------------------------------------------------------

    def of_csv(self, text: str) -> list[_Line]:
        """Return the lines of a CSV with a header."""
        rows = csv.reader(io.StringIO(text, newline=""))
        try:
            header = [name.strip() for name in next(rows, [])]
            starts = _starts(text.split("\n", 1)[0])
            for place, name in enumerate(header):
                if name not in FIELDS:
                    self.note((1, starts[place]), name, "unknown column", f"known: {', '.join(FIELDS)}")
            if not header:
                self.note((1, 1), "", "the list is empty", f"its first line names columns: {', '.join(FIELDS)}")
            lines = text.splitlines()
            found = []
            for number, row in enumerate(rows):
                if not any(cell.strip() for cell in row):
                    continue
                line = rows.line_num
                columns = _starts(lines[line - 1]) if line <= len(lines) else [1]
                if len(row) > len(header):
                    self.note((line, 1), f"[{number}]", f"{len(row)} fields, and the header names {len(header)}")
                    continue
                places = {name: (line, columns[min(at, len(columns) - 1)]) for at, name in enumerate(header)}
                data = {name: cell.strip() for name, cell in zip(header, row, strict=False) if cell.strip()}
                found.append(_Line(number, data, places, (line, 1)))
        except csv.Error as err:
            self.note((rows.line_num, 1), "", f"this is no CSV: {err}")
            return []
        return found

    def of_yaml(self, text: str) -> list[_Line]:
        """Return the entries of a YAML mapping with `currency` and `entries`."""
        try:
            root = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as err:
            mark = err.problem_mark
            place = (1, 1) if mark is None else (mark.line + 1, mark.column + 1)
            self.note(place, "", f"this is no YAML: {err.problem or err.context}")
            return []
        except (yaml.YAMLError, RecursionError) as err:
            self.note((1, 1), "", f"this is no YAML: {err}")
            return []
        members = _members(root)
        if members is None or "entries" not in members:
            self.note((1, 1), "entries", "a price list is a mapping with `entries`", "see docs/prices.md")
            return []
        for name, (key, _) in members.items():
            if name not in ("entries", "currency"):
                self.note(_place(key), name, "unknown field", "known: currency, entries")
        currency = self._common(members)
        listed = members["entries"][1]
        if not isinstance(listed, yaml.SequenceNode):
            self.note(_place(listed), "entries", "this is a list")
            return []
        return [line for number, node in enumerate(listed.value) if (line := self._item(number, node, currency))]

    def _common(self, members: Mapping[str, tuple[yaml.Node, yaml.Node]]) -> str:
        if "currency" not in members:
            return self._terms.currency
        node = members["currency"][1]
        try:
            return known_currency(node.value)
        except ValueError as err:
            self.note(_place(node), "currency", str(err))
            return self._terms.currency

    def _item(self, number: int, node: yaml.Node, currency: str) -> _Line | None:
        members = _members(node)
        if members is None:
            self.note(_place(node), f"entries[{number}]", "an entry is a mapping of words to numbers and words")
            return None
        data: dict[str, Any] = {"currency": currency}
        for name, (key, value) in members.items():
            if name not in FIELDS:
                self.note(_place(key), f"entries[{number}].{name}", "unknown field", f"known: {', '.join(FIELDS)}")
            elif not isinstance(value, yaml.ScalarNode):
                self.note(_place(key), f"entries[{number}].{name}", "this is one word or number")
            else:
                data[name] = value.value
        return _Line(number, data, {name: _place(key) for name, (key, _) in members.items()}, _place(node))

    # -- what is written -----------------------------------------------------------------------------------

    def entries(self, lines: list[_Line]) -> list[Entry]:
        """Return the entries that can be used."""
        if len(lines) > MAX_ENTRIES:
            self.note(lines[MAX_ENTRIES].where, "", f"more than {MAX_ENTRIES} entries")
            return []
        found: list[Entry] = []
        by_kind: dict[tuple[str, str, bool | None], list[Entry]] = {}
        for line in lines:
            try:
                entry = self._entry(line)
            except _Wrong as err:
                place = line.places.get(err.field, line.where)
                self.note(place, f"entries[{line.number}].{err.field}", str(err), err.hint)
                continue
            others = by_kind.setdefault(entry.kind, [])
            twice = next((one for one in others if one.overlaps(entry)), None)
            if twice is not None:
                self.note(line.where, f"entries[{line.number}]", f"{twice.where} is for the same nodes and times")
                continue
            others.append(entry)
            found.append(entry)
        return found

    def _entry(self, line: _Line) -> Entry:
        data = line.data
        capacity = str(data.get("capacity", ""))
        if capacity not in CAPACITIES:
            raise _Wrong("capacity", f"{capacity!r} is neither spot nor on-demand")
        try:
            currency = known_currency(data.get("currency", self._terms.currency))
        except ValueError as err:
            raise _Wrong("currency", str(err)) from err
        rate = usd_per(currency, self._terms.rates)
        if rate is None:
            hint = f"write prices.rates: {{{currency}: USD for one {currency}}}"
            raise _Wrong("currency", f"there is no rate of {currency} to USD", hint)
        prices = self._prices(line, rate)
        valid_from, valid_to = _instant(data, "validFrom", -math.inf), _instant(data, "validTo", math.inf)
        if valid_to <= valid_from:
            raise _Wrong("validTo", "it is not after validFrom")
        return Entry(
            instance_type=str(data.get("instanceType", "")),
            zone=str(data.get("zone", "")),
            node_hour=prices["nodeHour"],
            core_hour=prices["coreHour"],
            gib_hour=prices["gibHour"],
            gpu_hour=prices["gpuHour"],
            spot=CAPACITIES[capacity],
            currency=currency,
            valid_from=valid_from,
            valid_to=valid_to,
            where=f"{self._origin}:{line.where[0]}",
        )

    def _prices(self, line: _Line, rate: float) -> dict[str, float | None]:
        """Return the prices of an entry, of which there must be enough. rate: USD for one of its currency."""
        data = line.data
        prices = {name: _price(data, name, rate) for name in PRICES}
        if prices["nodeHour"] is None and None in (prices["coreHour"], prices["gibHour"]):
            raise _Wrong("nodeHour", "an entry needs nodeHour, or coreHour and gibHour")
        if prices["nodeHour"] is not None and not data.get("instanceType"):
            raise _Wrong("instanceType", "nodeHour is of nodes of one type: name it", "or write coreHour and gibHour")
        return prices


def _price(data: Mapping[str, Any], name: str, rate: float) -> float | None:
    if name not in data:
        return None
    try:
        value = float(data[name])
    except ValueError as err:
        raise _Wrong(name, f"{data[name]!r} is no number") from err
    if math.isnan(value) or value * rate > MOST_USD_PER_HOUR:
        hint = f"at most {MOST_USD_PER_HOUR:g} USD"
        raise _Wrong(name, f"{data[name]} an hour is more than anything costs", hint)
    if value <= 0.0:
        raise _Wrong(name, f"{data[name]} is not more than 0", "nothing is free: leave out what is not known")
    return value


def _instant(data: Mapping[str, Any], name: str, missing: Instant) -> Instant:
    """Return an instant of a day (from its midnight in UTC) or of a time with a zone."""
    text = data.get(name)
    if text is None:
        return missing
    try:
        if len(text) == len("2026-01-01"):
            day = date.fromisoformat(text)
            return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
        moment = datetime.fromisoformat(text)
    except ValueError as err:
        raise _Wrong(name, f"{text!r} is no day or time such as 2026-01-01 or 2026-01-01T00:00:00+01:00") from err
    if moment.tzinfo is None:
        raise _Wrong(name, f"{text!r} names no time zone", "write Z or +01:00 after it")
    return moment.timestamp()


def _members(node: yaml.Node | None) -> dict[str, tuple[yaml.Node, yaml.Node]] | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return {str(key.value): (key, value) for key, value in node.value}


def _place(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _starts(line: str) -> list[int]:
    """Return the columns in which the fields of a line of CSV begin, from 1."""
    starts, quoted = [1], False
    for at, letter in enumerate(line):
        quoted ^= letter == '"'
        if letter == "," and not quoted:
            starts.append(at + 2)
    return starts


class ListFile:
    """A price list that is read again when its file changes; while the new one cannot be used, the old one stands."""

    def __init__(self, file: Path, terms: Terms) -> None:
        self._file = file
        self._terms = terms
        self._stamp = (0, 0)
        self._wrong = ""
        self._prices = PriceList(entries=(), source=str(file), as_of=-math.inf, rates=terms.rates)

    def begin(self, at: Instant) -> None:
        """Read it for the first time; raise ConfigurationError with everything that is wrong."""
        stamp = self._changed()
        prices, problems = read_list(self._file, self._terms, at)
        if problems:
            raise ConfigurationError("\n".join(map(str, problems)))
        self._prices, self._stamp = prices, stamp

    def again(self, at: Instant) -> PriceList:
        """Return the prices as the file has them now; raise ConfigurationError while it is not good."""
        stamp = self._changed()
        if stamp != self._stamp:
            self._stamp = stamp
            prices, problems = read_list(self._file, self._terms, at)
            self._wrong = "\n".join(map(str, problems))
            self._prices = self._prices if problems else prices
        if self._wrong:
            raise ConfigurationError(self._wrong)
        return self._prices

    @property
    def prices(self) -> PriceList:
        """Return what was read last and was good."""
        return self._prices

    def _changed(self) -> tuple[int, int]:
        try:
            stat = self._file.stat()
        except OSError as err:
            raise ConfigurationError(f"{self._file}: the price list cannot be read: {err.strerror or err}") from err
        return stat.st_mtime_ns, stat.st_size
