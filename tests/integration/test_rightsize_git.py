"""Sizes that stand in Git, from the look at use to the commit and back, over a real repository that is followed."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from aiops.adapters.git import Format, GitRepositories, Placement, Repository, RepositoryOptions
from aiops.adapters.git.sizes import sizes
from aiops.core.model import Errand, Plan, PlanStatus, Reason, StepResult, StepStatus, Verb
from aiops.core.pipeline.lane import Lane
from tests.git_world import Origin
from tests.unit.rightsized import MIB, TARGET, World, a_policy

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="the program git is not here")
FILE = "apps/checkout/values.yaml"
TEXT = """\
# what checkout runs with
resources:
  requests: {cpu: "4", memory: 4Gi}   # by the team
  limits: {memory: 4Gi}
"""
HOUR_S = 3600.0
PLACEMENT = Placement(
    match="shop/*", repository="deploy", file="apps/{name}/values.yaml", format=Format.HELM, field="resources",
    path="resources", container="app",
)  # fmt: skip


@dataclass
class Followed(World):
    """A workload that Argo CD owns: its template is what the branch says, as it was when that was followed last."""

    origin: Origin = field(default_factory=lambda: Origin(Path("/nonexistent")))
    propose: bool = False
    follows: bool = True
    answers: list[StepResult] = field(default_factory=list)
    followed: str = ""
    known: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.origin.write(TEXT, FILE, message="first")
        self.api.objects[TARGET]["metadata"]["labels"] = {"argocd.argoproj.io/instance": "shop"}
        options = RepositoryOptions(
            name="deploy", url=self.origin.url, branch="main", folder=self.origin.folder / "mirror",
            propose=self.propose,
        )  # fmt: skip
        self.repository = Repository(options, lambda: self.now, lambda: self.now)
        self.origin.ends.append(lambda: self.repository.stop(5.0))
        self.repositories = GitRepositories({"deploy": self.repository}, [PLACEMENT])

    def said_in_git(self, branch: str = "main") -> dict[str, str]:
        found = sizes(self.origin.shown(branch, FILE).encode(), PLACEMENT.place(TARGET))
        return {name: one.text for name, one in found.items()}

    def tips(self) -> list[str]:
        heads = self.origin.bare / "refs/heads"
        return sorted(one.read_text() for one in heads.rglob("*") if one.is_file())

    def sync(self) -> None:
        """Bring what the branch says to the cluster, as Argo CD does."""
        tip = (self.origin.bare / "refs/heads/main").read_text()
        if tip == self.followed:
            return
        self.followed = tip
        said, made = self.said_in_git(), {"requests": {}, "limits": {}}
        for name, text in said.items():
            part, _, resource = name.partition(".")
            made[part][resource] = text
        containers = self.api.objects[TARGET]["spec"]["template"]["spec"]["containers"]
        if containers[0]["resources"] != made:
            containers[0]["resources"] = made
            self._roll()

    def turn(self) -> Any:
        if self.follows:
            self.sync()
        return super().turn()

    def lane(self) -> Lane:
        lane = super().lane()
        if self.tips() != self.known:
            self.repository.look()
            self.known = self.tips()
        looked = replace(lane.snapshot.looked, sizes=self.repositories.sizes((TARGET,), self.now))
        return replace(lane, snapshot=replace(lane.snapshot, looked=looked))

    def _apply(self, steps: Any) -> None:
        for step in steps:
            if step.verb is not Verb.COMMIT:
                assert step.target != TARGET, "what stands in Git is not asked of the API"
                super()._apply((step,))
                continue
            self.sent.append((self.now, step.summary))
            errand = Errand(
                id=step.body["origin"]["action"], plan_id=step.body["origin"]["plan"], step=0, back=False,
                policy=self.policy.key, dry_run=False, issued_at=self.now, expires_at=self.now + 30.0, epoch=1,
                steps=(step,), messages=(),
            )  # fmt: skip
            self.answers.append(self.repositories.perform(errand, step, self.now))

    @property
    def commits(self) -> list[str]:
        return [said for _, said in self.sent if said.startswith("deploy main")]

    def last(self) -> Plan:
        return self.plans[-1]


@pytest.fixture
def origin(tmp_path):
    made = Origin(tmp_path)
    yield made
    made.close()


def used(origin: Origin, **more: Any) -> Followed:
    """Return a world of which two hours are enough to say that it is far too large."""
    policy = a_policy(("minHistory: 6h", "minHistory: 2h"))
    little = {"cores": lambda _pod, _now: 0.05, "size": lambda _pod, _now: 60.0 * MIB}
    return Followed(origin=origin, policy=policy, **little, **more)


def ready(origin: Origin, **more: Any) -> Followed:
    """Return a world in which a plan is due at the next turns."""
    world = used(origin, **more)
    world.run(1.9 * HOUR_S)
    assert not world.plans
    return world


def test_pods_are_resized_first_then_the_file_is_written_followed_and_watched(origin):
    world = ready(origin).until(lambda one: one.sent, HOUR_S)
    assert world.sent[0][1].startswith("Pod shop/checkout-001")
    assert world.said_in_git()["requests.cpu"] == "4"  # while the canary is watched
    world.until(lambda one: one.commits, HOUR_S)
    (done,) = world.answers
    assert done.status is StepStatus.DONE
    said = world.said_in_git()
    assert said["requests.cpu"] not in ("4", "")
    text = origin.shown(file=FILE)
    assert text.startswith("# what checkout runs with\n")
    assert "# by the team" in text
    message = origin.message()
    assert message.startswith("shop/checkout: app limits.memory 4Gi -> ")
    assert f"Aiops-Target: {TARGET.key}\nAiops-Field: resources/app" in message
    assert f"Aiops-Plan: {world.last().id}" in message
    assert "written in deploy main apps/checkout/values.yaml" in world.last().reason
    world.until(lambda one: one.last().status is PlanStatus.DONE, HOUR_S)
    assert world.has()["requests"]["cpu"] == said["requests.cpu"]
    assert len(world.commits) == 1


def test_nothing_is_watched_before_it_was_followed_and_what_nobody_follows_is_taken_back_by_a_commit(origin):
    world = ready(origin, follows=False).until(lambda one: one.commits, 2 * HOUR_S)
    written = world.said_in_git()
    world.run(0.5 * HOUR_S)
    assert world.last().status is PlanStatus.RUNNING
    assert world.has()["requests"]["cpu"] == "4"
    assert len(world.commits) == 1  # it says so already, and is not written again
    world.until(lambda one: one.last().status is PlanStatus.ROLLED_BACK, 2 * HOUR_S)
    assert world.said_in_git() == {"requests.cpu": "4", "requests.memory": "4Gi", "limits.memory": "4Gi"}
    assert written != world.said_in_git()
    assert len(world.commits) == 2


def test_harm_is_taken_back_by_a_commit(origin):
    world = ready(origin).until(lambda one: one.commits, 2 * HOUR_S)
    world.turn()
    world.kill(world.pods[1])
    world.until(lambda one: one.last().status is PlanStatus.ROLLED_BACK, 2 * HOUR_S)
    assert world.said_in_git() == {"requests.cpu": "4", "requests.memory": "4Gi", "limits.memory": "4Gi"}
    assert world.has()["requests"]["cpu"] == "4"
    assert [one.status for one in world.answers] == [StepStatus.DONE, StepStatus.DONE]
    assert origin.commits() == 3


def test_a_person_who_changes_the_file_meanwhile_is_not_written_over_s4(origin):
    world = ready(origin).until(lambda one: one.commits, 2 * HOUR_S)
    world.turn()
    cpu = world.said_in_git()["requests.cpu"]
    origin.edit(f'cpu: "{cpu}"', 'cpu: "3"', file=FILE)
    world.run(2 * HOUR_S)
    assert world.said_in_git()["requests.cpu"] == "3"
    first = next(one for one in world.plans if one.steps[-1].sent)
    assert first.status is not PlanStatus.DONE
    assert "somebody changed it after us" in str(first)
    assert origin.git("log", "-1", "--format=%an", "main", where=origin.bare) == "Alice"


def test_a_branch_that_moved_on_between_the_look_and_the_push_is_not_written_over_s4(origin):
    world = ready(origin).until(lambda one: one.commits, 2 * HOUR_S)
    step = world_step(world)
    origin.edit(world.said_in_git()["requests.cpu"], "7", file=FILE)
    errand = Errand(
        id="E9", plan_id="P9", step=0, back=False, policy=world.policy.key, dry_run=False, issued_at=world.now,
        expires_at=world.now + 30.0, epoch=1, steps=(step,), messages=(),
    )  # fmt: skip
    answer = world.repositories.perform(errand, step, world.now)
    assert (answer.status, answer.reason) == (StepStatus.REFUSED, Reason.MANUAL_OVERRIDE)
    assert "says requests.cpu 7 by now" in answer.message
    assert world.said_in_git()["requests.cpu"] == "7"


def world_step(world: Followed, cpu: str = "5", plan_id: str = "P9") -> Any:
    from aiops.core.model import SetResources
    from aiops.core.plans.operations import Origin as Asked
    from aiops.core.plans.operations import sizes_in_git

    (one,) = world.repositories.sizes((TARGET,), world.now)[TARGET.key]
    operation = SetResources(target=TARGET, container="app", requests={"cpu": cpu}, limits={})
    asked = Asked(plan_id=plan_id, policy=world.policy.key, key="E9", epoch=1, now=world.now)
    (step,) = sizes_in_git.commit(operation, one, asked)
    return step


def test_a_range_beside_the_quantity_and_a_file_that_says_nothing_hold_and_say_why(origin):
    world = ready(origin)
    apart = '\n    cpu: "4"   # aiops: 3..8\n    memory: 4Gi   # by the team'
    origin.edit(' {cpu: "4", memory: 4Gi}   # by the team', apart, file=FILE)
    origin.edit("limits: {memory: 4Gi}", "limits: {}", file=FILE)
    world.api.objects[TARGET]["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"] = {"memory": "4Gi"}
    world.follows = False
    world.run(HOUR_S)
    assert not world.plans
    evidence = "\n".join(world.decision.judgement.evidence)
    assert "allows requests.cpu 3..8" in evidence
    assert "says no limits.memory: only what it says is changed" in evidence


def test_a_proposal_waits_for_whoever_merges_it_and_is_watched_then(origin):
    world = ready(origin, propose=True).until(lambda one: one.commits, 2 * HOUR_S)
    branch = "aiops/shop/fleet-sizes"
    assert world.said_in_git()["requests.cpu"] == "4"
    assert world.said_in_git(branch)["requests.cpu"] != "4"
    assert not any(said.startswith("Pod") for _, said in world.sent)  # no canary that would stand until it is merged
    world.run(3 * HOUR_S)
    assert world.last().status is PlanStatus.RUNNING
    assert len(world.commits) == 1
    origin.git("fetch", "-q", "origin")
    origin.git("checkout", "-q", "main")
    origin.git("merge", "-q", "--no-ff", "-m", "merge sizes", f"origin/{branch}")
    origin.git("push", "-q", "origin", "main")
    world.until(lambda one: one.last().status is PlanStatus.DONE, 2 * HOUR_S)
    assert world.has()["requests"]["cpu"] == world.said_in_git()["requests.cpu"] != "4"


def test_what_an_ended_plan_proposed_and_a_later_one_finds_is_taken_back_when_it_was_merged_and_harms(
    origin, monkeypatch
):
    monkeypatch.setattr("aiops.core.decide.cost.rightsize.plan.PROPOSED_WITHIN_S", 0.0)
    world = used(origin, propose=True)
    # so that a later plan wishes the same
    least = "minHistory: 2h\n    cpu: {min: '1'}\n    memory: {min: 1Gi}"
    world.policy = a_policy(("minHistory: 6h", least))
    world.until(lambda one: one.commits, 4 * HOUR_S)
    before, proposed = world.said_in_git(), world.said_in_git(BRANCH)
    world.until(lambda one: one.last().status.ended, 3 * HOUR_S)
    first = world.last()
    world.until(lambda one: any(each.id != first.id and each.steps[-1].sent for each in one.plans), 12 * HOUR_S)
    assert world.said_in_git(BRANCH) == proposed
    assert world.answers[-1].status is StepStatus.DONE
    assert "says so already" in world.answers[-1].message
    asked = len(world.commits)
    world.turn()
    assert len(world.commits) == asked  # once
    origin.come_to("main")
    origin.git("merge", "-q", "--no-ff", f"origin/{BRANCH}")
    origin.git("push", "-q", "origin", "main")
    world.turn()
    world.turn()
    assert world.said_in_git() == proposed
    world.kill(world.pods[1])
    world.until(lambda one: one.said_in_git(BRANCH) == before, HOUR_S)
    assert world.last().steps[-1].undo


def test_a_protected_branch_is_said_and_nothing_changes(origin):
    world = ready(origin)
    origin.protect()
    world.until(lambda one: one.answers, 2 * HOUR_S)
    assert (world.answers[0].status, world.answers[0].reason) == (StepStatus.REFUSED, Reason.PUSH_REFUSED)
    assert "main is protected" in world.answers[0].message
    world.run(3 * HOUR_S)
    assert world.said_in_git()["requests.cpu"] == world.has()["requests"]["cpu"] == "4"


def test_what_does_not_stand_in_git_is_its_owners_as_before(origin):
    world = used(origin)
    world.repositories = GitRepositories({"deploy": world.repository}, [])
    world.run(3 * HOUR_S)
    assert not world.plans
    assert any("is Argo CD's: change it in Git" in line for line in world.decision.judgement.evidence)


def reverted(origin: Origin) -> None:
    """Take back the newest commit, as a person does."""
    origin.come_to("main")
    origin.git("revert", "--no-edit", "HEAD")
    origin.git("push", "-q", "origin", "main")


def test_a_person_who_reverts_the_commit_before_it_was_followed_is_not_written_over_s4(origin):
    world = ready(origin, follows=False).until(lambda one: one.commits, 2 * HOUR_S)
    reverted(origin)
    world.run(0.5 * HOUR_S)
    assert world.said_in_git()["requests.cpu"] == "4"
    assert origin.git("log", "-1", "--format=%an", "main", where=origin.bare) == "Alice"
    assert (world.answers[-1].status, world.answers[-1].reason) == (StepStatus.REFUSED, Reason.MANUAL_OVERRIDE)
    world.until(lambda one: one.last().status.ended, 2 * HOUR_S)
    assert origin.commits() == 3


def test_a_person_who_changes_the_file_before_it_was_followed_keeps_it_when_all_is_taken_back_s7(origin):
    world = ready(origin, follows=False).until(lambda one: one.commits, 2 * HOUR_S)
    origin.edit(f'cpu: "{world.said_in_git()["requests.cpu"]}"', 'cpu: "3"', file=FILE)
    world.until(lambda one: one.last().status is not PlanStatus.RUNNING, 2 * HOUR_S)
    world.run(0.25 * HOUR_S)
    assert world.said_in_git()["requests.cpu"] == "3"
    world.follows = True
    world.until(lambda one: one.plans[0].status.ended, HOUR_S)
    assert "it is left as it is" in str(world.plans[0])
    assert origin.git("log", "-1", "--format=%an", "main", where=origin.bare) == "Alice"


def pushed(world: Followed, cpu: str) -> StepResult:
    """Propose another request at once, as a new plan does."""
    world.repository.look()
    step = world_step(world, cpu, f"P{world.origin.commits()}")
    errand = Errand(
        id="E9", plan_id="P9", step=0, back=False, policy=world.policy.key, dry_run=False, issued_at=world.now,
        expires_at=world.now + 30.0, epoch=1, steps=(step,), messages=(),
    )  # fmt: skip
    return world.repositories.perform(errand, step, world.now)


BRANCH = "aiops/shop/fleet-sizes"


@pytest.mark.parametrize("how", ["--squash", "--no-ff"])
def test_what_is_proposed_after_a_merge_whose_branch_was_left_is_what_a_merge_brings(origin, how):
    world = used(origin, propose=True)
    world.repositories.sizes((TARGET,), world.now)
    assert pushed(world, "2").status is StepStatus.DONE

    def merged(cpu: str) -> None:
        origin.come_to("main")
        origin.git("merge", "-q", how, f"origin/{BRANCH}")
        origin.git("commit", "-q", "--allow-empty", "-m", "merged")
        origin.git("push", "-q", "origin", "main")
        assert world.said_in_git()["requests.cpu"] == cpu

    merged("2")
    assert pushed(world, "4").status is StepStatus.DONE  # taken back
    assert world.said_in_git(BRANCH)["requests.cpu"] == "4"
    merged("4")
    assert pushed(world, "2").status is StepStatus.DONE  # wished again
    merged("2")
    origin.edit('cpu: "2"', 'cpu: "3"', file=FILE)
    assert pushed(world, "2").status is StepStatus.DONE  # and again, after a person
    assert world.said_in_git(BRANCH)["requests.cpu"] == "2"
    merged("2")


def test_a_proposal_whose_branch_was_deleted_is_a_no(origin):
    world = ready(origin, propose=True).until(lambda one: one.commits, 2 * HOUR_S)
    world.turn()
    origin.git("push", "-q", "origin", "--delete", BRANCH)
    world.run(3 * HOUR_S)
    assert len(world.commits) == 1
    assert not (origin.bare / "refs/heads" / BRANCH).exists()
    (said,) = world.repositories.sizes((TARGET,), world.now)[TARGET.key]
    assert said.held == (
        Reason.MANUAL_OVERRIDE,
        f"our proposal on branch {BRANCH} was deleted, and not merged",
    )
