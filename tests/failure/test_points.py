"""`kill -9` between any two steps of the spool, the loader, reconcile and the daily close."""

from __future__ import annotations

from pathlib import Path

from failure.ending import end_one
from failure.points import LOADER, RECONCILE, SPOOL
from failure.trials import Note, draw_of, judged, trials


@trials(60)
def test_spool_and_loader(begun: Path, note: Note, number: int) -> None:
    row = "kill -9 between steps of spool and loader"
    place, points = ("spool", SPOOL) if number % 3 == 2 else ("loader", LOADER)
    ended = end_one(begun, place, points, draw_of(row, number))
    note(row, ended.sent, judged(begun, ended.sent), ended.peak_mb)


@trials(40)
def test_reconcile_and_close(begun: Path, note: Note, number: int) -> None:
    row = "kill -9 between steps of reconcile and close"
    ended = end_one(begun, "reconcile", RECONCILE, draw_of(row, number))
    note(row, ended.sent, judged(begun, ended.sent), ended.peak_mb)
