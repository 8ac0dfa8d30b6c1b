"""Writers pass together; whoever wants the store to hold still has it for itself."""

from __future__ import annotations

import threading

import pytest

from ecomind_receiver.gate import Gate


def test_the_gate_waits_for_writers_and_keeps_new_ones_out() -> None:
    gate, done = Gate(), []
    inside, leave = threading.Event(), threading.Event()

    def write(name: str) -> None:
        with gate.writing():
            inside.set()
            leave.wait(10)
            done.append(name)

    first = threading.Thread(target=write, args=("first",))
    first.start()
    inside.wait(10)
    with pytest.raises(TimeoutError), gate.shut(0.05):
        done.append("never")
    leave.set()
    with gate.shut(10):
        first.join()
        second = threading.Thread(target=write, args=("second",))
        second.start()
        second.join(0.1)
        done.append("snapshot")
    second.join()
    assert done == ["first", "snapshot", "second"]
