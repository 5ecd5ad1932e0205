"""English inflection: verb forms, plurals, articles and degrees. Knows nothing of Korean.

Irregular verbs stand in `lexicon/irregular_verbs.tsv`; a new one is a row there.
"""

from __future__ import annotations

from functools import cache

from seq2seq.data.phrasebook.tables import read_table

VERB_FORMS = ("base", "third", "past", "participle", "gerund")

# Stressed last syllables of longer words; short words double by rule.
_DOUBLING = ("begin", "forget")


def inflect(verb: str, form: str) -> str:
    """One form of a verb; of several words the first is inflected (`listen to`).

    Args:
        verb: Base form.
        form: One of `VERB_FORMS`.

    Raises:
        ValueError: If `form` is not one of `VERB_FORMS`.
    """
    if form not in VERB_FORMS:
        raise ValueError(f"`form` must be one of {', '.join(VERB_FORMS)}, but is {form!r}.")
    head, _, rest = verb.partition(" ")
    return f"{_inflect_word(head, form)} {rest}".rstrip()


def be(person: str, plural: bool, tense: str) -> str:
    """The finite form of `be`."""
    if tense == "future":
        return "will be"
    if plural or person == "second":
        return "were" if tense == "past" else "are"
    if tense == "past":
        return "was"
    return "am" if person == "first" else "is"


def pluralize(noun: str) -> str:
    """The regular plural of the last word."""
    if noun.endswith(("s", "x", "z", "ch", "sh")):
        return noun + "es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"


def with_article(phrase: str) -> str:
    """The phrase after `a` or `an`."""
    vowel = phrase[0].lower() in "aeiou" and not phrase.startswith(("uni", "use", "eu", "one"))
    vowel = vowel or phrase.startswith(("hour", "honest"))
    return f"{'an' if vowel else 'a'} {phrase}"


def comparative(adjective: str, degree: str) -> str:
    """`bigger`, `more expensive`.

    Args:
        degree: "er", "more", or the two irregular forms as `better/best`.
    """
    if degree == "more":
        return f"more {adjective}"
    return degree.partition("/")[0] if "/" in degree else _stem_for_degree(adjective) + "er"


def superlative(adjective: str, degree: str) -> str:
    """`biggest`, `most expensive`; see `comparative`."""
    if degree == "more":
        return f"most {adjective}"
    return degree.partition("/")[2] if "/" in degree else _stem_for_degree(adjective) + "est"


def _inflect_word(word: str, form: str) -> str:
    if form == "base":
        return word
    if form == "third":
        return {"be": "is", "have": "has", "go": "goes", "do": "does"}.get(word) or pluralize(word)
    if form == "gerund":
        if word.endswith("e") and not word.endswith(("ee", "be", "ye")):
            return word[:-1] + "ing"
        return (_doubled(word) if word != "be" else word) + "ing"
    irregular = _irregular_verbs().get(word)
    if irregular:
        return irregular[0 if form == "past" else 1]
    if word.endswith("e"):
        return word + "d"
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ied"
    return _doubled(word) + "ed"


def _doubled(word: str) -> str:
    vowels = sum(letter in "aeiou" for letter in word)
    short = vowels == 1 and word[-2] in "aeiou" and word[-1] not in "aeiouwxy"
    return word + word[-1] if short or word in _DOUBLING else word


def _stem_for_degree(adjective: str) -> str:
    if adjective.endswith("e"):
        return adjective[:-1]
    if adjective.endswith("y"):
        return adjective[:-1] + "i"
    return _doubled(adjective)


@cache
def _irregular_verbs() -> dict[str, tuple[str, str]]:
    rows = read_table("irregular_verbs")
    return {row["base"]: (row["past"], row["participle"]) for row in rows}
