"""What looks for leaks finds them: each kind, in answers, files, log lines, Redis and SQL."""

from __future__ import annotations

import logging
import zlib
from pathlib import Path

import pytest
from isolation import leaks
from isolation.canaries import MARKER, Canaries
from support import backends

from ecomind_receiver import api_keys
from ecomind_receiver.tenants import Reach

ONE, ALL, OTHER = Reach("org_a", "alpha"), Reach("org_a"), Reach("org_b")


@pytest.fixture
def canaries() -> Canaries:
    return Canaries()


def test_a_label_is_for_who_may_read_it(canaries: Canaries) -> None:
    word = canaries.label("org_a", "alpha", "team")
    text = f'{{"team": "{word.upper()}", "calls": 1}}'
    assert not canaries.foreign(text, ONE)
    assert not canaries.foreign(text, ALL)
    for reach in (OTHER, Reach("org_a", "beta"), None):
        assert canaries.foreign(text, reach) == [f"{word}, the team of org_a/alpha"]


def test_what_concerns_an_organisation_is_for_each_of_its_projects(canaries: Canaries) -> None:
    word = canaries.label("org_a", None, "organisation's name")
    assert not canaries.foreign(word, ONE)
    assert canaries.foreign(word, OTHER)


def test_ids_are_canaries(canaries: Canaries) -> None:
    org_id = canaries.org_id()
    project_id = canaries.project_id(org_id)
    assert not canaries.foreign(f"{org_id} {project_id}", Reach(org_id, project_id))
    assert len(canaries.foreign(f"{org_id} {project_id}", OTHER)) == 2
    assert len(canaries.foreign(f"{org_id} {project_id}", Reach(org_id, "p-other"))) == 1


def test_content_is_for_nobody(canaries: Canaries) -> None:
    word = canaries.content("org_a", "alpha", "gen_ai.prompt")
    assert canaries.foreign(f"<p>{word}</p>", ONE)
    assert not canaries.foreign(f"<p>{word}</p>", ONE, given=f"?team={word}")


def test_a_canary_that_nobody_made_is_none(canaries: Canaries) -> None:
    assert not canaries.foreign(f"{MARKER}0123456789abcdef", None)


@pytest.mark.parametrize("before", [b"", b"user-abc", b"\xff"])
@pytest.mark.parametrize("cut", [0, len(MARKER)])
def test_content_is_found_in_files(
    canaries: Canaries, tmp_path: Path, before: bytes, cut: int
) -> None:
    """Also where the marker that all canaries share is gone, as a compressed file may have it."""
    word = canaries.content("org_a", "alpha", "user.id")
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "part.bin").write_bytes(before + word[cut:].encode() + b"zz\x00")
    found = [f"store/part.bin: content: {word[len(MARKER) :]}"]
    assert leaks.in_files(tmp_path, canaries) == found


def test_labels_may_lie_in_files(canaries: Canaries, tmp_path: Path) -> None:
    (tmp_path / "part.bin").write_text(canaries.label("org_a", "alpha", "team"))
    assert leaks.in_files(tmp_path, canaries) == []


def test_the_secret_of_a_key_is_found_in_files(canaries: Canaries, tmp_path: Path) -> None:
    key = api_keys.mint("live")
    canaries.api_key(key.text)
    (tmp_path / "a.log").write_text(f"Bearer {key.text}")
    (tmp_path / "b.log").write_text(f"{key.text.rpartition('_')[2]} alone")
    (tmp_path / "c.log").write_text(f"{key.id} may be shown")
    assert [leak[:5] for leak in leaks.in_files(tmp_path, canaries)] == ["a.log", "b.log"]


def test_what_is_compressed_is_opened_by_nobody(canaries: Canaries, tmp_path: Path) -> None:
    """The limit of looking through files: what is squeezed by more than back-references is missed.

    The store's codecs (LZ4) leave letters as they are, so what it holds in the clear is found.
    """
    word = canaries.content("org_a", "alpha", "user.id")
    (tmp_path / "squeezed").write_bytes(zlib.compress(word.encode() * 50, 9))
    assert leaks.in_files(tmp_path, canaries) == []


def test_log_lines_hold_nothing_of_others(canaries: Canaries) -> None:
    org_id, other = canaries.org_id(), canaries.org_id()
    key, prompt = api_keys.mint("live"), canaries.content(org_id, None, "prompt")
    canaries.api_key(key.text)
    with leaks.log_lines() as lines:
        log = logging.getLogger("ecomind.test")
        log.info("request", extra={"org": org_id})
        logging.getLogger("httpx").info("GET /?team=%s", other)
        assert lines.leaks(canaries) == []
        log.debug("request", extra={"org": org_id, "team": other})
        log.info("refused", extra={"error": f"the key {key.text} is unknown"})
        log.info("span %s", prompt, extra={"org": org_id})
        log.info("loaded for %s", org_id)
        assert len(lines.leaks(canaries)) == 5  # the prompt is found as text and as bytes
        assert lines.leaks(canaries) == []


@pytest.mark.parametrize(
    ("given", "words"),
    [("", set()), ("redis", {"redis"}), (" postgres, redis ", {"postgres", "redis"})],
)
def test_backend_names_servers(given: str, words: set[str]) -> None:
    assert backends.wanted({backends.VARIABLE: given}) == words


def test_an_unknown_backend_is_refused_in_a_sentence() -> None:
    with pytest.raises(pytest.UsageError, match="BACKEND names mysql, which is none"):
        backends.wanted({backends.VARIABLE: "redis,mysql"})


def test_a_server_that_is_named_and_missing_fails_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    with (
        pytest.raises(pytest.fail.Exception, match="redis-server is not installed"),
        backends.backend(frozenset({"redis"})),
    ):
        pass
