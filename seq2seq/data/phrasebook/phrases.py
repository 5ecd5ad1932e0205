"""Phrases in both languages at once: subjects, objects, actions, and the draft of a sentence.

A phrase is a tuple of words, each with a role ("subject", "verb", "time", ...). Words of the same
role in the two languages translate each other, which gives the alignment of a sentence.
"""

from __future__ import annotations

from dataclasses import dataclass

from seq2seq.data.phrasebook import english
from seq2seq.data.phrasebook.korean import Predicate, adnominal, attach_particle, conjugate
from seq2seq.data.phrasebook.lexicon import Adjective, Adverb, Noun, Time, Verb

Words = tuple[tuple[str, str], ...]

# Of whom a relative cannot be: a woman's older brother is 오빠, not 형.
_UNFIT = {
    "남편": ("his", "our", "their"),
    "아내": ("her", "our", "their"),
    "형": ("her",),
    "누나": ("her",),
}
PRONOUN_POSSESSIVES = {"male": "his", "female": "her", "neutral": ""}


@dataclass(frozen=True)
class Phrase:
    """A noun phrase; the Korean side has no particle yet.

    Args:
        english: May hold the word `{poss}`, the possessive of the subject.
        plural: Whether it takes a plural verb.
        lexeme: Dictionary form of its noun.
    """

    korean: Words
    english: Words
    plural: bool
    lexeme: str

    def with_particle(self, particle: str) -> Words:
        """The Korean words, the particle on the last."""
        return add_particle(self.korean, particle)


@dataclass(frozen=True)
class Subject:
    """Who acts.

    Args:
        korean: Without particle; empty where the subject is left out.
        possessive: Of English; empty where the gender is open.
        elder: Whether polite Korean would ask for an honorific.
    """

    korean: str
    english: str
    person: str
    plural: bool
    possessive: str
    lexeme: str
    elder: bool = False

    @property
    def third_singular(self) -> bool:
        """Whether English verbs take -s."""
        return self.person == "third" and not self.plural

    def with_particle(self, particle: str) -> Words:
        """The Korean words, the particle on the last; 나 and 너 become 내가 and 네가."""
        if not self.korean:
            return ()
        if particle == "이/가" and self.korean in ("나", "너"):
            return mark({"나": "내가", "너": "네가"}[self.korean], "subject")
        return add_particle(mark(self.korean, "subject"), particle)

    @property
    def topic(self) -> Words:
        """The Korean words with 은/는."""
        return self.with_particle("은/는")

    @property
    def english_words(self) -> Words:
        """The English subject."""
        return mark(self.english, "subject")

    @property
    def embedded(self) -> str:
        """The English subject inside a sentence (the teacher, I)."""
        starts_small = self.english.startswith(("The ", "My ", "He", "She", "We", "They", "You"))
        return self.english[0].lower() + self.english[1:] if starts_small else self.english


@dataclass(frozen=True)
class Action:
    """A verb with its object, manner and place, in both languages, not yet inflected."""

    verb: Verb
    object: Phrase | None = None
    place: Noun | None = None
    adverb: Adverb | None = None

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The verb and its object as lexemes."""
        return ((self.verb.korean, self.object.lexeme),) if self.object else ()

    @property
    def korean(self) -> Words:
        """Everything before the verb."""
        words: Words = ()
        if self.place:
            words += mark(self.place.korean + "에서", "place")
        if self.object:
            words += self.object.with_particle("을/를")
        if self.adverb:
            words += mark(self.adverb.korean, "manner")
        return words

    def verb_form(self, ending: str) -> Words:
        """The Korean verb with an ending."""
        first, *rest = conjugate(self.verb.korean, ending).split()
        return mark(first, "verb") + mark(" ".join(rest), "ending")

    def clause(self, ending: str) -> Words:
        """All Korean words, the verb with an ending."""
        return self.korean + self.verb_form(ending)

    def english(self, form: str, possessive: str = "my") -> Words:
        """The English words with the verb in a form of `english.VERB_FORMS`."""
        words = mark(english.inflect(self.verb.english, form), "verb")
        if self.object:
            forms = {"{poss}": possessive}
            if possessive in ("our", "their"):
                forms["face"] = "faces"
            words += tuple((forms.get(word, word), role) for word, role in self.object.english)
        if self.adverb:
            words += mark(self.adverb.english, "manner")
        if self.place:
            words += mark(self.place.locative, "place")
        return words


@dataclass(frozen=True)
class Draft:
    """A sentence in both languages before its speech level is chosen.

    Args:
        korean: The words before the predicate.
        predicate: The last word, to be conjugated by `korean.finish`.
        role: Role of the predicate.
        mood: As in `korean.finish`.
        tense: As in `korean.finish`.
        english: All English words, without the final mark.
        subjects: Subject lexemes with their verbs.
    """

    korean: Words
    predicate: Predicate
    english: Words
    role: str = "verb"
    mood: str = "statement"
    tense: str = "present"
    person: str = "third"
    verb_object: tuple[tuple[str, str], ...] = ()
    subject_verb: tuple[tuple[str, str], ...] = ()
    levels: tuple[str, ...] = ("plain", "polite", "formal")


def mark(text: str, role: str) -> Words:
    """The words of a text, each with the role."""
    return tuple((word, role) for word in text.split())


def add_particle(words: Words, particle: str) -> Words:
    """The words, the last one with a particle."""
    last, role = words[-1]
    return (*words[:-1], (attach_particle(last, particle), role))


def capitalized(words: Words) -> Words:
    """The words, the first one with a capital."""
    (first, role), *rest = words
    return ((first[0].upper() + first[1:], role), *rest)


def time_words(time: Time | None) -> tuple[Words, Words]:
    """A time expression in both languages; nothing for None."""
    if time is None:
        return (), ()
    return mark(time.korean, "time"), mark(time.english, "time")


def bare(noun: Noun, *, own: bool = False, definite: bool = False, role: str = "object") -> Phrase:
    """The noun alone, with its own English article.

    Args:
        own: The object belongs to the subject (`lose my wallet`).
        definite: The object is a known one (`move the desk`).
    """
    article = noun.article
    if article == "my" or (article in ("a", "none") and own):
        article = "poss"  # 민수는 어머니를 만났다: his mother
    elif article in ("a", "none") and definite and noun.group == "thing":
        article = "the"
    return Phrase(
        mark(noun.korean, role), mark(_determined(noun.english, article), role),
        noun.always_plural, noun.korean,
    )  # fmt: skip


def close_to(noun: Noun, subject: Subject, role: str) -> Phrase:
    """A person as the subject sees him: his mother, Minsu, the boy."""
    phrase = bare(noun, role=role)
    words = tuple((subject.possessive if w == "{poss}" else w, r) for w, r in phrase.english)
    return Phrase(phrase.korean, words, phrase.plural, phrase.lexeme)


def may_be_close(noun: Noun, subject: Subject) -> bool:
    """Whether the noun can be a relative or friend of the subject in both languages."""
    if noun.korean == subject.lexeme:
        return False
    if noun.article != "my":
        return True
    return bool(subject.possessive) and subject.possessive not in _UNFIT.get(noun.korean, ())


def known(noun: Noun, role: str = "subject") -> Phrase:
    """The noun as something known: the apple, my mother, Minsu."""
    article = noun.article if noun.article == "my" or noun.group == "name" else "the"
    if noun.group == "place" and noun.english[0].isupper():
        article = "none"
    if noun.classes & {"language", "school_subject"}:
        article = "none"
    return Phrase(
        mark(noun.korean, role), mark(_determined(noun.english, article), role),
        noun.always_plural, noun.korean,
    )  # fmt: skip


def pointed_at(noun: Noun, near: bool, role: str = "subject") -> Phrase:
    """The noun after 이 or 그: this apple, those shoes."""
    plural = noun.always_plural
    pointer = ("these" if plural else "this") if near else ("those" if plural else "that")
    return Phrase(
        mark("이" if near else "그", f"{role} pointer") + mark(noun.korean, role),
        mark(pointer, f"{role} pointer") + mark(noun.english, role),
        plural, noun.korean,
    )  # fmt: skip


def in_general(noun: Noun, role: str = "object") -> Phrase:
    """The noun as a kind: apples, coffee."""
    return Phrase(
        mark(noun.korean, role), mark(noun.plural or noun.english, role),
        bool(noun.plural), noun.korean,
    )  # fmt: skip


def described(noun: Noun, adjective: Adjective, role: str = "object", the: bool = False) -> Phrase:
    """The noun after an adjective: 빨간 가방, a red bag."""
    quality = f"{role} quality"
    form = adnominal(Predicate(adjective.korean, "adjective"))
    head = mark(adjective.english, quality) + mark(noun.english, role)
    if the:
        head = mark("the", role) + head
    elif noun.plural and not noun.always_plural:
        article = english.with_article(adjective.english).split()[0]
        head = mark(article, role) + head
    return Phrase(
        mark(form, quality) + mark(noun.korean, role), head, noun.always_plural, noun.korean
    )


def counted(noun: Noun, number: dict[str, str], counter: dict[str, str], role: str) -> Phrase:
    """The noun with a number and a counter: 커피 두 잔, two cups of coffee."""
    count = f"{role} count"
    one = number["value"] == "1"
    measure = "pair" if comes_in_pairs(noun) else counter["english"]
    if not noun.plural:
        measure = measure or "sheet"  # only paper is a mass and counted without a measure
    if measure:
        unit = measure if one else english.pluralize(measure)
        words = mark(f"{number['english']} {unit}", count) + mark(f"of {noun.english}", role)
    else:
        words = mark(number["english"], count) + mark(noun.english if one else noun.plural, role)
    korean_words = mark(noun.korean, role) + mark(f"{number['native']} {noun.counter}", count)
    return Phrase(korean_words, words, not one, noun.korean)


def comes_in_pairs(noun: Noun) -> bool:
    """Whether English counts the noun in pairs (shoes, pants, scissors)."""
    worn = noun.classes & {"clothes", "footwear", "socks", "headwear", "handwear", "stationery"}
    return noun.always_plural and bool(worn)


def finite(subject: Subject, action: Action, tense: str, *, negative: bool = False) -> Words:
    """The English predicate of a statement with the time still missing."""
    possessive = subject.possessive
    if tense == "future":
        helper = mark("will", "verb") + (mark("not", "negation") if negative else ())
        return helper + action.english("base", possessive)
    if negative:
        return mark(f"{do(subject, tense)} not", "negation") + action.english("base", possessive)
    if tense == "past":
        return action.english("past", possessive)
    return action.english("third" if subject.third_singular else "base", possessive)


def do(subject: Subject, tense: str) -> str:
    """The helper verb of a question or negation."""
    if tense == "past":
        return "did"
    if tense == "future":
        return "will"
    return "does" if subject.third_singular else "do"


def be(subject: Subject, tense: str = "present") -> str:
    """The finite form of `be` for a subject."""
    return english.be(subject.person, subject.plural, tense)


def have(subject: Subject) -> str:
    """`has` or `have`."""
    return "has" if subject.third_singular else "have"


def _determined(noun: str, article: str) -> str:
    if article == "a":
        return english.with_article(noun)
    return {"the": f"the {noun}", "my": f"my {noun}", "poss": f"{{poss}} {noun}"}.get(article, noun)
