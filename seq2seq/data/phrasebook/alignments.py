"""Which words of a phrasebook pair translate each other, from the roles that its grammar gave them.

Links are sure or possible, as in Och and Ney (2003), https://aclanthology.org/J03-1002: words with
one meaning are surely linked; what a language says in passing, in an ending, an article or an
auxiliary verb, and the parts of idioms are possibly linked.
"""

from __future__ import annotations

from typing import NamedTuple

from seq2seq.data.phrasebook.phrases import Words

Links = tuple[tuple[int, int], ...]


class TrueAlignment(NamedTuple):
    """Korean and English word indices that translate each other, ascending."""

    sure: Links
    possible: Links
    """All links, the sure ones among them."""


def align(korean: Words, english: Words, *, predicate: int) -> TrueAlignment:
    """Links the words of both sides.

    Args:
        predicate: Where the Korean predicate begins; only words that belong to it follow.
    """
    korean_places, english_places = _places(korean), _places(english)
    sure: set[tuple[int, int]] = set()
    possible: set[tuple[int, int]] = set()
    for role in korean_places.keys() & english_places.keys():
        own, others = korean_places[role], english_places[role]
        possible |= {(i, j) for i in own for j in others}
        if korean[own[-1]][0] not in _AFTER_NOUNS:
            sure |= _sure(role, own, [j for j in others if _has_meaning(english, j)])
    for i, (word, role) in enumerate(korean):
        if role == "ending" and i:  # says what the word before it begins to say
            possible |= {(i, j) for before, j in sorted(possible) if before == i - 1}
        sure |= {(i, j) for j, (other, _) in enumerate(english) if (word, other) in _ALIKE}
    for role, others in english_places.items():
        carriers = {korean_places[r][-1] for r in _CARRIERS.get(role, ()) if r in korean_places}
        if role in _SAID_BY_PREDICATE and role not in korean_places:
            carriers |= set(range(predicate, len(korean)))
        possible |= {(i, j) for i in carriers for j in others}
    return TrueAlignment(tuple(sorted(sure)), tuple(sorted(possible | sure)))


# English words that Korean says in particles and endings, or not at all.
_FUNCTION_WORDS = {
    "a", "an", "the", "of", "in", "on", "at", "to", "by", "for", "from", "with", "and", "that",
    "it", "there", "than", "more", "most", "as", "my", "our", "your", "his", "her", "their",
    "some",
    "will", "do", "does", "did", "is", "are", "am", "was", "were", "be", "have", "has", "had",
}  # fmt: skip
_PRONOUNS = {"i", "we", "you", "he", "she", "they"}
_ALIKE = {("더", "more"), ("가장", "most")}
_IN_KOREAN_ORDER = ("time", "day")  # roles of two words in one order in both languages (next week)
_AFTER_NOUNS = ("내내", "종일")  # but not in these (all day)
# Where Korean says what English has a conjunction or a preposition for: in the last of these words.
_CLAUSES = ("state", "weather", "second verb")
_CARRIERS = {
    "reason": _CLAUSES,
    "condition": _CLAUSES,
    "order": _CLAUSES,
    "but": _CLAUSES,
    "comparison": ("other",),
    "ending": ("verb",),  # English `that`
}
_SAID_BY_PREDICATE = ("copula", "negation", "please", "suggestion", "verb")


def _places(words: Words) -> dict[str, list[int]]:
    places: dict[str, list[int]] = {}
    for index, (_, role) in enumerate(words):
        places.setdefault(role, []).append(index)
    return places


def _has_meaning(words: Words, index: int) -> bool:
    """Whether a word is more than grammar; a pronoun that takes a subject up again is not."""
    word, role = words[index]
    plain = word.lower().rstrip(",")
    is_repeated = plain in _PRONOUNS and any(other == role for _, other in words[:index])
    is_pointer = role.endswith("pointer")  # `that` is one word of two
    return is_pointer or not (plain in _FUNCTION_WORDS or is_repeated)


def _sure(role: str, korean: list[int], english: list[int]) -> set[tuple[int, int]]:
    """The links without doubt between words of one role, of those that have a meaning."""
    if len(korean) == 1:
        return {(korean[0], j) for j in english}
    if role.endswith("count") and len(english) <= 2:  # a number, and what is counted in
        return set(zip(korean, english, strict=False))
    if role in _IN_KOREAN_ORDER and len(korean) == len(english) == 2:
        return set(zip(korean, english, strict=True))
    return set()
