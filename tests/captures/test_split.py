"""Every capture span by span, in random order, through three receivers, one of which is killed.

Spans of one call then lie in different segments, so that only the reconcile job can find that they
are one, and what only a span's parent knew. A third is sent again although it was acknowledged, as
after an answer that got lost.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from captures.otlp import as_json, moved_to_now, one_by_one
from captures.three_receivers import FRONTS
from captures.truth import Call, Counted, demand, load, request, score

from ecomind_semconv.usage import COUNTS

TRUTH = load()
SEED = 20261125
_TIMEOUT_SECONDS = 60.0


class Post(NamedTuple):
    """One span on its way: the capture it is of, and its request."""

    capture: str
    body: bytes


class Receivers:
    """The process with the three fronts; start it again on the same folder after a kill."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._start()

    def post(self, front: int, post: Post) -> bool:
        """Whether the span was acknowledged; not if the process is gone."""
        connection = http.client.HTTPConnection("127.0.0.1", self._ports[front], timeout=10)
        headers = {
            "content-type": "application/json",
            "authorization": f"Bearer {post.capture}",
        }
        try:
            connection.request("POST", "/v1/traces", post.body, headers)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._close()

    def restart(self) -> None:
        """Start it again after a kill."""
        self._start()

    def settle(self) -> dict[str, Any]:
        """Wait until all is stored and corrected; what was counted."""
        return self._ask("settle")

    def stop(self) -> None:
        """Let it end by itself."""
        assert self._process.stdin
        self._process.stdin.close()
        assert self._process.wait(_TIMEOUT_SECONDS) == 0
        self._close()

    def _start(self) -> None:
        path = os.pathsep.join(path for path in sys.path if path)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "captures.three_receivers", str(self._folder)],
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._ports: list[int] = self._read()["ports"]

    def _ask(self, word: str) -> dict[str, Any]:
        assert self._process.stdin
        print(word, file=self._process.stdin, flush=True)
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def _close(self) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            assert stream
            stream.close()
        self._process.wait()


@contextmanager
def receivers(folder: Path) -> Iterator[Receivers]:
    running = Receivers(folder)
    try:
        yield running
    except BaseException:
        running.kill()
        raise
    running.stop()


def test_every_capture_survives_three_receivers_resends_and_a_kill(
    tmp_path: Path, report: Callable[[str], None]
) -> None:
    dice = random.Random(SEED)
    posts = [
        Post(name, as_json(single))
        for name in TRUTH
        for single in one_by_one(moved_to_now(request(name)))
    ]
    with receivers(tmp_path) as running:
        acknowledged = send_until_killed(running, posts, dice)
        assert 0 < len(acknowledged) < len(posts)
        running.restart()
        again = dice.sample(sorted(acknowledged), len(acknowledged) // 3)
        rest = [n for n in range(len(posts)) if n not in acknowledged]
        for number in shuffled([*rest, *again], dice):
            assert running.post(dice.randrange(FRONTS), posts[number])
        first = running.settle()
        time.sleep(1.1)  # a correction is named by the second
        second = running.settle()
    counted = counted_of(first)
    assert first["stored_twice"] == 0
    assert first["segments"] > FRONTS
    assert first["corrections"] > 0
    assert counted_of(second) == counted
    assert second["corrections"] == first["corrections"]
    demand(score("span by span, 3 receivers, a kill", TRUTH, counted), report)


def send_until_killed(running: Receivers, posts: list[Post], dice: random.Random) -> set[int]:
    """Send in random order to random fronts, and kill them at a random moment on the way."""
    acknowledged: set[int] = set()
    order = shuffled(range(len(posts)), dice)
    last = dice.randrange(len(posts) // 3, 2 * len(posts) // 3)
    killer = threading.Timer(dice.random() * 0.02, running.kill)
    for place, number in enumerate(order):
        if place == last:
            killer.start()
        if running.post(dice.randrange(FRONTS), posts[number]):
            acknowledged.add(number)
    killer.join()
    return acknowledged


def shuffled(numbers: Any, dice: random.Random) -> list[int]:
    order = list(numbers)
    dice.shuffle(order)
    return order


def counted_of(result: dict[str, Any]) -> dict[str, Counted]:
    """What each capture was counted as; the rollup and the calls must agree."""
    calls: dict[str, list[Call]] = defaultdict(list)
    for row in result["calls"]:
        assert row["calls"] == 1, row
        calls[row["org_id"]].append(Call(tuple(row["tokens"]), row["usage_states"]))
    counted = {name: Counted.of(calls[name]) for name in TRUTH}
    rollup = {
        row["org_id"]: (row["calls"], {name: row[name] for name in COUNTS})
        for row in result["rollup"]
        if row["calls"]
    }
    assert rollup == {name: (one.calls, one.tokens) for name, one in counted.items() if one.calls}
    return counted
