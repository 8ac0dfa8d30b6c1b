"""The documentation is whole: every page is reachable, every link leads somewhere, it builds."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
HEADINGS = ["Question", "Decision", "Evidence", "What else was considered", "Consequences"]
OPTIONAL = "What else was considered"


def test_every_page_is_in_the_navigation_and_exists(root: Path, nav: list[str]) -> None:
    pages = sorted(str(path.relative_to(root / "docs")) for path in root.glob("docs/**/*.md"))
    assert sorted(nav) == pages


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_links_outside_the_site_lead_somewhere(root: Path, page: str) -> None:
    links = [urlsplit(link) for link in LINK.findall((root / page).read_text("utf-8"))]
    relative = [link.path for link in links if not link.scheme and link.path]
    assert [path for path in relative if not (root / path).exists()] == []


def test_the_readme_fits_one_screen(root: Path) -> None:
    lines = (root / "README.md").read_text("utf-8").splitlines()
    assert len(lines) <= 60
    assert any(line.startswith("![") for line in lines)


def test_decisions_are_numbered_listed_and_complete(root: Path) -> None:
    folder = root / "docs" / "decisions"
    index = (folder / "index.md").read_text("utf-8")
    for record in sorted(folder.glob("*.md")):
        if record.name == "index.md":
            continue
        text = record.read_text("utf-8")
        number = re.fullmatch(r"(\d{4})-[a-z0-9-]+\.md", record.name)
        assert number, f"{record.name} must be named NNNN-what-was-decided.md"
        assert text.startswith(f"# {number[1]}: ")
        assert f"]({record.name})" in index, f"{record.name} is missing in the index"
        headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
        wanted = [name for name in HEADINGS if name in headings or name != OPTIONAL]
        assert headings == wanted, record.name


def test_the_site_builds_and_loads_nothing_from_elsewhere(root: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict"]
    built = subprocess.run(
        [*command, "--site-dir", str(tmp_path)], cwd=root, capture_output=True, text=True
    )
    assert built.returncode == 0, built.stdout + built.stderr
    for page in tmp_path.rglob("*.html"):
        html = page.read_text("utf-8")
        loaded = re.findall(r"<(?:script|img|iframe)[^>]*\ssrc=\"?((?:https?:)?//[^\s\">]+)", html)
        loaded += re.findall(r"<link[^>]*rel=\"?stylesheet[^>]*href=\"?((?:https?:)?//\S+)", html)
        assert loaded == [], page.name
