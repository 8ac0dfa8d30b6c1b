"""The Makefile keeps its promise: the words that people are told, each with a line of help."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

WORDS = {
    "help", "demo", "up", "test", "captures", "lint", "types", "bench", "docs", "screenshots",
    "soak", "fuzz", "peers", "clean",
}  # fmt: skip


def test_the_words_are_these_and_each_has_help(targets: dict[str, str]) -> None:
    assert targets.keys() == WORDS


def test_no_word_is_mistaken_for_a_file(root: Path, targets: dict[str, str]) -> None:
    phony = re.findall(r"^\.PHONY: (.+)$", (root / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert targets.keys() <= set(" ".join(phony).split())


def test_help_is_what_make_alone_says(root: Path, targets: dict[str, str]) -> None:
    printed = subprocess.run(["make"], cwd=root, capture_output=True, check=True, text=True).stdout
    assert dict(re.findall(r"^  make (\S+) +(.+)$", printed, re.MULTILINE)) == targets


def test_hosted_runs_use_the_same_words(root: Path, targets: dict[str, str]) -> None:
    workflow = (root / ".github/workflows/test.yml").read_text("utf-8")
    assert ".ci/run" in workflow
    assert "exec make test" in (root / ".ci/run").read_text("utf-8")
    matrix = re.search(r"word: (\[.+\])", workflow)
    assert matrix
    assert {words.split()[0] for words in re.findall(r'"(.+?)"', matrix[1])} <= targets.keys()
