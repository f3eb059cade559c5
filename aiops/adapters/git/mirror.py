"""What was fetched of a repository: files at a commit, who wrote a value, and commits that are made to be pushed."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiops.adapters.git.formats import located
from aiops.adapters.git.places import Place
from aiops.adapters.git.sizes import Quantity, sizes
from aiops.adapters.git.yaml_text import Number, Unusable

if TYPE_CHECKING:
    from dulwich.objects import ShaFile
    from dulwich.repo import Repo

REGULAR = (0o100644, 0o100755, 0o100664)
DIRECTORY = 0o040000
READ_S = 10.0
"""How long one look back through the history may take; the next one goes on where it ended."""

MOST_COMMITS = 20_000
MOST_OFFERED = 200
MOST_RECENT = 1000
DAY_S = 86_400.0
MOST_PACKS = 100
_HEADS: Any = b"refs/heads"
MOST_READINGS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The commit that wrote a value, and what stood there before; None where nothing usable did."""

    commit: str
    message: str
    author: str
    at: float
    value: int | None
    before: int | None
    parent: str = ""

    def __str__(self) -> str:
        """Return who wrote it, and in which commit."""
        return f"{self.author} ({self.commit[:9]})"


@dataclass(slots=True)
class Mirror:
    """A bare repository of our own in a folder, which holds what was fetched. One thread uses it at a time."""

    folder: Path
    clock: Callable[[], float] = time.monotonic
    _repo: Repo | None = field(default=None, init=False)
    _readings: dict[tuple[bytes, Place], Number | Unusable] = field(default_factory=dict, init=False)
    _sizes: dict[tuple[bytes, Place], Mapping[str, Quantity] | Unusable] = field(default_factory=dict, init=False)
    _writers: dict[tuple[bytes, Place], Written] = field(default_factory=dict, init=False)

    @property
    def repo(self) -> Repo:
        """Return the repository; made when it is not there, made anew when it is broken. Raises OSError."""
        from dulwich.errors import NotGitRepository
        from dulwich.repo import Repo

        if self._repo is None:
            try:
                self._repo = Repo(str(self.folder))
            except NotGitRepository:
                self.folder.mkdir(parents=True, exist_ok=True)
                self._repo = Repo.init_bare(str(self.folder))
        return self._repo

    @property
    def empty(self) -> bool:
        """Return whether nothing was fetched yet."""
        return not self.repo.refs.as_dict(_HEADS)

    def settle(self, tips: Mapping[bytes, bytes]) -> None:
        """Keep the tips of the branches that there are, so that the next fetch asks only for what is new."""
        refs: Any = self.repo.refs
        for name, sha in tips.items():
            refs[name] = sha
        for name in refs.as_dict(_HEADS):
            if _HEADS + b"/" + name not in tips:
                refs.remove_if_equals(_HEADS + b"/" + name, None)

    def renew(self) -> None:
        """Begin anew with an empty folder: what is broken, and what many fetches left, goes with it."""
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def worn(self) -> bool:
        """Return whether so many fetches have left their packs that it is better to begin anew."""
        return len(self._store.packs) > MOST_PACKS

    def close(self) -> None:
        """Let go of its files."""
        if self._repo is not None:
            self._repo.close()
            self._repo = None

    # -- reading -----------------------------------------------------------------------------------------

    def number(self, commit: bytes, place: Place) -> Number:
        """Return the value of a place at a commit; raise Unusable."""
        blob = self._blob(commit, place.file)
        key = (blob, place)
        found = self._readings.get(key)
        if found is None:
            try:
                found = located(self._object(blob).data, place)
            except Unusable as err:
                found = err
            if len(self._readings) >= MOST_READINGS:
                self._readings.clear()
            self._readings[key] = found
        if isinstance(found, Unusable):
            raise found
        return found

    def sizes(self, commit: bytes, place: Place) -> Mapping[str, Quantity]:
        """Return what a file says of a container's requests and limits at a commit; raise Unusable."""
        blob = self._blob(commit, place.file)
        found = self._sizes.get((blob, place))
        if found is None:
            try:
                found = sizes(bytes(self._object(blob).data), place)
            except Unusable as err:
                found = err
            if len(self._sizes) >= MOST_READINGS:
                self._sizes.clear()
            self._sizes[blob, place] = found
        if isinstance(found, Unusable):
            raise found
        return found

    def content(self, commit: bytes, place: Place) -> bytes:
        """Return a file as it is at a commit; raise Unusable when it is no regular file."""
        return bytes(self._object(self._blob(commit, place.file)).data)

    def writer(self, tip: bytes, place: Place) -> Written | None:
        """Return the commit since which a value is what it is at `tip`; None where it was not found in time.

        At a merge the side that says the same is followed, so that whoever wrote a value is found, and not who merged.
        """
        until = self.clock() + READ_S
        passed: list[bytes] = []
        value, here = self._value(tip, place), tip
        for _ in range(MOST_COMMITS):
            known = self._writers.get((here, place))
            if known is not None and known.value == value:
                return self._noted(passed, place, known)
            passed.append(here)
            parents = [one for one in self._object(here).parents if one in self._store]
            if len(parents) < len(self._object(here).parents):
                return None  # what came before was not fetched
            same = next((one for one in parents if self._value(one, place) == value), None)
            if same is None:
                return self._noted(passed, place, self._written(here, parents, place, value))
            if self.clock() > until:
                return None
            here = same
        return None

    def contains(self, tip: bytes, commit: str, since: float) -> bool:
        """Return whether a commit is in the history of `tip`, looking no further back than `since`."""
        return any(one == commit.encode() for one in self._before(tip, since))

    def between(self, tip: bytes, base: bytes) -> list[Any] | None:
        """Return the commits of `tip` that are not in `base`, newest first; None where their histories do not meet."""
        found: list[Any] = []
        here = tip
        for _ in range(MOST_OFFERED):
            commit = self._object(here)
            if self._reaches(base, here, commit.commit_time or 0):
                return found
            found.append(commit)
            if len(commit.parents) != 1 or commit.parents[0] not in self._store:
                return None
            here = commit.parents[0]
        return None

    def recent(self, tip: bytes) -> Iterator[tuple[bytes, str]]:
        """Yield the newest commits of a history with their messages, as many as are looked at in any case."""
        for sha in islice(self._before(tip, math.inf), MOST_RECENT):
            yield sha, (self._object(sha).message or b"").decode("utf-8", "replace")

    def begins_with(self, commits: Sequence[Any], base: bytes, place: Place) -> bool:
        """Return whether commits, newest first, began with the sizes of `base`: what was merged of them is over."""
        if not commits or not commits[-1].parents:
            return False
        try:
            pair = [self.sizes(one, place) for one in (commits[-1].parents[0], base)]
        except Unusable:
            return False
        began, now = ({name: one.text for name, one in said.items()} for said in pair)
        return began == now

    # -- writing -----------------------------------------------------------------------------------------

    def commit(self, parent: bytes, place: Place, content: bytes, said: Said) -> tuple[bytes, list[ShaFile]]:
        """Return a commit on top of another that changes one file, and everything that is new in it."""
        from dulwich.objects import Blob, Commit, Tree

        blob = Blob.from_string(content)
        new: list[ShaFile] = [blob]
        names = place.file.encode().split(b"/")
        trees = self._trees(self._object(parent).tree, names)
        sha, mode = blob.id, trees[-1][names[-1]][0]
        for tree, name in zip(reversed(trees), reversed(names), strict=True):
            changed = Tree.from_string(tree.as_raw_string())
            changed[name] = (mode, sha)
            new.append(changed)
            sha, mode = changed.id, DIRECTORY
        made = Commit()
        made.tree, made.parents = sha, [parent]  # type: ignore[list-item]
        made.author = made.committer = said.who
        made.author_time = made.commit_time = int(said.at)
        made.author_timezone = made.commit_timezone = 0
        made.encoding, made.message = b"UTF-8", said.message
        new.append(made)
        return bytes(made.id), new

    def keep(self, objects: Sequence[ShaFile]) -> None:
        """Keep what was pushed."""
        for one in objects:
            self.repo.object_store.add_object(one)

    # -- beneath -----------------------------------------------------------------------------------------

    @property
    def _store(self) -> Any:
        return self.repo.object_store

    def _object(self, sha: bytes) -> Any:
        return self._store[sha]

    def _blob(self, commit: bytes, file: str) -> bytes:
        names = file.encode().split(b"/")
        mode, sha = self._trees(self._object(commit).tree, names)[-1][names[-1]]
        if mode not in REGULAR:
            raise Unusable(f"{file} is no regular file")
        return bytes(sha)

    def _trees(self, root: bytes, names: Sequence[bytes]) -> list[Any]:
        """Return the trees on the way to a file, the outermost first; raise Unusable when it is not there."""
        found = [self._object(root)]
        for name in names[:-1]:
            if name not in found[-1] or found[-1][name][0] != DIRECTORY:
                raise Unusable(f"there is no file {b'/'.join(names).decode()}")
            found.append(self._object(found[-1][name][1]))
        if names[-1] not in found[-1]:
            raise Unusable(f"there is no file {b'/'.join(names).decode()}")
        return found

    def _value(self, commit: bytes, place: Place) -> int | None:
        try:
            return self.number(commit, place).value
        except Unusable:
            return None

    def _written(self, here: bytes, parents: Sequence[bytes], place: Place, value: int | None) -> Written:
        commit = self._object(here)
        return Written(
            commit=here.decode(),
            message=(commit.message or b"").decode("utf-8", "replace"),
            author=_name(commit.author),
            at=float(commit.commit_time or 0),
            value=value,
            before=self._value(parents[0], place) if parents else None,
            parent=parents[0].decode() if parents else "",
        )

    def _noted(self, passed: Sequence[bytes], place: Place, found: Written) -> Written:
        if len(self._writers) >= MOST_READINGS:
            self._writers.clear()
        for one in passed[:1]:
            self._writers[one, place] = found
        return found

    def _reaches(self, tip: bytes, commit: bytes, since: float) -> bool:
        return any(one == commit for one in self._before(tip, since))

    def _before(self, tip: bytes, since: float) -> Iterator[bytes]:
        """Yield the commits of a history: the newest in any case, since clocks differ, and then none before `since`."""
        seen, waiting = {tip}, [tip]
        while waiting and len(seen) < MOST_COMMITS:
            here = waiting.pop()
            if here not in self._store:
                continue
            yield here
            commit = self._object(here)
            if len(seen) > MOST_RECENT and (commit.commit_time or 0) < since - DAY_S:
                continue
            new = [one for one in commit.parents if one not in seen]
            seen.update(new)
            waiting.extend(new)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """Who commits, when, and with which message."""

    who: bytes
    at: float
    message: bytes


def _name(author: bytes | None) -> str:
    """Return the name of an author, short and printable; a commit may have none, whatever git itself would write."""
    text = (author or b"").decode("utf-8", "replace").partition("<")[0].strip() or "somebody"
    return "".join(one if one.isprintable() else " " for one in text)[:60]
