"""What tests of plans ask of the frame in which turns are played: what was said, and what people say to it."""

from __future__ import annotations

from aiops.core.model import Approval, Decision, LoopState, Order, OrderKind, Plan, Reason


class Judged:
    """A frame of turns. state, decision: of the last; approvals, orders: what people said; now: its time."""

    state: LoopState
    decision: Decision | None
    approvals: list[Approval]
    orders: list[Order]
    now: float

    @property
    def plans(self) -> list[Plan]:
        """Return the plans that are known, oldest first."""
        return [plan for _, plan in sorted(self.state.plans.items())]

    @property
    def said(self) -> tuple[str, Reason | None, str]:
        """Return what was said last: word, reason, sentence."""
        assert self.decision is not None
        judgement = self.decision.judgement
        assert judgement is not None
        return judgement.word.value, judgement.reason, judgement.detail

    @property
    def evidence(self) -> tuple[str, ...]:
        """Return what was seen last, line by line."""
        assert self.decision is not None
        judgement = self.decision.judgement
        assert judgement is not None
        return judgement.evidence

    def approve(self, by: str = "ann") -> None:
        """Say yes to the proposal that stands."""
        (plan,) = [one for one in self.plans if one.status == "proposed"]
        self.approvals.append(Approval(ask_id=plan.id, approved=True, by=by, at=self.now))

    def order(self, kind: OrderKind) -> None:
        """Let a person say something to the newest plan."""
        expires_at = self.now + 600.0
        name = f"o{len(self.orders)}"
        plan = self.plans[-1].id
        self.orders.append(
            Order(id=name, kind=kind, subject=plan, by="ann", at=self.now, reason="", expires_at=expires_at)
        )
