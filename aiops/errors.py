"""The exceptions of aiops, one tree.

AiopsError
├── FatalError            the daemon cannot do its job: stop in stages, the exit code says why
│   ├── ConfigurationError     exit 3: settings, policies at first start, a store that does not fit
│   └── CannotReach            exit 4: what is needed to start cannot be reached
├── PortError             expected: hold, say so, try again next tick
│   ├── SourceUnavailable      the metrics source did not answer, or not as promised
│   │   └── TooMuch                it would answer, if less were asked for at once
│   ├── ClusterUnavailable     the Kubernetes API did not answer, or not as promised
│   ├── StoreUnavailable       the journal cannot be written: nothing new that cannot be journalled
│   │   └── Fenced                 a newer leader has claimed the journal: this process may write nothing
│   └── NoPermission           exit 5 on the command line; a hold in the loop
├── InvalidInput          exit 2 on the command line: what a user said is wrong, and where
│   ├── InvalidContent         exit 1: it is well said, and what a file or a source holds is wrong, or nothing
│   ├── InvalidPolicy          exit 1: every problem of a policy set, each with file, line, column and field
│   └── Conflict               exit 1: what is asked for is well said, and does not fit what there is
└── NotFound              exit 1: no such decision, target, scenario

Anything else that is raised is a bug: it is logged with its traceback, counted, and the loop goes on.
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass


class AiopsError(Exception):
    """Base of every exception that aiops raises on purpose."""

    exit_code = 70


class FatalError(AiopsError):
    """The daemon cannot do its job; it stops in stages and the exit code says why."""

    exit_code = 3


class ConfigurationError(FatalError):
    """Settings, policies or the store do not allow a start."""

    exit_code = 3


class CannotReach(FatalError):
    """Something that is needed to start cannot be reached."""

    exit_code = 4


class PortError(AiopsError):
    """An outside system failed in an expected way: hold, say so, try again next tick."""

    exit_code = 4


class SourceUnavailable(PortError):
    """The metrics source did not answer, or not as promised."""


class TooMuch(SourceUnavailable):
    """What was asked for is too large, or takes too long: less at once may be answered."""


class ClusterUnavailable(PortError):
    """The Kubernetes API did not answer, or not as promised. retry_after_s: how long it asked to be left alone."""

    def __init__(self, message: str, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class StoreUnavailable(PortError):
    """The journal cannot be written or read."""


class Fenced(StoreUnavailable):
    """A newer leader has claimed the journal: this process may write nothing."""


class NoPermission(PortError):
    """The caller may not do this; the message names verb, resource and namespace."""

    exit_code = 5


class InvalidInput(AiopsError):
    """What a user said is wrong; the message says what and where."""

    exit_code = 2


class InvalidContent(InvalidInput):
    """What a file or a source holds is wrong, or nothing; the message says what and where."""

    exit_code = 1


class Conflict(InvalidInput):
    """What is asked for does not fit what there is: it is done already, taken, or means several things."""

    exit_code = 1


class NotFound(AiopsError):
    """There is no such thing; the message lists what there is when the list is short."""

    exit_code = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong in one place of one file. Lines and columns count from 1; 0 means unknown.

    code: the rule that was broken, `unknown-field`, for suppressions and documents; docs/lint.md lists them.
    """

    file: str
    line: int
    column: int
    field: str
    message: str
    hint: str = ""
    severity: str = "error"
    code: str = "bad-value"

    def __str__(self) -> str:
        """Return `FILE:LINE:COL: path.to.field: what is wrong (hint)`."""
        where = f"{self.file}:{self.line}:{self.column}"
        field = f" {self.field}:" if self.field else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{where}:{field} {self.message}{hint}"


class InvalidPolicy(InvalidInput):
    """A policy set that cannot be used, with every problem found in one pass."""

    exit_code = 1

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in problems))


def let_go(err: BaseException) -> None:
    """Empty the ended frames that a client's exception, and what led to it, hold.

    Clients keep exceptions in the frames that these hold. Such cycles, with sockets, answers and a whole turn of the
    loop on them, last until the next full collection; while a source is down they pile up, and memory grows.
    """
    seen: set[int] = set()
    waiting: list[BaseException | None] = [err]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        traceback.clear_frames(one.__traceback__)
        waiting += (one.__cause__, one.__context__)
