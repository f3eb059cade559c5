"""CloudEvents 1.0: records of the audit chain as events in the structured JSON form, in batches.

`id` is the record's digest, so that what arrives twice is one; `sequence` its number, by which a gap is seen.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from aiops.core.record.audit import Line

BATCH = "application/cloudevents-batch+json"
PREFIX = "aiops"


def kind_of(line: Line) -> str:
    """Return the type of a record's event, such as `aiops.decision`."""
    return f"{PREFIX}.{line.columns['kind']}"


def batch_of(lines: Iterable[Line], source: str) -> bytes:
    """Return records as one batch: a JSON array of events."""
    from cloudevents.core.formats.json import JSONFormat

    form = JSONFormat()
    return b"[" + b",".join(form.write(_event(line, source)) for line in lines) + b"]"


def _event(line: Line, source: str) -> Any:
    from cloudevents.core.v1.event import CloudEvent

    said = json.loads(line.text)
    attributes = {
        "id": line.digest,
        "source": source,
        "type": kind_of(line),
        "specversion": "1.0",
        "time": datetime.fromisoformat(said["at"]),
        "datacontenttype": "application/json",
        # the extension that CloudEvents has for it: compared as text, hence the zeros
        "sequence": f"{line.seq:020d}",
    }
    if said["subject"]:
        attributes["subject"] = said["subject"]
    return CloudEvent(attributes, said)
