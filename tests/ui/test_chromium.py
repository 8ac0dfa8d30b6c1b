"""The page in a real browser: no sideways scroll, axe-core, contrast, policy, and its behaviour."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from ui.serving import sample_app, served

TOOLS = Path(__file__).parents[2] / "query-api" / "ui-tools"
NEEDS = {
    "Debian package chromium": shutil.which("chromium"),
    "Debian package nodejs": shutil.which("node"),
    "playwright-core and axe-core (npm ci --prefix query-api/ui-tools)": (
        TOOLS / "node_modules" / "axe-core"
    ).is_dir(),
}
UNFIT = """<!doctype html><html lang="en"><head><title>Unfit</title></head><body><main>
<h1 style="width: 900px">Too wide</h1><p><font color="#aaaaaa">Too pale</font></p>
<pre>{}</pre></main></body></html>""".format("wide " * 200)

pytestmark = [pytest.mark.chromium, pytest.mark.timeout(600)]


@pytest.fixture(autouse=True)
def browser() -> None:
    missing = [name for name, found in NEEDS.items() if not found]
    if missing:
        pytest.skip("no browser check, missing: " + "; ".join(missing))


@pytest.fixture
def base() -> Iterator[str]:
    with served(sample_app()) as base:
        yield base


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["node", str(TOOLS / script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=540, check=False)


def test_every_page_fits_every_screen_and_passes_axe(base: str, tmp_path: Path) -> None:
    done = run("look.mjs", "--base", base, "--out", str(tmp_path), "--widths", "360,1440")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list(tmp_path.glob("*.png"))) == 6 * 2 * 2  # pages × themes × widths


def test_a_fresh_install_fits_too(tmp_path: Path) -> None:
    with served(sample_app(empty=True)) as base:
        done = run("look.mjs", "--base", base, "--out", str(tmp_path), "--widths", "360")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_check_itself_finds_what_is_wrong(tmp_path: Path) -> None:
    app = FastAPI()

    @app.get("/{path:path}")
    def unfit(path: str) -> HTMLResponse:
        return HTMLResponse(UNFIT, headers={"Content-Security-Policy": "style-src 'self'"})

    with served(app) as base:
        done = run("look.mjs", "--base", base, "--out", str(tmp_path), "--widths", "360")
    assert done.returncode == 1
    assert "overview at 360 px, light: scrolls" in done.stderr
    assert "overview at 360 px, light: color-contrast" in done.stderr
    assert "Content Security Policy" in done.stderr


def test_refresh_theme_and_tooltips_behave(base: str) -> None:
    done = run("behave.mjs", "--base", base)
    assert done.returncode == 0, done.stdout + done.stderr
