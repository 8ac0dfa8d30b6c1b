"""Reads one sheet of an `.xlsx` workbook with the standard library alone."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from importers.carbon_file import ImportFailure

_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_LINK = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"


def rows(path: Path, sheet: str) -> Iterator[list[str]]:
    """The rows of a sheet as text, a blank for each empty cell before the last one of a row."""
    with zipfile.ZipFile(path) as book:
        shared = _shared_strings(book)
        with book.open(_member(book, path, sheet)) as stream:
            for _, element in ElementTree.iterparse(stream):
                if element.tag == f"{_MAIN}row":
                    yield _cells(element, shared)
                    element.clear()


def _member(book: zipfile.ZipFile, path: Path, sheet: str) -> str:
    workbook = ElementTree.fromstring(book.read("xl/workbook.xml"))
    links = ElementTree.fromstring(book.read("xl/_rels/workbook.xml.rels"))
    targets = {link.get("Id"): link.get("Target", "") for link in links}
    for entry in workbook.iter(f"{_MAIN}sheet"):
        if entry.get("name") == sheet:
            target = targets[entry.get(_LINK)]
            return target.removeprefix("/") if target.startswith("/") else f"xl/{target}"
    raise ImportFailure(f"{path.name} has no sheet {sheet!r}.")


def _shared_strings(book: zipfile.ZipFile) -> list[str]:
    if "xl/sharedStrings.xml" not in book.namelist():
        return []
    root = ElementTree.fromstring(book.read("xl/sharedStrings.xml"))
    return ["".join(t.text or "" for t in item.iter(f"{_MAIN}t")) for item in root]


def _cells(row: ElementTree.Element, shared: list[str]) -> list[str]:
    cells: list[str] = []
    for cell in row.iter(f"{_MAIN}c"):
        column = _column(cell.get("r", ""), len(cells))
        cells.extend([""] * (column - len(cells)))
        value = cell.find(f"{_MAIN}v")
        text = "".join(t.text or "" for t in cell.iter(f"{_MAIN}t")) if value is None else ""
        if value is not None and value.text is not None:
            text = shared[int(value.text)] if cell.get("t") == "s" else value.text
        cells.append(text)
    return cells


def _column(reference: str, default: int) -> int:
    letters = re.match(r"[A-Z]+", reference)
    if not letters:
        return default
    number = 0
    for letter in letters.group():
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1
