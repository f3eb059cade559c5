"""Targets that the daemon scrapes itself: does each answer, in a format that is read, with what policies ask for."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from aiops.app.doctor.findings import Area, Check, Finding, fail, ok, skip
from aiops.app.doctor.scene import MOST_SAID, Scene, listed
from aiops.app.scrape_settings import local_sources
from aiops.policy.lint.trees import facts

if TYPE_CHECKING:
    from aiops.adapters.scrape.options import Target

OWN = frozenset({"up", "scrape_duration_seconds", "scrape_samples_scraped"})
NAME = "scrape"


def checks(scene: Scene) -> list[Check]:
    """Return the checks of what is scraped, none where nothing is."""
    if scene.settings.scrape is None:
        return []
    return [Check(area=Area.METRICS, name=NAME, look=lambda: list(_targets(scene)), reaches=True)]


def _targets(scene: Scene) -> Iterator[Finding]:
    from aiops.app.scraping import scrape_options

    scrape = scene.settings.scrape
    assert scrape is not None  # noqa: S101  # checks() looked
    options = scrape_options(scrape)
    known: set[str] = set()
    for target in options.targets:
        finding, names = _target(target)
        known |= names
        yield finding
    yield from _asked(scene, known)


def _target(target: Target) -> tuple[Finding, set[str]]:
    from aiops.adapters.scrape.client import Client, ScrapeFailed
    from aiops.adapters.scrape.exposition import names, samples

    name = f"{NAME}: {target.job} {target.instance}"
    client = Client(target)
    try:
        fetched = client.fetch()
        found = [one.name for one in samples(fetched.body, fetched.content_type, names(target.metrics))]
    except ScrapeFailed as err:
        return fail(name, f"{target.url}: {err}", "look whether it listens there, and what it wants to see"), set()
    except ValueError as err:
        return fail(name, f"{target.url} tells what is no metrics format: {err}", "look at the path of its URL"), set()
    finally:
        client.close()
    if len(found) > target.max_samples:
        fix = f"keep less of it by scrape.jobs.{target.job}.metrics, or raise max_samples"
        return fail(name, f"{len(found)} samples, at most {target.max_samples} are taken", fix), set(found)
    return ok(name, f"{target.url} answers, {len(found)} samples are kept"), set(found)


def _asked(scene: Scene, known: set[str]) -> Iterator[Finding]:
    """Find metrics that policies ask scraped samples for, and that no target tells."""
    wanted = dict.fromkeys(metric for expr in _expressions(scene) for metric in _metrics(expr))
    gone = [one for one in wanted if one not in known | OWN]
    for metric in gone[:MOST_SAID]:
        near = difflib.get_close_matches(metric, known, n=1)
        hint = f"did you mean {near[0]}? else " if near else ""
        fix = f"{hint}correct the query, or scrape what exports it; see scrape.jobs.*.metrics"
        yield fail(f"{NAME}: metrics", f"{metric} is told by no target", fix)
    if len(gone) > MOST_SAID:
        yield fail(f"{NAME}: metrics", f"{len(gone) - MOST_SAID} more are told by none", "see those above")
    if not wanted:
        yield skip(f"{NAME}: metrics", "no policy asks for what is scraped")
    elif not gone:
        yield ok(f"{NAME}: metrics", f"all that policies ask for are told: {listed(wanted, 5)}")


def _metrics(expr: str) -> Iterable[str]:
    return (one.metric for one in facts(expr).selectors if one.metric)


def _expressions(scene: Scene) -> Iterator[str]:
    local = local_sources(scene.settings)
    for policy in scene.asking:
        for spec in policy.signals.values():
            if spec.query.source in local:
                yield spec.query.expr
                if spec.query.presence_expr:
                    yield spec.query.presence_expr
    if "" in local:
        yield from (one.query.expr for one in scene.policies.watches)
