"""The service of a daemon elsewhere, over its HTTP API."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from aiops.errors import CannotReach, Conflict, InvalidInput, NoPermission, NotFound
from aiops.web.cursors import MOST, written

if TYPE_CHECKING:
    import httpx

_TIMEOUT_S = 30.0


AGAIN_S = 1.0
"""Between the end of a stream and the next one."""

SILENT_S = 60.0
"""A stream of which nothing is heard for so long, no sign of life either, is dead."""


class RemoteService:
    """web.contract.Answers over HTTP."""

    def __init__(self, server: str, token: str) -> None:
        import httpx

        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._server = server
        self._client = httpx.Client(base_url=f"{server.rstrip('/')}/api/v1/", headers=headers, timeout=_TIMEOUT_S)

    def close(self) -> None:
        """End the connections."""
        self._client.close()

    def status(self) -> dict[str, Any]:
        """Return where the loop stands."""
        return self._map("GET", "status")

    def brief(self) -> dict[str, Any]:
        """Return where the loop stands."""
        return self.status()

    def decisions(self, asked: dict[str, Any]) -> list[dict[str, Any]]:
        """Return decisions, newest first."""
        filters = {key: value for key, value in asked.items() if key not in ("limit", "after") and value is not None}
        return self._pages("decisions", filters, int(asked.get("limit") or 50), asked.get("after"))

    def decision(self, decision_id: str) -> dict[str, Any]:
        """Return the whole story of one decision."""
        return self._map("GET", f"decisions/{decision_id}")

    def replay(self, decision_id: str) -> dict[str, Any]:
        """Make a stored decision again."""
        return self._map("GET", f"decisions/{decision_id}/replay")

    def series(self, policy: str, hours: float) -> dict[str, Any]:
        """Return the curves of a policy."""
        return self._map("GET", "series", params={"policy": policy, "hours": hours})

    def policies(self) -> list[dict[str, Any]]:
        """Return every policy with what it decided last."""
        return self._list("GET", "policies")

    def timeline(self, policy: str, hours: float) -> dict[str, Any]:
        """Return one policy over time."""
        return self._map("GET", "timeline", params={"policy": policy, "hours": hours})

    def models(self) -> dict[str, Any]:
        """Return what is forecast by which model, and how well."""
        return self._map("GET", "models")

    def model_order(self, wish: dict[str, Any]) -> dict[str, Any]:
        """Say something to a policy's model."""
        return self._map("POST", "models/orders", json=wish)

    def groups(self) -> list[dict[str, Any]]:
        """Return failover groups with the health of their sites."""
        return self._list("GET", "groups")

    def weekly(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Return what a stretch of time was like."""
        wanted = {key: value for key, value in asked.items() if value is not None}
        return self._map("GET", "reports/weekly", params=wanted)

    def audit(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Return records of the audit chain, newest first."""
        return self._map("GET", "audit", params={key: value for key, value in asked.items() if value is not None})

    def audit_verify(self) -> dict[str, Any]:
        """Check the whole audit chain."""
        return self._map("GET", "audit/verify")

    def findings(self, hours: float) -> dict[str, Any]:
        """Return findings and incidents."""
        return self._map("GET", "findings", params={"hours": hours})

    def incidents(self, hours: float) -> list[dict[str, Any]]:
        """Return incidents with their suspects, newest first."""
        return self._list("GET", "incidents", params={"hours": hours, "limit": MOST})

    def incident(self, incident_id: str) -> dict[str, Any]:
        """Return one incident with everything that is known of it."""
        return self._map("GET", f"incidents/{incident_id}")

    def explain(self, series: str, at: float | None) -> dict[str, Any]:
        """Return why a watched series was flagged, or was not: now, or at a time."""
        return self._map("GET", "explain", params={"series": series} | ({} if at is None else {"at": at}))

    def alerts(self) -> dict[str, Any]:
        """Return the alerts that Alertmanager told of."""
        return self._map("GET", "alerts")

    def hear(self, message: Any) -> dict[str, Any]:
        """Take a message of Alertmanager's webhook."""
        return self._map("POST", "alerts", json=message)

    def plans(self, asked: dict[str, Any]) -> list[dict[str, Any]]:
        """Return plans, newest first."""
        return self._list("GET", "plans", params={**asked, "limit": MOST})

    def plan(self, plan_id: str) -> dict[str, Any]:
        """Return one plan whole."""
        return self._map("GET", f"plans/{plan_id}")

    def order(self, wish: dict[str, Any]) -> dict[str, Any]:
        """Say something to a plan, or to a policy of plans."""
        return self._map("POST", "orders", json=wish)

    def actions(self, limit: int, after: tuple[float, str] | None = None) -> list[dict[str, Any]]:
        """Return actions with their outcomes, newest first."""
        return self._pages("actions", {}, limit, after)

    def pauses(self) -> list[dict[str, Any]]:
        """Return the pauses in force."""
        return self._list("GET", "pauses")

    def pause(self, wish: dict[str, Any]) -> dict[str, Any]:
        """Begin a pause."""
        return self._map("POST", "pauses", json=wish)

    def resume(self, pause_id: str, by: str = "") -> dict[str, Any]:
        """End a pause."""
        return self._map("DELETE", f"pauses/{pause_id}")

    def questions(self) -> list[dict[str, Any]]:
        """Return what waits for a person's yes."""
        return self._list("GET", "approvals")

    def answer(self, ask_id: str, wish: dict[str, Any]) -> dict[str, Any]:
        """Say yes or no."""
        return self._map("POST", f"approvals/{ask_id}", json=wish)

    def sizes(self) -> list[dict[str, Any]]:
        """Return what is recommended of requests and limits."""
        return self._list("GET", "sizes")

    def costs(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Return what was spent and saved, and how budgets stand."""
        return self._map("GET", "costs", params={key: one for key, one in asked.items() if one})

    def prices(self) -> dict[str, Any]:
        """Return what is known of prices."""
        return self._map("GET", "prices")

    def notices(self) -> dict[str, Any]:
        """Return what people are still to be told."""
        return self._map("GET", "notices")

    def rehearsals(self) -> dict[str, Any]:
        """Return what can be rehearsed, and the rehearsals that are kept."""
        return self._map("GET", "rehearsals")

    def rehearsal(self, rehearsal_id: str) -> dict[str, Any]:
        """Return one rehearsal with what came of it."""
        return self._map("GET", f"rehearsals/{rehearsal_id}")

    def rehearse(self, wish: dict[str, Any]) -> dict[str, Any]:
        """Begin a rehearsal."""
        return self._map("POST", "rehearsals", json=wish)

    def end_rehearsal(self, rehearsal_id: str) -> dict[str, Any]:
        """Stop a rehearsal."""
        return self._map("DELETE", f"rehearsals/{rehearsal_id}")

    def report(self, rehearsal_id: str) -> str:
        """Return the report of a rehearsal, as HTML."""
        return str(self._map("GET", f"rehearsals/{rehearsal_id}/report")["html"])

    def effects(self) -> list[dict[str, Any]]:
        """Return what is to be handed back."""
        return self._list("GET", "effects")

    def release(self, wish: dict[str, Any]) -> dict[str, Any]:
        """Pause and hand back."""
        return self._map("POST", "release", json=wish)

    def promotions(self) -> dict[str, Any]:
        """Return who promoted what, and where policies stand."""
        return self._map("GET", "promotions")

    def promote(self, wish: dict[str, Any]) -> dict[str, Any]:
        """Let a policy act up to a mode, or take that back."""
        return self._map("POST", "promotions", json=wish)

    def diff(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Return where two versions of a policy would have differed."""
        return self._map("GET", "diff", params={k: v for k, v in asked.items() if v is not None})

    def why(self, target: str) -> dict[str, Any]:
        """Return what each policy of a target wants, and what binds it."""
        return self._map("GET", "why", params={"target": target})

    def whatif(self, wish: dict[str, Any]) -> dict[str, Any]:
        """Return what would be decided if something were otherwise."""
        return self._map("POST", "whatif", json=wish)

    def tokens(self) -> list[dict[str, Any]]:
        """Return every bearer token, without what it is."""
        return self._list("GET", "tokens")

    def create_token(self, wish: dict[str, Any]) -> dict[str, Any]:
        """Make a token, and return it this once."""
        return self._map("POST", "tokens", json={key: value for key, value in wish.items() if key != "by"})

    def revoke_token(self, token: str, by: str) -> dict[str, Any]:
        """Take a token back."""
        return self._map("DELETE", f"tokens/{quote(token, safe='')}")

    def follow(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield what happens from now on, as kind and data; a stream that ends is taken up where it ended.

        Raises CannotReach when the daemon is gone, NoPermission when it lets nobody in any more.
        """
        import httpx

        last_id, timeout = "", httpx.Timeout(_TIMEOUT_S, read=SILENT_S)
        while True:
            headers = {"Last-Event-ID": last_id} if last_id else {}
            try:
                with self._client.stream("GET", "events", headers=headers, timeout=timeout) as live:
                    if not live.is_success:
                        live.read()
                        self._checked(live, live.json())
                    for name, kind, data in told(live.iter_lines()):
                        last_id = name or last_id
                        yield kind, data
            except httpx.HTTPError as err:
                raise CannotReach(f"{self._server} cannot be reached: {err or type(err).__name__}") from err
            except ValueError as err:
                raise self._foreign() from err
            time.sleep(AGAIN_S)

    def _pages(
        self, path: str, filters: dict[str, Any], limit: int, begins: tuple[float, str] | None
    ) -> list[dict[str, Any]]:
        """Return so many rows of a list that the daemon gives in pages."""
        params: dict[str, Any] | None = {**filters, "limit": min(limit, MOST)}
        if begins is not None:
            params = {**(params or {}), "cursor": written(begins)}
        rows: list[dict[str, Any]] = []
        while True:
            response = self._send("GET", path, params=params)
            body = response.json()
            if not isinstance(body, list):
                raise self._foreign()
            rows += body
            following = response.links.get("next", {}).get("url")
            if not following or len(rows) >= limit:
                return rows[:limit]
            onward = response.url.join(following)
            if (onward.scheme, onward.netloc) != (response.url.scheme, response.url.netloc):
                raise self._foreign()  # the token is for this server alone
            path, params = str(onward), None

    def _map(self, method: str, path: str, **kwargs: Any) -> dict[str, Any]:
        answer = self._send(method, path, **kwargs).json()
        if not isinstance(answer, dict):
            raise self._foreign()
        return answer

    def _list(self, method: str, path: str, **kwargs: Any) -> list[dict[str, Any]]:
        answer = self._send(method, path, **kwargs).json()
        if not isinstance(answer, list):
            raise self._foreign()
        return answer

    def _send(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        """Return the answer to a request, which is JSON; raise our error for one that is no success."""
        import httpx

        try:
            response = self._client.request(method, path, **kwargs)
            body = response.json()
        except httpx.HTTPError as err:
            raise CannotReach(f"{self._server} cannot be reached: {err}") from err
        except ValueError as err:
            raise self._foreign() from err
        return self._checked(response, body)

    def _checked(self, response: httpx.Response, body: Any) -> httpx.Response:
        """Return an answer that is a success; raise our error for any other."""
        if response.is_success:
            return response
        detail = str(body.get("detail", body)) if isinstance(body, dict) else str(body)
        match response.status_code:
            case 401:
                raise NoPermission(f"{detail}; the command line shows the token of --token, or AIOPS_TOKEN")
            case 403:
                raise NoPermission(detail)
            case 404:
                raise NotFound(detail)
            case 409:
                raise Conflict(detail)
            case 400 | 413 | 415 | 422:
                raise InvalidInput(detail)
            case _:
                raise CannotReach(f"{self._server}: {response.status_code} {detail}")

    def _foreign(self) -> CannotReach:
        return CannotReach(f"{self._server} does not answer like a daemon of aiops")


def told(lines: Iterable[str]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield id, kind and data of each event of a stream; raise ValueError for data that is no JSON object.

    >>> list(told(["retry: 5", "", "id: b-1", "event: tick", 'data: {"n":1}', "", ": still here", ""]))
    [('b-1', 'tick', {'n': 1})]
    """
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if line:
            fields[name] = value
            continue
        if "data" in fields:
            data = json.loads(fields["data"])
            if not isinstance(data, dict):
                raise ValueError("an event is an object")
            yield fields.get("id", ""), fields.get("event", ""), data
        fields = {}
