"""Texts that were made to hurt a loader, and what each does to a process: `python -m tests.properties.hostile`.

Each is read in a child of its own, whose memory is limited: a native parser that ends its process ends nothing else.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from aiops.policy import parse
from aiops.policy.checking import checked
from aiops.policy.lint import Terms, linted
from aiops.policy.lint.cost import bill

SHIPPED = Path(__file__).parents[2] / "policies"
TEXT = (SHIPPED / "checkout.yaml").read_text()
SMALL = (SHIPPED / "search.yaml").read_text()
EXTRA_BYTES = 100_000_000
DEADLINE_S = 20

QUERY = 'sum(rate(http_requests_total{service="search"}[1m]))'


def _query(text: str) -> str:
    assert QUERY in SMALL
    return SMALL.replace(f"'{QUERY}'", json.dumps(text))


def _condition(text: str) -> str:
    return TEXT.replace("'signals.callers > 1.0'", json.dumps(text))


def _mode(text: str) -> str:
    return SMALL.replace("mode: dry-run", f"mode: {text}")


def _head(text: str) -> str:
    return SMALL.replace("{name: search, namespace: shop}", text)


def _bomb() -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    return "\n".join(lines)


def _named(number: int) -> str:
    return SMALL.replace("name: search", f"name: search-{number}")


HOSTILE: Mapping[str, Callable[[], str]] = {
    # YAML
    "a bomb of aliases": _bomb,
    "an alias to itself": lambda: "&a [*a]",
    "a mapping that holds itself": lambda: "&a {spec: *a}",
    "100,000 open brackets": lambda: "[" * 100_000,
    "100,000 open braces": lambda: "{a: " * 100_000,
    "100,000 dashes": lambda: "- " * 100_000,
    "100,000 question marks": lambda: "? " * 100_000,
    "a deep block": lambda: "\n".join(" " * n + "a:" for n in range(1000)),
    "a flow of 300,000 items": lambda: "[" + "a," * 300_000 + "]",
    "a flow of 150,000 keys": lambda: "{" + ",".join(f"k{n}" for n in range(150_000)) + "}",
    "a block of 100,000 keys": lambda: "\n".join(f"k{n}: 1" for n in range(100_000)),
    "19,000 unknown fields": lambda: SMALL + "".join(f"  field{n}: 1\n" for n in range(19_000)),
    "unknown fields of 1,000 letters": lambda: SMALL + "".join(f"  {'b' * 1000}{n}: 1\n" for n in range(900)),
    "a key of a megabyte": lambda: "a" * 999_000 + ": 1",
    "a line of a megabyte": lambda: SMALL + "  #" + "x" * 990_000,
    "a text of a megabyte": lambda: _mode("x" * 900_000),
    "a text of a megabyte of escapes": lambda: _mode('"' + "\\e" * 450_000 + '"'),
    "more than a megabyte": lambda: "a" * 1_000_001,
    "an integer of 5,000 digits": lambda: _mode("1" * 5000),
    "an integer of 900,000 digits": lambda: _mode("1" * 900_000),
    "an integer of 100,000 hexadecimal digits": lambda: _mode("0x" + "f" * 100_000),
    "a number to base 60": lambda: _mode("1" + ":1" * 400_000),
    "a thousand replicas and more zeros": lambda: SMALL.replace("maxReplicas: 20", "maxReplicas: 1" + "0" * 39),
    "a float to base 60": lambda: _mode("1" + ":1" * 400_000 + ".5"),
    "1e999": lambda: SMALL.replace("perReplica: 80", "perReplica: 1.0e+999"),
    "no number": lambda: SMALL.replace("perReplica: 80", "perReplica: .nan"),
    "an exponent of 999,999,999": lambda: SMALL.replace("perReplica: 80", "perReplica: '1e999999999'"),
    "minReplicas 1e30": lambda: SMALL.replace("minReplicas: 2", "minReplicas: 1000000000000000000000000000000"),
    "a duration of 1,000 years": lambda: SMALL.replace("history: 14d", "history: 99999999999999999999y"),
    "a duration of 300,000 parts": lambda: SMALL.replace("history: 14d", "history: " + "1s" * 300_000),
    "a date that is none": lambda: _mode("2026-13-45"),
    "a timestamp of nonsense": lambda: _mode("!!timestamp x"),
    "a float of nothing": lambda: _mode('!!float ""'),
    "an int of nothing": lambda: _mode('!!int ""'),
    "a bool of nonsense": lambda: _mode("!!bool x"),
    "a binary of nonsense": lambda: _mode("!!binary '*'"),
    "a character beyond Unicode": lambda: _mode('"\\UFFFFFFFF"'),
    "half of a character": lambda: _mode('"\\ud800"'),
    "half of a character as a key": lambda: SMALL + '  "\\udfff": 1\n',
    "half of a character as a label": lambda: _head('{name: a, labels: {a: "\\ud800"}}'),
    "an object of Python": lambda: "!!python/object/apply:os.system ['true']",
    "an object of Python within": lambda: _mode("!!python/object/apply:os.system ['true']"),
    "a mapping with a tag of Python": lambda: SMALL.replace("bounds: {", "bounds: !!python/object:os.x {"),
    "a set": lambda: _mode("!!set {a, b}"),
    "a merge": lambda: "a: &a {b: 1}\nc: {<<: *a}",
    "a key that is a list": lambda: "[a, b]: 1",
    "duplicate keys": lambda: SMALL + "  mode: observe\n",
    "a tab": lambda: SMALL.replace("  mode", "\tmode"),
    "a NUL": lambda: SMALL.replace("mode", "mo\0de"),
    "a byte order mark": lambda: "\ufeff" + SMALL,
    "two byte order marks": lambda: "\ufeff\ufeff" + SMALL,
    "lines that end as on Windows": lambda: SMALL.replace("\n", "\r\n"),
    "lines that end as on old Macs": lambda: SMALL.replace("\n", "\r"),
    "an unknown directive": lambda: "%FOO bar\n---\n" + SMALL,
    "a version from the future": lambda: "%YAML 9.9\n---\n" + SMALL,
    # many documents
    "two documents with one name": lambda: f"{SMALL}\n---\n{SMALL}",
    "1,000 documents": lambda: "\n---\n".join(_named(n) for n in range(1000)),
    "2,000 documents of one name": lambda: "\n---\n".join(
        "apiVersion: policy.aiops/v1alpha1\nkind: WatchPolicy\nmetadata: {name: a}\nspec: {query: up}"
        for _ in range(2000)
    ),
    "200,000 empty documents": lambda: "---\n" * 200_000,
    "100,000 documents that are no policies": lambda: "--- a\n" * 100_000,
    # PromQL
    "PromQL: 10,000 parentheses": lambda: _query("(" * 10_000 + "up" + ")" * 10_000),
    "PromQL: 4,900 parentheses": lambda: _query("(" * 4_900 + "up" + ")" * 4_900),
    "PromQL: parentheses behind a comment": lambda: _query("# '\n" + "(" * 4_900 + "up" + ")" * 4_900 + "# '"),
    "PromQL: 9,000 minuses": lambda: _query("-" * 9_000 + "up"),
    "PromQL: 2,000 sums": lambda: _query("+".join(["up"] * 2_000)),
    "PromQL: 2,000 ors": lambda: _query(" or ".join(["up"] * 2_000)),
    "PromQL: 500 nested subqueries": lambda: _query("max_over_time(" * 500 + "up" + "[5m:])" * 500),
    "PromQL: 1,000 comparisons": lambda: _query("up" + " > bool 1" * 1_000),
    "PromQL: 900 matchers": lambda: _query("up{" + ",".join(f'a{n}="b"' for n in range(900)) + "}"),
    "PromQL: a regex of quantifiers": lambda: _query('up{a=~"' + "(a+)+" * 1_900 + '"}'),
    "PromQL: a regex that grows": lambda: _query('up{a=~"((a{1000}){1000}){1000}"}'),
    "PromQL: a regex that is deep": lambda: _query('up{a=~"' + "(" * 4_000 + ")" * 4_000 + '"}'),
    "PromQL: a name of 900,000 letters": lambda: _query("a" * 900_000),
    "PromQL: a duration of 5,000 digits": lambda: _query("rate(up[" + "9" * 5_000 + "s])"),
    "PromQL: 300 queries of 40 terms": lambda: SMALL.replace(
        "  signals:\n",
        "  signals:\n" + "".join(f"    s{n}: {{query: '{'+'.join([f'up{n}'] * 40)}'}}\n" for n in range(300)),
    ),
    # CEL
    "CEL: 10,000 parentheses": lambda: _condition("(" * 10_000 + "true" + ")" * 10_000),
    "CEL: 4,900 parentheses": lambda: _condition("(" * 4_900 + "true" + ")" * 4_900),
    "CEL: 9,900 nots": lambda: _condition("!" * 9_900 + "true"),
    "CEL: 4,900 lists": lambda: _condition("[" * 4_900 + "]" * 4_900 + " == []"),
    "CEL: 1,200 ands": lambda: _condition(" && ".join(["true"] * 1_200)),
    "CEL: 600 choices": lambda: _condition("true ? true : (" * 600 + "true" + ")" * 600),
    "CEL: 4,000 sums": lambda: _condition("+".join(["1"] * 4_000) + " > 0"),
    "CEL: 20,000 sums": lambda: _condition("+".join(["1"] * 20_000) + " > 0"),
    "CEL: 1,600 calls": lambda: _condition("size(" * 1_600 + "[]" + ")" * 1_600 + " > 0"),
    "CEL: nested quantifiers": lambda: _condition("incidents.exists(i, " * 12 + "true" + ")" * 12),
    "CEL: a text of 900,000 letters": lambda: _condition('"' + "a" * 900_000 + '" == ""'),
    "CEL: a regex of quantifiers": lambda: _condition('"' + "a" * 50 + '".matches("(a+)+$")'),
    "CEL: an integer of 5,000 digits": lambda: _condition("1" * 5_000 + " > 0"),
    "CEL: a NUL": lambda: _condition("true\0"),
    # schedules and names
    "a cron of 100,000 parts": lambda: TEXT.replace("'0 8 * * 1-5'", "'" + ",".join(["0"] * 100_000) + " 8 * * *'"),
    "a cron of every minute": lambda: TEXT.replace("'0 8 * * 1-5'", "'* * * * *'"),
    "a cron of every minute on some holidays": lambda: TEXT.replace(
        "schedule: '0 8 * * 1-5'", "onHolidays: only, holidays: {country: DE}, schedule: '* * * * *'"
    ),
    "a window of a hundred years": lambda: TEXT.replace("duration: 10h", "duration: 99y"),
    "a maximum of 1e18 replicas that come one by one": lambda: TEXT.replace(
        "maxReplicas: 40", "maxReplicas: 1000000000000000000"
    ).replace("  behavior:", "  behavior:\n    scaleUp: {policies: [{type: Pods, value: 1, periodSeconds: 15}]}"),
    "a cron with a large range": lambda: TEXT.replace("'0 8 * * 1-5'", "'0-999999999999 8 * * *'"),
    "a cron with a step of nothing": lambda: TEXT.replace("'0 8 * * 1-5'", "'*/0 8 * * *'"),
    "a zone that is a path": lambda: TEXT.replace("Europe/Berlin", "../../../../etc/passwd"),
    "a zone with a NUL": lambda: TEXT.replace("timeZone: Europe/Berlin", 'timeZone: "Europe\\0Berlin"'),
    "a zone that is a folder": lambda: TEXT.replace("Europe/Berlin", "Europe"),
    "a name of 900,000 letters": lambda: _head("{name: " + "a" * 900_000 + "}"),
    "a name of 900,000 letters and one that is none": lambda: _head("{name: " + "a" * 900_000 + "_}"),
    "a signal that has no name": lambda: SMALL.replace("demand: {query", "'': {query"),
    "a signal of 900,000 letters": lambda: SMALL.replace("demand: {query", "x" * 900_000 + "-: {query"),
}


def _child(text: str) -> dict[str, object]:
    """Read the text within the limits, and return what came of it."""
    before = _status("VmRSS")
    resource.setrlimit(resource.RLIMIT_AS, (_status("VmSize") + 8 * EXTRA_BYTES, resource.RLIM_INFINITY))
    signal.alarm(DEADLINE_S)
    start = time.perf_counter()
    found = checked([("p.yaml", text)], 15.0)
    warnings = linted(found.made, Terms(tested=frozenset()))
    bill((policy for _, policy in found.made), Terms())
    took_s = time.perf_counter() - start
    if any(not one.message or not str(one).isprintable() for one in (*found.problems, *warnings)):
        raise AssertionError("a problem that cannot be shown on one line")
    str((found.problems, warnings)).encode()
    said = str(found.problems[0])[:120] if found.problems else "well"
    return {"s": took_s, "mb": (_status("VmHWM") - before) / 1e6, "said": said, "errors": len(found.errors)}


def _status(name: str) -> int:
    """Return a size of this process in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) * 1024


def main() -> None:
    """Read each in a child, and print a line of JSON for each."""
    parse(TEXT, "p.yaml")
    for name, made in HOSTILE.items():
        text = made()
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            try:
                sys.stdout.write(json.dumps({"name": name, **_child(text)}) + "\n")
                sys.stdout.flush()
                os._exit(0)
            except BaseException as err:
                sys.stdout.write(json.dumps({"name": name, "traceback": repr(err)[:300]}) + "\n")
                sys.stdout.flush()
                os._exit(1)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            sys.stdout.write(json.dumps({"name": name, "signal": signal.Signals(os.WTERMSIG(status)).name}) + "\n")


if __name__ == "__main__":
    main()
