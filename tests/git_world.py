"""A bare repository with people who push to it, for tests of what stands in Git. Needs the program git."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from aiops.adapters.git import Format, GitRepositories, Placement, Repository, RepositoryOptions
from aiops.core.act import inscribe
from aiops.core.model import Action, Declared, Mode, Scale, Step, StepResult, TargetRef

VALUES = "apps/checkout/values.yaml"
TEXT = """\
# what checkout runs with
replicaCount: 8   # aiops: 2..12
service: {port: 80}
resources: {}
nodeSelector: {}
image: {tag: v1}  # by the build
"""
TARGET = TargetRef(namespace="shop", name="checkout")
POLICY = "ScalingPolicy/shop/checkout"
T0 = 1_780_000_000.0


@dataclass(slots=True)
class Origin:
    """A bare repository, and a clone in which people work. now: the time of what they do."""

    folder: Path
    now: float = T0 - 86_400.0
    bare: Path = field(init=False)
    clone: Path = field(init=False)
    ends: list[Callable[[], None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.bare, self.clone = self.folder / "deploy.git", self.folder / "clone"
        self.git("init", "-q", "--bare", "-b", "main", str(self.bare), where=self.folder)
        self.git("clone", "-q", str(self.bare), str(self.clone), where=self.folder)
        self.git("checkout", "-q", "-b", "main")

    @property
    def url(self) -> str:
        """Return where it is."""
        return f"file://{self.bare}"

    def close(self) -> None:
        """Let go of everything that was opened of it."""
        for end in self.ends:
            end()

    def git(self, *words: str, where: Path | None = None, who: str = "Alice") -> str:
        """Run git as somebody, and return what it prints."""
        made = subprocess.run(
            ["git", *words],
            cwd=where or self.clone,
            capture_output=True,
            text=True,
            check=False,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.folder),
                "GIT_CONFIG_NOSYSTEM": "1",
                **{f"GIT_{part}_NAME": who for part in ("AUTHOR", "COMMITTER")},
                **{f"GIT_{part}_EMAIL": f"{who.lower()}@example.com" for part in ("AUTHOR", "COMMITTER")},
                **{f"GIT_{part}_DATE": f"{self.now:.0f} +0000" for part in ("AUTHOR", "COMMITTER")},
            },
        )
        assert made.returncode == 0, (words, made.stderr)
        return made.stdout.strip()

    def write(self, text: str, file: str = VALUES, message: str = "edit", branch: str = "main") -> str:
        """Commit a file on top of a branch and push it; return the commit."""
        self.come_to(branch)
        path = self.clone / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        self.git("push", "-q", "origin", branch)
        return self.git("rev-parse", "HEAD")

    def edit(self, before: str, after: str, file: str = VALUES, branch: str = "main") -> str:
        """Replace a text in a file of a branch, commit and push; return the commit."""
        self.come_to(branch)
        text = (self.clone / file).read_text()
        assert before in text
        return self.write(text.replace(before, after), file, branch=branch)

    def come_to(self, branch: str) -> None:
        """Take the newest of a branch."""
        if not self.git("ls-remote", "origin", branch):
            return
        self.git("fetch", "-q", "origin")
        self.git("checkout", "-q", "-B", branch, f"origin/{branch}")

    def shown(self, branch: str = "main", file: str = VALUES) -> str:
        """Return a file as the branch has it."""
        return self.git("show", f"{branch}:{file}", where=self.bare)

    def message(self, branch: str = "main") -> str:
        """Return the newest commit's message."""
        return self.git("log", "-1", "--format=%B", branch, where=self.bare)

    def commits(self, branch: str = "main") -> int:
        """Return how many there are."""
        return int(self.git("rev-list", "--count", branch, where=self.bare))

    def protect(self, said: str = "main is protected") -> None:
        """Let a hook take no push any more."""
        hook = self.bare / "hooks" / "pre-receive"
        hook.write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 1\n")
        hook.chmod(0o755)

    def open(self) -> None:
        """Let it take pushes again."""
        (self.bare / "hooks" / "pre-receive").unlink()


@dataclass(slots=True)
class Desk:
    """A repository of the settings with one target in it, and a clock that a test moves."""

    origin: Origin
    more: dict[str, object] = field(default_factory=dict)
    now: float = T0
    placement: Placement = field(
        default_factory=lambda: Placement(
            match="shop/*",
            repository="deploy",
            file="apps/{name}/values.yaml",
            format=Format.HELM,
            field="replicas",
            path="replicaCount",
        )
    )
    repository: Repository = field(init=False)
    repositories: GitRepositories = field(init=False)
    count: int = 0

    def __post_init__(self) -> None:
        given = {"url": self.origin.url, **self.more}
        options = RepositoryOptions(name="deploy", branch="main", folder=self.origin.folder / "mirror", **given)  # type: ignore[arg-type]
        self.repository = Repository(options, lambda: self.now, lambda: self.now)
        self.origin.ends.append(lambda: self.repository.stop(5.0))
        self.repositories = GitRepositories({"deploy": self.repository}, [self.placement])

    def seen(self, after_s: float = 30.0) -> Declared:
        """Return what is known after another fetch."""
        self.now += after_s
        self.repositories.declared([TARGET], self.now)
        self.repository.look()
        return self.known()

    def known(self) -> Declared:
        """Return what is known without another fetch."""
        (found,) = self.repositories.declared([TARGET], self.now)[TARGET.key]
        return found

    def step(self, after: int, before: int | None = None, **origin: str) -> Step:
        """Return the commit that a decision of now asks for."""
        declared = self.known()
        known = {"policy": POLICY, "epoch": "1", "reason": "demand p95 5.1k req/s needs it", **origin}
        if before is None:
            (made,) = inscribe.steps(TARGET, declared, after, known)
            return made
        return inscribe._step(TARGET, declared, (before, after), known)

    def send(self, after: int, before: int | None = None, name: str = "", epoch: int = 1) -> StepResult:
        """Decide and push."""
        self.count += 1
        name = name or f"A{self.count}"
        step = self.step(after, before, action=name, decision=f"D{self.count}", epoch=str(epoch))
        return self.repositories.send(action(step, name, self.now, epoch), step, self.now)


def action(step: Step, name: str, at: float, epoch: int = 1) -> Action:
    """Return an action with one step."""
    return Action(
        id=name,
        tick_id="t",
        decision_id="d",
        policy=POLICY,
        target=TARGET,
        change=Scale(before=int(step.body["from"]), after=int(step.body["to"])),
        mode=Mode.ENFORCE,
        dry_run=False,
        issued_at=at,
        expires_at=at + 30.0,
        verify_by=at + 900.0,
        epoch=epoch,
        steps=(step,),
        undo=(),
    )


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[Origin]:
    made = Origin(tmp_path)
    made.write(TEXT, message="first")
    yield made
    made.close()


@pytest.fixture
def desk(origin: Origin) -> Desk:
    return Desk(origin)
