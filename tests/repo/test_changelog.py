"""Changelog fragments are named so that towncrier finds them and hold one sentence each."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

NAME = re.compile(r"[1-9][0-9]*\.[a-z0-9-]+\.(feature|bugfix|doc|removal|misc)\.md")
OTHERS = {"README.md", "template.md.jinja"}


def fragments(root: Path) -> list[Path]:
    return [path for path in (root / "changelog.d").iterdir() if path.name not in OTHERS]


def test_names_say_issue_slug_and_kind(root: Path) -> None:
    assert [p.name for p in fragments(root) if not NAME.fullmatch(p.name)] == []


def test_each_holds_one_sentence(root: Path) -> None:
    texts = {path.name: path.read_text("utf-8").strip() for path in fragments(root)}
    wrong = [name for name, text in texts.items() if "\n\n" in text or not text.endswith(".")]
    wrong += [name for name, text in texts.items() if re.search(r"\w\w[.!?]\s+[A-Z]", text)]
    assert wrong == []


def test_a_release_prints_them_with_the_number_of_their_issue(root: Path) -> None:
    command = [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "9.9.9"]
    draft = subprocess.run(command, cwd=root, capture_output=True, check=True, text=True).stdout
    assert "## 9.9.9 (" in draft
    for path in fragments(root):
        sentence = " ".join(path.read_text("utf-8").split())
        assert f"- {sentence} (#{path.name.split('.')[0]})" in " ".join(draft.split())
