"""What each organisation has approved of factors, in memory: the loader never waits to read it.

A thread looks at the control store once a second and reads again where something has changed, and
in any case every minute. A store that can't be reached leaves what was last read, however old: to
go back to the set's factors in the middle of an hour would be a change that nobody decided on. An
embedded store that does not exist yet holds nothing, and is not made just to find that out.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from types import MappingProxyType

from ecomind_processor.terms import NO_TERMS, Terms
from ecomind_receiver.control.errors import NotFound
from ecomind_receiver.control.overrides import OrgOverrides, read_terms
from ecomind_receiver.control.records import OverrideRecord, Status
from ecomind_receiver.control.store import ControlError, ControlStore, default_url
from ecomind_receiver.settings import Settings

log = logging.getLogger("ecomind.terms")

_LOOK_SECONDS = 1.0
_READ_SECONDS = 60.0
_STOP_SECONDS = 10.0
SHOWN = (Status.PROPOSED, Status.APPROVED)


class Agreements:
    """The approved terms of every organisation, kept fresh in the background."""

    def __init__(self, settings: Settings) -> None:
        """Read them, then go on reading. Raises ControlError."""
        self.error = ""
        self._file = None if settings.control_url else settings.data_dir / "control.db"
        self._url = default_url(settings)
        self._store: ControlStore | None = None
        self._terms: Mapping[str, Terms] = MappingProxyType({})
        self._number, self._read_at = -1, -float("inf")
        self._guard, self._opening = threading.Lock(), threading.Lock()
        self._stopping = threading.Event()
        self.refresh()
        self._thread = threading.Thread(target=self._run, name="terms", daemon=True)
        self._thread.start()

    @property
    def current(self) -> Mapping[str, Terms]:
        """Organisation → its terms, of those that have any."""
        return self._terms

    def of(self, org_id: str) -> Terms:
        """The terms of one organisation."""
        return self._terms.get(org_id, NO_TERMS)

    def shown(self, org_id: str) -> tuple[OverrideRecord, ...]:
        """What an organisation has proposed and approved. Blocks; raises ControlError."""
        store = self._opened()
        if store is None:
            return ()
        with store.reading() as tx:
            try:
                return OrgOverrides(tx, org_id).list(SHOWN)
            except NotFound:  # the local organisation, before anybody has made it
                return ()

    def refresh(self) -> None:
        """Read again if something has changed, or if it is time. Blocks; raises ControlError."""
        with self._guard:
            store = self._opened()
            if store is None:
                return
            number = store.changes()
            if number == self._number and time.monotonic() - self._read_at < _READ_SECONDS:
                return
            with store.reading() as tx:
                terms = {org: found for org, found in read_terms(tx).items() if found.id}
            self._terms = MappingProxyType(terms)
            self._number, self._read_at = number, time.monotonic()

    def stop(self) -> None:
        """Stop reading and let go of the store."""
        self._stopping.set()
        self._thread.join(_STOP_SECONDS)  # it may wait for a database that is away
        if self._store is not None:
            self._store.close()

    def _run(self) -> None:
        while not self._stopping.wait(_LOOK_SECONDS):
            try:
                self.refresh()
                self.error = ""
            except Exception as error:  # whatever it is: without this no approval is ever seen
                said = str(error) if isinstance(error, ControlError) else type(error).__name__
                if not self.error:
                    log.error("terms can't be read; the last known hold", extra={"error": said})
                self.error = said

    def _opened(self) -> ControlStore | None:
        """The control store, migrated; None while an embedded one has not been made."""
        with self._opening:
            if self._store is None and (self._file is None or self._file.exists()):
                store = ControlStore(self._url)
                try:
                    store.migrate()
                except BaseException:
                    store.close()
                    raise
                self._store = store
            return self._store
