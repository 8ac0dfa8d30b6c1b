"""Every case of the conformance suite, against servers of its own."""

from __future__ import annotations

import pytest

from ecomind_query.conformance.cases import CASES, Case
from ecomind_query.conformance.fleet import CONFIGURATIONS, Fleet
from ecomind_query.conformance.runner import Outcome, run_own


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.number:02}-{case.title}")
def test_case(fleet: Fleet, case: Case) -> None:
    (result,) = run_own([case], fleet)
    assert result.outcome is Outcome.PASSED, result.reason


def test_there_are_47_and_each_says_what_it_expects() -> None:
    assert [case.number for case in CASES] == list(range(1, 48))
    assert all(case.expected.endswith(".") and case.transports for case in CASES)
    used = {name for case in CASES for name, _ in case.checks}
    assert used == CONFIGURATIONS.keys()
