"""A record of Ecomind's topic opens for who has the key, unaltered, and for nobody else."""

from __future__ import annotations

import pytest

from ecomind_receiver.kafka.record import (
    About,
    Headers,
    Opener,
    RecordError,
    Sealer,
    clear_bytes,
    sent_by,
)
from ecomind_receiver.kinds import Kind
from ecomind_receiver.spool import envelope
from ecomind_receiver.tenants import Tenant

KEY = bytes(range(32))
ABOUT = About(Tenant("org_a", "web"), 3, Kind.TRACES)
BODY = b"the canary sings " * 1000


def test_what_was_sealed_is_opened() -> None:
    sealer, opener = Sealer(KEY), Opener(KEY)
    for body in (BODY, b"", b"x"):
        value = sealer.seal(body, ABOUT)
        assert opener.open(value, ABOUT.headers()) == (ABOUT, body)
        assert clear_bytes(value) == len(body)


def test_it_is_compressed_and_then_unreadable() -> None:
    value = Sealer(KEY).seal(BODY, ABOUT)
    assert len(value) < len(BODY) / 20
    assert b"canary" not in value


def test_two_records_share_neither_nonce_nor_ciphertext() -> None:
    sealer = Sealer(KEY)
    first, second = (sealer.seal(BODY, ABOUT) for _ in range(2))
    assert first[:72] == second[:72]  # magic, size, wrapped key
    assert first[72:84] != second[72:84]
    assert first[84:] != second[84:]


def test_records_of_several_processes_are_opened_by_one() -> None:
    opener = Opener(KEY)
    for _ in range(3):
        assert opener.open(Sealer(KEY).seal(BODY, ABOUT), ABOUT.headers()).envelopes == BODY


@pytest.mark.parametrize(
    "headers",
    [
        About(Tenant("org_b", "web"), 3, Kind.TRACES).headers(),
        About(Tenant("org_a", "api"), 3, Kind.TRACES).headers(),
        About(Tenant("org_a", "web"), 4, Kind.TRACES).headers(),
        About(Tenant("org_a", "web"), 3, Kind.LOGS).headers(),
        [*ABOUT.headers(), ("ecomind-org", b"org_b")],
    ],
)
def test_whose_it_is_cannot_be_changed(headers: Headers) -> None:
    value = Sealer(KEY).seal(BODY, ABOUT)
    with pytest.raises(RecordError, match="integrity"):
        Opener(KEY).open(value, headers)


def test_every_altered_byte_is_noticed() -> None:
    value, opener = Sealer(KEY).seal(b"body", ABOUT), Opener(KEY)
    for at in range(len(value)):
        altered = bytearray(value)
        altered[at] ^= 1
        with pytest.raises(RecordError):
            opener.open(bytes(altered), ABOUT.headers())
    for length in range(len(value)):
        with pytest.raises(RecordError):
            opener.open(value[:length], ABOUT.headers())


def test_another_key_opens_nothing_and_is_named() -> None:
    with pytest.raises(RecordError, match="ECOMIND_SPOOL_KEY"):
        Opener(bytes(32)).open(Sealer(KEY).seal(BODY, ABOUT), ABOUT.headers())


@pytest.mark.parametrize("missing", range(4))
def test_a_record_without_a_header_is_nobodys(missing: int) -> None:
    headers = ABOUT.headers()
    del headers[missing]
    with pytest.raises(RecordError, match="whose it is"):
        Opener(KEY).open(Sealer(KEY).seal(BODY, ABOUT), headers)


def test_an_envelope_says_whose_it_is_and_when_it_came() -> None:
    tenant, received_ns = Tenant("org_ä" * 40, "p"), 1_700_000_000_123_456_789
    record = envelope(tenant, received_ns, (1, 2), b"body", Kind.TRACES)
    assert sent_by(record) == (tenant, received_ns)
