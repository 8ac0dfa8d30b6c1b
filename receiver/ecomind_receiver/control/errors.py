"""What the control store refuses, as one small tree; every message is a sentence for a person.

    ControlError       the store can't be used
    ├── NotFound       no such thing in this organisation, whether or not another has it
    ├── Conflict       it exists already, or is in the wrong state
    └── Invalid        a value is not usable

No message holds a key's secret, a digest or a password.
"""

from __future__ import annotations


class ControlError(Exception):
    """The control store can't be used or refused something."""


class NotFound(ControlError):
    """There is no such thing in the organisation that was asked."""


class Conflict(ControlError):
    """What is stored stands against it."""


class Invalid(ControlError):
    """A value is not usable."""
