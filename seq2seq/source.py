"""What is to be translated, for people and programs: plain values."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from seq2seq.checks import ConfigurationError, shown


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
    glossed: tuple[tuple[str, str], ...] = ()
    """What terms of a glossary translate: words or phrases of the text, each with its term."""
    not_next: tuple[str, ...] = ()
    """What must not come directly after the prefix: words, each with the space before it if there
    is one; "" for the end."""
    copied: tuple[str, ...] = ()
    """Words and phrases of the text, in its order, that are not translated; needs attention. What
    does not stand there counts for nothing."""

    def __post_init__(self) -> None:
        for name in ("text", "prefix"):
            text = getattr(self, name)
            if not isinstance(text, str):
                raise ConfigurationError(f"`{name}` must be a text, but is {shown(text)}.")
        for name in ("terms", "forbidden", "not_next", "copied"):
            object.__setattr__(self, name, as_texts(name, getattr(self, name)))


def as_texts(name: str, texts: Sequence[str]) -> tuple[str, ...]:
    """A list of texts that cannot be changed.

    Raises:
        ConfigurationError: If it is one text, whose letters would be taken, or no list of texts.
    """
    if isinstance(texts, Iterable) and not isinstance(texts, str):
        found = tuple(texts)
        if all(isinstance(text, str) for text in found):
            return found
    advice = f"; give [{shown(texts)}]" if isinstance(texts, str) else ""
    raise ConfigurationError(f"`{name}` must be a list of texts, but is {shown(texts)}{advice}.")


def as_sources(
    sentences: Iterable[str | Source],
    prefix: str,
    terms: Sequence[str],
    forbidden: Sequence[str],
) -> Iterator[Source]:
    """Sources that obey what all must obey, and what is their own.

    Raises:
        ConfigurationError: If something is of the wrong type.
    """
    obey = Source("", prefix, as_texts("terms", terms), as_texts("forbidden", forbidden))
    if not isinstance(sentences, Iterable):
        raise ConfigurationError(
            f"`sentences` must be a text, a `Source` or a list of them, but is {shown(sentences)}."
        )
    return (_as_source(sentence, index, obey) for index, sentence in enumerate(sentences))


def _as_source(sentence: str | Source, index: int, obey: Source) -> Source:
    """One of these sources."""
    if isinstance(sentence, str):
        return dataclasses.replace(obey, text=sentence)
    if not isinstance(sentence, Source):
        raise ConfigurationError(
            f"sentence {index + 1} must be a text or a `Source`, but is {shown(sentence)}."
        )
    return dataclasses.replace(
        sentence,
        prefix=sentence.prefix or obey.prefix,
        terms=sentence.terms + obey.terms,
        forbidden=sentence.forbidden + obey.forbidden,
    )
