"""How the page and the API bear a bounded load over loopback: what the locks cost, and who else is still served.

Run it with `python -m benchmarks.bench_web`. It stops by itself. Times are of this machine; the ratios are what counts.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import httpx

from aiops.adapters.store import Store
from aiops.app.output import table
from aiops.app.service import Service
from aiops.app.tokens import Tokens
from aiops.web.locks.doors import Doors
from aiops.web.locks.patience import Patience
from aiops.web.locks.rates import Limits, Rates
from aiops.web.locks.sessions import Sessions
from aiops.web.server import Serving, WebServer

MANY = 10_000_000
SECONDS = 4.0
CLIENTS = 4


@contextmanager
def running(service: Service, doors: Doors, serving: Serving) -> Iterator[str]:
    """Yield the address of a server."""
    server = WebServer(service, ("127.0.0.1", 0), doors, serving)
    server.start()
    yield f"http://127.0.0.1:{server.port}"
    server.stop(5)


def load(url: str, ask: Callable[[httpx.Client], httpx.Response], clients: int, seconds: float) -> list[float]:
    """Return the times of all answers that so many clients got one after the other within a time."""
    times: list[float] = []
    ends_at = time.perf_counter() + seconds

    def run() -> None:
        with httpx.Client(base_url=url, timeout=30) as client:
            while time.perf_counter() < ends_at:
                begun = time.perf_counter()
                answer = ask(client)
                if answer.status_code >= 500:
                    raise AssertionError(answer.text)
                times.append(time.perf_counter() - begun)

    threads = [threading.Thread(target=run) for _ in range(clients)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return times


def row(name: str, times: list[float], base: float, seconds: float) -> tuple[str, str, str, str, str]:
    """Return one line of the table; base: the median with which it is compared."""
    middle = statistics.median(times)
    tail = sorted(times)[int(len(times) * 0.95)]
    each = (f"{len(times) / seconds:.0f}", f"{middle * 1e3:.2f}", f"{tail * 1e3:.2f}", f"{middle / base:.2f}")
    return (name, *each)


def slow(url: str, count: int, stack: ExitStack) -> None:
    """Hold connections that never end their head."""
    import socket

    port = int(url.rpartition(":")[2])
    for _ in range(count):
        one = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        one.sendall(b"GET / HTTP/1.1\r\n")


def main() -> None:
    """Measure, and print the table."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--seconds", type=float, default=SECONDS)
    asked.add_argument("--clients", type=int, default=CLIENTS)
    given = asked.parse_args()
    rates = Rates(Limits(address=MANY, read=MANY, write=MANY, failed=MANY))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(f"sqlite:///{Path(folder) / 'aiops.db'}")
        service, tokens = Service(store), Tokens(store.access, time.time)
        token = tokens.create({"name": "bench", "role": "operator", "by": "bench"})["token"]
        open_doors = Doors(rates=rates)
        locked = Doors(verifiers=(tokens,), sessions=Sessions(keeper=store.access), rates=rates)
        serving = Serving(patience=Patience(head_s=5.0, per_address=400))

        def measure(name: str, url: str, ask: Callable[[httpx.Client], httpx.Response]) -> list[float]:
            times = load(url, ask, given.clients, given.seconds)
            rows.append(row(name, times, statistics.median(times) if not rows else base, given.seconds))
            return times

        base = 1.0
        shown = {"Authorization": f"Bearer {token}"}
        with running(service, open_doors, serving) as url:
            base = statistics.median(measure("read, nobody asked who", url, lambda one: one.get("/api/v1/pauses")))
            tag = httpx.get(f"{url}/api/v1/pauses").headers["etag"]
            measure(
                "read, not changed (304)", url, lambda one: one.get("/api/v1/pauses", headers={"If-None-Match": tag})
            )
        with running(service, locked, serving) as url:
            measure("read, token of the store", url, lambda one: one.get("/api/v1/pauses", headers=shown))
            signed = httpx.post(f"{url}/login", data={"token": token}).cookies
            cookie = {"Cookie": f"aiops_session={signed['aiops_session']}"}
            measure("read, browser session", url, lambda one: one.get("/api/v1/pauses", headers=cookie))
            measure("refused, no credential", url, lambda one: one.get("/api/v1/pauses"))
            wrong = {"Authorization": "Bearer aiops_" + "x" * 43}
            measure("refused, wrong token", url, lambda one: one.get("/api/v1/pauses", headers=wrong))
            with ExitStack() as stack:
                slow(url, 200, stack)
                measure("read, 200 slow heads beside it", url, lambda one: one.get("/api/v1/pauses", headers=shown))
        strict = replace(locked, rates=Rates(Limits(address=MANY, read=60, failed=20)))
        with running(service, strict, serving) as url:
            measure("read, over the rate (429)", url, lambda one: one.get("/api/v1/pauses", headers=shown))
        store.close()
    print(table(("WHAT", "PER_S", "P50_MS", "P95_MS", "RATIO"), rows))


if __name__ == "__main__":
    main()
