"""Unit tests of policies: the language of `*.test.yaml`, and expectations as functions over a recorded run.

What runs the tests is `simulators.policy_tests`.
"""

from aiops.policy.testing.cases import Case, Reading
from aiops.policy.testing.expectations import Failure, failures
from aiops.policy.testing.notation import MISSING, STALE, Entry, InvalidNotation, series
from aiops.policy.testing.reading import read
from aiops.policy.testing.recorded import Moment, Run

__all__ = [
    "MISSING",
    "STALE",
    "Case",
    "Entry",
    "Failure",
    "InvalidNotation",
    "Moment",
    "Reading",
    "Run",
    "failures",
    "read",
    "series",
]
