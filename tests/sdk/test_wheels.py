"""What pip builds: the server stands alone, the SDK is light, a release ships no file twice."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from email.message import Message
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHARED = {"ecomind", "ecomind_processor", "ecomind_semconv"}
SERVER = {"ecomind_query", "ecomind_receiver"}


@dataclass(frozen=True)
class Wheel:
    """A built wheel: its files outside the metadata folder, its metadata and its entry points."""

    files: frozenset[str]
    metadata: Message
    entry_points: str
    notices: frozenset[str]

    @property
    def packages(self) -> set[str]:
        return {name.partition("/")[0] for name in self.files}

    @property
    def requirements(self) -> list[str]:
        return self.metadata.get_all("Requires-Dist") or []


def build(source: Path, into: Path, **environment: str) -> Wheel:
    """Build the wheel of `source` as `pip install` does."""
    isolated = [] if importlib.util.find_spec("hatchling") is None else ["--no-build-isolation"]
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", *isolated]
    result = subprocess.run(
        [*pip, "--wheel-dir", str(into), str(source)],
        env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **environment},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    (path,) = into.glob("*.whl")
    with ZipFile(path) as wheel:
        contents = {name: wheel.read(name) for name in wheel.namelist()}
    (folder,) = {name.partition("/")[0] for name in contents if ".dist-info/" in name}
    return Wheel(
        files=frozenset(name for name in contents if not name.startswith(folder)),
        metadata=Parser().parsestr(contents[f"{folder}/METADATA"].decode()),
        entry_points=contents.get(f"{folder}/entry_points.txt", b"").decode(),
        notices=frozenset(name for name in contents if name.startswith(f"{folder}/licenses/")),
    )


@pytest.fixture(scope="module")
def sdk(tmp_path_factory: pytest.TempPathFactory) -> Wheel:
    return build(ROOT / "sdks" / "python", tmp_path_factory.mktemp("sdk"))


def test_the_sdk_holds_what_it_needs_and_asks_for_opentelemetry_alone(sdk: Wheel) -> None:
    assert sdk.packages == SHARED
    assert sdk.requirements == ["opentelemetry-api>=1.39", "opentelemetry-sdk>=1.39"]
    assert "ecomind = ecomind.provider:post_instrument" in sdk.entry_points


def test_the_sdk_brings_the_factors_the_types_and_the_licence(sdk: Wheel) -> None:
    assert {"ecomind/py.typed", "ecomind_semconv/names.py"} <= sdk.files
    assert any(
        name.startswith("ecomind_processor/factors/") and name.endswith(".json")
        for name in sdk.files
    )
    assert {name.rpartition("/")[2] for name in sdk.notices} == {"LICENSE"}
    assert sdk.metadata["License-Expression"] == "Apache-2.0"


def test_no_wheel_carries_what_is_not_code_or_data(sdk: Wheel) -> None:
    assert [name for name in sdk.files if "__pycache__" in name or "/tests/" in name] == []


def test_the_server_stands_alone(tmp_path: Path) -> None:
    server = build(ROOT, tmp_path)
    assert server.packages == SHARED | SERVER
    assert "ecomind = ecomind_query.cli:main" in server.entry_points
    schema = {name for name in server.files if name.startswith("ecomind_receiver/sql/schema/")}
    assert "ecomind_receiver/sql/schema/001_calls.sql" in schema


def test_released_wheels_share_no_file(sdk: Wheel, tmp_path: Path) -> None:
    server = build(ROOT, tmp_path, ECOMIND_RELEASE="1")
    assert server.packages == SERVER
    assert server.files.isdisjoint(sdk.files)
    assert f"ecomind-sdk=={sdk.metadata['Version']}" in server.requirements


def test_both_distributions_agree_on_version_licence_and_python() -> None:
    root, sdk = (
        tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
        for folder in (ROOT, ROOT / "sdks" / "python")
    )
    for field in ("version", "license", "requires-python"):
        assert root[field] == sdk[field]
    licence = (ROOT / "LICENSE").read_bytes()
    assert (ROOT / "sdks" / "python" / "LICENSE").read_bytes() == licence
