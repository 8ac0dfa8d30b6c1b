"""`track()`: who the calls inside a block belong to, and what they cost.

The object holds only what was asked for; each entry makes a tally of its own, so one object may be
shared by threads and tasks. Generators are why leaving looks before it detaches: one may be closed
in another context than it was opened in, where its tally is not the running one.
"""

from __future__ import annotations

from types import TracebackType

from ecomind import provider
from ecomind.guard import quiet
from ecomind.tally import Tally, current_tally, enter, leave
from ecomind_semconv.names import ECOMIND_INFERENCE_REGION, ECOMIND_TEAM, USER_ID


class track:
    """Attribute the AI calls of a `with` block, and total their footprint.

    `team` and `user` name who they belong to; `region` says where the model runs, as a cloud
    region, an ISO country or a grid zone. What is not given is taken from the block around this
    one. Without `attach()` before, the first entry attaches to the global tracer provider.
    """

    def __init__(self, team: str = "", user: str = "", region: str = "") -> None:
        stamps = {ECOMIND_TEAM: team, USER_ID: user, ECOMIND_INFERENCE_REGION: region}
        self._attributes = {key: value for key, value in stamps.items() if value}

    def __enter__(self) -> Tally:
        return self._enter() or Tally(self, {}, None)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._exit()

    @quiet
    def _enter(self) -> Tally:
        if not provider.is_attached():
            provider.attach()
        outer = current_tally()
        tally = Tally(self, {**(outer.attributes if outer else {}), **self._attributes}, outer)
        enter(tally)
        return tally

    @quiet
    def _exit(self) -> None:
        tally = current_tally()
        if tally is not None and tally.owner is self:
            leave(tally)
