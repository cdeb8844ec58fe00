"""Stands in for TensorRT's Python package, so that torch-tensorrt can be imported without it.

Every name exists and is a class of which everything exists in turn. Enough to register converters
and to ask which operators they take; nothing can be built with it.
"""

import sys
from collections.abc import Iterator
from typing import Any

__version__ = "11.0.0"


class _Anything(type):
    """A class that has every attribute, each a class of the same kind, and combines as flags do."""

    def __getattr__(cls, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        made = _Anything(name, (Stub,), {})
        setattr(cls, name, made)
        return made

    def __int__(cls) -> int:
        return 0

    __index__ = __int__

    def __iter__(cls) -> Iterator[Any]:
        return iter(())

    def __or__(cls, other: object) -> type:  # type: ignore[override]
        return cls

    __ror__ = __or__  # type: ignore[assignment]


class Stub(metaclass=_Anything):
    def __init__(self, *args: object, **kwargs: object) -> None:
        """Takes whatever the real constructor takes."""


def __getattr__(name: str) -> object:
    if name.startswith("__") or name == "tensorrt_rtx":  # the other edition of the library
        raise AttributeError(name)
    if name == "tensorrt":
        return sys.modules[__name__]
    made = _Anything(name, (Stub,), {})
    globals()[name] = made
    return made
