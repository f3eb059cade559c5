"""Money as Parquet for BI tools: one row for each group of each kind; what is not known is null."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aiops.app.costing.tables import flat
from aiops.app.written import writing

TEXTS = ("currency", "by", "name")


def write(costs: dict[str, Any], path: Path) -> int:
    """Write the rows and return how many there are; raise InvalidInput when the file cannot be written.

    Times are instants in UTC, amounts float64.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = flat(costs)
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns: dict[str, Any] = {}
    for name in names:
        values: list[Any] = [row.get(name) for row in rows]
        if name in ("since", "until"):
            columns[name] = pa.array([round(value * 1000) for value in values], pa.timestamp("ms", tz="UTC"))
        else:
            columns[name] = pa.array(values, pa.string() if name in TEXTS else pa.float64())
    with writing(path):
        pq.write_table(pa.table(columns), path)
    return len(rows)
