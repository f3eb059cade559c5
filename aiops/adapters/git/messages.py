"""What a commit of ours says: one sentence for people, and trailers from which it is known again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from aiops.core.model import Inscription, Instant, TargetRef

PREFIX = "Aiops-"
_MOST = 500
_TRAILER = re.compile(rf"Aiops-([A-Za-z]{{1,20}}): (.{{0,{_MOST}}})")
_EPOCH = re.compile(r"[0-9]{1,18}")
_MOST_LINES, _MOST_READ = 2000, 100_000
"""So much of a message is read, from its end: anybody who may push writes one, and of any size (S10)."""


def message(target: TargetRef, body: Mapping[str, Any]) -> str:
    """Return the message of the commit of a step."""
    origin = body["origin"]
    field, before, after = body["field"], body["from"], body["to"]
    trailers = {
        "Action": origin.get("action", ""),
        "Decision": origin.get("decision", ""),
        "Policy": origin.get("policy", ""),
        "Target": target.key,
        "Field": field,
        "From": before,
        "To": after,
        "Original": body["original"],
        "Epoch": origin.get("epoch", ""),
    }
    said = "\n".join(f"{PREFIX}{name}: {_line(str(value))}" for name, value in trailers.items() if value != "")
    reason = _line(str(origin.get("reason", "")))
    why = f"{reason}\n\n" if reason else ""
    return f"{target}: {field} {before} -> {after}\n\n{why}{said}\n"


def sizes_message(target: TargetRef, body: Mapping[str, Any]) -> str:
    """Return the message of a commit that changes the requests and limits of a container."""
    origin, before, after = body["origin"], body["from"], body["to"]
    names = sorted(name for name in after if after[name] != before.get(name))
    changes = ", ".join(f"{name} {before.get(name, 'none')} -> {after[name]}" for name in names)
    trailers = {
        "Action": origin.get("action", ""),
        "Plan": origin.get("plan", ""),
        "Policy": origin.get("policy", ""),
        "Target": target.key,
        "Field": f"{body['field']}/{body['container']}",
        "From": " ".join(f"{name}={before.get(name, '')}" for name in names),
        "To": " ".join(f"{name}={after[name]}" for name in names),
        "Epoch": origin.get("epoch", ""),
    }
    said = "\n".join(f"{PREFIX}{name}: {_line(str(value))}" for name, value in trailers.items() if value != "")
    return f"{target}: {body['container']} {changes}\n\n{said}\n"


def trailers_of(text: str) -> Mapping[str, str]:
    """Return the trailers of a commit, by name; nothing of one of somebody else."""
    lines = (one.strip() for one in text[-_MOST_READ:].split("\n")[-_MOST_LINES:])
    return {told[1]: told[2] for one in lines if (told := _TRAILER.fullmatch(one)) is not None}


def inscription(text: str, commit: str, at: Instant) -> tuple[Inscription, Mapping[str, str]] | None:
    """Return what the trailers of a commit tell, None where it is none of ours. Of a squash the last one counts."""
    found = trailers_of(text)
    if _EPOCH.fullmatch(found.get("Epoch", "0")) is None:
        return None
    try:
        ours = Inscription(
            action_id=found["Action"],
            policy=found["Policy"],
            before=int(found["From"]),
            after=int(found["To"]),
            original=int(found["Original"]),
            commit=commit,
            at=at,
        )
    except (KeyError, ValueError):
        return None
    return ours, found


def _line(text: str) -> str:
    """Return a text as one line, so that no part of it reads as a trailer."""
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())[:_MOST]
