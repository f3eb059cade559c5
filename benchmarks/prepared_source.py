"""A server on loopback that says what Prometheus says, prepared beforehand: what an answer costs is who reads it.

`python -m benchmarks.prepared_source SERIES` prints its port, and ends when its standard input does. `/cN/` before the
path makes it as many sources as are wanted. Every second answer has other values; labels stay.
"""

from __future__ import annotations

import os
import random
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from urllib.parse import parse_qs, urlsplit

HEAD = '{"status":"success","data":{"resultType":"vector","result":['
TURNS = 4


def body(series: int, turn: int) -> bytes:
    """Return an answer of so many series with six labels each, as a rate by pod has."""
    chance = random.Random(turn)  # prepared numbers, nothing secret
    parts = [
        f'{{"metric":{{"__name__":"load","cluster":"eu-1","container":"app","namespace":"ns-{number % 200:03d}",'
        f'"node":"node-{number % 500:03d}","pod":"web-{number:07d}-abcde"}},'
        f'"value":[1772450000.123,"{100.0 + 3.0 * chance.gauss(0.0, 1.0)!r}"]}}'
        for number in range(series)
    ]
    return (HEAD + ",".join(parts) + "]}}").encode()


_BRANCH = re.compile(r'"aiops_batch", "(\d+)"')
_BETWEEN = re.compile(r', "", ""\)+ or \(*label_replace\(')


def _batch(query: str, now: float) -> bytes:
    """Return what a batch answers: one number for each branch."""
    parts = []
    for branch in _BETWEEN.split(query):
        for place in _BRANCH.findall(branch):
            age = "aiops_companion" in branch
            labels = f'"aiops_batch":"{place}"' + (',"aiops_companion":"age0"' if age else "")
            parts.append(f'{{"metric":{{{labels}}},"value":[{now:.3f},"{f"{now:.3f}" if age else "480.5"}"]}}')
    return (HEAD + ",".join(parts) + "]}}").encode()


class Answers(BaseHTTPRequestHandler):
    """Answers `load` with the series, and everything else with one number."""

    protocol_version = "HTTP/1.1"
    bodies: tuple[bytes, ...] = ()
    numbers = count()

    def do_POST(self) -> None:
        """Answer a query."""
        form = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        asked = parse_qs(form or urlsplit(self.path).query)
        query = asked.get("query", ["load"])[0]
        if query == "load":
            return self._say(self.bodies[next(self.numbers) % len(self.bodies)])
        now = time.time()
        branches = _BRANCH.findall(query)
        if branches:
            return self._say(_batch(query, now))
        if query.startswith("label_replace"):
            metric = f'{{"metric":{{"aiops_companion":"age0"}},"value":[{now:.3f},"{now:.3f}"]}}'
            return self._say(f"{HEAD}{metric}]}}}}".encode())
        return self._say(f'{HEAD}{{"metric":{{}},"value":[{now:.3f},"480.5"]}}]}}}}'.encode())

    do_GET = do_POST  # noqa: N815  # the handler's own names

    def _say(self, answer: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args: object) -> None:
        """Log nothing."""


def main() -> None:
    Answers.bodies = tuple(body(int(sys.argv[1]), turn) for turn in range(TURNS))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
