"""A power cut after any step: what was not synced is gone, what was promised is not."""

from __future__ import annotations

from pathlib import Path

from failure import power
from failure.ending import end_one
from failure.points import LOADER, RECONCILE, SPOOL
from failure.trials import Note, draw_of, judged, trials

PLACES = (("spool", SPOOL), ("loader", LOADER), ("reconcile", RECONCILE))


@trials(40, quick=2)
def test_what_was_not_synced_is_lost(
    begun: Path, tmp_path: Path, library: Path, note: Note, number: int
) -> None:
    row = "power cut: un-synced bytes lost, tokens kept"
    draw, journal = draw_of(row, number), tmp_path / "journal"
    place, points = PLACES[number % 3]
    preload = {"LD_PRELOAD": str(library), "UNSYNCED_JOURNAL": str(journal)}
    ended = end_one(begun, place, points, draw, preload)
    assert power.cut(begun / "data", journal) > 0
    note(row, ended.sent, judged(begun, ended.sent), ended.peak_mb)
