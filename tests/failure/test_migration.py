"""A migration that is interrupted after any of its statements is finished by the next start."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from failure.conftest import SCHEMA, schema_of
from failure.ending import end_at
from failure.sending import Sender
from failure.trials import Note, draw_of, judge, receiving, trials


@trials(50)
def test_an_interrupted_migration_is_finished(
    tmp_path: Path, migrated: Path, note: Note, number: int
) -> None:
    row = "migration interrupted"
    draw = draw_of(row, number)
    begun = json.loads((migrated / SCHEMA).read_text())
    nth = (number * 19 + 22) % begun["statements"] + 1  # all of them in fifty trials
    folder = tmp_path / "fresh"
    ended = end_at(folder, "migration", "any", nth, number + 1, {})
    assert ended.killed
    assert ended.sent.acked == frozenset()

    async def trial() -> None:
        async with receiving(folder) as receiver:
            assert schema_of(receiver.store) == begun["tables"]
            sender = Sender(receiver, number + 1, tmp_path / "acknowledged", draw)
            await sender.send(10)
            note(row, sender.sent, await judge(receiver, sender.sent), ended.peak_mb)

    asyncio.run(trial())
