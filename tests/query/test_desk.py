"""The desk: threads of its own, two questions at a time for each organisation, lines that end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from ecomind_query.desk import AT_ONCE, THREADS, WAITING_MAX, Desk
from ecomind_receiver.refusals import Refusal, RequestRefused
from ecomind_receiver.tenants import Reach

A, B = Reach("org_a"), Reach("org_b")
SECONDS = 10


class Engine:
    """Answers when it is let; knows what has begun and how many at once."""

    def __init__(self) -> None:
        self.let = threading.Event()
        self.begun: list[tuple[str, object]] = []
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()
        self.started = threading.Semaphore(0)

    def ask(self, reach: Reach, number: object = None) -> object:
        with self._lock:
            self.begun.append((reach.org_id, number))
            self._now += 1
            self.most = max(self.most, self._now)
        self.started.release()
        assert self.let.wait(SECONDS)
        with self._lock:
            self._now -= 1
        return number


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.close()


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine()
    yield engine
    engine.let.set()


def quick(reach: Reach) -> str:
    return f"{reach.org_id} in {threading.current_thread().name}"


async def begun(engine: Engine, questions: int) -> None:
    """Return once so many more questions have a thread."""
    for _ in range(questions):
        assert await asyncio.to_thread(engine.started.acquire, timeout=SECONDS)


def test_one_organisation_has_two_threads_and_another_is_answered_meanwhile(
    desk: Desk, engine: Engine
) -> None:
    async def scenario() -> tuple[str, list[object]]:
        tasks = [asyncio.create_task(desk.ask(engine.ask, A, n)) for n in range(6)]
        await begun(engine, AT_ONCE)
        other = await asyncio.wait_for(desk.ask(quick, B), SECONDS)
        assert engine.begun == [("org_a", 0), ("org_a", 1)]
        engine.let.set()
        return other, list(await asyncio.gather(*tasks))

    other, answers = asyncio.run(scenario())
    assert other.startswith("org_b in reader_")
    assert answers == list(range(6))
    assert engine.most == AT_ONCE
    assert sorted(engine.begun) == [("org_a", n) for n in range(6)]


def test_the_rest_of_the_process_has_its_own_threads(desk: Desk, engine: Engine) -> None:
    async def scenario() -> str:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        reaches = [Reach(f"org_{n}") for n in range(THREADS)]
        tasks = [asyncio.create_task(desk.ask(engine.ask, reach)) for reach in reaches * 2]
        await begun(engine, THREADS)
        done = await asyncio.wait_for(asyncio.to_thread(lambda: "free"), SECONDS)
        engine.let.set()
        await asyncio.gather(*tasks)
        return done

    assert asyncio.run(scenario()) == "free"
    assert engine.most == THREADS


def test_a_full_line_is_told_to_come_back_and_other_lines_are_not_full(
    desk: Desk, engine: Engine
) -> None:
    async def scenario() -> RequestRefused:
        places = AT_ONCE + WAITING_MAX
        tasks = [asyncio.create_task(desk.ask(engine.ask, A, n)) for n in range(places)]
        await begun(engine, AT_ONCE)
        with pytest.raises(RequestRefused) as refused:
            await desk.ask(engine.ask, A, "too many")
        assert (await desk.ask(quick, B)).startswith("org_b")
        engine.let.set()
        assert await asyncio.gather(*tasks) == list(range(places))
        assert await desk.ask(engine.ask, A, "later") == "later"
        return refused.value

    refused = asyncio.run(scenario())
    assert (refused.refusal, refused.retry_after_seconds) == (Refusal.OVER_QUOTA, 5)
    assert "16 wait" in refused.message
    assert ("org_a", "too many") not in engine.begun


def test_who_asks_nothing_more_is_forgotten_also_after_errors(desk: Desk) -> None:
    def fail(reach: Reach) -> None:
        raise ValueError(reach.org_id)

    async def scenario() -> None:
        questions: list[Callable[[Reach], object]] = [quick, fail]
        for number in range(50):
            for question in questions:
                try:
                    await desk.ask(question, Reach(f"org_{number}"))
                except ValueError as error:
                    assert str(error) == f"org_{number}"

    asyncio.run(scenario())
    desk.close()  # so that every thread has put its line away
    assert desk._lines == {}


def test_a_question_given_up_while_it_waits_is_not_asked(desk: Desk, engine: Engine) -> None:
    async def scenario() -> list[object]:
        tasks = [asyncio.create_task(desk.ask(engine.ask, A, n)) for n in range(4)]
        await begun(engine, AT_ONCE)
        tasks[2].cancel()
        await asyncio.wait([tasks[2]])
        engine.let.set()
        return list(await asyncio.gather(*tasks, return_exceptions=True))

    answers = asyncio.run(scenario())
    assert isinstance(answers.pop(2), asyncio.CancelledError)
    assert answers == [0, 1, 3]
    assert ("org_a", 2) not in engine.begun


def test_closing_waits_for_what_runs_and_gives_up_what_waits(engine: Engine) -> None:
    desk = Desk()

    async def scenario() -> list[object]:
        tasks = [asyncio.create_task(desk.ask(engine.ask, A, n)) for n in range(4)]
        await begun(engine, AT_ONCE)
        closing = asyncio.create_task(asyncio.to_thread(desk.close))
        await asyncio.wait(tasks[2:], timeout=SECONDS)
        assert not closing.done()
        engine.let.set()
        await closing
        return list(await asyncio.gather(*tasks, return_exceptions=True))

    answers = asyncio.run(scenario())
    assert answers[:2] == [0, 1]
    assert all(isinstance(answer, asyncio.CancelledError) for answer in answers[2:])
