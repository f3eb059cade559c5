"""Silencing rules: an annotation that names them, and one that says why.

metadata:
  annotations:
    policy.aiops/lint-ignore: no-fallback, wide-range
    policy.aiops/lint-reason: a batch worker; being late is no harm
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from aiops.policy.compile import did_you_mean
from aiops.policy.document import Document
from aiops.policy.lint.rule import Explained, Remark

IGNORE = "policy.aiops/lint-ignore"
REASON = "policy.aiops/lint-reason"

UNKNOWN_RULE = Explained(
    code="unknown-rule",
    why="a misspelt code silences nothing",
    mend="a code of this table",
)
NEEDLESS_IGNORE = Explained(
    code="needless-ignore",
    why="what is silenced for no cause hides the cause that comes later",
    mend="take the code out of policy.aiops/lint-ignore",
)
IGNORE_WITHOUT_REASON = Explained(
    code="ignore-without-reason",
    why="who reads the policy next must know why a warning does not count here",
    mend="policy.aiops/lint-reason: why",
)
RULES_OF_IGNORING = (UNKNOWN_RULE, NEEDLESS_IGNORE, IGNORE_WITHOUT_REASON)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """Which codes a document silences, and why."""

    codes: tuple[str, ...] = ()
    reason: str = ""

    def remarks(self, found: Collection[str], known: Collection[str]) -> Iterator[tuple[Explained, Remark]]:
        """Yield what is wrong with the silencing itself. found: the codes that spoke."""
        path = ("metadata", "annotations", IGNORE)
        for code in self.codes:
            if code not in known:
                hint = did_you_mean(code, tuple(known)) or "docs/lint.md lists them"
                yield UNKNOWN_RULE, Remark(path=path, message=f"there is no rule {code!r}", hint=hint)
            elif code not in found:
                yield NEEDLESS_IGNORE, Remark(path=path, message=f"{code} finds nothing here", hint="take it out")
        if self.codes and not self.reason:
            message, hint = "rules are silenced, and nothing says why", f"{REASON}: why"
            yield IGNORE_WITHOUT_REASON, Remark(path=path, message=message, hint=hint)


def ignored(document: Document) -> Ignored:
    """Return what a document that compiled silences."""
    annotations: Mapping[str, str] = document.data["metadata"].get("annotations") or {}
    codes = (one.strip() for one in annotations.get(IGNORE, "").split(","))
    return Ignored(codes=tuple(dict.fromkeys(one for one in codes if one)), reason=annotations.get(REASON, "").strip())
