"""Existing manifests as policies: what an HPA, KEDA or kube-downscaler was told, in the policy language.

A source is one file, and one name here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from aiops.errors import Problem
from aiops.policy.convert import downscaler, hpa, keda
from aiops.policy.convert.draft import Draft
from aiops.policy.convert.manifest import Log, Manifest, manifests

__all__ = ["Conversion", "Source", "convert"]


class Source(StrEnum):
    """Where manifests come from."""

    HPA = "hpa"
    KEDA = "keda"
    KUBE_DOWNSCALER = "kube-downscaler"


_SOURCES: Mapping[Source, Callable[[Sequence[Manifest], Log, bool], list[Draft]]] = {
    Source.HPA: hpa.converted,
    Source.KEDA: keda.converted,
    Source.KUBE_DOWNSCALER: downscaler.converted,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """What came of some files. errors: what cannot be read. left: what was not carried over or must be checked."""

    drafts: tuple[Draft, ...]
    errors: tuple[Problem, ...]
    left: tuple[Problem, ...]


def convert(source: Source, texts: Iterable[tuple[str, str]], *, replace: bool = False) -> Conversion:
    """Return the policies of (origin, text) pairs. replace: an HPA is replaced, and does not stay beneath."""
    log = Log()
    drafts = _SOURCES[source](manifests(texts, log), log, replace)
    return Conversion(drafts=tuple(drafts), errors=tuple(log.errors), left=tuple(log.left))
