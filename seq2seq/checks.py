"""What settings are checked with, and the error that says what is wrong with one."""

from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")

_LARGEST = 10**12  # of any number: what is far above all that is meant, and far below an overflow


class ConfigurationError(ValueError):
    """A setting that cannot work; its message is one sentence for the user."""


def choose(table: Mapping[str, T], name: str, *, field: str) -> T:
    """Looks `name` up in a table of parts.

    Raises:
        ConfigurationError: If the table has no such part; names the field and what is allowed.
    """
    if name not in table:
        raise ConfigurationError(
            f"`{field}` must be one of {', '.join(table)}, but is {shown(name)}."
        )
    return table[name]


def shown(value: object) -> str:
    """A value as error messages show it: like `repr`, but never longer than a line."""
    try:
        text = repr(value)
    except ValueError:  # Python writes no number of thousands of digits
        return "a number of too many digits"
    return text if len(text) <= 80 else f"{text[:60]}...{text[-15:]}"


def at_least(name: str, value: float, lowest: float) -> None:
    """Refuses a number that is too small, or beyond all that can be meant."""
    if not value >= lowest:
        raise ConfigurationError(f"`{name}` must be at least {lowest}, but is {shown(value)}.")
    if value > _LARGEST:
        raise ConfigurationError(f"`{name}` must be at most {_LARGEST}, but is {shown(value)}.")


def above_zero(name: str, value: float) -> None:
    """Refuses a number that is not positive."""
    if not value > 0:
        raise ConfigurationError(f"`{name}` must be above 0, but is {shown(value)}.")


def within(name: str, value: float, lowest: float, highest: float) -> None:
    """Refuses a number outside of bounds, which are allowed themselves."""
    if not lowest <= value <= highest:
        raise ConfigurationError(
            f"`{name}` must be from {lowest} to {highest}, but is {shown(value)}."
        )
