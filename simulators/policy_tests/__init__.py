"""Runs `*.test.yaml`: the very ControlLoop on virtual time, in the world that each test gives it."""

from simulators.policy_tests.run import Result, record, run_case

__all__ = ["Result", "record", "run_case"]
