"""The words of the phrasebook, read from the tables in `lexicon/`.

A new word is one row of a table. A class of nouns is a word in their `classes` column; verbs and
adjectives name the classes (or single Korean nouns) that they go with.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from seq2seq.data.phrasebook.english import pluralize
from seq2seq.data.phrasebook.tables import read_table

CONTENT_TABLES = (
    "people", "animals", "things", "places", "times", "numbers", "counters",
    "verbs", "intransitive", "motion", "adverbs", "frequency", "adjectives",
)  # fmt: skip


@dataclass(frozen=True)
class Noun:
    """A noun in both languages.

    Args:
        english: Singular, or the plural of a noun that is always plural here.
        plural: English plural; empty for a mass noun or a name.
        article: Of the bare noun as an object: "a", "the", "my", "poss" (the subject's), "none".
        always_plural: Whether `english` takes a plural verb (pants, grapes).
        counter: Korean counter, empty where the noun is not counted.
        gender: "male", "female" or "neutral" for people, else empty.
        group: Kind of person ("name", "family", ...) or "animal", "thing", "place".
        locative: English phrase of a place with 에서 (`at the library`).
        destination: English phrase of a place with 에 (`to the library`).
    """

    korean: str
    english: str
    plural: str
    article: str
    always_plural: bool
    counter: str
    classes: frozenset[str]
    gender: str = ""
    group: str = "thing"
    locative: str = ""
    destination: str = ""


@dataclass(frozen=True)
class Verb:
    """A verb in both languages, with the objects and places that go with it."""

    korean: str
    english: str
    objects: tuple[Noun, ...]
    places: tuple[Noun, ...]
    tags: frozenset[str]


@dataclass(frozen=True)
class Adjective:
    """An adjective in both languages; `degree` as in `english.comparative`."""

    korean: str
    english: str
    degree: str
    nouns: tuple[Noun, ...]
    tags: frozenset[str]


@dataclass(frozen=True)
class Time:
    """A time expression, complete with its particle."""

    korean: str
    english: str
    tense: str
    grain: str


@dataclass(frozen=True)
class Adverb:
    """An adverb of manner and the Korean verbs that it goes with."""

    korean: str
    english: str
    verbs: frozenset[str]


@cache
def people() -> tuple[Noun, ...]:
    """Names, relatives, professions and other people."""
    articles = {"name": "none", "family": "my", "elder": "my", "friend": "my"}
    return tuple(
        Noun(
            korean=row["korean"],
            english=row["english"],
            plural=_plural(row),
            article=articles.get(row["group"], "the"),
            always_plural=False,
            counter="명",
            classes=frozenset({"person", row["group"]}),
            gender=row["gender"],
            group=row["group"],
        )
        for row in read_table("people")
    )


@cache
def things() -> tuple[Noun, ...]:
    """Animals and things."""
    return tuple(_thing(row, "animal") for row in read_table("animals")) + tuple(
        _thing(row, "thing") for row in read_table("things")
    )


@cache
def places() -> tuple[Noun, ...]:
    """Buildings, rooms, landscapes, cities and countries."""
    return tuple(
        Noun(
            korean=row["korean"],
            english=row["english"],
            plural="",
            article=_place_article(row),
            always_plural=False,
            counter="",
            classes=frozenset(row["classes"].split()),
            group="place",
            locative=row["at"],
            destination=row["to"],
        )
        for row in read_table("places")
    )


@cache
def nouns_of(*classes: str) -> tuple[Noun, ...]:
    """All nouns of any of the classes; a class may also be the Korean noun itself.

    Raises:
        ValueError: If a class has no noun.
    """
    every_noun = people() + things() + places()
    for name in classes:
        if not any(name in noun.classes or name == noun.korean for noun in every_noun):
            raise ValueError(f"`{name}` must be a class or a noun of the lexicon, but is neither.")
    wanted = frozenset(classes)
    return tuple(n for n in every_noun if n.classes & wanted or n.korean in wanted)


def places_of(*classes: str) -> tuple[Noun, ...]:
    """All places of any of the classes; see `nouns_of`."""
    return tuple(noun for noun in nouns_of(*classes) if noun.group == "place")


@cache
def verbs() -> tuple[Verb, ...]:
    """Verbs that take an object; one row for each sense."""
    return tuple(_verb(row, row["objects"]) for row in read_table("verbs"))


@cache
def intransitive_verbs() -> tuple[Verb, ...]:
    """Verbs without object."""
    return tuple(_verb(row, "-") for row in read_table("intransitive"))


@cache
def motion_verbs() -> tuple[Verb, ...]:
    """Verbs of motion; their places are destinations."""
    return tuple(_verb(row, "-") for row in read_table("motion"))


@cache
def adjectives() -> tuple[Adjective, ...]:
    """Adjectives with the nouns that they go with."""
    return tuple(
        Adjective(
            korean=row["korean"],
            english=row["english"],
            degree=row["degree"],
            nouns=() if row["classes"] in ("-", "weather") else nouns_of(*row["classes"].split()),
            tags=frozenset(row["tags"].split()),
        )
        for row in read_table("adjectives")
    )


@cache
def times(tense: str) -> tuple[Time, ...]:
    """Time expressions that go with a tense: "past", "future", "habit"."""
    rows = read_table("times")
    return tuple(Time(**row) for row in rows if row["tense"] == tense)


@cache
def adverbs() -> tuple[Adverb, ...]:
    """Adverbs of manner."""
    return tuple(
        Adverb(row["korean"], row["english"], frozenset(row["verbs"].split()))
        for row in read_table("adverbs")
    )


def content_words() -> frozenset[str]:
    """All Korean content words of the lexicon."""
    return frozenset(
        row.get("korean") or row["native"] for name in CONTENT_TABLES for row in read_table(name)
    )


def _place_article(row: dict[str, str]) -> str:
    if row["english"][0].isupper():
        return "none"
    return "a" if row["korean"] in ("집", "다리", "건물") else "the"


def _plural(row: dict[str, str]) -> str:
    if row["plural"] == "-":
        return ""
    if row["plural"] == "=":
        return row["english"]
    return row["plural"] or pluralize(row["english"])


def _thing(row: dict[str, str], group: str) -> Noun:
    return Noun(
        korean=row["korean"],
        english=row["english"],
        plural=_plural(row),
        article={"plural": "none", "an": "a"}.get(row["article"], row["article"]),
        always_plural=row["plural"] == "=",
        counter="" if row["counter"] == "-" else row["counter"],
        classes=frozenset(row["classes"].split()),
        group=group,
    )


def _verb(row: dict[str, str], objects: str) -> Verb:
    return Verb(
        korean=row["korean"],
        english=row["english"],
        objects=() if objects == "-" else nouns_of(*objects.split()),
        places=() if row["places"] == "-" else places_of(*row["places"].split()),
        tags=frozenset(row["tags"].split()),
    )
