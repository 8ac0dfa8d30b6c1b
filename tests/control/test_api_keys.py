"""How a key looks, and that no changed character passes for another key."""

from __future__ import annotations

import hashlib
import hmac
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecomind_receiver.api_keys import ALPHABET, Kind, Peppers, mint, parse

BODY = "eco_live_AbCd1234_0123456789ABCDEFGHIJKLMNOPQ"

kinds = st.sampled_from(["live", "test"])


def crc32(data: bytes) -> int:
    """CRC-32 by its definition, bit by bit (ISO 3309, polynomial 0xEDB88320 reflected)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0xEDB88320 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def base62(number: int) -> str:
    return "".join(ALPHABET[number // 62**place % 62] for place in range(5, -1, -1))


def test_the_check_is_crc_32_in_base_62() -> None:
    assert crc32(b"123456789") == 0xCBF43926  # the published check value of CRC-32
    key = parse(BODY + base62(crc32(BODY.encode())))
    assert key is not None
    assert key.id == "AbCd1234"


@given(kinds)
def test_a_new_key_is_read_back(kind: Kind) -> None:
    key = mint(kind)
    assert re.fullmatch(rf"eco_{kind}_[0-9A-Za-z]{{8}}_[0-9A-Za-z]{{33}}", key.text)
    parsed = parse(key.text)
    assert parsed is not None
    assert parsed.id == key.id


@given(st.data(), kinds)
def test_a_key_with_one_character_changed_is_refused(data: st.DataObject, kind: Kind) -> None:
    text = mint(kind).text
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(
        (st.sampled_from(ALPHABET) | st.characters()).filter(lambda c: c != text[place])
    )
    assert parse(text[:place] + other + text[place + 1 :]) is None


@given(st.data(), kinds)
def test_a_key_with_two_neighbours_swapped_or_a_piece_missing_is_refused(
    data: st.DataObject, kind: Kind
) -> None:
    text = mint(kind).text
    place = data.draw(st.integers(0, len(text) - 2))
    swapped = text[:place] + text[place + 1] + text[place] + text[place + 2 :]
    assert swapped == text or parse(swapped) is None
    assert parse(text[:place] + text[place + 1 :]) is None


@given(st.text())
def test_any_text_is_parsed_without_an_exception(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize("around", ["{} ", " {}", "{}\n", "{}{}"])
def test_a_key_with_something_around_it_is_none(around: str) -> None:
    text = mint("live").text
    assert parse(around.replace("{}", text)) is None


def test_keys_are_not_alike() -> None:
    keys = [mint("live") for _ in range(2000)]
    assert len({key.id for key in keys}) == len({key.text for key in keys}) == 2000
    assert set("".join(key.text[18:45] for key in keys)) == set(ALPHABET)


def test_a_secret_is_in_no_representation() -> None:
    key = mint("live")
    parsed = parse(key.text)
    for shown in (repr(key), repr(parsed)):
        assert key.text[18:] not in shown


def test_a_digest_is_hmac_sha_256() -> None:
    """RFC 4231, test case 2."""
    digest = Peppers({3: b"Jefe"}).digest("what do ya want for nothing?", 3)
    assert digest.hex() == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"


def test_the_highest_pepper_is_the_current_one_and_older_ones_go_on() -> None:
    one, two = bytes(range(32)), bytes(range(32, 64))
    peppers = Peppers({1: one, 2: two})
    assert (peppers.current, peppers.knows(1), peppers.knows(3)) == (2, True, False)
    assert peppers.digest("text", 1) == hmac.digest(one, b"text", hashlib.sha256)
    assert peppers.digest("text", 2) == hmac.digest(two, b"text", hashlib.sha256)


def test_an_unknown_version_gives_a_digest_that_nothing_else_gives() -> None:
    peppers = Peppers({1: bytes(range(32))})
    unknown = peppers.digest("text", 9)
    assert len(unknown) == 32
    assert unknown != peppers.digest("text", 1)
    assert unknown != Peppers({1: bytes(range(32))}).digest("text", 9)


@given(st.text())
def test_any_text_has_a_digest(text: str) -> None:
    assert len(Peppers({1: b"k" * 32}).digest(text + "\ud800", 1)) == 32


def test_peppers_are_never_shown_and_never_none() -> None:
    assert "kkkk" not in repr(Peppers({1: b"k" * 32}))
    with pytest.raises(ValueError, match="no pepper"):
        Peppers({})
