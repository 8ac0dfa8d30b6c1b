"""Three receivers before one store, in a process that a test may kill.

Each front has a spool of its own; one loader stores what all of them acknowledged and one reconcile
job finds what they took twice. Only public parts are put together; the one thing of our own is
`Spools`, which shows the loader and the job three spools as one.

    python -m captures.three_receivers FOLDER

announces its ports as a line of JSON, then answers each line it reads with a line: `settle` waits
until all is stored, corrects, and says what every organisation was counted as. It ends with stdin.
"""

from __future__ import annotations

import asyncio
import json
import queue
import sys
import threading
from pathlib import Path
from typing import Any, cast

from ecomind_processor.factors import FactorSet
from ecomind_receiver.authentication import Grant
from ecomind_receiver.batch import Batch
from ecomind_receiver.catalogue import Catalogue
from ecomind_receiver.clock import Clock
from ecomind_receiver.http_server import HttpServer
from ecomind_receiver.in_flight import InFlight
from ecomind_receiver.ingest import Ingest
from ecomind_receiver.limits import LocalLimits
from ecomind_receiver.loader import Loader
from ecomind_receiver.otlp_http import OtlpHttp
from ecomind_receiver.otlp_protocol import OtlpProtocol
from ecomind_receiver.receivers import Receivers
from ecomind_receiver.reconcile import Reconciler
from ecomind_receiver.sealed import Sealed
from ecomind_receiver.secrets import Secrets
from ecomind_receiver.settings import Settings
from ecomind_receiver.spool import Spool
from ecomind_receiver.store import Store
from ecomind_receiver.tenants import Caller, Scope, Tenant
from ecomind_semconv.usage import COUNTS

FRONTS = 3
_SEGMENT_SECONDS = 0.2
_POLL_SECONDS = 0.02

_TOKENS = ", ".join(f"toInt64(sum({name}_tokens)) AS {name}" for name in COUNTS)
_ROLLUP = (
    f"SELECT org_id, toInt64(sum(calls)) AS calls, {_TOKENS} FROM usage_hourly GROUP BY org_id"
)
_CALLS = f"""
SELECT org_id, usage_states, [{", ".join(f"{name}_tokens" for name in COUNTS)}] AS tokens,
       toInt64(sum(sign)) AS calls
FROM calls WHERE counted
GROUP BY org_id, trace_hash, span_id, segment_id, usage_states, tokens
HAVING calls != 0
"""
_STORED_TWICE = """
SELECT count() AS n FROM
(
    SELECT org_id, trace_hash, span_id FROM calls
    GROUP BY org_id, trace_hash, span_id HAVING sum(sign) != 1
)
"""


class NamedByHeader:
    """Lets everybody in as the organisation that the authorization header names."""

    def __init__(self) -> None:
        self.failures: dict[str, int] = {}

    async def admit(self, scope: Scope, authorization: str, origin: str = "") -> Grant:
        """The organisation."""
        org_id = authorization.removeprefix("Bearer ")
        return Grant(Caller(org_id, None, "", frozenset({scope})), Tenant(org_id, "default"))

    def knows_origin(self, origin: str) -> bool:
        """No page sends here."""
        return False

    async def close(self) -> None:
        """Nothing is held."""


class Spools:
    """Several spools with one queue: what a loader and a reconcile job ask of a spool."""

    def __init__(self, spools: list[Spool]) -> None:
        self.sealed: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._spools = spools
        self._pumps = [threading.Thread(target=self._pump, args=(one,)) for one in spools]
        for pump in self._pumps:
            pump.start()

    def loaded(self, item: Sealed) -> None:
        """Tell the spool whose directory holds the segment."""
        next(one for one in self._spools if one.directory == item.path.parent).loaded(item)

    def postponed(self, item: Sealed, seconds: float) -> None:
        """Nobody here asks when to come again."""

    def oldest_ns(self) -> int:
        """When the oldest segment that is not stored yet was opened; now, if there is none."""
        return min(one.oldest_ns() for one in self._spools)

    @property
    def busy(self) -> bool:
        """Whether anything acknowledged is not stored yet."""
        return any(one.busy for one in self._spools)

    def seal(self) -> None:
        """Hand over what has been written so far."""
        for one in self._spools:
            one.seal()

    def close(self) -> None:
        """Close every spool; the queue ends behind the last segment."""
        for one in self._spools:
            one.close()
        for pump in self._pumps:
            pump.join()
        self.sealed.put(None)

    def _pump(self, spool: Spool) -> None:
        while (item := spool.sealed.get()) is not None:
            self.sealed.put(item)


class ThreeReceivers:
    """The fronts, their spools, and the one store, loader and reconcile job behind them."""

    def __init__(self, folder: Path) -> None:
        settings = _settings(folder / "data", folder / "keys")
        secrets, self._store = Secrets(settings), Store(settings)
        own = [_settings(folder / f"front-{n}", folder / "keys") for n in range(FRONTS)]
        fronts = [Spool(one, secrets.spool, shared=True) for one in own]
        self._spools = Spools(fronts)
        as_one = cast(Spool, self._spools)
        catalogue = Catalogue(self._store, FactorSet.load(), settings.resolver_cache_entries)
        self._loader = Loader(settings, self._store, as_one, secrets.spool, catalogue)
        self._reconciler = Reconciler(
            settings, self._store, as_one, catalogue, Receivers(self._store, settings.data_dir)
        )
        limit, door = settings.request_max_bytes, NamedByHeader()
        self._ingests = [
            Ingest(
                front, secrets, LocalLimits(), limit,
                InFlight(settings.in_flight_max_bytes), Clock(self._reconciler.closed_until_ns),
            )
            for front in fronts
        ]  # fmt: skip
        self._servers = [
            HttpServer(OtlpHttp(one, door), settings.host, 0, protocol=OtlpProtocol)
            for one in self._ingests
        ]

    async def start(self) -> list[int]:
        """Listen; the ports."""
        return [await server.start() for server in self._servers]

    async def settle(self) -> None:
        """Return once everything acknowledged is stored and corrected."""
        self._spools.seal()
        while self._spools.busy:
            await asyncio.sleep(_POLL_SECONDS)
        await asyncio.to_thread(self._reconciler.settle)

    async def stop(self) -> None:
        """Stop listening, load what was acknowledged, close."""
        for server in self._servers:
            await server.stop()
        self._reconciler.stop()
        self._spools.close()
        self._loader.stop()
        for one in self._ingests:
            one.close()
        self._store.close()

    def result(self) -> dict[str, Any]:
        """The rollup by organisation, each counted call, and how much was corrected."""
        query = self._store.query
        return {
            "rollup": query(_ROLLUP),
            "calls": query(_CALLS),
            "stored_twice": query(_STORED_TWICE)[0]["n"],
            "segments": query("SELECT uniqExact(segment_id) AS n FROM calls")[0]["n"],
            "corrections": query("SELECT count() AS n FROM corrections WHERE sign = -1")[0]["n"],
        }


async def serve(folder: Path) -> None:
    """Run until stdin ends."""
    running = ThreeReceivers(folder)
    _say({"ports": await running.start()})
    while (await asyncio.to_thread(sys.stdin.readline)).strip() == "settle":
        await running.settle()
        _say(await asyncio.to_thread(running.result))
    await running.stop()


def _settings(data_dir: Path, key_dir: Path) -> Settings:
    folders = {"data_dir": data_dir, "key_dir": key_dir}
    return Settings.model_validate({**folders, "spool_segment_max_seconds": _SEGMENT_SECONDS})


def _say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
