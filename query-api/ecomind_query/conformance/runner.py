"""Runs cases: each check in each way of sending that it applies to, against ours or another's."""

from __future__ import annotations

import http.client
import urllib.error
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple

from google.protobuf.message import Error as ProtobufError

from ecomind_query.bench.process import ServerError
from ecomind_query.conformance.cases import Case, Check
from ecomind_query.conformance.expect import Unmet
from ecomind_query.conformance.fleet import Fleet
from ecomind_query.conformance.target import Target, Transport

Find = Callable[[str], Target]


class Outcome(StrEnum):
    """What became of a case."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_RUN = "not run"


class Result(NamedTuple):
    """A case, what became of it, and why if it did not pass."""

    case: Case
    outcome: Outcome
    transports: tuple[Transport, ...] = ()
    reason: str = ""


def run_own(cases: Iterable[Case], fleet: Fleet) -> Iterator[Result]:
    """Every case, on servers of ours."""
    for case in cases:
        yield _result(case, case.transports, fleet.target)


def run_foreign(cases: Iterable[Case], target: Target) -> Iterator[Result]:
    """Of the cases those that can be observed from outside, on a receiver that is not ours."""
    for case in cases:
        transports = tuple(t for t in case.transports if t is not Transport.GRPC or target.rpc)
        if case.inside:
            yield Result(case, Outcome.NOT_RUN, reason=case.inside)
        elif not transports:
            yield Result(case, Outcome.NOT_RUN, reason="it is about gRPC; name --grpc HOST:PORT")
        else:
            yield _result(case, transports, lambda name: target)


def attempt(check: Check, target: Target, transport: Transport) -> str:
    """Why the check fails over this transport; empty if it passes."""
    try:
        check(target, transport)
    except Unmet as error:
        return f"{transport}: {error}"
    except (OSError, http.client.HTTPException, urllib.error.URLError, ServerError) as error:
        return f"{transport}: {type(error).__name__}: {error}"
    except (ValueError, KeyError, TypeError, ProtobufError) as error:  # an answer of another shape
        return f"{transport}: the answer can't be read: {type(error).__name__}: {error}"
    return ""


def _result(case: Case, transports: tuple[Transport, ...], find: Find) -> Result:
    for configuration, check in case.checks:
        for transport in transports:
            try:
                target = find(configuration)
            except ServerError as error:
                return Result(case, Outcome.FAILED, transports, str(error))
            reason = attempt(check, target, transport)
            if reason:
                return Result(case, Outcome.FAILED, transports, reason)
    return Result(case, Outcome.PASSED, transports)
