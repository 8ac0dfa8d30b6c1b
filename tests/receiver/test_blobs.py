"""Counts out of blobs: those of the provider, and no number that somebody wrote in a text."""

import asyncio
import json

import pytest
from support.otlp import CHAT, protobuf
from support.receiver import Running

from ecomind_receiver.ingest import PROTOBUF
from ecomind_receiver.tenants import LOCAL
from ecomind_semconv import dialects
from ecomind_semconv.blobs import MAX_REPR_LENGTH

USAGE = {"cached_tokens": 30, "cache_creation_input_tokens": 20, "reasoning_tokens": 10}
READ = (30, 20, 10)
NOTHING = (0, 0, 0)
FAKE = '"cached_tokens": 7, "cache_creation": 7, "reasoning": 7'
SINGLE = FAKE.replace('"', "'")
NESTED = json.dumps({"cached_tokens": 7, "cache_creation": 7, "reasoning": 7})
BLOBS = {
    "JSON": (json.dumps(USAGE), READ),
    "JSON with single quotes in a text": (json.dumps({"said": SINGLE, "usage": USAGE}), READ),
    "JSON with double quotes in a text": (json.dumps({"said": FAKE, "usage": USAGE}), READ),
    "JSON with JSON in a text": (json.dumps({"said": NESTED, "usage": USAGE}), READ),
    "JSON with nothing but a text": (json.dumps({"said": f"{FAKE} {SINGLE}"}), NOTHING),
    "repr": (repr(USAGE), READ),
    "repr with double quotes in a text": (repr({"said": FAKE, "usage": USAGE}), READ),
    "repr with single quotes in a text": (repr({"said": SINGLE, "usage": USAGE}), READ),
    "repr with both in a text": (repr({"said": f"{FAKE} {SINGLE}", "usage": USAGE}), READ),
    "repr with a backslash": (repr({"said": f"\\{SINGLE}\\", "usage": USAGE}), READ),
    "JSON that was cut": (json.dumps({"usage": USAGE, "said": SINGLE})[:-9], READ),
    "a long repr": (repr({"usage": USAGE, "said": "x" * MAX_REPR_LENGTH}), NOTHING),
    "a plain text": (f"It said {FAKE} and {SINGLE}", NOTHING),
    "a text in JSON": (json.dumps(f"It said {FAKE} and {SINGLE}"), NOTHING),
    "more than a count can be": (json.dumps(dict.fromkeys(USAGE, 123_456_789)), NOTHING),
    "nothing": ("", NOTHING),
}


@pytest.mark.parametrize("key", dialects.FIELDS["usage_blob"])
def test_only_a_count_outside_every_text_is_read(running: Running, key: str) -> None:
    async def scenario() -> list[tuple[int, int, int]]:
        async with running() as receiver:
            spans = [CHAT | {key: blob} for blob, _ in BLOBS.values()]
            await receiver.accept(LOCAL, protobuf(spans), PROTOBUF)
            await receiver.drain()
            rows = receiver.store.query(
                "SELECT cache_read_tokens AS r, cache_write_tokens AS w, reasoning_tokens AS t"
                " FROM calls ORDER BY span_id"
            )
            return [(row["r"], row["w"], row["t"]) for row in rows]

    read = dict(zip(BLOBS, asyncio.run(scenario()), strict=True))
    assert read == {name: counts for name, (_, counts) in BLOBS.items()}
