"""Draws words for the patterns: evenly, by seed, and with some pairs kept out of training.

Which verb-object and subject-verb pairs are reserved does not depend on the seed.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from hashlib import sha256
from typing import TypeVar

from seq2seq.data.phrasebook.lexicon import (
    Adjective,
    Adverb,
    Noun,
    Time,
    Verb,
    adverbs,
    intransitive_verbs,
    nouns_of,
    people,
    times,
    verbs,
)  # fmt: skip
from seq2seq.data.phrasebook.phrases import (
    PRONOUN_POSSESSIVES,
    Action,
    Phrase,
    Subject,
    bare,
    in_general,
    may_be_close,
)

Choice = TypeVar("Choice")

WOMENS_CLOTHES = {"치마", "원피스"}
MEALS = ("아침", "점심", "저녁")
_PART_OF_DAY = re.compile("아침|저녁|밤|오후")

RESERVED_OBJECTS = 0.14
"""Share of the objects of each verb that training never sees with it."""
RESERVED_SUBJECTS = 0.2
"""Share of the subjects of each verb that training never sees with it."""

I = Subject("나", "I", "first", False, "my", "나")  # noqa: E741
I_LEFT_OUT = Subject("", "I", "first", False, "my", "나")
YOU = Subject("너", "You", "second", False, "your", "너")
WE = Subject("우리", "We", "first", True, "our", "우리")
HE = Subject("그", "He", "third", False, "his", "그")
SHE = Subject("그녀", "She", "third", False, "her", "그녀")
THEY = Subject("그들", "They", "third", True, "their", "그들")
PRONOUNS = (I, I_LEFT_OUT, WE, HE, SHE, THEY)
TIMELESS = 0.35
"""Share of past and future sentences without a time expression."""


class Draw:
    """A source of random words that prefers the ones used least so far.

    Args:
        unseen: Whether to draw only reserved pairs, rather than only the others.
    """

    def __init__(self, seed: int, *, unseen: bool = False) -> None:
        self.random = random.Random(seed)
        self.unseen = unseen
        self.uses: Counter[str] = Counter()

    def chance(self, probability: float) -> bool:
        """True with the probability."""
        return self.random.random() < probability

    def choose(self, choices: Sequence[Choice], key: Callable[[Choice], str] = str) -> Choice:
        """One of the choices; of three drawn, the one used least."""
        drawn = [self.random.choice(choices) for _ in range(3)]
        choice = min(drawn, key=lambda candidate: self.uses[key(candidate)])
        self.uses[key(choice)] += 1
        return choice

    def noun(self, *classes: str, among: Iterable[Noun] | None = None) -> Noun:
        """A noun of any of the classes, or one of `among`."""
        nouns = nouns_of(*classes) if among is None else tuple(among)
        return self.choose(nouns, key=lambda noun: noun.korean)

    def time(self, tense: str, action: Action | None = None, *grains: str) -> Time:
        """A time expression that suits the action; days unless other grains are named."""
        grains = grains or ("day", "week", "night", "morning", "hour", "daily", "weekly")
        if action and "slow" in action.verb.tags and tense != "habit":
            grains = ("week", "long")
        if action and "daily" in action.verb.tags and tense == "habit":
            grains = ("daily",)
        allowed = [time for time in times(tense) if time.grain in grains]
        if action and action.object and action.object.lexeme in MEALS:
            allowed = [time for time in allowed if not _PART_OF_DAY.search(time.korean)]
        return self.choose(allowed, key=lambda time: time.korean)

    def maybe_time(self, tense: str, action: Action | None = None, *grains: str) -> Time | None:
        """A time expression or, where the tense says enough, sometimes none."""
        drawn = self.time(tense, action, *grains)
        return None if tense != "habit" and self.chance(TIMELESS) else drawn

    def adjective(self, choices: Sequence[Adjective]) -> Adjective:
        """One of the adjectives."""
        return self.choose(choices, key=lambda adjective: adjective.korean)

    def action(
        self,
        tag: str | None = None,
        *,
        without: Iterable[str] = ("state", "search"),
        place: float = 0.35,
        adverb: float = 0.1,
        habit: bool = False,
        objects: Callable[[Noun], bool] | None = None,
        verb: Callable[[Verb], bool] | None = None,
    ) -> Action:
        """A verb with an object that suits it.

        Args:
            tag: One that the verb must have.
            without: Tags that the verb must not have.
            place: Probability of a place, where the verb has any.
            adverb: Probability of an adverb of manner, where the verb has any.
            habit: Whether it happens again and again, so that English has a plural object.
            objects: Condition on the object.
            verb: Condition on the verb.
        """
        rows, choices = [], []
        for row, nouns in _pairs(self.unseen):
            if (tag and tag not in row.tags) or not row.tags.isdisjoint(without):
                continue
            if verb is None or verb(row):
                kept = nouns if objects is None else [noun for noun in nouns if objects(noun)]
                if kept:
                    rows.append(row)
                    choices.append(kept)
        weights = [(len(nouns) + 2) ** 0.7 for nouns in choices]
        drawn = [
            (rows[i], self.random.choice(choices[i]))
            for i in self.random.choices(range(len(rows)), weights, k=4)
        ]
        chosen, noun = min(drawn, key=self._wear)
        self.uses[f"object {noun.korean}"] += 1
        self.uses[chosen.korean] += 1
        several = "plural" in chosen.tags or (habit and "single" not in chosen.tags)
        if several and noun.article == "a" and not chosen.tags & {"own", "definite"}:
            phrase = in_general(noun)
        else:
            phrase = bare(noun, own="own" in chosen.tags, definite="definite" in chosen.tags)
        return self._with_circumstances(chosen, phrase, place, adverb)

    def intransitive(
        self, tag: str | None = None, *, place: float = 0.65, adverb: float = 0.15
    ) -> Action:
        """A verb without object."""
        rows = [v for v in intransitive_verbs() if tag is None or tag in v.tags]
        verb = self.choose(rows, key=lambda row: row.korean)
        return self._with_circumstances(verb, None, place, adverb)

    def subject(
        self,
        *actions: Action | Verb,
        pronouns: Sequence[Subject] = PRONOUNS,
        third: bool = False,
        gendered: bool = False,
        pronoun: float = 0.4,
        only: str | None = None,
    ) -> Subject:
        """A person who may do all of the actions.

        Args:
            third: Only people other than I, you and we.
            gendered: Only people with an English possessive.
            pronoun: Probability of a pronoun.
            only: The one person asked for.

        Raises:
            LookupError: If nobody suits.
        """
        done = [a.verb.korean if isinstance(a, Action) else a.korean for a in actions]
        owns = any(is_own(action) for action in actions if isinstance(action, Action))
        taken = {a.object.lexeme for a in actions if isinstance(a, Action) and a.object}
        persons = [noun for noun in people() if noun.korean in taken]
        together = any(isinstance(a, Action) and _together(a) for a in actions)
        pool = [p for p in pronouns if not third or p.person == "third"]
        if together:
            pool = [p for p in pool if p.plural or p.person == "second"]
        elif pronoun < 1 and not self.chance(pronoun):
            pool = list(_people_subjects())
        allowed = [
            s
            for s in pool
            if s.lexeme not in taken
            and only in (None, s.lexeme)
            and all(may_be_close(noun, s) for noun in persons)
            and not (s.possessive == "his" and taken & WOMENS_CLOTHES and "입다" in done)
            and (s.possessive or not (owns or gendered))
            and all(is_reserved_subject(verb, s.lexeme) == self.unseen for verb in done)
        ]
        if not allowed:
            raise LookupError("No subject suits these actions.")
        return self.choose(allowed, key=lambda subject: subject.korean)

    def objects_of(self, verb: Verb) -> list[Noun]:
        """The objects that the verb may take here."""
        return [
            noun
            for noun in verb.objects
            if is_reserved_object(verb.korean, noun.korean) == self.unseen
        ]

    def with_object(self, action: Action, phrase: Phrase) -> Action:
        """The action with another phrase around its object."""
        return Action(action.verb, phrase, action.place, action.adverb)

    def _wear(self, pair: tuple[Verb, Noun]) -> float:
        """How much a verb and an object have been used, the verb for each of its objects."""
        verb, noun = pair
        return self.uses[f"object {noun.korean}"] + self.uses[verb.korean] / 5

    def _with_circumstances(
        self, verb: Verb, phrase: Phrase | None, place: float, adverb: float
    ) -> Action:
        where, how = None, None
        if verb.places and ("placed" in verb.tags or self.chance(place)):
            where = self.noun(among=verb.places)
        manners = [a for a in adverbs() if verb.korean in a.verbs]
        if manners and self.chance(adverb):
            how = self.choose(manners, key=lambda manner: manner.korean)
        return Action(verb, phrase, where, how)


@cache
def _pairs(unseen: bool) -> tuple[tuple[Verb, list[Noun]], ...]:
    """Each verb with the objects that it may take in training, or only outside of it."""
    rows = []
    for verb in verbs():
        nouns = [n for n in verb.objects if is_reserved_object(verb.korean, n.korean) == unseen]
        if nouns:
            rows.append((verb, nouns))
    return tuple(rows)


@cache
def is_reserved_object(verb: str, noun: str) -> bool:
    """Whether training never sees the noun as object of the verb."""
    return noun in _reserved_objects().get(verb, ())


@cache
def is_reserved_subject(verb: str, noun: str) -> bool:
    """Whether training never sees the noun as subject of the verb."""
    return noun in _reserved_subjects(verb)


@cache
def _reserved_objects() -> dict[str, frozenset[str]]:
    objects: dict[str, set[str]] = {}
    for verb in verbs():
        objects.setdefault(verb.korean, set()).update(noun.korean for noun in verb.objects)
    return {
        verb: _lowest(verb, nouns, RESERVED_OBJECTS) if len(nouns) >= 4 else frozenset()
        for verb, nouns in objects.items()
    }


@cache
def _reserved_subjects(verb: str) -> frozenset[str]:
    lexemes = {s.lexeme for s in _people_subjects()} | {s.lexeme for s in PRONOUNS} | {"너"}
    return _lowest(f"{verb} subject", lexemes, RESERVED_SUBJECTS)


def _lowest(salt: str, words: Iterable[str], share: float) -> frozenset[str]:
    """A fixed share of the words, at least one, chosen by hash."""
    ranked = sorted(words, key=lambda word: sha256(f"{salt} {word}".encode()).digest())
    return frozenset(ranked[: max(1, round(share * len(ranked)))])


@cache
def _people_subjects() -> tuple[Subject, ...]:
    return tuple(person_subject(noun) for noun in people())


def person_subject(noun: Noun) -> Subject:
    """A person of the lexicon as a subject."""
    article = {"my": "My ", "the": "The "}.get(noun.article, "")
    return Subject(
        korean=noun.korean,
        english=article + noun.english,
        person="third",
        plural=False,
        possessive=PRONOUN_POSSESSIVES[noun.gender],
        lexeme=noun.korean,
        elder=noun.group.startswith("elder"),
    )


def is_own(action: Action) -> bool:
    """Whether the object belongs to the subject in English."""
    return action.object is not None and any(w == "{poss}" for w, _ in action.object.english)


def _together(action: Action) -> bool:
    manner: Adverb | None = action.adverb
    return manner is not None and manner.korean == "함께"
