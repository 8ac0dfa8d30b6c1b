"""Where secrets come from, what is refused, and that no sentence about one holds it."""

from __future__ import annotations

import asyncio
import os
import random
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.otlp import CHAT, protobuf
from support.receiver import make_settings

from ecomind_receiver.clock import Clock
from ecomind_receiver.in_flight import InFlight
from ecomind_receiver.ingest import PROTOBUF, Ingest
from ecomind_receiver.kinds import Kind
from ecomind_receiver.limits import LocalLimits
from ecomind_receiver.secrets import SecretError, Secrets, weakness
from ecomind_receiver.settings import Settings
from ecomind_receiver.tenants import Tenant

SPOOL, PSEUDONYM, PEPPER, NEWER = (random.Random(seed).randbytes(32).hex() for seed in range(4))
ALL = {"spool_key": SPOOL, "pseudonym_key": PSEUDONYM, "key_pepper": PEPPER}
FILES = {"spool_key": "spool.key", "pseudonym_key": "pseudonym.key", "key_pepper": "pepper.key"}
SCALED = "postgresql://ecomind:a-password@db/ecomind"


def refusal(settings: Settings) -> str:
    """The sentence; it never quotes a secret, and neither does what it was raised from."""
    with pytest.raises(SecretError) as raised:
        Secrets(settings)
    sentence = str(raised.value)
    everything = sentence + repr(raised.value.__cause__)
    assert not re.search(r"[0-9a-fA-F]{32}", everything)
    assert sentence.endswith((".", "good one.")) or "chmod" in sentence
    return sentence


def key_file(path: Path, text: str, mode: int = 0o600) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")
    path.chmod(mode)
    return path


def test_first_start_makes_three_files_that_only_their_owner_reads(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    made, again = Secrets(settings), Secrets(settings)
    files = sorted((tmp_path / "keys").iterdir())
    assert [file.name for file in files] == ["pepper.key", "pseudonym.key", "spool.key"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700
    assert made.spool == again.spool == bytes.fromhex(files[2].read_text())
    assert made.peppers == again.peppers == {1: bytes.fromhex(files[0].read_text())}
    assert made.pseudonym_key("org_demo", 2026) == again.pseudonym_key("org_demo", 2026)


def test_processes_that_start_together_make_one_key(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: Secrets(settings), range(32)))
    assert len({each.spool for each in made}) == 1
    assert len({each.peppers[1] for each in made}) == 1
    assert len(list((tmp_path / "keys").iterdir())) == 3


def test_variables(tmp_path: Path) -> None:
    found = Secrets(make_settings(tmp_path, **ALL))
    assert (found.spool.hex(), found.peppers) == (SPOOL, {1: bytes.fromhex(PEPPER)})
    assert not (tmp_path / "keys").exists()


def test_named_files(tmp_path: Path) -> None:
    named = {f"{name}_file": key_file(tmp_path / name, text) for name, text in ALL.items()}
    found = Secrets(make_settings(tmp_path, **named))
    same = Secrets(make_settings(tmp_path, **ALL))
    assert (found.spool, found.peppers) == (same.spool, same.peppers)
    assert found.pseudonym_key("org_a", 2026) == same.pseudonym_key("org_a", 2026)
    assert not (tmp_path / "keys").exists()


def test_sources_mix(tmp_path: Path) -> None:
    key_file(tmp_path / "keys" / "pepper.key", PEPPER)
    settings = make_settings(
        tmp_path, spool_key=SPOOL, pseudonym_key_file=key_file(tmp_path / "p", PSEUDONYM)
    )
    assert Secrets(settings).peppers == {1: bytes.fromhex(PEPPER)}


@pytest.mark.parametrize("name", ALL)
def test_a_variable_and_a_file_at_once(tmp_path: Path, name: str) -> None:
    both = {name: ALL[name], f"{name}_file": key_file(tmp_path / "key", ALL[name])}
    variable = f"ECOMIND_{name.upper()}"
    sentence = refusal(make_settings(tmp_path, **both))
    assert sentence == f"{variable} and {variable}_FILE are both set. Keep one of them."


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "does not hold 32 bytes"),
        ("changeme", "does not hold 32 bytes"),
        (SPOOL[:-2], "does not hold 32 bytes"),
        (SPOOL + "00", "does not hold 32 bytes"),
        (SPOOL[:-1] + "g", "does not hold 32 bytes"),
        (SPOOL[:32] + " " + SPOOL[32:], "does not hold 32 bytes"),
        ("00" * 32, "fewer than 16 different bytes"),
        ("deadbeef" * 8, "fewer than 16 different bytes"),
        ("0123456789abcdef" * 4, "fewer than 16 different bytes"),
        (b"correct horse battery staple, 32".hex(), "it is text"),
        (b"the quick brown fox jumps over\r\n".hex(), "it is text"),
        (bytes(range(32)).hex(), "a sequence"),
        (bytes(range(255, 223, -1)).hex(), "a sequence"),
        (bytes(7 * n % 256 for n in range(32)).hex(), "a sequence"),
        (SPOOL[:32] * 2, "repeats itself"),
        (bytes(n ^ 1 for n in range(128, 160)).hex(), "a sequence"),
    ],
)
@pytest.mark.parametrize("name", ["spool_key", "pseudonym_key"])
def test_weak_values(tmp_path: Path, name: str, text: str, reason: str) -> None:
    assert reason in refusal(make_settings(tmp_path, **{name: text}))
    assert reason in refusal(
        make_settings(tmp_path, **{f"{name}_file": key_file(tmp_path / "key", text)})
    )
    key_file(tmp_path / "keys" / FILES[name], text)
    assert reason in refusal(make_settings(tmp_path))


@given(st.integers(0, 2**64 - 1))
def test_random_keys_raise_no_false_alarm(seed: int) -> None:
    assert weakness(random.Random(seed).randbytes(32)) == ""


@pytest.mark.parametrize(
    ("mode", "own", "named"),
    [
        (0o600, True, True),
        (0o400, True, True),
        (0o440, False, True),
        (0o640, False, True),
        (0o444, False, False),
        (0o660, False, False),
        (0o602, False, False),
    ],
)
def test_file_modes(tmp_path: Path, mode: int, own: bool, named: bool) -> None:
    """A named file may be readable by its group, as Kubernetes mounts it with an fsGroup."""
    given_file = key_file(tmp_path / "spool", SPOOL, mode)
    key_file(tmp_path / "keys" / "spool.key", SPOOL, mode)
    for allowed, settings, path in (
        (own, make_settings(tmp_path), tmp_path / "keys" / "spool.key"),
        (named, make_settings(tmp_path, spool_key_file=given_file), given_file),
    ):
        if allowed:
            assert Secrets(settings).spool.hex() == SPOOL
            continue
        told = re.search(r"chmod ([0-7]+) (\S+)$", refusal(settings))
        assert told and told[2] == str(path)
        assert int(told[1], 8) & mode == int(told[1], 8)


def test_files_that_are_not_there_or_no_files(tmp_path: Path) -> None:
    absent = make_settings(tmp_path, key_pepper_file=tmp_path / "none")
    assert "No such file or directory. Set ECOMIND_KEY_PEPPER_FILE to a file" in refusal(absent)
    assert "Is a directory" in refusal(make_settings(tmp_path, spool_key_file=tmp_path))
    (tmp_path / "file").write_text("")
    below_a_file = make_settings(tmp_path).model_copy(
        update={"key_dir": tmp_path / "file" / "keys"}
    )
    assert "Set ECOMIND_KEY_DIR to a directory" in refusal(below_a_file)


def test_bytes_that_are_no_text_are_not_quoted(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(bytes.fromhex(SPOOL))
    path.chmod(0o600)
    assert "32 bytes in hexadecimal" in refusal(make_settings(tmp_path, spool_key_file=path))


def test_inside_the_data_directory(tmp_path: Path) -> None:
    outside = make_settings(tmp_path)
    inside = outside.model_copy(update={"key_dir": outside.data_dir / "keys"})
    assert "Set ECOMIND_KEY_DIR to a place outside" in refusal(inside)
    assert not (tmp_path / "data").exists()
    key_file(tmp_path / "data" / "pepper", PEPPER)
    (tmp_path / "link").symlink_to(tmp_path / "data" / "pepper")
    linked = make_settings(tmp_path, key_pepper_file=tmp_path / "link")
    assert "Set ECOMIND_KEY_PEPPER_FILE to a place outside" in refusal(linked)


@pytest.mark.parametrize("name", ALL)
def test_nothing_is_made_up_where_processes_share_a_control_store(
    tmp_path: Path, name: str
) -> None:
    others = {each: text for each, text in ALL.items() if each != name}
    scaled: dict[str, Any] = {"control_url": SCALED}
    sentence = refusal(make_settings(tmp_path, **others, **scaled))
    assert f"Give every process the same ECOMIND_{name.upper()}" in sentence
    assert "a-password" not in sentence
    assert not (tmp_path / "keys").exists()
    key_file(tmp_path / "keys" / FILES[name], ALL[name])
    assert Secrets(make_settings(tmp_path, **others, **scaled)).spool.hex() == SPOOL


def test_a_named_sqlite_file_is_embedded(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, control_url=f"sqlite:///{tmp_path}/elsewhere.db")
    assert len(Secrets(settings).spool) == 32


@pytest.mark.parametrize(
    ("text", "versions"),
    [
        (PEPPER, {1: PEPPER}),
        (f"1:{PEPPER}", {1: PEPPER}),
        (f"7:{PEPPER.upper()}", {7: PEPPER}),
        (f"{PEPPER} 2:{NEWER}", {1: PEPPER, 2: NEWER}),
        (f"\n2:{NEWER}\n\t1:{PEPPER}\n", {1: PEPPER, 2: NEWER}),
    ],
)
def test_pepper_versions(tmp_path: Path, text: str, versions: dict[int, str]) -> None:
    found = Secrets(make_settings(tmp_path, key_pepper=text)).peppers
    assert found == {version: bytes.fromhex(key) for version, key in versions.items()}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (" ", "does not hold 32 bytes"),
        ("2:", "does not hold 32 bytes"),
        (f"2: {PEPPER}", "does not hold 32 bytes"),
        (f"2:{PEPPER},", "does not hold 32 bytes"),
        (f":{PEPPER}", "is not a number from 1 to 9999"),
        (f"0:{PEPPER}", "is not a number from 1 to 9999"),
        (f"-1:{PEPPER}", "is not a number from 1 to 9999"),
        (f"two:{PEPPER}", "is not a number from 1 to 9999"),
        (f"1:2:{PEPPER}", "is not a number from 1 to 9999"),
        (f"{PEPPER} {NEWER}", "holds version 1 twice"),
        (f"2:{PEPPER} 2:{NEWER}", "holds version 2 twice"),
        (f"{PEPPER} 2:{'ab' * 32}", "fewer than 16 different bytes"),
        (f"{PEPPER} 2:{PEPPER}", "hold the same secret"),
    ],
)
def test_bad_peppers(tmp_path: Path, text: str, reason: str) -> None:
    assert reason in refusal(make_settings(tmp_path, key_pepper=text))


@pytest.mark.parametrize(
    "same",
    [("spool_key", "pseudonym_key"), ("spool_key", "key_pepper"), ("pseudonym_key", "key_pepper")],
)
def test_two_secrets_are_never_the_same(tmp_path: Path, same: tuple[str, str]) -> None:
    sentence = refusal(make_settings(tmp_path, **(ALL | dict.fromkeys(same, NEWER))))
    assert "hold the same secret" in sentence
    assert all(f"ECOMIND_{name.upper()}" in sentence for name in same)
    later = make_settings(tmp_path, **(ALL | {"key_pepper": f"{PEPPER} 2:{SPOOL}"}))
    assert "ECOMIND_KEY_PEPPER (version 2) hold the same secret" in refusal(later)


def test_pseudonym_keys_differ_by_organisation_and_year(tmp_path: Path) -> None:
    found = Secrets(make_settings(tmp_path, **ALL))
    keys = {(org, year): found.pseudonym_key(org, year) for org in "abc" for year in (2026, 2027)}
    assert len(set(keys.values())) == 6
    again = Secrets(make_settings(tmp_path, **ALL))
    assert {pair: again.pseudonym_key(*pair) for pair in keys} == keys
    assert all(0 <= half < 2**64 for key in keys.values() for half in key)


def test_pseudonym_keys_need_the_secret(tmp_path: Path) -> None:
    one = Secrets(make_settings(tmp_path, **ALL))
    other = Secrets(make_settings(tmp_path, **(ALL | {"pseudonym_key": NEWER})))
    assert one.pseudonym_key("org_demo", 2026) != other.pseudonym_key("org_demo", 2026)


def test_a_pseudonym_key_is_hmac_sha256(tmp_path: Path) -> None:
    """RFC 2104 written out: H(K ^ opad, H(K ^ ipad, text)), cut to two little-endian halves."""
    from hashlib import sha256

    key = bytes.fromhex(PSEUDONYM).ljust(64, b"\0")
    inner = sha256(bytes(byte ^ 0x36 for byte in key) + b"pseudonym/2026/org_demo").digest()
    outer = sha256(bytes(byte ^ 0x5C for byte in key) + inner).digest()
    found = Secrets(make_settings(tmp_path, **ALL)).pseudonym_key("org_demo", 2026)
    assert b"".join(half.to_bytes(8, "little") for half in found) == outer[:16]


class Records:
    """Takes what a spool would."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []

    def require_room(self, org_id: str, size_bytes: int) -> None:
        """There always is."""

    async def append(self, org_id: str, record: list[bytes], spans: int, kind: Kind) -> None:
        self.taken.append(b"".join(record))


def test_the_epoch_is_the_utc_year_in_which_a_request_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1,798,761,600 s after 1970 is 2027-01-01T00:00:00Z: 57 years with 14 leap days."""
    assert (57 * 365 + 14) * 86_400 == 1_798_761_600
    secrets, records = Secrets(make_settings(tmp_path, **ALL)), Records()
    in_flight, clock = InFlight(100_000), Clock(lambda: 0)
    ingest = Ingest(cast(Any, records), secrets, LocalLimits(), 10_000, in_flight, clock)
    for now_ns in (1_798_761_599_999_999_999, 1_798_761_600_000_000_000):
        monkeypatch.setattr("ecomind_receiver.clock.time.time_ns", lambda now=now_ns: now)
        for org in ("org_a", "org_b"):
            body = protobuf([CHAT], start_ns=now_ns)
            with in_flight.request(org) as held:
                asyncio.run(ingest.accept(Tenant(org, "default"), body, PROTOBUF, held=held))
    for record, year, org in zip(
        records.taken, (2026, 2026, 2027, 2027), ("org_a", "org_b") * 2, strict=True
    ):
        halves = secrets.pseudonym_key(org, year)
        assert all(half.to_bytes(8, "little") in record for half in halves), (org, year)


def test_nothing_shows_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in ALL.items():
        monkeypatch.setitem(os.environ, f"ECOMIND_{name.upper()}", text)
    settings = make_settings(tmp_path)
    shown = f"{settings!r} {settings} {Secrets(settings)!r} {settings.model_dump()}"
    assert not any(text in shown for text in ALL.values())
