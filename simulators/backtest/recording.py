"""A recording: what a metrics source said, on one grid, and the Parquet file that keeps it.

Columns of the file: `at` (seconds since the epoch, or timestamps), `KIND/namespace/name#signal` for a policy's signals,
`replicas:namespace/name`, `ready:...`, `wanted:...` and `price:...` (USD per hour of a replica) for its target,
`watch:KIND/namespace/name#series` for watches. Files made by hand may use the plain names `replicas`, `ready`,
`wanted`, `price` and those of the signals. A gap is NaN.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from aiops.core.model import F64, TargetRef
from aiops.core.policies import ScalingPolicy
from aiops.errors import InvalidContent, InvalidInput
from simulators.autoscalers.protocol import SYNC_S

FOOTER = b"aiops.recording"
VERSION = 1
LONGEST_STEPS = 3_000_000
PRICE_STANDS_S = 86_400.0
_OFF_GRID = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """times: float64[t], `step_s` apart; columns: float64[t] by name, NaN where nothing was said."""

    origin: str
    times: F64
    step_s: float
    columns: Mapping[str, F64]
    about: Mapping[str, Any] = field(default_factory=dict)

    def signal(self, policy: ScalingPolicy, name: str) -> F64 | None:
        """Return what was recorded of a policy's signal: by its query, by the policy's key, by its plain name."""
        expr = policy.signals[name].query.expr
        queries: Mapping[str, str] = self.about.get("queries", {})
        own = f"{policy.key}#{name}"
        if own in self.columns and queries.get(own, expr) == expr:
            return self.columns[own]
        same = next((column for column, asked in queries.items() if asked == expr and column in self.columns), None)
        if same is not None:
            return self.columns[same]
        return self.columns.get(own, self.columns.get(name))

    def presence(self, policy: ScalingPolicy, name: str) -> F64 | None:
        """Return what was recorded of a signal's presence query."""
        return self.columns.get(f"{policy.key}#{name}?presence")

    def of_target(self, kind: str, target: TargetRef) -> F64 | None:
        """Return `replicas`, `ready` or `wanted` of a target, None where nothing of it was recorded."""
        found = self.columns.get(f"{kind}:{target.namespace}/{target.name}", self.columns.get(kind))
        return found if found is not None and bool(np.isfinite(found).any()) else None

    def price(self, target: TargetRef) -> F64 | None:
        """Return USD per hour of a replica of a target at each step, as it was then; None where nothing says so.

        A price stands for a day: in gaps the one before counts. What comes later is never looked at.
        """
        found = self.columns.get(f"price:{target.namespace}/{target.name}", self.columns.get("price"))
        if found is None:
            return None
        known = np.flatnonzero(np.isfinite(found) & (found > 0.0))
        if not len(known):
            return None
        steps = np.arange(len(found))
        places = np.searchsorted(known, steps, side="right") - 1
        last = known[np.maximum(places, 0)]
        stands = (places >= 0) & ((steps - last) * self.step_s <= PRICE_STANDS_S)
        return np.where(stands, found[last], np.nan)

    def between(self, start: float | None, end: float | None) -> Recording:
        """Return the part between two instants, ends included."""
        kept = np.ones(len(self.times), np.bool_)
        kept &= self.times >= start - 1e-6 if start is not None else True
        kept &= self.times <= end + 1e-6 if end is not None else True
        columns = {name: values[kept] for name, values in self.columns.items()}
        return Recording(
            origin=self.origin, times=self.times[kept], step_s=self.step_s, columns=columns, about=self.about
        )


def write(recording: Recording, path: Path) -> Path:
    """Write a recording by an atomic rename, and return its path; raise InvalidInput when that cannot be done."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"at": recording.times, **recording.columns})
    about = {"version": VERSION, "step_s": recording.step_s, **recording.about}
    table = table.replace_schema_metadata({FOOTER: json.dumps(about, sort_keys=True).encode()})
    half = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, half, compression="zstd")
        half.replace(path)
    except OSError as err:
        half.unlink(missing_ok=True)
        raise InvalidInput(f"{path}: cannot be written: {err.strerror or err}") from err
    return path


def read(path: Path) -> Recording:
    """Return the recording of a Parquet file; raise InvalidInput with the file and what is wrong in it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except FileNotFoundError as err:
        raise InvalidContent(f"{path}: there is no such file") from err
    except (OSError, pa.ArrowException) as err:
        raise InvalidContent(f"{path}: is no Parquet file that can be read ({str(err)[:200]})") from err
    names = table.column_names
    if len(set(names)) < len(names):
        raise InvalidContent(f"{path}: two columns have one name")
    if "at" not in names:
        raise InvalidContent(f"{path}: column `at` (seconds since the epoch) is missing; there are {_listed(names)}")
    columns = {name: _numbers(path, name, table.column(name)) for name in names}
    return gridded(str(path), columns.pop("at"), columns, _about(path, table.schema.metadata))


def gridded(origin: str, at: F64, columns: Mapping[str, F64], about: Mapping[str, Any]) -> Recording:
    """Return what was sampled at `at` on its grid, missing rows as NaN; raise InvalidInput where there is none."""
    if len(at) < 2:
        raise InvalidContent(f"{origin}: {len(at)} rows; a history is needed")
    if not bool(np.isfinite(at).all()):
        raise InvalidContent(f"{origin}: at: row {int(np.argmin(np.isfinite(at))) + 1} has no time")
    apart = np.diff(at)
    if bool((apart <= 0.0).any()):
        row = int(np.argmax(apart <= 0.0)) + 2
        what = "the same time as the row before" if apart[row - 2] == 0.0 else "earlier than the row before"
        raise InvalidContent(f"{origin}: at: row {row} is {what}; sort the file by time and drop duplicates")
    step_s = float(about.get("step_s") or np.quantile(apart, 0.5, method="lower"))
    places = np.rint((at - at[0]) / step_s)
    stray = np.abs((at - at[0]) / step_s - places) > _OFF_GRID
    if bool(stray.any()) or bool((np.diff(places) < 1).any()):
        row = int(np.argmax(stray)) + 1
        raise InvalidContent(
            f"{origin}: at: row {row} is not on the grid of {step_s:g} s: steps are mixed; resample it"
        )
    _check_step(origin, step_s)
    count = int(places[-1]) + 1
    if count > LONGEST_STEPS:
        raise InvalidContent(f"{origin}: {count} steps of {step_s:g} s from first to last, at most {LONGEST_STEPS}")
    rows = places.astype(np.int64)
    full = {}
    for name, values in columns.items():
        full[name] = np.full(count, np.nan)
        full[name][rows] = values
    times = at[0] + step_s * np.arange(count)
    return Recording(origin=origin, times=times, step_s=step_s, columns=full, about=about)


def _check_step(origin: str, step_s: float) -> None:
    parts = max(step_s, SYNC_S) / min(step_s, SYNC_S)
    if not (1.0 <= step_s <= 300.0 and abs(parts - round(parts)) < 1e-6):
        raise InvalidContent(
            f"{origin}: a step of {step_s:g} s; it is to be 1, 3, 5, 15, 30, 60 or another that goes with {SYNC_S:g} s,"
            " at most 300 s"
        )


def _numbers(path: Path, name: str, column: Any) -> F64:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if name == "at" and pa.types.is_timestamp(kind):
        column = pc.divide(pc.cast(pc.cast(column, pa.timestamp("us")), pa.int64()).cast(pa.float64()), 1e6)
    elif not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
        raise InvalidContent(f"{path}: {name}: {kind}; numbers are needed")
    values = pc.cast(column, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return np.array(values, np.float64)


def _about(path: Path, metadata: Mapping[bytes, bytes] | None) -> dict[str, Any]:
    text = (metadata or {}).get(FOOTER)
    if text is None:
        return {}
    try:
        about = json.loads(text)
        step_s = float(about.get("step_s", 0.0))
    except (ValueError, AttributeError, TypeError) as err:
        raise InvalidContent(f"{path}: its footer `{FOOTER.decode()}` is damaged") from err
    if about.get("version") != VERSION or not 0.0 < step_s < float("inf"):
        raise InvalidContent(
            f"{path}: was written by another version ({about.get('version')}); this one reads {VERSION}"
        )
    return dict(about)


def _listed(names: list[str]) -> str:
    return ", ".join(names[:12]) + (", ..." if len(names) > 12 else "") or "none"
