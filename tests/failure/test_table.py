"""The table adds up trials from any process, and says what was lost."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

from failure.table import PROPERTY, Trial, lines_of, rows_of, write

KILLS = Trial("kill", 3, 1500, 0, 0, True, 600)
MORE = Trial("kill", 1, 200, 100, 2, False, 700)
FULL = Trial("disk full", 1, 1000, 0, 0, True, 400)


def test_rows_come_together_and_are_summed(tmp_path: Path) -> None:
    reports = [
        SimpleNamespace(when="call", user_properties=[(PROPERTY, asdict(trial))])
        for trial in (KILLS, FULL, MORE)
    ]
    reports.append(SimpleNamespace(when="teardown", user_properties=reports[0].user_properties))
    rows = rows_of([*reports, object()])
    assert rows == [FULL, Trial("kill", 4, 1700, 100, 2, False, 700)]
    assert lines_of(rows) == [
        "failure   trials  acked spans  lost duplicated rollup equal  peak MB",
        "disk full      1        1,000     0          0          yes      400",
        "kill           4        1,700   100          2           NO      700",
        "5 trials, seed 1: lost 100, duplicated 2",
    ]
    write(rows, tmp_path / "build" / "table.json")
    written = json.loads((tmp_path / "build" / "table.json").read_text())
    assert [Trial(**row) for row in written] == rows
