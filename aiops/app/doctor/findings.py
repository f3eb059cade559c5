"""What checks find, and what all of it together means."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from aiops.errors import AiopsError, CannotReach, NoPermission, PortError


class Area(StrEnum):
    """What a check is about; `--only` chooses by it. The order is that of the page."""

    SETTINGS = "settings"
    POLICIES = "policies"
    METRICS = "metrics"
    KUBERNETES = "kubernetes"
    GIT = "git"
    STORE = "store"
    ALERTMANAGER = "alertmanager"
    NOTIFY = "notify"
    PRICES = "prices"
    SCHEDULES = "schedules"
    TLS = "tls"
    WEB = "web"


class Status(StrEnum):
    """How it stands. skip: not looked at, or nothing to look at."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


class Trouble(StrEnum):
    """What kind of failure it is, by which the exit code is chosen."""

    NONE = ""
    FAULT = "fault"
    UNREACHABLE = "unreachable"
    PERMISSION = "permission"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at. what: how it is; fix: what to do, '' where nothing needs to be done."""

    name: str
    status: Status
    what: str
    fix: str = ""
    trouble: Trouble = Trouble.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Something to look at. needs: the name of the check without which this one has nobody to ask.

    reaches: whether it says if an outside system answers at all.
    """

    area: Area
    name: str
    look: Callable[[], Iterable[Finding]]
    needs: str = ""
    reaches: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """A check with what it found."""

    check: Check
    findings: tuple[Finding, ...]

    @property
    def failed(self) -> bool:
        """Return whether anything of it must be fixed."""
        return any(one.status is Status.FAIL for one in self.findings)


def ok(name: str, what: str) -> Finding:
    """Return that all is well."""
    return Finding(name=name, status=Status.OK, what=what)


def skip(name: str, what: str) -> Finding:
    """Return that nothing was looked at, and why."""
    return Finding(name=name, status=Status.SKIP, what=what)


def warn(name: str, what: str, fix: str) -> Finding:
    """Return what the daemon can live with."""
    return Finding(name=name, status=Status.WARN, what=what, fix=fix)


def fail(name: str, what: str, fix: str, trouble: Trouble = Trouble.FAULT) -> Finding:
    """Return what must be fixed."""
    return Finding(name=name, status=Status.FAIL, what=what, fix=fix, trouble=trouble)


def failed(name: str, err: AiopsError, fix: str) -> Finding:
    """Return a failure by its exception."""
    return fail(name, str(err), fix, trouble_of(err))


def trouble_of(err: AiopsError) -> Trouble:
    """Return what kind of failure an exception is."""
    if isinstance(err, NoPermission):
        return Trouble.PERMISSION
    return Trouble.UNREACHABLE if isinstance(err, PortError | CannotReach) else Trouble.FAULT


def exit_code(looked: Sequence[Looked]) -> int:
    """Return 0 for nothing to fix, 4 when nothing outside answers, 5 when only permissions are missing, else 1."""
    troubles = {one.trouble for part in looked for one in part.findings if one.status is Status.FAIL}
    if not troubles:
        return 0
    reaching = [{one.trouble for one in part.findings} for part in looked if part.check.reaches and part.failed]
    answering = any(part.check.reaches and not part.failed for part in looked)
    if not answering and {Trouble.UNREACHABLE} in [found - {Trouble.NONE} for found in reaching]:
        return 4
    return 5 if troubles == {Trouble.PERMISSION} else 1
