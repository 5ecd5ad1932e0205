"""Filters of training pairs: each tells which pairs it keeps.

A filter is a function and one line of `FILTERS`, named like its setting in `FilterConfig`; they
work in the order of that table, each on what those before it have left.
"""

import functools
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from seq2seq.config import ConfigurationError, FilterConfig
from seq2seq.data.digests import PairNumbers, is_first, joined
from seq2seq.languages import base_language

Languages = tuple[str, str]


@dataclass(frozen=True)
class NumberFilter:
    """One reason to leave pairs out, found without their text, so that it may look at all."""

    reason: str
    """What the pairs left out are, as in "12 pairs ..."; {} stands for the setting."""
    keep: Callable[[PairNumbers, Any], np.ndarray]
    """Maps what is known of all pairs, and the setting, to True for each pair that stays."""


@dataclass(frozen=True)
class TextFilter:
    """One reason to leave a pair out that its text tells, whatever the others are."""

    reason: str
    """As above."""
    keep: Callable[[Sequence[str], Sequence[str], Any, Languages], list[bool]]
    """Maps sources, targets, setting and languages to True for each pair that stays."""


def active_filters(config: FilterConfig) -> Iterator[tuple[str, Any]]:
    """The keys of the filters that a recipe asks for, in their order, and their settings."""
    for name in FILTERS:
        setting = getattr(config, name)
        if setting is not None and setting is not False:
            yield name, setting


def short_enough(pairs: PairNumbers, most: int) -> np.ndarray:
    """Both sides have at most so many characters."""
    return np.maximum(pairs.source_lengths, pairs.target_lengths) <= most


def different_sides(pairs: PairNumbers, _: bool) -> np.ndarray:
    """The sides are not the same text."""
    return pairs.source_digests != pairs.target_digests


def first_of_its_kind(pairs: PairNumbers, _: bool) -> np.ndarray:
    """The pair does not stand further up already."""
    return is_first(joined(pairs.source_digests, pairs.target_digests))


def usual_ratio(pairs: PairNumbers, factor: float) -> np.ndarray:
    """Target over source characters is near its median, which few bad pairs cannot move."""
    ratios = pairs.target_lengths / pairs.source_lengths
    if not len(ratios):
        return np.zeros(0, bool)
    usual = np.median(ratios)
    return (usual / factor <= ratios) & (ratios <= usual * factor)


def in_own_script(
    sources: Sequence[str], targets: Sequence[str], share: float, languages: Languages
) -> list[bool]:
    """Of the letters of each side, that share is in a script of its language.

    Sides of languages whose scripts are not known are not judged, nor are those without letters.

    Raises:
        ConfigurationError: If neither language is known.
    """
    scripts = [scripts_of(language) for language in languages]
    if not any(scripts):
        raise ConfigurationError(
            f"`corpus.filters.script` knows no script of {languages[0]!r} or {languages[1]!r}; "
            f"leave it out."
        )
    keep = [True] * len(sources)
    for side, own in zip((sources, targets), scripts, strict=True):
        if own:
            keep = [k and _script_share(s, own) >= share for k, s in zip(keep, side, strict=True)]
    return keep


def in_own_language(
    sources: Sequence[str], targets: Sequence[str], _: bool, languages: Languages
) -> list[bool]:
    """No other language is more likely on either side.

    Others are those of the recipe; where the library knows only one of the two, all that it knows.
    Sentences without evidence, such as numbers, stay.

    Raises:
        ConfigurationError: If the library is missing or knows neither language.
    """
    identifier = _language_identifier()
    codes = [base_language(language) for language in languages]
    known = [code for code in codes if code in identifier.labels]
    if not known:
        raise ConfigurationError(
            f"`corpus.filters.language` knows neither {languages[0]!r} nor {languages[1]!r}; "
            f"leave it out."
        )
    identifier.set_languages(known if len(set(known)) == 2 else None)
    keep = [True] * len(sources)
    for side, code in zip((sources, targets), codes, strict=True):
        if code in known:
            keep = [k and _likely(identifier, s, code) for k, s in zip(keep, side, strict=True)]
    return keep


FILTERS: dict[str, NumberFilter | TextFilter] = {
    "max_characters": NumberFilter("longer than {:,} characters", short_enough),
    "identical": NumberFilter("with the same text on both sides", different_sides),
    "duplicates": NumberFilter("that stand in the corpus already", first_of_its_kind),
    "max_ratio": NumberFilter("with lengths more than {:g} times off the usual ratio", usual_ratio),
    "script": TextFilter(
        "with less than {:.0%} of letters in the script of the side", in_own_script
    ),
    "language": TextFilter("in another language", in_own_language),
}

# The first words of the Unicode names of letters, and the languages that are written with them.
_LANGUAGES_OF_SCRIPTS = {
    "LATIN": "af bs ca ceb cs cy da de en eo es et eu fi fil fo fr ga gl ha hr ht hu id ig is it "
    "la lb lt lv mg ms mt nb nl nn no oc pl pt ro sk sl so sq sr sv sw tl tr uz vi xh yo zu",
    "CYRILLIC": "be bg kk ky mk mn ru sr tg uk",
    "ARABIC": "ar fa ps ug ur",
    "HEBREW": "he yi",
    "DEVANAGARI": "hi mr ne sa",
    "BENGALI": "as bn",
    "HANGUL": "ko",
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "HAN": "ja zh",
    "ARMENIAN": "hy",
    "ETHIOPIC": "am",
    "GEORGIAN": "ka",
    "GREEK": "el",
    "GUJARATI": "gu",
    "GURMUKHI": "pa",
    "KANNADA": "kn",
    "KHMER": "km",
    "LAO": "lo",
    "MALAYALAM": "ml",
    "MYANMAR": "my",
    "SINHALA": "si",
    "TAMIL": "ta",
    "TELUGU": "te",
    "THAI": "th",
}


def scripts_of(language: str) -> set[str]:
    """The scripts of a language; none if they are not known."""
    code = base_language(language)
    return {name for name, codes in _LANGUAGES_OF_SCRIPTS.items() if code in codes.split()}


@functools.cache
def script_of(letter: str) -> str:
    """The script of a letter, such as LATIN, HAN or HIRAGANA, from its name in Unicode."""
    name = unicodedata.name(letter, "UNKNOWN")
    if name.startswith(("CJK ", "IDEOGRAPHIC ")):
        return "HAN"
    if name.startswith("KATAKANA-HIRAGANA"):  # the long mark, common to both
        return "KATAKANA"
    return name.split()[0]


def _script_share(sentence: str, own: set[str]) -> float:
    # Wide Latin and narrow Katakana are Latin and Katakana, which NFKC knows.
    letters = [c for c in unicodedata.normalize("NFKC", sentence) if c.isalpha()]
    if not letters:
        return 1.0
    return sum(script_of(letter) in own for letter in letters) / len(letters)


@functools.cache
def _language_identifier() -> Any:
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError as error:
        raise ConfigurationError(
            "`corpus.filters.language` needs the library py3langid; "
            "install it with `pip install py3langid`."
        ) from error
    return LanguageIdentifier.from_model_file(MODEL_FILE)


def _likely(identifier: Any, sentence: str, code: str) -> bool:
    scores = dict(identifier.rank(sentence))
    return scores[code] >= max(scores.values())
