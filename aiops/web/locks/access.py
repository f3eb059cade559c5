"""Which door needs which role: a table that is read from top to bottom, closed by default.

What is not in it is not served. A path that several rows describe needs the highest of their roles.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from starlette.routing import compile_path

from aiops.web.locks.roles import Role
from aiops.web.pages.paths import PATHS

API = "/api/v1"
ALERTS = f"{API}/alerts"

ACCESS: Mapping[tuple[str, str], Role] = {
    # -- pages ---------------------------------------------------------------
    **{("GET", path): Role.VIEWER for path in PATHS},
    ("GET", "/static/{path:path}"): Role.PUBLIC,
    # -- coming and going ----------------------------------------------------
    ("GET", "/login"): Role.PUBLIC,
    ("POST", "/login"): Role.PUBLIC,
    ("POST", "/logout"): Role.VIEWER,
    ("GET", "/login/oidc"): Role.PUBLIC,
    ("GET", "/login/oidc/callback"): Role.PUBLIC,
    ("GET", "/api/v1/session"): Role.VIEWER,
    ("GET", "/api/v1/openapi.json"): Role.VIEWER,
    ("GET", "/api/v1/events"): Role.VIEWER,
    # -- looking ---------------------------------------------------------------
    ("GET", "/api/v1/status"): Role.VIEWER,
    ("GET", "/api/v1/decisions"): Role.VIEWER,
    ("GET", "/api/v1/decisions/{decision_id}"): Role.VIEWER,
    ("GET", "/api/v1/decisions/{decision_id}/replay"): Role.VIEWER,
    ("GET", "/api/v1/series"): Role.VIEWER,
    ("GET", "/api/v1/policies"): Role.VIEWER,
    ("GET", "/api/v1/timeline"): Role.VIEWER,
    ("GET", "/api/v1/groups"): Role.VIEWER,
    ("GET", "/api/v1/models"): Role.VIEWER,
    ("GET", "/api/v1/actions"): Role.VIEWER,
    ("GET", "/api/v1/effects"): Role.VIEWER,
    ("GET", "/api/v1/findings"): Role.VIEWER,
    ("GET", "/api/v1/incidents"): Role.VIEWER,
    ("GET", "/api/v1/incidents/{incident_id}"): Role.VIEWER,
    ("GET", "/api/v1/explain"): Role.VIEWER,
    ("GET", "/api/v1/alerts"): Role.VIEWER,
    ("GET", "/api/v1/pauses"): Role.VIEWER,
    ("GET", "/api/v1/approvals"): Role.VIEWER,
    ("GET", "/api/v1/promotions"): Role.VIEWER,
    ("GET", "/api/v1/diff"): Role.VIEWER,
    ("GET", "/api/v1/why"): Role.VIEWER,
    ("GET", "/api/v1/costs"): Role.VIEWER,
    ("GET", "/api/v1/prices"): Role.VIEWER,
    ("GET", "/api/v1/notices"): Role.VIEWER,
    ("GET", "/api/v1/sizes"): Role.VIEWER,
    ("GET", "/api/v1/plans"): Role.VIEWER,
    ("GET", "/api/v1/plans/{plan_id}"): Role.VIEWER,
    ("GET", "/api/v1/audit"): Role.VIEWER,
    ("GET", "/api/v1/audit/verify"): Role.OPERATOR,
    ("GET", "/api/v1/reports/weekly"): Role.VIEWER,
    # -- rehearsing --------------------------------------------------------------
    ("POST", "/api/v1/whatif"): Role.AUTHOR,
    ("GET", "/api/v1/rehearsals"): Role.VIEWER,
    ("GET", "/api/v1/rehearsals/{rehearsal_id}"): Role.VIEWER,
    ("GET", "/api/v1/rehearsals/{rehearsal_id}/report"): Role.VIEWER,
    ("POST", "/api/v1/rehearsals"): Role.AUTHOR,
    ("DELETE", "/api/v1/rehearsals/{rehearsal_id}"): Role.AUTHOR,
    # -- steering ----------------------------------------------------------------
    ("POST", "/api/v1/pauses"): Role.OPERATOR,
    ("DELETE", "/api/v1/pauses/{pause_id}"): Role.OPERATOR,
    ("POST", "/api/v1/approvals/{ask_id}"): Role.OPERATOR,
    ("POST", "/api/v1/orders"): Role.OPERATOR,
    ("POST", "/api/v1/models/orders"): Role.OPERATOR,
    ("POST", "/api/v1/release"): Role.OPERATOR,
    ("POST", "/api/v1/promotions"): Role.OPERATOR,
    # -- giving access -----------------------------------------------------------
    ("GET", "/api/v1/tokens"): Role.ADMIN,
    ("POST", "/api/v1/tokens"): Role.ADMIN,
    ("DELETE", "/api/v1/tokens/{token_id}"): Role.ADMIN,
    # -- telling -----------------------------------------------------------------
    ("POST", "/api/v1/alerts"): Role.HOOK,
}


def needed(method: str, path: str) -> Role | None:
    """Return the role that a request needs; None when nothing of the kind is served.

    >>> needed("DELETE", "/api/v1/pauses/01J"), needed("HEAD", "/api/v1/status"), needed("GET", "/etc/passwd")
    (<Role.OPERATOR: 'operator'>, <Role.VIEWER: 'viewer'>, None)
    """
    asked = "GET" if method == "HEAD" else method
    found = [role for verb, pattern, role in _compiled() if verb == asked and pattern.fullmatch(path)]
    return max(found, key=lambda role: role.rank, default=None)


def verbs(path: str) -> tuple[str, ...]:
    """Return the methods with which a path is served."""
    return tuple(sorted({verb for verb, pattern, _ in _compiled() if pattern.fullmatch(path)}))


@lru_cache(maxsize=1)
def _compiled() -> tuple[tuple[str, re.Pattern[str], Role], ...]:
    return tuple((verb, compile_path(path)[0], role) for (verb, path), role in ACCESS.items())


def missing(served: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the doors of an application of which the table says nothing."""
    return sorted(set(served) - set(ACCESS))
