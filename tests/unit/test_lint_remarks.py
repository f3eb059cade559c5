"""What the linter says of a rule that is broken, what silences it, and the page of all rules."""

from __future__ import annotations

import ast
import re

import pytest

from aiops.policy.checking import checked
from aiops.policy.lint import RULES, RULES_OF_IGNORING, Terms, linted
from aiops.policy.lint.errors import ERRORS
from aiops.policy.lint.page import page
from tests.unit.test_lint import BASE, ROOT, TERMS, asking, found, put


def test_a_remark_has_its_place_its_field_its_code_and_a_hint():
    text = put(BASE, ("out: 0s", "out: 5m"))
    made = checked([("p.yaml", text)], 15.0)
    (one,) = linted(made.made, TERMS)
    assert (one.line, one.column, one.field, one.severity) == (21, 12, "spec.limits.cooldown", "warning")
    assert str(one).startswith("p.yaml:21:12: spec.limits.cooldown: scale-in may come 60 s after the last one")
    assert one.hint == "in: longer than out"


def test_scraping_less_often_asks_for_wider_windows():
    terms = Terms(step_s=60.0, scrape_s=60.0, tested=frozenset())
    assert set(found(BASE, terms=terms)) == {"short-window", "max-age-short"}
    assert (
        found(asking('sum(rate(a_total{service="shop"}[4m]))'), terms=Terms(scrape_s=60.0)).count("short-window") == 1
    )


def test_a_policy_that_a_test_names_may_be_enforced(tmp_path):
    text = put(BASE, ("dry-run", "enforce"))
    path = tmp_path / "shop.yaml"
    made = checked([(str(path), text)], 15.0)
    assert [one.code for one in linted(made.made, TERMS)] == ["enforce-without-tests"]
    assert linted(made.made, Terms(tested=frozenset({path.resolve()}))) == ()
    assert linted(made.made, Terms(tested=None)) == (), "nobody looked for tests"


def ignoring(codes: str, reason: str = "being late is no harm") -> str:
    lines = f"    policy.aiops/lint-ignore: {codes}\n" + (f"    policy.aiops/lint-reason: {reason}\n" if reason else "")
    annotated = f"metadata:\n  name: shop\n  namespace: shop\n  annotations:\n{lines}spec:"
    return put(BASE, ("metadata: {name: shop, namespace: shop}\nspec:", annotated), ("out: 0s", "out: 5m"))


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        (ignoring("cooldown-inverted"), []),
        (ignoring("cooldown-inverted, cooldown-inverted"), []),
        (ignoring("cooldown-inverted", reason=""), ["ignore-without-reason"]),
        (ignoring("cooldown-inverted,no-le"), ["needless-ignore"]),
        (ignoring("cooldown-invertd"), ["unknown-rule", "cooldown-inverted"]),
        (ignoring("two-actors"), ["unknown-rule", "cooldown-inverted"]),
    ],
)
def test_an_annotation_silences_a_rule_for_a_reason(text, codes):
    assert found(text) == codes


def test_what_compiles_is_linted_while_something_else_does_not():
    made = checked([("a.yaml", put(BASE, ("out: 0s", "out: 5m"))), ("b.yaml", "kind: Nothing")], 15.0)
    assert made.policies is None
    assert [one.code for one in linted(made.made, TERMS)] == ["cooldown-inverted"]


def test_the_shipped_policies_are_linted_without_false_alarms():
    texts = [(str(path), path.read_text()) for path in sorted((ROOT / "policies").glob("*.yaml"))]
    made = checked(texts, 15.0)
    assert {one.code for one in linted(made.made, Terms())} <= {"no-fallback"}


# -- documents and codes ---------------------------------------------------------------------------


def test_the_page_of_rules_is_up_to_date():
    """`aiops policy rules > docs/lint.md` writes it anew."""
    assert (ROOT / "docs" / "lint.md").read_text() == page()


def test_a_code_is_one_rule_and_says_why_and_what_instead():
    every = (*RULES, *RULES_OF_IGNORING, *ERRORS)
    codes = [one.code for one in every]
    assert len(codes) == len(set(codes))
    for one in every:
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", one.code)
        assert (bool(one.why), bool(one.mend)) == (True, True)


def written_codes() -> set[str]:
    """Return the texts that the language's source passes as `code`."""
    codes: set[str] = set()
    for path in (ROOT / "aiops" / "policy").rglob("*.py"):
        if {"lint", "testing", "convert"} & set(path.parts):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "code" and isinstance(node.value, ast.Constant):
                codes.add(str(node.value.value))
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "attempt" and len(node.args) > 2:
                codes.add(str(ast.literal_eval(node.args[2])))
    return codes


def test_every_code_of_the_loader_is_on_the_page():
    assert {"unknown-field", "bad-cel", "two-actors"} < written_codes() <= {one.code for one in ERRORS}
