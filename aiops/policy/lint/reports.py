"""Problems as code hosts read them: SARIF 2.1.0, and workflow commands of GitHub."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

from aiops.errors import Problem
from aiops.policy.lint import RULES, RULES_OF_IGNORING
from aiops.policy.lint.errors import ERRORS
from aiops.policy.lint.rule import Explained

SARIF_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def sarif(problems: Sequence[Problem], version: str) -> dict[str, Any]:
    """Return a SARIF log of one run. Columns count code points; paths are relative to where the command ran.

    Source: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
    """
    rules = [*((one, "error") for one in ERRORS), *((one, "warning") for one in (*RULES, *RULES_OF_IGNORING))]
    places = {rule.code: number for number, (rule, _) in enumerate(rules)}
    driver = {
        "name": "aiops",
        "semanticVersion": version,
        "rules": [_descriptor(rule, level) for rule, level in rules],
    }
    results = [_result(one, places) for one in problems]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}


def _descriptor(rule: Explained, level: str) -> dict[str, Any]:
    return {
        "id": rule.code,
        "shortDescription": {"text": rule.why},
        "help": {"text": f"{rule.why}. Instead: {rule.mend}"},
        "defaultConfiguration": {"level": level},
    }


def _result(problem: Problem, places: dict[str, int]) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": {"uri": quote(problem.file.replace("\\", "/"), safe="/:")}}
    if problem.line > 0:
        physical["region"] = {"startLine": problem.line, "startColumn": max(1, problem.column)}
    location: dict[str, Any] = {"physicalLocation": physical}
    if problem.field:
        location["logicalLocations"] = [{"fullyQualifiedName": problem.field}]
    index = {"ruleIndex": places[problem.code]} if problem.code in places else {}
    return {
        "ruleId": problem.code,
        **index,
        "level": problem.severity,
        "message": {"text": _said(problem)},
        "locations": [location],
    }


def github(problems: Iterable[Problem]) -> str:
    """Return a workflow command for each problem, which GitHub shows beside the line.

    Source: https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands
    """
    return "\n".join(_command(one) for one in problems)


def _command(problem: Problem) -> str:
    properties = {"file": problem.file}
    if problem.line > 0:
        properties |= {"line": str(problem.line), "col": str(max(1, problem.column))}
    properties["title"] = problem.code
    said = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{'error' if problem.severity == 'error' else 'warning'} {said}::{_data(_said(problem))}"


def _said(problem: Problem) -> str:
    field = f"{problem.field}: " if problem.field else ""
    return f"{field}{problem.message}{f' ({problem.hint})' if problem.hint else ''}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
