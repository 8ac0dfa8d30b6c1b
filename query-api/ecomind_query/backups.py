"""`POST /v1/backups`: takes a backup and says line by line how far it is.

The answer begins once the directory is known to be usable, so what can be refused at once is. A
client that goes away does not end the backup.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import APIRouter, Depends
from fastapi.responses import StreamingResponse

from ecomind_query.callers import Responses, housekeeping
from ecomind_query.errors import BadParameter
from ecomind_query.shapes import BackupLine, BackupOrder, BackupTaken, Problem
from ecomind_receiver.backup.making import Backups
from ecomind_receiver.backup.manifest import BackupError, Observe, Progress

DONE, FAILED = "done", "failed"
_EVERY_SECONDS = 0.25
_LINES: Responses = {
    200: {"model": BackupLine, "description": "One such object a line, while it goes on."},
    422: {"model": Problem, "description": "The directory can't be used; see detail."},
}


class Lines(StreamingResponse):
    """JSON objects, one a line."""

    media_type = "application/x-ndjson"


def backup_router(backups: Backups) -> APIRouter:
    """The route that takes backups."""
    router = APIRouter(tags=["operation"])

    @router.post(
        "/backups",
        summary="Take a backup, on the server's own machine",
        dependencies=[Depends(housekeeping)],
        response_class=Lines,
        responses=_LINES,
    )
    async def backup(body: BackupOrder) -> Lines:
        """Everything but keys, into a new directory; the server goes on meanwhile.

        The answer is a JSON object a line. The last has the step `done` and what was taken, or
        `failed` and why.
        """
        directory = Path(body.directory)
        try:
            await asyncio.to_thread(backups.check, directory)
        except BackupError as error:
            raise BadParameter("directory", str(error)) from error
        return Lines(_lines(backups, directory))

    return router


async def _lines(backups: Backups, directory: Path) -> AsyncIterator[str]:
    latest = Progress("starting")

    def observe(progress: Progress) -> None:
        nonlocal latest
        latest = progress

    making = asyncio.ensure_future(asyncio.to_thread(take, backups, directory, observe))
    while not making.done():
        yield _text(BackupLine(**latest._asdict()))
        await asyncio.wait([making], timeout=_EVERY_SECONDS)
    try:
        yield _text(BackupLine(step=DONE, backup=making.result()))
    except BackupError as error:
        yield _text(BackupLine(step=FAILED, detail=str(error)))


def take(backups: Backups, directory: Path, observe: Observe) -> BackupTaken:
    """Take a backup; what it comes to. Blocks; raises BackupError."""
    started = time.monotonic()
    made = backups.make(directory, observe)
    return BackupTaken(
        directory=str(directory),
        as_of=made.as_of,
        seconds=round(time.monotonic() - started, 3),
        files=len(made.files),
        size_bytes=made.size_bytes,
        calls=made.tables["calls"]["rows"],
        closed_days=len(made.closes),
        not_included=made.not_included,
    )


def _text(line: BackupLine) -> str:
    return line.model_dump_json(exclude_defaults=True) + "\n"
