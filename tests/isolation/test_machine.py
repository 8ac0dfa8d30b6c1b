"""Nobody's rows, names or secrets reach anybody else, whatever is sent, asked or changed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from math import ceil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from isolation import leaks
from isolation.machine import Isolation
from isolation.routes import ROUTES, routes_of
from isolation.world import World, running
from support.backends import Backend

Report = Callable[[str], None]

STEPS, SOAK_STEPS, SOAK_PARTS = 2_000, 100_000, 10
STEPS_IN_EXAMPLE = 100
_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
"""A step asks a real server; long examples are wanted, and rules wait for what they need."""


@pytest.mark.timeout(900)
def test_organisations_are_isolated(tmp_path: Path, backend: Backend, report: Report) -> None:
    run(STEPS, tmp_path, backend, report)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", range(SOAK_PARTS))
def test_organisations_stay_isolated(
    tmp_path: Path, backend: Backend, report: Report, part: int
) -> None:
    """In parts, which run beside one another."""
    run(SOAK_STEPS // SOAK_PARTS, tmp_path, backend, report)


def run(steps: int, folder: Path, backend: Backend, report: Report) -> None:
    """Run so many steps, a new server for every `STEPS`: a full store makes each step slower."""
    done = examples = 0
    while done < steps:
        world = run_one_server(min(STEPS, steps - done), folder / str(done), backend)
        done, examples = done + world.steps, examples + world.examples
    report(f"isolation: {done:,} steps in {examples:,} examples on {backend.name}")


def run_one_server(steps: int, folder: Path, backend: Backend) -> World:
    """Run so many steps on one server, then look through everything that it left behind."""
    with leaks.log_lines() as log, running(folder, backend) as world:
        assert routes_of(world.app) == ROUTES.keys(), "a route is not asked by this test"
        first = Isolation(world, log)
        first.walk()
        first.teardown()
        while world.steps < steps:
            explore(world, log, examples=ceil((steps - world.steps) / STEPS_IN_EXAMPLE))
        found = leaks.in_files(world.settings.data_dir, world.canaries)
        found += leaks.in_control_store(world.control, world.canaries)
        world.stop()
        found += leaks.in_files(world.settings.data_dir, world.canaries)
        found += log.leaks(world.canaries)
    assert not found, found
    assert not ROUTES.keys() - world.asked.keys(), "a route was never asked"
    shutil.rmtree(folder)
    return world


def explore(world: World, log: leaks.LogLines, examples: int) -> None:
    """Run so many examples; some end early, when what they have drawn becomes too much."""
    run_state_machine_as_test(
        partial(Isolation, world, log),  # type: ignore[arg-type]  # it calls it, and no more
        settings=settings(
            max_examples=examples,
            stateful_step_count=STEPS_IN_EXAMPLE,
            derandomize=False,
            deadline=None,
            print_blob=True,
            # Without shrinking: each try takes as long as an example.
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            suppress_health_check=_SLOW,
        ),
    )
