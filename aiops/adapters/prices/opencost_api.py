"""OpenCost by its HTTP API: `GET /allocation/compute`, aggregated by pod, accumulated over a window.

Costs of a pod over the hours of its cores and of its memory are the prices of both on its node; hours over the pod's
minutes are what is allocated to it, the greater of request and usage. OpenCost rounds each number to five digits after
the point, so that windows shorter than some hours price small pods badly.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson
import requests

from aiops.core.addresses import without_user
from aiops.core.model import Instant, PodShare
from aiops.core.money.tariff import Meter, MeteredNode
from aiops.errors import SourceUnavailable, let_go

GIB = 2.0**30
LEAST_COST = 0.001
"""What costs less than a hundred times the rounding has no price that could be divided."""

_CHUNK = 65_536
_SHOWN = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCostOptions:
    """How OpenCost is reached. window_s: over which costs are accumulated."""

    url: str
    window_s: float = 86_400.0
    bearer_token_file: Path | None = None
    ca_file: Path | None = None
    timeout_s: float = 30.0
    max_bytes: int = 64_000_000
    username: str = ""
    password: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        # the address is told with every error: no secret stays in it
        url, name, password = without_user(self.url)
        object.__setattr__(self, "url", url)
        if name and not self.username:
            object.__setattr__(self, "username", name)
            object.__setattr__(self, "password", password)


@dataclass(slots=True)
class _Costs:
    """Money and hours of the pods of one node, added up."""

    money: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("core", "gib", "gpu"), 0.0))
    hours: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("core", "gib", "gpu"), 0.0))

    def price(self, name: str) -> float:
        return self.money[name] / self.hours[name] if self.hours[name] > 0.0 and self.money[name] > 0.0 else math.nan


class OpenCostApi:
    """Reads OpenCost's API. Used by one thread."""

    def __init__(self, options: OpenCostOptions, empty: Meter) -> None:
        self._options = options
        self._empty = empty
        self._session = requests.Session()
        self._session.headers.update({"Accept": "application/json"})
        self._session.verify = str(options.ca_file) if options.ca_file is not None else True
        if options.username:
            self._session.auth = (options.username, options.password)

    def read(self, at: Instant) -> Meter:
        """Return what pods are allocated and resources of their nodes cost; raise SourceUnavailable."""
        window = f"{at - self._options.window_s:.0f},{at:.0f}"
        body = self._ask({"window": window, "aggregate": "namespace,pod", "accumulate": "true", "includeIdle": "false"})
        try:
            answer = orjson.loads(body)
            sets = answer["data"]
            found = {} if not sets else dict(sets[-1])
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, IndexError) as err:
            raise SourceUnavailable(f"{self._options.url}: no allocations in the answer: is that OpenCost?") from err
        shares, nodes = _read(found)
        if not shares:
            raise SourceUnavailable(f"{self._options.url}: no pod is allocated anything between {window}")
        return replace(self._empty, as_of=at, nodes=nodes, shares=shares)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _ask(self, params: Mapping[str, str]) -> bytes:
        options, url = self._options, f"{self._options.url.rstrip('/')}/allocation/compute"
        deadline = time.monotonic() + options.timeout_s
        try:
            headers = {} if options.bearer_token_file is None else {"Authorization": f"Bearer {self._token()}"}
            with self._session.get(
                url, params=params, headers=headers, stream=True, allow_redirects=False, timeout=options.timeout_s
            ) as response:
                body = self._body(response, deadline)
        except OSError as err:  # requests' own errors are such, too
            let_go(err)
            what = "did not answer in time" if isinstance(err, requests.exceptions.Timeout) else "cannot be reached"
            raise SourceUnavailable(f"{options.url} {what} ({type(err).__name__})") from err
        if response.status_code != 200:
            said = body.decode(errors="replace").strip()[:_SHOWN]
            raise SourceUnavailable(f"{options.url} refuses allocations ({response.status_code} {said})")
        return body

    def _token(self) -> str:
        file = self._options.bearer_token_file
        return "" if file is None else file.read_text(encoding="utf-8").strip()

    def _body(self, response: requests.Response, deadline: float) -> bytes:
        parts, size = [], 0
        for part in response.iter_content(_CHUNK):
            size += len(part)
            if size > self._options.max_bytes:
                raise SourceUnavailable(
                    f"{self._options.url}: the answer is larger than {self._options.max_bytes} bytes"
                )
            if time.monotonic() > deadline:
                raise SourceUnavailable(f"{self._options.url}: the answer did not end within its time")
            parts.append(part)
        return b"".join(parts)


def _read(found: Mapping[str, Any]) -> tuple[dict[str, PodShare], dict[str, MeteredNode]]:
    shares: dict[str, PodShare] = {}
    costs: dict[str, _Costs] = {}
    for one in found.values():
        about = one.get("properties") if isinstance(one, dict) else None
        about = about if isinstance(about, dict) else {}
        namespace, pod, node = (str(about.get(name) or "") for name in ("namespace", "pod", "node"))
        hours = _number(one, "minutes") / 60.0 if isinstance(one, dict) else 0.0
        if not namespace or not pod or hours <= 0.0:
            continue  # idle, unmounted and other special allocations are no pods
        used = {
            "core": _number(one, "cpuCoreHours"),
            "gib": _number(one, "ramByteHours") / GIB,
            "gpu": _number(one, "gpuHours"),
        }
        shares[f"{namespace}/{pod}"] = PodShare(
            pod=pod, node=node, cores=used["core"] / hours, memory_gib=used["gib"] / hours, gpus=used["gpu"] / hours
        )
        sums = costs.setdefault(node, _Costs())
        for name, field_ in (("core", "cpuCost"), ("gib", "ramCost"), ("gpu", "gpuCost")):
            money = _number(one, field_) + _number(one, f"{field_}Adjustment")
            if money >= LEAST_COST:
                sums.money[name] += money
                sums.hours[name] += used[name]
    nodes = {
        name: MeteredNode(total=math.nan, core=sums.price("core"), gib=sums.price("gib"), gpu=sums.price("gpu"))
        for name, sums in costs.items()
        if name
    }
    return shares, nodes


def _number(one: Mapping[str, Any], name: str) -> float:
    value = one.get(name)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) and value > 0.0 else 0.0
