"""The signals of a policy, compiled: each query checked, filled in for its target, and with its companions (S1)."""

from __future__ import annotations

from dataclasses import dataclass

from aiops.core.decide.scaling.spec import SignalSpec
from aiops.core.policies import SignalQuery
from aiops.core.policies import SignalSpec as CompiledSignal
from aiops.core.selection import Member
from aiops.policy import placeholders, promql
from aiops.policy.compile import Problems
from aiops.policy.document import Path


@dataclass(frozen=True, slots=True)
class Whose:
    """Of which policy the signals are. member: what stands for placeholders, None in a template, which keeps them."""

    key: str
    namespace: str
    member: Member | None

    def query(self, text: str) -> str:
        """Return a query for its target; raise ValueError when a placeholder stands where none may."""
        placeholders.check(text)
        return placeholders.filled(text, self.namespace, self.member)


def _query(whose: Whose, text: str, path: Path, problems: Problems) -> str | None:
    if problems.attempt(path, lambda: promql.checked(text), "bad-promql") is None:
        return None
    return problems.attempt(path, lambda: whose.query(text), "bad-placeholder")


def signal(whose: Whose, name: str, spec: SignalSpec, problems: Problems) -> CompiledSignal | None:
    """Return a compiled signal, None when problems with errors were noted."""
    path: Path = ("spec", "signals", name)
    if not name.isidentifier():
        problems.add(path, f"a signal's name is a word such as demand, not {name!r}")
    expr = _query(whose, spec.query, (*path, "query"), problems)
    presence = None if spec.presence is None else _query(whose, spec.presence, (*path, "presence"), problems)
    if expr is None:
        return None
    checked = promql.checked(expr)
    return CompiledSignal(
        query=SignalQuery(
            policy=whose.key,
            name=name,
            expr=expr,
            age_exprs=checked.companions.age,
            coverage_exprs=checked.companions.coverage,
            up_exprs=checked.companions.up,
            presence_expr=presence,
        ),
        unit=spec.unit,
        max_age_s=spec.max_age,
        on_absent=spec.on_absent,
        on_nan=spec.on_na_n,
        on_stale=spec.on_stale,
        on_partial=spec.on_partial,
        when_no_traffic=spec.when_no_traffic,
    )
