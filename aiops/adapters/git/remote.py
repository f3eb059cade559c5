"""The other side: what its branches are, what is fetched from it, and one push that names what it replaces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from aiops.adapters.git.link import Connections, Link, folder
from aiops.adapters.git.options import RepositoryOptions
from aiops.core.model import Reason

if TYPE_CHECKING:
    from dulwich.objects import ShaFile
    from dulwich.repo import Repo

MOVED = ("fetch first", "non-fast-forward", "stale info", "cannot lock ref", "failed to lock", "failed to update ref")
"""What servers say of a branch that has moved on since it was looked at; everything else is a no."""

PATIENCE = 6.0
"""How many time-outs a git of a folder may take before it is ended."""

MOST_TOLD = 300


class Unreachable(Exception):
    """A remote that did not answer, or not as promised. reason: no_permission, or repository_unavailable.

    sent: whether what was to be pushed had left, so that it may have arrived.
    """

    def __init__(self, reason: Reason, message: str, sent: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.sent = sent


class Pushed(StrEnum):
    """What became of a push: it is there, the branch had moved on, or the other side said no."""

    DONE = "done"
    MOVED = "moved"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """Make `ref` point at `new` if it points at `old` (None: if it is not there); objects: all that is new."""

    ref: bytes
    old: bytes | None
    new: bytes
    objects: Sequence[ShaFile]


@dataclass(frozen=True, slots=True)
class Remote:
    """A repository over HTTP, or in a folder. Nothing of its credentials is in what it says (S10)."""

    options: RepositoryOptions

    def fetch(self, into: Repo, wanted: Callable[[bytes], bool], depth: int | None) -> dict[bytes, bytes]:
        """Fetch the branches that are wanted, and return the tips of them; raise Unreachable."""
        tips: dict[bytes, bytes] = {}
        store: Any = into.object_store

        def wants(refs: Any, depth: int | None = None) -> list[Any]:
            tips.update({bytes(name): bytes(sha) for name, sha in refs.items() if wanted(bytes(name))})
            return [sha for sha in tips.values() if sha not in store]

        try:
            with closing(self._client()) as link:
                link.client.fetch(link.path, into, determine_wants=wants, depth=depth, ref_prefix=[b"refs/heads/"])
        except _failures() as err:
            raise self._unreachable(err, sent=False) from None
        return tips

    def push(self, push: Push) -> tuple[Pushed, str]:
        """Push, and return what became of it with what the other side said; raise Unreachable."""
        from dulwich.pack import pack_objects_to_data

        told: list[bytes] = []
        state = {"sent": False}

        def changed(refs: Any) -> dict[Any, Any]:
            if refs.get(push.ref) != push.old:
                raise _Moved
            return {push.ref: push.new}

        def packed(have: Any, want: Any, *, ofs_delta: bool = False, progress: Any = None) -> Any:
            state["sent"] = True
            return pack_objects_to_data(list(push.objects))

        try:
            with closing(self._client(writes=True)) as link:
                result = link.client.send_pack(link.path, changed, packed, progress=told.append)
        except _Moved:
            return Pushed.MOVED, "it has moved on"
        except _failures() as err:
            raise self._unreachable(err, state["sent"]) from None
        error = (result.ref_status or {}).get(push.ref)
        said = self._said(" ".join([*([error] if error else []), *_lines(told)]))
        if error is None:
            return Pushed.DONE, said
        return (Pushed.MOVED if any(one in error for one in MOVED) else Pushed.REFUSED), said

    def _client(self, writes: bool = False) -> Link:
        split = urlsplit(self.options.url)
        if split.scheme == "file":
            return folder(unquote(split.path), writes, PATIENCE * self.options.timeout_s)
        return self._over_http(split.path)

    def _over_http(self, path: str) -> Link:
        from dulwich.client import HttpGitClient
        from urllib3 import Retry, Timeout

        options = self.options
        secret = options.secret()
        headers = {"User-Agent": "git/aiops"}
        if options.bearer_token_file is not None:
            headers["Authorization"] = f"Bearer {secret}"
        tls: dict[str, Any] = {}
        if options.ca_file is not None:
            tls["ca_certs"] = str(options.ca_file)
        if options.cert_file is not None:
            tls |= {"cert_file": str(options.cert_file), "key_file": str(options.key_file or options.cert_file)}
        connections = Connections(options.longest_s)
        pool = connections.pool(
            num_pools=1,
            headers=headers,
            timeout=Timeout(connect=options.timeout_s, read=options.timeout_s),
            retries=Retry(total=0, redirect=0, raise_on_redirect=False),
            **tls,
        )
        basic = options.password_file is not None
        split = urlsplit(options.url)
        client = HttpGitClient(
            f"{split.scheme}://{split.netloc}",
            pool_manager=pool,
            username=(options.username or "aiops") if basic else None,
            password=secret if basic else None,
            quiet=True,
        )

        def end() -> None:
            connections.close()
            pool.clear()

        return Link(client, path, end)

    def _unreachable(self, err: Exception, sent: bool) -> Unreachable:
        from dulwich.client import HTTPUnauthorized
        from dulwich.errors import NotGitRepository

        text = self._said(str(err) or type(err).__name__)
        refused = isinstance(err, HTTPUnauthorized) or "http resp 403" in text
        if refused:
            return Unreachable(Reason.NO_PERMISSION, f"{self.address} let us not in: {text}", sent=False)
        if isinstance(err, NotGitRepository):
            return Unreachable(Reason.REPOSITORY_UNAVAILABLE, f"{self.address} is no Git repository", sent=False)
        gone = sent and not any(f"http resp 4{one}" in text for one in range(10))
        return Unreachable(Reason.REPOSITORY_UNAVAILABLE, f"{self.address} did not answer well: {text}", sent=gone)

    @property
    def address(self) -> str:
        """Return where it is, without who we are there."""
        split = urlsplit(self.options.url)
        return split._replace(netloc=split.netloc.rpartition("@")[2], query="", fragment="").geturl()

    def _said(self, text: str) -> str:
        """Return what the other side said, short, in one line, and without our secret."""
        try:
            secret = self.options.secret()
        except OSError:
            secret = ""
        if secret:
            text = text.replace(secret, "...")
        told = " ".join("".join(one if one.isprintable() else " " for one in text).split())
        return told if len(told) <= MOST_TOLD else f"{told[:MOST_TOLD]}..."


def _failures() -> tuple[type[Exception], ...]:
    """Return how the other side, or the way there, fails; anything else is a fault of our own."""
    from dulwich.client import HTTPProxyUnauthorized, HTTPUnauthorized
    from dulwich.errors import GitProtocolError, NotGitRepository
    from urllib3.exceptions import HTTPError

    return (GitProtocolError, NotGitRepository, HTTPUnauthorized, HTTPProxyUnauthorized, HTTPError, OSError)


class _Moved(Exception):
    """The branch is not where it was."""


def _lines(told: Sequence[bytes]) -> list[str]:
    """Return what hooks printed; lines that end in a carriage return are progress."""
    text = b"".join(told).decode("utf-8", "replace")
    return [one.strip() for one in text.split("\n") if one.strip() and "\r" not in one]
