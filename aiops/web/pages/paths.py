"""Where each page is: the table of access reads this without loading what draws them."""

from __future__ import annotations

PATHS = (
    "/",
    "/policies",
    "/policies/{key:path}",
    "/incidents",
    "/incidents/{incident_id}",
    "/decisions",
    "/decisions/{decision_id}",
    "/approvals",
    "/plans",
    "/plans/{plan_id}",
    "/effects",
    "/audit",
    "/cost",
    "/models",
    "/rehearsals",
    "/rehearsals/{rehearsal_id}",
    "/rehearsals/{rehearsal_id}/report",
)
