"""The numbers of a week as Parquet: one row for each measure of each thing, so that weeks can be put together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aiops.app.weekly.tables import flat
from aiops.app.written import writing


def write(found: dict[str, Any], path: Path) -> int:
    """Write the rows and return how many there are; raise InvalidInput when the file cannot be written.

    Columns: since, until (UTC), scope, name, measure, value (float64, null where it is not known).
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = flat(found)
    columns: dict[str, Any] = {
        name: pa.array([round(row[name] * 1000) for row in rows], pa.timestamp("ms", tz="UTC"))
        for name in ("since", "until")
    }
    columns |= {name: pa.array([row[name] for row in rows], pa.string()) for name in ("scope", "name", "measure")}
    columns["value"] = pa.array([row["value"] for row in rows], pa.float64())
    with writing(path):
        pq.write_table(pa.table(columns), path)
    return len(rows)
