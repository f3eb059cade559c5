"""One collection of the Kubernetes API, listed once and then watched."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import httpx
import orjson

_LOG = logging.getLogger("emulator.watch")
WATCH_S = 45
"""How long the server is asked to keep a watch; a server that hangs is noticed soon after."""

PAGE = 1000
_PATIENCE_S = 10.0
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 3.0


class Sink(Protocol):
    """What is told about the objects."""

    def replace(self, items: Sequence[Mapping[str, Any]]) -> None:
        """Take these as everything that there is."""
        ...

    def note(self, kind: str, item: Mapping[str, Any]) -> None:
        """Take one change: ADDED, MODIFIED or DELETED."""
        ...


class _Refused(Exception):
    """The API server answered, but with no success."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class Watch:
    """Keeps a sink as the API server is. up: whether the last thing that was asked was answered."""

    def __init__(self, client: httpx.AsyncClient, path: str, chosen: Mapping[str, str], sink: Sink) -> None:
        self._client = client
        self._path = path
        self._chosen = dict(chosen)
        self._sink = sink
        self._version = ""
        self._pause_s = _FIRST_PAUSE_S
        self._said = ""
        self.up = False

    async def run(self) -> None:
        """Follow the collection for ever. Counts stay as they were while the server is away."""
        while True:
            try:
                if not self._version:
                    self._version = await self._list()
                await self._follow()
            except _Refused as err:
                self._version = ""
                await self._refused(err)
            except (httpx.HTTPError, httpx.StreamError, ValueError, KeyError) as err:
                await self._failed(f"{type(err).__name__}: {err}")

    async def _list(self) -> str:
        items: list[Mapping[str, Any]] = []
        asked = {**self._chosen, "limit": str(PAGE)}
        while True:
            answer = await self._client.get(self._path, params=asked, timeout=_PATIENCE_S)
            page = _body(answer.status_code, answer.content)
            items += page["items"]
            asked["continue"] = str(page["metadata"].get("continue") or "")
            if not asked["continue"]:
                break
        self._sink.replace(items)
        self._well()
        return str(page["metadata"]["resourceVersion"])

    async def _follow(self) -> None:
        """Take events until the server ends the watch."""
        asked = {
            **self._chosen,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(WATCH_S),
        }
        patience = httpx.Timeout(_PATIENCE_S, read=WATCH_S + _PATIENCE_S)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        async with self._client.stream("GET", self._path, params=asked, timeout=patience) as answer:
            if answer.status_code != 200:
                _body(answer.status_code, await answer.aread())
            self._well()
            async for line in answer.aiter_lines():
                if line:
                    self._take(orjson.loads(line))
        if loop.time() - begun < 1.0:
            await asyncio.sleep(_FIRST_PAUSE_S)  # a server that ends each watch at once is not asked without a rest

    def _take(self, event: Mapping[str, Any]) -> None:
        kind, item = str(event["type"]), event["object"]
        if kind == "ERROR":
            raise _Refused(int(item.get("code") or 500), str(item.get("message")))
        if kind != "BOOKMARK":
            self._sink.note(kind, item)
        self._version = str(item["metadata"]["resourceVersion"])

    def _well(self) -> None:
        self.up, self._pause_s, self._said = True, _FIRST_PAUSE_S, ""

    async def _refused(self, err: _Refused) -> None:
        if err.code == 410:
            return  # what is known is too old to go on from: list again
        if err.code == 404:
            self._sink.replace(())  # the kind itself is not there
            self.up = True
            await self._rest()
            return
        await self._failed(str(err))

    async def _failed(self, reason: str) -> None:
        self.up = False
        if reason != self._said:
            self._said = reason
            _LOG.warning("%s: %s; what was counted last stays", self._path, reason)
        await self._rest()

    async def _rest(self) -> None:
        await asyncio.sleep(self._pause_s)
        self._pause_s = min(2.0 * self._pause_s, _LONGEST_PAUSE_S)


def _body(status: int, content: bytes) -> dict[str, Any]:
    if status != 200:
        try:
            message = str(orjson.loads(content)["message"])
        except (ValueError, KeyError, TypeError):
            message = content[:200].decode(errors="replace")
        raise _Refused(status, message)
    return dict(orjson.loads(content))
