"""Adds the processor to a tracer provider that exists; never makes or replaces one.

A provider of the app's own choosing is the app's business, so without one this says what to do and
does nothing.
"""

from __future__ import annotations

import weakref
from typing import Any

from opentelemetry import trace

from ecomind.guard import quiet, warn_once
from ecomind.processor import EcomindSpanProcessor

_attached: weakref.WeakSet[Any] = weakref.WeakSet()


def attach(provider: trace.TracerProvider | None = None) -> bool:
    """Add the processor to `provider`, by default the global one. True once it is there.

    Safe to call again: a provider gets one processor. Never raises.
    """
    return bool(_attach(provider))


def is_attached() -> bool:
    """Whether any living provider has the processor."""
    return len(_attached) > 0


@quiet
def _attach(provider: trace.TracerProvider | None) -> bool:
    target: Any = provider or trace.get_tracer_provider()
    if target in _attached:
        return True
    add = getattr(target, "add_span_processor", None)
    if add is None:
        warn_once(
            "Ecomind found no tracer provider of the OpenTelemetry SDK, so nothing is measured: "
            "call opentelemetry.trace.set_tracer_provider before ecomind.attach(), or start the "
            "app with opentelemetry-instrument"
        )
        return False
    add(EcomindSpanProcessor())
    _attached.add(target)
    return True


def post_instrument() -> None:
    """Attach to whatever the distribution set up: the `opentelemetry_post_instrument` hook."""
    attach()
