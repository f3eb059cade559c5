"""Objects of plans on a server that answers too few of them in a turn: the others come first in the next."""

from __future__ import annotations

import json
from types import SimpleNamespace

from aiops.adapters.kubernetes.objects import Objects
from aiops.core.model import TargetRef, Wanted
from aiops.errors import ClusterUnavailable

REFS = tuple(TargetRef(namespace="shop", name=f"d{number:02}") for number in range(30))


class Few:
    """A server that answers so many requests of a turn."""

    host = "few"

    def __init__(self, left: int) -> None:
        self.left = left

    def send(self, call):
        if self.left <= 0:
            raise ClusterUnavailable("too many requests")
        self.left -= 1
        name = call.path.rsplit("/", 1)[1]
        body = {"metadata": {"name": name, "uid": "u", "resourceVersion": "1"}}
        return SimpleNamespace(status=200, data=json.dumps(body).encode(), headers={})


def test_what_was_not_answered_is_asked_first_in_the_next_turn():
    server = Few(0)
    objects = Objects("c", server, lambda *_: "/apis/apps/v1/namespaces/shop/deployments")
    known = []
    for _ in range(3):
        server.left = 10
        known.append(set(objects.look(Wanted(objects=REFS), 0.0).objects))
    objects.stop()
    assert [len(some) for some in known] == [10, 10, 10]
    assert known[0] | known[1] | known[2] == {ref.key for ref in REFS}
