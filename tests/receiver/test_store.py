"""The end of the engine, which rarely does not come."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from support.receiver import make_settings

from ecomind_receiver import store
from ecomind_receiver.store import Store, StoreError


def test_an_engine_that_does_not_close_is_left_with_its_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "CLOSE_SECONDS", 0.05)
    released, left = threading.Event(), threading.Event()
    stuck = Store(make_settings(tmp_path))
    close_clients = stuck._close_clients

    def hang() -> None:
        released.wait()
        close_clients()
        left.set()

    monkeypatch.setattr(stuck, "_close_clients", hang)
    stuck.close()
    assert stuck.stuck
    with pytest.raises(StoreError, match="uses"):
        Store(make_settings(tmp_path))
    released.set()
    assert left.wait(30)  # a process has one engine: the next test needs it


def test_an_engine_that_closes_gives_the_lock_back(tmp_path: Path) -> None:
    for _ in range(2):
        opened: Any = Store(make_settings(tmp_path))
        opened.close()
        assert not opened.stuck
