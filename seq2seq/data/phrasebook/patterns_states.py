"""Sentence patterns of qualities, comparisons, identity, existence and possession.

A pattern is a function from a `Draw` to a `Draft` and one line of `STATE_PATTERNS`.
"""

from __future__ import annotations

from functools import cache

from seq2seq.data.phrasebook import english
from seq2seq.data.phrasebook.draw import PRONOUNS, Draw
from seq2seq.data.phrasebook.korean import Predicate, adnominal, conjugate
from seq2seq.data.phrasebook.lexicon import (
    Adjective,
    Noun,
    Time,
    adjectives,
    nouns_of,
    people,
    times,
)  # fmt: skip
from seq2seq.data.phrasebook.phrases import (
    Draft,
    Phrase,
    Subject,
    Words,
    be,
    capitalized,
    comes_in_pairs,
    counted,
    in_general,
    known,
    mark,
    pointed_at,
)  # fmt: skip
from seq2seq.data.phrasebook.tables import read_table, word_list

ALL_LEVELS = ("plain", "polite", "formal", "archaic")
_VERY = (("아주", "very"), ("정말", "really"))
_RELATIONS = (
    ("옆에", "next to"), ("앞에", "in front of"), ("뒤에", "behind"), ("근처에", "near"),
    ("건너편에", "across from"),
)  # fmt: skip


def quality(draw: Draw) -> Draft:
    """이 사과는 아주 달다."""
    phrase, adjective = _thing_with_quality(draw)
    korean, very = draw.choose(_VERY)
    past = draw.chance(0.25)
    tense = "past" if past else "present"
    words = mark(_be(phrase, tense), "copula") + mark(very, "degree")
    return Draft(
        korean=phrase.with_particle("은/는") + mark(korean, "degree"),
        predicate=_predicate(adjective),
        english=capitalized(phrase.english) + words + mark(adjective.english, "quality"),
        role="quality",
        tense=tense,
    )


def quality_negative(draw: Draw) -> Draft:
    """민수의 가방은 별로 비싸지 않다."""
    noun, adjective = _noun_with_quality(draw)
    phrase = _owned(draw, noun) if _is_owned(noun) else pointed_at(noun, draw.chance(0.5))
    degree = draw.chance(0.5)
    words = mark(f"{_be(phrase)} not", "negation") + mark("very" if degree else "", "degree")
    return Draft(
        korean=phrase.with_particle("은/는")
        + mark("별로" if degree else "", "degree")
        + mark(conjugate(adjective.korean, "-지"), "quality"),
        predicate=Predicate("않다", "adjective"),
        english=capitalized(phrase.english) + words + mark(adjective.english, "quality"),
        role="negation",
    )


def ask_quality(draw: Draw) -> Draft:
    """민수의 가방은 정말 비싸요?"""
    noun, adjective = _noun_with_quality(draw)
    phrase = _owned(draw, noun) if _is_owned(noun) else pointed_at(noun, draw.chance(0.5))
    korean, very = draw.choose((("정말", "really"), ("", "")))
    return Draft(
        korean=phrase.with_particle("은/는") + mark(korean, "degree"),
        predicate=_predicate(adjective),
        english=mark(_be(phrase).capitalize(), "copula")
        + phrase.english
        + mark(very, "degree")
        + mark(adjective.english, "quality"),
        role="quality",
        mood="question",
    )


def comparison(draw: Draw) -> Draft:
    """이 사과는 그 복숭아보다 더 달다."""
    return _compare(draw, "보다", general=False)


def comparison_of_kinds(draw: Draw) -> Draft:
    """코끼리는 사자보다 더 크다."""
    return _compare(draw, "보다", general=True)


def equality(draw: Draw) -> Draft:
    """이 사과는 그 복숭아만큼 달다."""
    return _compare(draw, "만큼", general=False)


def ask_comparison(draw: Draw) -> Draft:
    """이 사과는 그 복숭아보다 더 달아요?"""
    return _compare(draw, "보다", general=False, asks=True)


def _compare(draw: Draw, particle: str, *, general: bool, asks: bool = False) -> Draft:
    adjective = draw.adjective([a for a in _attributive() if len(_comparable(a, general)) > 1])
    nouns = _comparable(adjective, general)
    first = draw.noun(among=nouns)
    alike = [n for n in nouns if n is not first and n.classes & first.classes & KINDS]
    if not alike:
        raise LookupError("Nothing to compare with.")
    second = draw.noun(among=alike)
    if general:
        one, other = in_general(first, "subject"), in_general(second, "other")
    else:
        one, other = pointed_at(first, True), pointed_at(second, False, "other")
    more = particle == "보다"
    degree = (
        mark(english.comparative(adjective.english, adjective.degree), "quality")
        + mark("than", "comparison")
        if more
        else mark("as", "comparison")
        + mark(adjective.english, "quality")
        + mark("as", "comparison")
    )
    verb = mark(_be(one), "copula")
    start = capitalized(verb + one.english if asks else one.english + verb)
    return Draft(
        korean=one.with_particle("은/는")
        + other.with_particle(particle)
        + mark("더" if more else "", "comparison"),
        predicate=_predicate(adjective),
        english=start + degree + other.english,
        role="quality",
        mood="question" if asks else "statement",
    )


def superlative(draw: Draw) -> Draft:
    """이 책이 셋 중에서 가장 재미있다."""
    noun, adjective = _noun_with_quality(draw)
    phrase = pointed_at(noun, draw.chance(0.5))
    korean, group = draw.choose((
        ("셋 중에서", "of the three"), ("이 중에서", "of these"), ("다섯 중에서", "of the five"),
    ))  # fmt: skip
    return _most(phrase, adjective, korean, group)


def superlative_of_people(draw: Draw) -> Draft:
    """민수가 우리 반에서 가장 부지런하다."""
    adjective = draw.adjective([a for a in adjectives() if "person" in a.tags])
    person = draw.noun("name")
    korean, group = draw.choose((
        ("우리 반에서", "in our class"), ("가족 중에서", "in the family"),
        ("이 학교에서", "at this school"), ("이 회사에서", "at this company"),
        ("친구들 중에서", "among my friends"),
    ))  # fmt: skip
    return _most(known(person), adjective, korean, group)


def _most(phrase: Phrase, adjective: Adjective, korean: str, group: str) -> Draft:
    highest = english.superlative(adjective.english, adjective.degree)
    return Draft(
        korean=phrase.with_particle("이/가") + mark(korean, "group") + mark("가장", "comparison"),
        predicate=_predicate(adjective),
        english=capitalized(phrase.english)
        + mark(_be(phrase), "copula")
        + mark("the", "comparison")
        + mark(highest, "quality")
        + mark(group, "group"),
        role="quality",
    )


def feeling(draw: Draw) -> Draft:
    """어제 민수는 아주 피곤했다."""
    adjective = draw.adjective([a for a in adjectives() if "feeling" in a.tags])
    subject = draw.subject()
    korean, when, tense = draw.choose((
        ("오늘", "today", "present"), ("지금", "now", "present"), ("어제", "yesterday", "past"),
        ("어젯밤에", "last night", "past"), ("오늘 아침에", "this morning", "past"),
        ("지난주에", "last week", "past"), ("요즘", "these days", "present"),
    ))  # fmt: skip
    very = draw.choose((("아주", "very"), ("정말", "really"), ("조금", "a little")))
    return Draft(
        korean=subject.topic + mark(korean, "time") + mark(very[0], "degree"),
        predicate=_predicate(adjective),
        english=subject.english_words
        + mark(be(subject, tense), "copula")
        + mark(very[1], "degree")
        + mark(adjective.english, "quality")
        + mark(when, "time"),
        role="quality",
        tense=tense,
        person=subject.person,
        levels=_levels(subject),
    )


def looks(draw: Draw) -> Draft:
    """민수는 오늘 피곤해 보인다."""
    adjective = draw.adjective([a for a in adjectives() if a.tags & {"feeling", "person"}])
    subject = draw.subject(third=True)
    past = draw.chance(0.4)
    korean, when = ("어제", "yesterday") if past else ("오늘", "today")
    very = draw.choose(_VERY)
    verb = "looked" if past else ("looks" if subject.third_singular else "look")
    return Draft(
        korean=subject.topic
        + mark(korean, "time")
        + mark(very[0], "degree")
        + mark(conjugate(adjective.korean, "-아/어"), "quality"),
        predicate=Predicate("보이다"),
        english=subject.english_words
        + mark(verb, "looks")
        + mark(very[1], "degree")
        + mark(adjective.english, "quality")
        + mark(when, "time"),
        role="looks",
        tense="past" if past else "present",
        levels=_levels(subject),
    )


def weather(draw: Draw) -> Draft:
    """어제 서울은 아주 추웠다."""
    adjective = draw.adjective([a for a in adjectives() if "weather" in a.tags])
    place = draw.noun("city", "country", "제주도")
    korean, when, tense = draw.choose((
        ("오늘", "today", "present"), ("어제", "yesterday", "past"),
        ("지난주에", "last week", "past"), ("내일", "tomorrow", "future"),
        ("이번 주말에", "this weekend", "future"), ("요즘", "these days", "present"),
        ("그저께", "the day before yesterday", "past"),
    ))  # fmt: skip
    very = draw.choose(_VERY)
    return Draft(
        korean=mark(korean, "time")
        + mark(f"{place.korean}의", "place")
        + mark("날씨는", "subject")
        + mark(very[0], "degree"),
        predicate=_predicate(adjective),
        english=mark("The weather", "subject")
        + mark(place.locative, "place")
        + mark(english.be("third", False, tense), "copula")
        + mark(very[1], "degree")
        + mark(adjective.english, "quality")
        + mark(when, "time"),
        role="quality",
        tense=tense,
    )


def rain_and_snow(draw: Draw) -> Draft:
    """어제 서울에 비가 많이 왔다."""
    noun, verb = draw.choose((("비", "rain"), ("눈", "snow")))
    place = draw.noun("city", "country", "제주도")
    tense = draw.choose(("past", "future"))
    time = draw.time(tense, None, "day", "week", "night")
    much = draw.choose((("많이", "a lot"), ("조금", "a little")))
    past = tense == "past"
    return Draft(
        korean=mark(time.korean, "time")
        + mark(f"{place.korean}에", "place")
        + mark(noun + ("가" if noun == "비" else "이"), "verb")
        + mark(much[0], "degree"),
        predicate=Predicate("오다"),
        english=mark("It", "verb")
        + mark(english.inflect(verb, "past") if past else f"will {verb}", "verb")
        + mark(much[1], "degree")
        + mark(place.locative, "place")
        + mark(time.english, "time"),
        tense=tense,
        subject_verb=((noun, "오다"),),
    )


def profession(draw: Draw) -> Draft:
    """수진의 아버지는 유명한 의사다."""
    korean, words = _relative_of(draw)
    role = draw.noun(among=_professions())
    adjective = draw.adjective([a for a in _for_people() if a.korean != "젊다"])
    return Draft(
        korean=korean + mark(adnominal(_predicate(adjective)), "quality"),
        predicate=Predicate(f"{role.korean}이다", "copula"),
        english=words + mark("is", "copula") + _described(adjective, role.english, "role"),
        role="role",
    )


def profession_past(draw: Draw) -> Draft:
    """수진의 삼촌은 삼 년 전에 기자였다."""
    korean, words = _relative_of(draw)
    role = draw.noun(among=_professions())
    time = draw.choose([t for t in times("past") if t.korean in _YEARS_AGO], key=_korean)
    return Draft(
        korean=korean + mark(time.korean, "time"),
        predicate=Predicate(f"{role.korean}이다", "copula"),
        english=words
        + mark("was", "copula")
        + mark(english.with_article(role.english), "role")
        + mark(time.english, "time"),
        role="role",
        tense="past",
    )


def profession_corrected(draw: Draw) -> Draft:
    """수진의 이모는 의사가 아니라 변호사다."""
    korean, words = _relative_of(draw)
    role = draw.noun(among=_professions())
    other = draw.noun(among=[noun for noun in _professions() if noun is not role])
    return Draft(
        korean=korean + known(other, "other").with_particle("이/가") + mark("아니라", "negation"),
        predicate=Predicate(f"{role.korean}이다", "copula"),
        english=words
        + mark("is", "copula")
        + mark("not", "negation")
        + mark(english.with_article(other.english), "other")
        + mark("but", "negation")
        + mark(english.with_article(role.english), "role"),
        role="role",
    )


def being(draw: Draw) -> Draft:
    """나는 고양이다. 나는 고양이로소이다."""
    subject = draw.choose([s for s in PRONOUNS if s.korean and not s.plural], key=_korean)
    noun = draw.noun("role") if subject.person == "third" else draw.noun("role", "animal")
    return being_something(subject, noun)


def being_something(subject: Subject, noun: Noun, adjective: Adjective | None = None) -> Draft:
    """Somebody is a certain kind of person or animal."""
    what = mark(english.with_article(noun.english), "role")
    before: Words = ()
    if adjective:
        before = mark("아주", "degree") + mark(adnominal(_predicate(adjective)), "quality")
        what = mark("a", "role") + mark("very", "degree") + mark(adjective.english, "quality")
        what += mark(noun.english, "role")
    return Draft(
        korean=subject.topic + before,
        predicate=Predicate(f"{noun.korean}이다", "copula"),
        english=subject.english_words + mark(be(subject), "copula") + what,
        role="role",
        person=subject.person,
        levels=ALL_LEVELS,
    )


def being_described(draw: Draw) -> Draft:
    """나는 아주 똑똑한 고양이로소이다."""
    subject = draw.choose([s for s in PRONOUNS if s.korean and not s.plural], key=_korean)
    animal = subject.person == "first" and draw.chance(0.5)
    noun = draw.noun("animal") if animal else draw.noun("role")
    fitting = _for_people()
    if animal:
        fitting = tuple(a for a in _attributive() if noun in a.nouns and "color" not in a.tags)
    return being_something(subject, noun, draw.adjective(fitting))


def not_being(draw: Draw) -> Draft:
    """나는 고양이가 아니다."""
    subject = draw.choose([s for s in PRONOUNS if s.korean and not s.plural], key=_korean)
    noun = draw.noun("role") if subject.person == "third" else draw.noun("role", "animal")
    return Draft(
        korean=subject.topic + known(noun, "role").with_particle("이/가"),
        predicate=Predicate("아니다", "adjective"),
        english=subject.english_words
        + mark(be(subject), "copula")
        + mark("not", "negation")
        + mark(english.with_article(noun.english), "role"),
        role="negation",
        person=subject.person,
    )


def this_is(draw: Draw) -> Draft:
    """이것은 아주 비싼 시계다."""
    adjective = draw.adjective([a for a in _attributive() if "color" not in a.tags])
    noun = draw.noun(among=[n for n in adjective.nouns if n.group == "thing"])
    near = draw.chance(0.5)
    plural = noun.always_plural
    pointer = ("these" if plural else "this") if near else ("those" if plural else "that")
    what = mark("very", "degree") + mark(adjective.english, "quality") + mark(noun.english, "role")
    if not plural and noun.plural:
        what = mark("a", "role") + what
    return Draft(
        korean=mark("이것은" if near else "그것은", "subject")
        + mark("아주", "degree")
        + mark(adnominal(_predicate(adjective)), "quality"),
        predicate=Predicate(f"{noun.korean}이다", "copula"),
        english=mark(pointer.capitalize(), "subject")
        + mark("are" if plural else "is", "copula")
        + what,
        role="role",
    )


def belongs(draw: Draw) -> Draft:
    """이 빨간 가방은 민수의 것이다."""
    phrase = _coloured(draw)
    owner = draw.noun("name", "elder", "family")
    words = known(owner, "owner")
    *rest, (last, role) = words.english
    return Draft(
        korean=phrase.with_particle("은/는") + mark(f"{owner.korean}의", "owner"),
        predicate=Predicate("것이다", "copula"),
        english=capitalized(phrase.english)
        + mark("belongs" if not phrase.plural else "belong", "copula")
        + mark("to", "owner")
        + (*rest, (last, role)),
        role="copula",
    )


def ask_owner(draw: Draw) -> Draft:
    """이 빨간 가방은 누구의 것입니까?"""
    phrase = _coloured(draw)
    return Draft(
        korean=phrase.with_particle("은/는") + mark("누구의", "question"),
        predicate=Predicate("것이다", "copula"),
        english=mark("Who", "question")
        + mark("do" if phrase.plural else "does", "copula")
        + phrase.english
        + mark("belong to", "copula"),
        role="copula",
        mood="question",
    )


def existence(draw: Draw) -> Draft:
    """책상 위에 책이 있다."""
    spot, noun = _spot(draw)
    verb = "are" if noun.always_plural else "is"
    what = f"some {noun.english}"
    if noun.plural and not noun.always_plural:
        what = english.with_article(noun.english)
    return Draft(
        korean=mark(spot["korean"], "place") + in_general(noun, "subject").with_particle("이/가"),
        predicate=Predicate("있다", "existence"),
        english=mark(f"There {verb}", "verb")
        + mark(what, "subject")
        + mark(spot["english"], "place"),
        tense="present",
    )


def existence_counted(draw: Draw) -> Draft:
    """책상 위에 책이 세 권 있다."""
    spot, noun = _spot(draw, only_counted=True)
    phrase = count(draw, noun, "subject")
    verb = "are" if phrase.plural else "is"
    past = draw.chance(0.4)
    if past:
        verb = "were" if phrase.plural else "was"
    _, *number = phrase.korean
    first = in_general(noun, "subject").with_particle("이/가")
    return Draft(
        korean=mark(spot["korean"], "place") + first + tuple(number),
        predicate=Predicate("있다", "existence"),
        english=mark(f"There {verb}", "verb") + phrase.english + mark(spot["english"], "place"),
        tense="past" if past else "present",
    )


def absence(draw: Draw) -> Draft:
    """냉장고에 우유가 없다."""
    spot, noun = _spot(draw)
    past = draw.chance(0.4)
    several = bool(noun.plural) and not noun.classes & _USUALLY_ONE
    verb = ("were" if past else "are") if several else ("was" if past else "is")
    return Draft(
        korean=mark(spot["korean"], "place") + in_general(noun, "subject").with_particle("이/가"),
        predicate=Predicate("없다", "adjective"),
        english=mark(f"There {verb} no", "verb")
        + mark(noun.plural if several else noun.english, "subject")
        + mark(spot["english"], "place"),
        tense="past" if past else "present",
    )


def ask_existence(draw: Draw) -> Draft:
    """식탁 위에 사과가 있어요?"""
    spot, noun = _spot(draw)
    if noun.classes & _USUALLY_ONE:
        start, what = "Is there", english.with_article(noun.english)
    else:
        start = "Are there any" if noun.plural else "Is there any"
        what = noun.plural or noun.english
    return Draft(
        korean=mark(spot["korean"], "place") + in_general(noun, "subject").with_particle("이/가"),
        predicate=Predicate("있다", "existence"),
        english=mark(start, "verb") + mark(what, "subject") + mark(spot["english"], "place"),
        mood="question",
    )


def location(draw: Draw) -> Draft:
    """은행은 병원 옆에 있다."""
    place = draw.noun("location")
    other = draw.noun(among=[noun for noun in nouns_of("location") if noun is not place])
    korean, words = draw.choose(_RELATIONS)
    return Draft(
        korean=known(place).with_particle("은/는")
        + mark(other.korean, "other")
        + mark(korean, "relation"),
        predicate=Predicate("있다", "existence"),
        english=capitalized(known(place).english)
        + mark("is", "verb")
        + mark(words, "relation")
        + known(other, "other").english,
    )


def ask_way(draw: Draw) -> Draft:
    """은행이 병원 옆에 있어요?"""
    place = draw.noun("location")
    other = draw.noun(among=[noun for noun in nouns_of("location") if noun is not place])
    korean, words = draw.choose(_RELATIONS)
    return Draft(
        korean=mark(f"{other.korean}", "other")
        + mark(korean, "relation")
        + known(place).with_particle("이/가"),
        predicate=Predicate("있다", "existence"),
        english=mark("Is there", "verb")
        + mark(english.with_article(place.english), "subject")
        + mark(words, "relation")
        + known(other, "other").english,
        mood="question",
    )


def thing_location(draw: Draw) -> Draft:
    """민수의 열쇠는 책상 위에 있다."""
    spot, noun = _spot(draw)
    if noun.group == "animal" and "pet" not in noun.classes:
        raise LookupError("Nobody owns wild animals.")
    phrase = _owned(draw, noun)
    past = draw.chance(0.4)
    tense = "past" if past else "present"
    return Draft(
        korean=phrase.with_particle("은/는") + mark(spot["korean"], "place"),
        predicate=Predicate("있다", "existence"),
        english=capitalized(phrase.english)
        + mark(_be(phrase, tense), "verb")
        + mark(spot["english"], "place"),
        tense=tense,
    )


def possession(draw: Draw) -> Draft:
    """민수는 형이 두 명 있다."""
    subject = draw.subject()
    kin = [n for n in people() if n.group in ("family", "friend") and n.korean not in _ONLY_ONE]
    if subject.possessive == "her":
        kin = [noun for noun in kin if noun.korean not in ("형", "누나")]
    noun = draw.noun(among=[each for each in kin if each.korean != subject.lexeme])
    return _possess(draw, subject, noun, "person")


def possession_of_things(draw: Draw) -> Draft:
    """나는 사전이 두 권 있다."""
    subject = draw.subject()
    things_owned = nouns_of("goods", "book", "clothes", "toy", "pet", "ticket")
    noun = draw.noun(among=[noun for noun in things_owned if noun.counter])
    return _possess(draw, subject, noun, "thing")


def _possess(draw: Draw, subject: Subject, noun: Noun, kind: str) -> Draft:
    phrase = count(draw, noun, "object", largest=5)
    _, *number = phrase.korean
    verb = "has" if subject.third_singular else "have"
    return Draft(
        korean=subject.topic
        + in_general(noun).with_particle("이/가")
        + tuple((word, role) for word, role in number),
        predicate=Predicate("있다", "existence"),
        english=subject.english_words + mark(verb, "verb") + phrase.english,
        person=subject.person,
        levels=_levels(subject),
    )


def age(draw: Draw) -> Draft:
    """민수의 여동생은 올해 스무 살이다."""
    korean, words = _relative_of(draw, young=True)
    row = draw.choose(read_table("numbers")[4:], key=lambda row: row["native"])
    return Draft(
        korean=korean + mark("올해", "time") + mark(row["native"], "number"),
        predicate=Predicate("살이다", "copula"),
        english=words
        + mark("is", "copula")
        + mark(row["english"], "number")
        + mark("years old", "age")
        + mark("this year", "time"),
        role="age",
    )


def count(draw: Draw, noun: Noun, role: str, largest: int = 30) -> Phrase:
    """The noun with a number that its counter allows."""
    counter = _counters()[noun.counter]
    limit = min(largest, int(counter["largest"]))
    smallest = 2 if noun.always_plural and not comes_in_pairs(noun) else 1  # flowers, stamps
    numbers = [r for r in read_table("numbers") if smallest <= int(r["value"]) <= limit]
    return counted(noun, draw.choose(numbers, key=lambda row: row["native"]), counter, role)


@cache
def _counters() -> dict[str, dict[str, str]]:
    return {row["korean"]: row for row in read_table("counters")}


@cache
def _attributive() -> tuple[Adjective, ...]:
    return tuple(a for a in adjectives() if "attributive" in a.tags and a.nouns)


@cache
def _for_people() -> tuple[Adjective, ...]:
    return tuple(a for a in adjectives() if "person" in a.tags)


@cache
def _comparable(adjective: Adjective, general: bool) -> tuple[Noun, ...]:
    if "color" in adjective.tags or (general and adjective.korean in _PASSING):
        return ()
    if not general:
        return tuple(n for n in adjective.nouns if n.group in ("thing", "animal", "place")
                     and not n.english[0].isupper() and n.article != "poss"
                     and not n.classes & {"language", "school_subject"})  # fmt: skip
    kinds = nouns_of("animal", "fruit", "vegetable", "language", "school_subject", "drink",
                     "sweet", "clothes", "stationery", "vehicle", "furniture")  # fmt: skip
    return tuple(noun for noun in adjective.nouns if noun in kinds)


def _noun_with_quality(draw: Draw) -> tuple[Noun, Adjective]:
    adjective = draw.adjective(_pointed_qualities())
    return draw.noun(among=_comparable(adjective, False) or _coloured_nouns(adjective)), adjective


def _thing_with_quality(draw: Draw) -> tuple[Phrase, Adjective]:
    noun, adjective = _noun_with_quality(draw)
    return pointed_at(noun, draw.chance(0.5)), adjective


@cache
def _pointed_qualities() -> tuple[Adjective, ...]:
    return tuple(a for a in adjectives() if _comparable(a, False))


def _coloured_nouns(adjective: Adjective) -> tuple[Noun, ...]:
    return tuple(noun for noun in adjective.nouns if noun.group == "thing")


def _coloured(draw: Draw) -> Phrase:
    """이 빨간 가방, this red bag."""
    chosen = [a for a in _attributive() if a.tags & {"color"} or a.korean in _OF_THINGS]
    adjective = draw.adjective(chosen)
    nouns = [n for n in _coloured_nouns(adjective) if n.classes & _OWNABLE]
    phrase = pointed_at(draw.noun(among=nouns), draw.chance(0.5))
    form = mark(adnominal(_predicate(adjective)), "quality")
    return Phrase(
        (phrase.korean[0], *form, *phrase.korean[1:]),
        (phrase.english[0], *mark(adjective.english, "quality"), *phrase.english[1:]),
        phrase.plural, phrase.lexeme,
    )  # fmt: skip


def _owned(draw: Draw, noun: Noun) -> Phrase:
    """민수의 가방, Minsu's bag."""
    owner = draw.choose(_owners(), key=lambda pair: pair[0])
    return Phrase(
        mark(owner[0], "owner") + mark(noun.korean, "subject"),
        mark(owner[1], "owner") + mark(noun.english, "subject"),
        noun.always_plural, noun.korean,
    )  # fmt: skip


def _is_owned(noun: Noun) -> bool:
    return bool(noun.classes & _OWNABLE) and "transit" not in noun.classes


def _professions() -> tuple[Noun, ...]:
    return tuple(n for n in nouns_of("role") if n.korean not in ("학생", "대학생"))


@cache
def _owners() -> tuple[tuple[str, str], ...]:
    names = [(f"{noun.korean}의", f"{noun.english}'s") for noun in nouns_of("name")]
    kin = [(f"{n.korean}의", f"my {n.english}'s") for n in nouns_of("family", "elder", "friend")]
    return (("내", "my"), ("우리", "our"), ("그의", "his"), ("그녀의", "her"), *names, *kin)


def _relative_of(draw: Draw, young: bool = False) -> tuple[Words, Words]:
    """수진의 아버지는, Sujin's father."""
    kin = nouns_of(*_YOUNG) if young else nouns_of("family", "elder", "친구", "이웃")
    relative = draw.noun(among=kin)
    owner = draw.noun("name")
    if relative.korean in ("남편", "아내"):
        wanted = "female" if relative.korean == "남편" else "male"
        owner = draw.noun(among=[n for n in nouns_of("name") if n.gender == wanted])
    if relative.korean in ("형", "누나"):
        owner = draw.noun(among=[n for n in nouns_of("name") if n.gender == "male"])
    korean = mark(f"{owner.korean}의", "owner") + known(relative).with_particle("은/는")
    words = mark(f"{owner.english}'s", "owner") + mark(relative.english, "subject")
    return korean, words


def _spot(draw: Draw, only_counted: bool = False) -> tuple[dict[str, str], Noun]:
    spot = draw.choose(read_table("spots"), key=lambda row: row["korean"])
    nouns = nouns_of(*spot["things"].split())
    if only_counted:
        nouns = tuple(noun for noun in nouns if noun.counter)
    return spot, draw.noun(among=nouns)


def _described(adjective: Adjective, noun: str, role: str) -> Words:
    article = english.with_article(adjective.english).split()[0]
    return mark(article, role) + mark(adjective.english, "quality") + mark(noun, role)


def _predicate(adjective: Adjective) -> Predicate:
    kind = "existence" if adjective.korean.endswith("있다") else "adjective"
    return Predicate(adjective.korean, kind)


def _be(phrase: Phrase, tense: str = "present") -> str:
    return english.be("third", phrase.plural, tense)


def _levels(subject: Subject) -> tuple[str, ...]:
    return ("plain",) if subject.elder else ("plain", "polite", "formal")


def _korean(word: Subject | Time) -> str:
    return word.korean


_OWNABLE = word_list("ownable")
_OF_THINGS = ("크다", "작다", "비싸다", "무겁다", "예쁘다", "낡다")
KINDS = word_list("kinds")
_USUALLY_ONE = word_list("usually_one")
_PASSING = ("낡다", "좋다", "깨끗하다", "더럽다", "신선하다", "차갑다", "뜨겁다")  # never of a kind
_YEARS_AGO = ("작년에", "삼 년 전에", "오래전에")
_ONLY_ONE = ("남편", "아내", "손님")
_YOUNG = ("남동생", "여동생", "아들", "딸", "사촌")

STATE_PATTERNS = {
    "quality": quality,
    "quality_negative": quality_negative,
    "ask_quality": ask_quality,
    "comparison": comparison,
    "comparison_of_kinds": comparison_of_kinds,
    "ask_comparison": ask_comparison,
    "equality": equality,
    "superlative": superlative,
    "superlative_of_people": superlative_of_people,
    "feeling": feeling,
    "looks": looks,
    "weather": weather,
    "rain_and_snow": rain_and_snow,
    "profession": profession,
    "profession_past": profession_past,
    "profession_corrected": profession_corrected,
    "being": being,
    "being_described": being_described,
    "not_being": not_being,
    "this_is": this_is,
    "belongs": belongs,
    "ask_owner": ask_owner,
    "existence": existence,
    "existence_counted": existence_counted,
    "absence": absence,
    "ask_existence": ask_existence,
    "location": location,
    "ask_way": ask_way,
    "thing_location": thing_location,
    "possession": possession,
    "possession_of_things": possession_of_things,
    "age": age,
}
