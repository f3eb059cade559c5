"""A mistake inside of a text is told at its line and column in the file, however YAML has it written."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from aiops.errors import InvalidPolicy
from aiops.policy import parse
from aiops.policy.document import documents
from aiops.policy.places import inside

POLICY = """\
apiVersion: policy.aiops/v1alpha1
kind: ScalingPolicy
metadata: {name: checkout, namespace: shop}
spec:
  target: {name: checkout}
  signals: {demand: {query: 'sum(rate(http_requests_total[1m]))'}}
  objective: {demand: demand, perReplica: 50}
  bounds: {maxReplicas: 9}
  guardrails:
    - then: hold
"""

WRITTEN = {
    "plain": "      when: replicas.current > 1 && incidents.exists(i, i.knd == 'x')\n",
    "single quotes": "      when: 'replicas.current > 1 && incidents.exists(i, i.kind == ''x'' || i.knd == ''x'')'\n",
    "double quotes": '      when: "replicas.current > 1 && incidents.exists(i, i.kind == \\"x\\" || i.knd == 1)"\n',
    "literal": "      when: |\n        replicas.current > 1\n          && incidents.exists(i, i.knd == 'x')\n",
    "folded": "      when: >-\n\n        replicas.current > 1 &&\n        incidents.exists(i, i.knd == 'x')\n",
    "plain over lines": "      when: replicas.current > 1\n        && incidents.exists(i, i.knd == 'x')\n",
    "integers before it": "      when: replicas.current > 1 && time.hour > 22 && signals.knd > 3\n",
}


@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
def test_a_mistake_in_a_condition_is_told_at_its_place_in_the_file(written):
    text = POLICY + written
    with pytest.raises(InvalidPolicy) as caught:
        parse(text, "checkout.yaml")
    (problem,) = caught.value.problems
    line = text.split("\n")[problem.line - 1]
    assert line[problem.column - 1 :].startswith(("knd", "signals.knd", ".knd")), (problem, line)
    assert (problem.field, problem.code) == ("spec.guardrails[0].when", "bad-cel")


def test_a_mistake_in_a_condition_of_defaults_is_told_in_their_file():
    defaults = """\
apiVersion: policy.aiops/v1alpha1
kind: PolicyDefaults
metadata: {name: shop, namespace: shop}
spec:
  defaults:
    ScalingPolicy:
      verify: {expect: 'signals.latency < 1.0'}
---
"""
    with pytest.raises(InvalidPolicy) as caught:
        parse(defaults + POLICY.partition("  guardrails")[0], "all.yaml")
    (problem,) = caught.value.problems
    assert (problem.line, problem.column) == (7, defaults.split("\n")[6].index(".latency") + 1)


@given(
    st.text(alphabet="ab 'é\"\\\n\t:#>|-{}[]&*!%@`", min_size=1, max_size=40),
    st.sampled_from([None, "'", '"', "|", ">"]),
    st.integers(2, 80),
)
def test_every_character_that_is_no_space_is_found_in_every_style(value, style, width):
    text = yaml.dump({"spec": {"when": value}}, default_style=style, width=width, allow_unicode=True)
    (document,) = documents(text, "it.yaml")[0]
    assert document.data["spec"]["when"] == value
    solid = [at for at, one in enumerate(value) if not one.isspace()]
    for at in solid:
        place = inside(document, ("spec", "when"), at, value)
        assert place is not None
        line, column = place
        shown = text.split("\n")[line - 1][column - 1]
        assert shown in (value[at], "\\")  # an escape begins with it
