"""A small API server over HTTP in the shapes of Kubernetes: lists, watches, merge patches with preconditions."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

DISCOVERY = {
    "/apis/apps/v1": [("deployments", "Deployment"), ("deployments/scale", "Scale"), ("statefulsets", "StatefulSet")],
    "/apis/autoscaling/v2": [("horizontalpodautoscalers", "HorizontalPodAutoscaler")],
    "/apis/serving.knative.dev/v1": [("services", "Service"), ("revisions", "Revision")],
    "/apis/autoscaling.internal.knative.dev/v1alpha1": [("podautoscalers", "PodAutoscaler")],
    "/apis/example.com/v1": [("widgets", "Widget"), ("widgets/scale", "Scale")],
}


class KubernetesServer:
    """Objects by path of their collection. `refuse_writes`: a status for every PATCH. `requests`: what was asked.

    `refused_reads`: a status for every GET of a path. `pages`: what a GET of a path answers in place of a list.
    `posted`: what a POST to a path answers, from its body.
    """

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, dict[str, Any]]] = {}
        self.requests: list[dict[str, Any]] = []
        self.refuse_writes = 0
        self.refused_reads: dict[str, int] = {}
        self.pages: dict[str, dict[str, Any]] = {}
        self.posted: Callable[[str, dict[str, Any]], dict[str, Any]] = lambda _, body: body
        self.retry_after = "1"
        self.gone = False
        self.version = 100
        self._changed = threading.Condition()
        self._events: list[tuple[int, str, dict[str, Any]]] = []
        self._stopping = False
        self._cuts = 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                url = urlsplit(self.path)
                query = {key: value[0] for key, value in parse_qs(url.query).items()}
                if url.path in server.refused_reads:
                    code = server.refused_reads[url.path]
                    self.answer(code, {"kind": "Status", "code": code, "message": f"{url.path} is refused"})
                elif query.get("watch") == "true":
                    server.watch(self, url.path, int(query["resourceVersion"]))
                else:
                    self.answer(*server.get(url.path, query))

            def do_PATCH(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                note = {"method": "PATCH", "path": self.path, "body": body, "agent": self.headers["User-Agent"]}
                server.requests.append(note)
                self.answer(*server.patch(urlsplit(self.path).path, body))

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.requests.append({"method": "POST", "path": self.path, "body": body})
                self.answer(201, server.posted(self.path, body))

            def answer(self, status: int, body: dict[str, Any]) -> None:
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                if status == 429:
                    self.send_header("Retry-After", server.retry_after)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: object) -> None:
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def stop(self) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()

    # -- what a test does ------------------------------------------------------------------------------

    def put(self, collection: str, item: dict[str, Any], kind: str = "MODIFIED") -> None:
        with self._changed:
            self.version += 1
            item["metadata"]["resourceVersion"] = str(self.version)
            self.objects.setdefault(collection, {})[item["metadata"]["name"]] = item
            self._events.append((self.version, collection, {"type": kind, "object": json.loads(json.dumps(item))}))
            self._changed.notify_all()

    def expire(self) -> None:
        """Let every watch end with 410: its resourceVersion is gone."""
        with self._changed:
            self.gone = True
            self._changed.notify_all()

    # -- what is answered ------------------------------------------------------------------------------

    def get(self, path: str, query: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if path in self.pages:
            return 200, self.pages[path]
        if path in DISCOVERY:
            return 200, {"resources": [{"name": name, "kind": kind} for name, kind in DISCOVERY[path]]}
        if path.endswith("/scale"):
            collection, _, name = path.removesuffix("/scale").rpartition("/")
            item = self.objects[collection][name]
            scale = {"spec": {"replicas": item["spec"]["size"]}, "status": {"selector": "app=checkout"}}
            return 200, {"metadata": item["metadata"], **scale}
        items = list(self.objects.get(path, {}).values())
        chosen = query.get("fieldSelector", "").removeprefix("metadata.name=")
        items = [item for item in items if not chosen or item["metadata"]["name"] == chosen]
        return 200, {"items": items, "metadata": {"resourceVersion": str(self.version)}}

    def patch(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if self.refuse_writes:
            return self.refuse_writes, {"kind": "Status", "code": self.refuse_writes, "message": "the test refuses"}
        if path.endswith("/status"):
            return self.patch_status(path.removesuffix("/status"), body)
        collection, _, name = path.removesuffix("/scale").rpartition("/")
        item = self.objects[collection][name]
        expected = (item["metadata"]["uid"], item["metadata"]["resourceVersion"])
        if (body["metadata"]["uid"], body["metadata"]["resourceVersion"]) != expected:
            return 409, {"kind": "Status", "code": 409, "message": "the object has been modified"}
        field = "size" if "size" in item["spec"] and path.endswith("/scale") else None
        for key, value in (body.get("spec") or {}).items():
            item["spec"][field or key] = value
        notes = {**item["metadata"].get("annotations", {}), **(body["metadata"].get("annotations") or {})}
        item["metadata"]["annotations"] = {name: text for name, text in notes.items() if text is not None}
        self.put(collection, item)
        return 200, item

    def patch_status(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Apply a status: it moves the resourceVersion, and no generation."""
        namespaced, _, name = path.rpartition("/")
        everywhere = f"{namespaced.partition('/namespaces/')[0]}/{namespaced.rpartition('/')[2]}"
        item = self.objects.get(everywhere, {}).get(name)
        if item is None:
            return 404, {"kind": "Status", "code": 404, "message": f"{name} not found"}
        if item["metadata"]["uid"] != body["metadata"]["uid"]:
            return 409, {"kind": "Status", "code": 409, "message": "the UID in the precondition does not match"}
        item["status"] = body["status"]
        self.put(everywhere, item)
        return 200, item

    def delete(self, collection: str, name: str) -> None:
        """Let an object be deleted."""
        item = self.objects[collection].pop(name)
        with self._changed:
            self.version += 1
            item["metadata"]["resourceVersion"] = str(self.version)
            self._events.append((self.version, collection, {"type": "DELETED", "object": item}))
            self._changed.notify_all()

    def cut(self) -> None:
        """End every watch."""
        with self._changed:
            self._cuts += 1
            self._changed.notify_all()

    def watch(self, handler: BaseHTTPRequestHandler, path: str, since: int) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()

        def write(event: dict[str, Any]) -> None:
            line = json.dumps(event).encode() + b"\n"
            handler.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
            handler.wfile.flush()

        with self._changed:
            cuts = self._cuts
            while not self._stopping and cuts == self._cuts and path not in self.refused_reads:
                if self.gone:
                    self.gone = False
                    status = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}}
                    write(status)
                    break
                for version, collection, event in self._events:
                    if version > since and collection == path:
                        write(event)
                        since = version
                self._changed.wait(0.2)
        handler.wfile.write(b"0\r\n\r\n")


def deployment(replicas: int = 4, **metadata: Any) -> dict[str, Any]:
    labels = {"app": "checkout"}
    return {
        "metadata": {"name": "checkout", "namespace": "shop", "uid": "u1", "generation": 1, **metadata},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}},
        "status": {"observedGeneration": 1, "replicas": replicas, "updatedReplicas": replicas},
    }


def pod(number: int, ready: bool = True, startup_s: int = 40) -> dict[str, Any]:
    """Return a pod of the Deployment that was scheduled after a second and ran for ten of them before it was ready."""
    stamp, running = (f"2026-03-02T12:00:{at_s:02d}Z" for at_s in (startup_s, startup_s - 10))
    conditions = [
        {"type": "Ready", "status": str(ready), "lastTransitionTime": stamp},
        {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-03-02T12:00:01Z"},
    ]
    container = {"name": "main", "restartCount": 0, "state": {"running": {"startedAt": running}}}
    owner = {"kind": "ReplicaSet", "name": "checkout-abc", "controller": True}
    return {
        "metadata": {
            "name": f"checkout-abc-{number}",
            "namespace": "shop",
            "labels": {"app": "checkout"},
            "ownerReferences": [owner],
            "creationTimestamp": "2026-03-02T12:00:00Z",
        },
        "status": {"conditions": conditions, "containerStatuses": [container]},
    }
