"""The table of the documentation is the table of the suite."""

from __future__ import annotations

import re
from pathlib import Path

from ecomind_query.conformance.cases import CASES

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"


def test_every_case_is_documented_as_it_is() -> None:
    rows = re.findall(r"^\| (\d+) \| (.+?) \| (.+?) \| (.+?) \| (.+?) \|$", PAGE.read_text(), re.M)
    assert rows == [
        (
            str(case.number),
            case.title,
            case.expected,
            ", ".join(case.transports),
            f"no: {case.inside}" if case.inside else "yes",
        )
        for case in CASES
    ]
