r"""Records of the audit chain in ArcSight's Common Event Format, for SIEMs.

`CEF:0|vendor|product|version|signature|name|severity|extension`: in the header `|` and `\` are escaped, in the
extension `=`, `\` and line ends. The keys are those of ArcSight's dictionary (Common Event Format, version 0).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from aiops.core.record.audit import AuditKind, Line

SEVERITY: Mapping[AuditKind, int] = {
    AuditKind.DECISION: 1,
    AuditKind.ACTION: 4,
    AuditKind.RESULT: 3,
    AuditKind.OUTCOME: 3,
    AuditKind.PLAN: 5,
    AuditKind.INCIDENT: 5,
    AuditKind.PAUSE: 6,
    AuditKind.RESUME: 6,
    AuditKind.APPROVAL: 6,
    AuditKind.ORDER: 6,
    AuditKind.PROMOTION: 6,
    AuditKind.POLICY: 5,
    AuditKind.BUDGET: 5,
    AuditKind.LOGIN: 3,
    AuditKind.TOKEN: 7,
    AuditKind.ACCESS: 6,
    AuditKind.STORE: 7,
}
"""How grave a record is by its kind, 0 to 10 as CEF has it."""

GRAVE = frozenset({"failed", "refused", "unknown", "stopped", "forced", "undone", "denied", "restored"})
"""What makes any record one of 8."""

_HEADER = str.maketrans({"\\": "\\\\", "|": "\\|", "\n": " ", "\r": " "})
_VALUE = str.maketrans({"\\": "\\\\", "=": "\\=", "\n": "\\n", "\r": "\\r"})


def cef(line: Line, version: str) -> str:
    """Return a record as one line. version: of this program."""
    said: dict[str, Any] = json.loads(line.text)
    kind = AuditKind(said["kind"])
    severity = 8 if said["did"] in GRAVE else SEVERITY[kind]
    head = ("aiops", "aiops", version, kind.value, f"{kind.value} {said['did']}", str(severity))
    pairs = {
        "rt": str(_milliseconds(said["at"])),
        "externalId": said["ref"],
        "suser": said["by"],
        "act": said["did"],
        "msg": said["said"],
        **_numbered(
            "cs",
            {
                "subject": said["subject"],
                "before": _word(said["before"]),
                "after": _word(said["after"]),
                "target": _word(said["detail"].get("target")),
                "reason": _word(said["detail"].get("reason")),
                "digest": line.digest,
            },
        ),
        **_numbered("cn", {"record": str(line.seq)}),
    }
    extension = " ".join(f"{key}={value.translate(_VALUE)}" for key, value in pairs.items() if value)
    return "CEF:0|" + "|".join(one.translate(_HEADER) for one in head) + "|" + extension


def _numbered(prefix: str, fields: Mapping[str, str]) -> dict[str, str]:
    """Return custom fields with the labels that CEF asks for; those that are empty are left out."""
    out: dict[str, str] = {}
    for number, (label, value) in enumerate(fields.items(), 1):
        if value:
            out |= {f"{prefix}{number}Label": label, f"{prefix}{number}": value}
    return out


def _word(value: object) -> str:
    return "" if value is None else str(value)


def _milliseconds(at: str) -> int:
    return round(datetime.fromisoformat(at).timestamp() * 1000)
