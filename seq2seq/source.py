"""What is to be translated, for people and programs: plain values."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """A sentence to translate, and what its translation must obey."""

    text: str
    prefix: str = ""
    """How the translation begins; it may end within a word."""
    terms: tuple[str, ...] = ()
    """Words and phrases that must stand in the translation."""
    forbidden: tuple[str, ...] = ()
    """Words and phrases that must not."""
