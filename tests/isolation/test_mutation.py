"""The check that takes the tenant filter out is itself able to fail.

`make mutation` runs all of it; here each mutation is held to the code as it is, and two are tried.
"""

from __future__ import annotations

import ast

import pytest
from isolation.mutants import (
    MUTATIONS,
    READING,
    Broken,
    Mutation,
    copy,
    mutated,
    read_report,
    trial,
)

HARMLESS = Mutation(
    "harmless", "queries.py", "The questions that may be asked within one reach.", "Questions."
)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=[each.name for each in MUTATIONS])
def test_a_mutation_fits_the_code_and_is_code(mutation: Mutation) -> None:
    ast.parse(mutated(mutation))


def test_mutations_have_names_of_their_own() -> None:
    assert len({each.name for each in MUTATIONS}) == len(MUTATIONS)


def test_a_mutation_that_no_longer_fits_is_said() -> None:
    with pytest.raises(Broken, match="stale: the text to change is not once"):
        mutated(Mutation("stale", "queries.py", "no such text", ""))


def test_a_harmless_change_survives_and_an_open_filter_does_not() -> None:
    with copy(HARMLESS) as folder:
        assert trial(folder, READING).passed
    with copy(MUTATIONS[0]) as folder:
        caught = trial(folder, READING)
    assert (caught.passed, caught.by_assertion) == (False, True)
    assert caught.test.startswith("test_syntax::")


def test_tests_that_did_not_run_prove_nothing() -> None:
    with copy(None) as folder, pytest.raises(Broken, match="pytest ended with 4"):
        trial(folder, ["tests/isolation/no_such_test.py"])


def test_the_installed_package_in_the_copys_place_proves_nothing() -> None:
    with copy(None) as folder, pytest.raises(Broken, match="pytest ended with 70"):
        (folder / "ecomind_query").rename(folder / "elsewhere")
        trial(folder, READING)


def report(outcome: str) -> str:
    case = f'<testcase classname="tests.query.test_reach" name="test_x">{outcome}</testcase>'
    return f"<testsuites><testsuite>{case}</testsuite></testsuites>"


@pytest.mark.parametrize(
    ("message", "by_assertion"),
    [
        ("AssertionError: assert 2 == 1", True),
        ("assert 2 == 1", True),
        ("Failed: DID NOT RAISE &lt;class 'BadParameter'&gt;", True),
        ("KeyError: 'org'", False),
        ("Failed: Timeout (&gt;180.0s) from pytest-timeout.", False),
    ],
)
def test_only_an_assertion_counts(message: str, by_assertion: bool) -> None:
    found = read_report(report(f'<failure message="{message}"/>'))
    assert found == (False, "test_reach::test_x", by_assertion)


@pytest.mark.parametrize("outcome", ['<error message="collection failure"/>', ""])
def test_an_error_of_the_tests_own_is_no_catch(outcome: str) -> None:
    with pytest.raises(Broken):
        read_report(report(outcome))
