"""docs/lint.md, made of the registry: `aiops policy rules > docs/lint.md` writes it anew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from aiops.policy.lint.errors import ERRORS
from aiops.policy.lint.ignoring import IGNORE, REASON, RULES_OF_IGNORING
from aiops.policy.lint.registry import RULES
from aiops.policy.lint.rule import Explained, QueryRule, Rule, ScalingRule, SetRule, WatchRule

HEAD = f"""# Checking policies

`aiops policy validate policies/` finds everything that is wrong with policies in one pass, and what is legal and
unwise. Each finding is one line, `FILE:LINE:COLUMN: field: what is wrong (what to write) [code]`; the codes are below.

| option | what it does |
|---|---|
| `--strict` | warnings are errors, as one wants it before a merge |
| `-o sarif` | SARIF 2.1.0 on standard output, for code scanning |
| `-o github` | workflow commands, which GitHub shows beside the lines of a pull request |
| `-o json`, `-o yaml` | problems, queries and cost for programs |
| `--step`, `--scrape-interval` | between two turns of the loop and two samples; 15s each |
| `--lane` | between two turns that judge failovers alone, as the settings' `lane`; 2s |
| `--prometheus URL` | asks there what the queries cost now, and which selectors have no series |

Exit codes: 0 nothing is wrong, 1 something is (with `--strict`: or unwise), 2 wrong options, 3 the settings cannot be
read, 4 the Prometheus cannot be reached.

## What policies cost

The table that `validate` prints counts the queries that the loop asks each minute, a signal's own and those that tell
its age and how whole it is, and the samples that they read **for each series** that a selector matches: a window of 2m
holds 8 samples of a series that is scraped each 15s. Queries that several policies share are asked once, and counted
once in the last line. A FailoverPolicy's are asked between the loop's turns, too: once in a `--lane`, and two and a
half times as often while users may be failing, which is not counted. What a selector's targets are asked for counts
`maxTargets` times, and with `--prometheus` is measured over all of them that there are. `--prometheus URL` asks each
query once and prints the samples that it touched by the server's own count; the credentials of the settings are sent
only where the address is that of the settings.

## Silencing a rule

<!-- part of: ScalingPolicy -->
```yaml
metadata:
  name: reports
  annotations:
    {IGNORE}: no-fallback, enforce-without-hpa
    {REASON}: a nightly batch; being late is no harm
```

The reason is asked for, and a code that finds nothing, or that does not exist, is a warning itself. Errors cannot be
silenced.
"""


def page() -> str:
    """Return the page as Markdown."""
    kinds: tuple[tuple[str, type[Rule]], ...] = (
        ("Warnings about a ScalingPolicy", ScalingRule),
        ("Warnings about a query", QueryRule),
        ("Warnings about a WatchPolicy", WatchRule),
        ("Warnings about several policies", SetRule),
    )
    parts = [HEAD]
    parts += [_table(title, (one for one in RULES if isinstance(one, kind))) for title, kind in kinds]
    parts += [_table("Warnings about silencing", RULES_OF_IGNORING), _table("Errors", ERRORS)]
    return "\n".join(parts)


def _table(title: str, rules: Iterable[Explained]) -> str:
    return "\n".join([f"## {title}", "", "| code | why | instead |", "|---|---|---|", *_rows(rules), ""])


def _rows(rules: Iterable[Explained]) -> Iterator[str]:
    for one in rules:
        yield f"| `{one.code}` | {_cell(one.why)} | {_cell(one.mend)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("*.test.yaml", "`*.test.yaml`")
