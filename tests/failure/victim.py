"""A process that receives, loads, reconciles and closes days until it ends itself at a point.

`python -m failure.victim FOLDER SEED DRAW PLACE POINT NTH`: PLACE is `spool`, `loader`, `reconcile`
or `migration`, where POINT says nothing. It ends with status 0 if the point was never reached.
"""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

from failure import points
from failure.sending import Sender
from failure.trials import receiving, settle

from ecomind_receiver.store import Store

ROUNDS = 6
REPORT = "acknowledged"
SENT = ROUNDS * 5
"""Requests that a victim sends at most."""
_MONTH_SECONDS = 32 * 86_400


async def live(folder: Path, seed: int, draw: random.Random, place: str) -> None:
    """Send in rounds, each a segment or two, partly of calls of a month ago; then close all."""
    async with receiving(folder) as receiver:
        sender = Sender(receiver, seed, folder / REPORT, draw)
        for number in range(ROUNDS):
            await sender.send(SENT // ROUNDS, _MONTH_SECONDS if number % 3 == 1 else 0.0)
            receiver.spool.seal()
        await receiver.drain()
        if place == "reconcile":
            arm()
        await settle(receiver)


def arm() -> None:
    """End at the point that the command line names."""
    place, name, nth = sys.argv[4:7]
    of_place = {"spool": points.SPOOL, "loader": points.LOADER, "reconcile": points.RECONCILE}
    points.end_at(of_place[place][name], int(nth))


def main() -> None:
    folder, seed, place = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[4]
    if place == "migration":
        points.end_at(points.Point(Store, "command"), int(sys.argv[6]))
    elif place != "reconcile":
        arm()
    asyncio.run(live(folder, seed, random.Random(sys.argv[3]), place))


if __name__ == "__main__":
    main()
