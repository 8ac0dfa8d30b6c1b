"""Other users of the machine read nothing, whatever umask Ecomind was started with."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.receiver import make_settings

from ecomind_receiver.control.store import ControlStore, default_url
from ecomind_receiver.store import Store


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def open_to_others(folder: Path) -> list[str]:
    return [
        str(path.relative_to(folder.parent))
        for path in (folder, *folder.rglob("*"))
        if not path.is_symlink() and stat.S_IMODE(path.stat().st_mode) & 0o077
    ]


def test_a_new_store_is_closed_to_others(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    control = ControlStore(default_url(settings))
    control.migrate()
    control.close()
    assert open_to_others(settings.data_dir) == []
    Store(settings).close()
    assert open_to_others(settings.data_dir) == []


def test_a_directory_of_an_older_version_is_closed(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    (settings.data_dir / "store").mkdir(parents=True)
    assert stat.S_IMODE(settings.data_dir.stat().st_mode) == 0o755
    Store(settings).close()
    for folder in (settings.data_dir, settings.data_dir / "store"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
