"""How a test talks to an emulator that runs: over its control endpoint and its page."""

from __future__ import annotations

from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from simulators.emulator.emulator import Addresses

_PATIENCE_S = 5.0


class EmulatorClient:
    """Sets loads and faults, and reads what is shown. Whatever is not answered with success raises httpx.HTTPError."""

    def __init__(self, addresses: Addresses) -> None:
        self.addresses = addresses
        self._http = httpx.Client(base_url=f"http://{addresses.control}", timeout=_PATIENCE_S, trust_env=False)

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def load(self, namespace: str, name: str, rps: float | None) -> None:
        """Set the load of a workload or group in requests per second; None gives its own back."""
        self._put(f"/load/{namespace}/{name}", rps)

    def fault(self, namespace: str, name: str, fault: str | dict[str, Any] | None) -> None:
        """Let a metric fault begin (see `simulators.emulator.faults`); None ends all of the workload's."""
        self._put(f"/fault/{namespace}/{name}", fault)

    def ready(self) -> bool:
        """Return whether the pods of every workload and every route are known."""
        return self._http.get("/readyz").status_code == 200

    def state(self) -> dict[str, Any]:
        """Return `workloads` and `groups` as they are, whatever is wrong with their metrics."""
        return dict(self._http.get("/state").raise_for_status().json())

    def samples(self, name: str, **labels: str) -> list[float]:
        """Return the values that the page shows of a metric with these labels among its own."""
        text = self._http.get(f"http://{self.addresses.metrics}/metrics").raise_for_status().text
        return [
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]

    def _put(self, path: str, value: Any) -> None:
        answer = self._http.delete(path) if value is None else self._http.put(path, json=value)
        if answer.is_error:
            raise httpx.HTTPStatusError(f"{path}: {answer.text}", request=answer.request, response=answer)
