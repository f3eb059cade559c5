"""The reference of the language as Markdown, made of the models: every field, every variable, every reason.

docs/policy-reference.md is what `aiops policy reference` prints.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from aiops.core.model import Reason
from aiops.policy.compile import API_VERSION
from aiops.policy.defaults import KIND as DEFAULTS
from aiops.policy.defaults import DefaultsSpec
from aiops.policy.kinds import kinds
from aiops.policy.variables import VARIABLES

Schema = Mapping[str, Any]

MEANINGS: Mapping[Reason, str] = {
    Reason.ABSENT_SIGNAL: "a query has never answered",
    Reason.EMPTY_SIGNAL: "a query answers nothing, and once did",
    Reason.NAN_SIGNAL: "a query answers NaN or infinity",
    Reason.STALE_SIGNAL: "the newest sample is older than maxAge",
    Reason.PARTIAL_SIGNAL: "some of the series or targets of a signal are missing",
    Reason.FAILED_SIGNAL: "a query failed or took too long",
    Reason.CENSORED_DEMAND: "the SLO is broken, requests are refused or replicas are full: more may be asked for",
    Reason.UPSTREAM_OUTAGE: "traffic dropped while callers fail, or siblings dropped, too: that is no less demand",
    Reason.NOT_LEADER: "another process leads, or it is not sure who does",
    Reason.UNFENCED: "the target does not carry this leader's epoch yet",
    Reason.STORE_UNAVAILABLE: "what would be done could not be written down first",
    Reason.CLUSTER_UNAVAILABLE: "the cluster's API does not answer",
    Reason.PROTECTED: "the settings protect the target or its namespace",
    Reason.NOT_OPTED_IN: "the namespace does not carry the label policy.aiops/managed",
    Reason.UNKNOWN_TARGET: "the target, its HPA or its revision is not there",
    Reason.SCALE_IN_NOT_ALLOWED: "scale-in of this kind needs `scaleIn: allowed`",
    Reason.OWNED: "another controller owns the field",
    Reason.MANUAL_OVERRIDE: "a person wrote the field after us; we yield for manualOverride",
    Reason.SWITCHED_OFF: "somebody scaled it to zero",
    Reason.SCALING_INACTIVE: "the HPA cannot scale, so that its floor is all there is",
    Reason.NO_PERMISSION: "the daemon may not read or write it",
    Reason.UNDECLARED: "the file in Git, or the value in it, is not there or cannot be written",
    Reason.OUT_OF_RANGE: "the range that the file in Git, or the settings, declare",
    Reason.NOT_SYNCED: "Git says something else than the cluster holds: what follows the branch has not brought it yet",
    Reason.PROPOSED: "the change is proposed on a branch, and not merged yet",
    Reason.PUSH_REFUSED: "the Git repository did not take the push: the branch is protected, or a hook said no",
    Reason.REPOSITORY_UNAVAILABLE: "the Git repository does not answer, or its branch is not there",
    Reason.MODE_OBSERVE: "the policy only observes",
    Reason.DRY_RUN_SETTLED: "a dry run has said so already",
    Reason.APPROVAL_NEEDED: "a person has to say yes",
    Reason.APPROVAL_REJECTED: "a person said no",
    Reason.PAUSED: "a person paused it",
    Reason.FROZEN: "a change freeze; what is needed now goes on",
    Reason.GUARDRAIL: "a guardrail of the policy binds",
    Reason.GUARDRAIL_UNDECIDED: "a guardrail cannot be told, so scale-in is held",
    Reason.BOUNDS: "minReplicas, maxReplicas or a window",
    Reason.TOLERANCE: "too little to be worth a change",
    Reason.STABILISATION: "more was wished for within the stabilisation window",
    Reason.RATE: "a rate policy of `behavior`",
    Reason.COOLDOWN: "the last change in this direction is too recent",
    Reason.BUDGET: "changesPerHour is used up, or what plans of all policies may take (`limits` of the settings)",
    Reason.COST_BUDGET: "a CostBudget holds growth: too much would be spent",
    Reason.DISRUPTION_BUDGET: "a PodDisruptionBudget's minAvailable",
    Reason.IN_FLIGHT: "the last change was not seen to take effect yet",
    Reason.KNOWN_CAUSE: "what is seen began after something that was done on purpose a moment ago",
    Reason.ROLLOUT: "a rollout of the target is under way",
    Reason.INCONCLUSIVE: "what is seen allows no verdict, so a person has to look",
    Reason.PARTITIONED: "the daemon hears too few of its vantage points, and may be the one that is cut off",
    Reason.NO_WITNESS: "without a witness a failover needs a person",
    Reason.API_DOWN: "a cluster's API is down while its users are served",
    Reason.STANDBY_SICK: "no other site is known to be well",
    Reason.STANDBY_SMALL: "no other site can carry the load",
    Reason.REPLICATION_LAG: "the standby lags further behind than the rpo, or how far is not known",
    Reason.REGION_NOT_ALLOWED: "the standby lies in a region that is not allowed",
    Reason.MOVED_LATELY: "traffic was moved within the last ten minutes",
    Reason.NOT_WELL_LONG_ENOUGH: "the home site has not been well long enough to go back",
    Reason.NOT_UNDOABLE: "nothing can take it back, so a person has to say yes",
    Reason.STORM: "too much is sick at once",
    Reason.BREAKER_OPEN: "what was tried did not help; a person has to look",
    Reason.BACK_OFF: "the last attempt is too recent",
    Reason.EXHAUSTED: "every rung of the ladder was tried",
    Reason.REFUSED: "the API refused the request",
    Reason.EXPIRED: "the request would have come too late",
    Reason.BUG: "a bug; it holds this policy alone",
}


MOST_WORDS = 40
"""A longer list of what may be written is no help to anybody who reads it."""


def reference() -> str:
    """Return the whole page."""
    return "\n".join(_page()) + "\n"


def _page() -> Iterator[str]:
    yield "# Reference of the policy language"
    yield ""
    yield f"`apiVersion: {API_VERSION}`. Made by `aiops policy reference` from the models that read it; what it is"
    yield "for is in [policies.md](policies.md). Durations are written `90s`, `5m`, `1h30m`; quantities `50`, `250m`,"
    yield "`1.5k`; shares `99.5%` or `0.995`. Numbers are base units: seconds, bytes, one."
    yield ""
    for kind, one in kinds().items():
        yield from _kind(kind, one.model)
    yield from _kind(DEFAULTS, DefaultsSpec)
    yield from _variables()
    yield from _reasons()


def _kind(kind: str, model: type[BaseModel]) -> Iterator[str]:
    schema = model.model_json_schema(by_alias=True)
    parts: Mapping[str, Schema] = schema.get("$defs", {})
    yield f"## {kind}"
    yield ""
    yield _sentence(schema.get("description", ""))
    yield ""
    yield from _table(schema, parts, kind)
    for name, part in parts.items():
        if "properties" in part:
            yield f"### {_anchor(kind, name)}"
            yield ""
            yield _sentence(part.get("description", ""))
            yield ""
            yield from _table(part, parts, kind)


def _table(schema: Schema, parts: Mapping[str, Schema], kind: str) -> Iterator[str]:
    required = set(schema.get("required", ()))
    yield "| Field | Written as | Default | Meaning |"
    yield "|---|---|---|---|"
    for name, field in schema["properties"].items():
        default = "**required**" if name in required else _default(field)
        meaning = _cell(field.get("description", ""))
        yield f"| `{name}` | {_cell(_type(field, parts, kind))} | {default} | {meaning} |"
    yield ""


def _type(field: Schema, parts: Mapping[str, Schema], kind: str) -> str:
    """Return how a field is written, for people."""
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        part = parts[name]
        if "enum" in part:
            return _words(part["enum"])
        return f"[{name.removesuffix('Spec')}](#{_anchor(kind, name).lower().replace(' ', '-')})"
    if "enum" in field:
        return _words(field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if "anyOf" in field:
        kept = [_type(one, parts, kind) for one in field["anyOf"] if one.get("type") != "null"]
        return " or ".join(dict.fromkeys(kept))
    return _plain(field, parts, kind)


def _plain(field: Schema, parts: Mapping[str, Schema], kind: str) -> str:
    match field.get("type"):
        case "array":
            return f"list of {_type(field['items'], parts, kind)}"
        case "object":
            inner = field.get("additionalProperties")
            return f"by name: {_type(inner, parts, kind)}" if isinstance(inner, dict) and inner else "mapping"
        case ["string", "number"]:
            return "such as " + ", ".join(f"`{one}`" for one in field.get("examples", ()))
        case "integer" | "number" as word:
            return f"{'whole number' if word == 'integer' else 'number'}{_bounds(field)}"
        case "boolean":
            return "`true` or `false`"
        case _:
            return {"date-time": "instant with a time zone", "date": "date"}.get(field.get("format", ""), "text")


def _bounds(field: Schema) -> str:
    low = next((f"{word} {field[key]:g}" for key, word in _LOW if key in field), "")
    high = next((f"{word} {field[key]:g}" for key, word in _HIGH if key in field), "")
    told = " ".join(part for part in (low, high) if part)
    return f", {told}" if told else ""


_LOW = (("minimum", "from"), ("ge", "from"), ("exclusiveMinimum", "above"), ("gt", "above"))
_HIGH = (("maximum", "to"), ("le", "to"), ("exclusiveMaximum", "below"), ("lt", "below"))


def _default(field: Schema) -> str:
    """Return a default; those of what has fields of its own stand at the fields."""
    value = field.get("default")
    if value is None or value == "" or isinstance(value, dict | list):
        return ""
    if field.get("examples") == [_DURATION]:
        return f"`{_duration(float(value))}`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


_DURATION = "5m"
_UNITS = ((86_400.0, "d"), (3600.0, "h"), (60.0, "m"), (1.0, "s"))


def _duration(seconds: float) -> str:
    """Return a time as people write it.

    >>> _duration(1209600.0), _duration(90.0), _duration(0.0)
    ('14d', '90s', '0s')
    """
    size, unit = next((one for one in _UNITS if seconds and seconds % one[0] == 0.0), _UNITS[-1])
    return f"{seconds / size:g}{unit}"


def _words(values: list[Any]) -> str:
    told = [f"`{one}`" for one in values]
    return ", ".join(told) if len(told) <= MOST_WORDS else f"one of {len(told)}, such as {', '.join(told[:3])}"


def _anchor(kind: str, name: str) -> str:
    return f"{kind} {name.removesuffix('Spec')}"


def _sentence(text: str) -> str:
    return " ".join(text.split())


def _cell(text: str) -> str:
    return _sentence(text).replace("|", "\\|")


def _variables() -> Iterator[str]:
    yield "## Variables of conditions"
    yield ""
    yield "In `guardrails[].when` and `verify.expect`, in CEL. Where one is not known the condition cannot be told, and"
    yield "a guardrail then holds scale-in."
    yield ""
    yield "| Variable | Unit | Meaning |"
    yield "|---|---|---|"
    yield "| `signals.NAME` | of the signal | a signal of the policy, while it is a value |"
    for one in VARIABLES:
        members = f"; entries have {', '.join(f'`{name}`' for name in one.members)}" if one.members else ""
        yield f"| `{one.name}` | {one.unit} | {one.meaning}{members} |"
    yield ""


def _reasons() -> Iterator[str]:
    yield "## Reasons"
    yield ""
    yield "Why something was not done, or not as wished: in explanations, in metrics and in tests."
    yield ""
    yield "| Code | Meaning |"
    yield "|---|---|"
    for reason in Reason:
        yield f"| `{reason.value}` | {MEANINGS[reason]} |"
