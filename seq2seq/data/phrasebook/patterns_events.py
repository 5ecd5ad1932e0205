"""Sentence patterns that tell or ask what somebody did, does or will do.

A pattern is a function from a `Draw` to a `Draft` and one line of `EVENT_PATTERNS`.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from seq2seq.data.phrasebook.draw import YOU, Draw
from seq2seq.data.phrasebook.english import inflect
from seq2seq.data.phrasebook.korean import Predicate, conjugate
from seq2seq.data.phrasebook.lexicon import Adjective, Noun, Verb, adjectives, adverbs
from seq2seq.data.phrasebook.phrases import (
    Action,
    Draft,
    Subject,
    Words,
    be,
    described,
    do,
    finite,
    have,
    mark,
    pointed_at,
    time_words,
)  # fmt: skip
from seq2seq.data.phrasebook.tables import read_table, word_list

LEVELS = ("plain", "polite", "formal")


def draft(
    korean: Words,
    predicate: Predicate,
    english: Words,
    *,
    subject: Subject | None = None,
    actions: Iterable[Action] = (),
    others: Iterable[tuple[Subject, Action]] = (),
    levels: tuple[str, ...] = LEVELS,
    **rest: str,
) -> Draft:
    """A draft whose pairs come from its actions and subjects.

    Args:
        subject: Of all `actions`; an elder allows the plain level only.
        others: Further clauses with subjects of their own.
    """
    own, others = tuple(actions), tuple(others)
    subjects = ([subject] if subject else []) + [other for other, _ in others]
    if any(each.elder for each in subjects):
        levels = tuple(level for level in levels if level == "plain")
    doers = [(subject, action) for action in own if subject] + list(others)
    every_action = own + tuple(action for _, action in others)
    return Draft(
        korean=korean,
        predicate=predicate,
        english=english,
        person=rest.pop("person", subject.person if subject else "third"),
        verb_object=tuple(pair for action in every_action for pair in action.pairs),
        subject_verb=tuple((doer.lexeme, action.verb.korean) for doer, action in doers),
        levels=levels,
        **rest,
    )


def tell(draw: Draw, action: Action, tense: str, time_tense: str, *grains: str) -> Draft:
    """Subject, time, action."""
    subject = draw.subject(action)
    when, when_english = time_words(draw.maybe_time(time_tense, action, *grains))
    return draft(
        subject.topic + when + action.korean,
        Predicate(action.verb.korean),
        subject.english_words + finite(subject, action, tense) + when_english,
        subject=subject,
        actions=[action],
        tense=tense,
    )


def past_action(draw: Draw) -> Draft:
    """어제 도서관에서 책을 읽었다."""
    return tell(draw, draw.action(), "past", "past")


def past_long_ago(draw: Draw) -> Draft:
    """작년에 자동차를 샀다."""
    return tell(draw, draw.action("long"), "past", "past", "long")


def past_without_object(draw: Draw) -> Draft:
    """어제 공원에서 산책했다."""
    return tell(draw, draw.intransitive(), "past", "past")


def present_habit(draw: Draw) -> Draft:
    """매일 신문을 읽는다."""
    return tell(draw, draw.action("habit", habit=True), "present", "habit")


def habit_without_object(draw: Draw) -> Draft:
    """주말마다 수영한다."""
    return tell(draw, draw.intransitive("habit"), "present", "habit")


def future_action(draw: Draw) -> Draft:
    """내일 편지를 쓸 것이다."""
    return tell(draw, draw.action(without=_UNPLANNED), "future", "future", *_SOON)


def future_without_object(draw: Draw) -> Draft:
    """이번 주말에 집에서 쉴 것이다."""
    return tell(draw, draw.intransitive("wish"), "future", "future")


def frequency(draw: Draw) -> Draft:
    """자주 음악을 듣는다."""
    action = draw.action("habit", habit=True, place=0.8)
    subject = draw.subject(action)
    row = draw.choose(read_table("frequency"), key=lambda row: row["korean"])
    often = mark(row["korean"], "frequency"), mark(row["english"], "frequency")
    return draft(
        subject.topic + often[0] + action.korean,
        Predicate(action.verb.korean),
        subject.english_words + often[1] + finite(subject, action, "present"),
        subject=subject,
        actions=[action],
    )


def manner(draw: Draw) -> Draft:
    """어제 혼자 영화를 보았다."""
    action = draw.action(adverb=1, place=0.5, verb=_has_manner)
    return tell(draw, action, "past", "past")


def past_negative(draw: Draw) -> Draft:
    """어제 책을 읽지 않았다."""
    action = draw.action(without=_UNPLANNED)
    subject = draw.subject(action)
    when, when_english = time_words(draw.maybe_time("past", action))
    words, predicate = negated(draw, action, "않다", "안")
    return draft(
        subject.topic + when + words,
        predicate,
        subject.english_words + finite(subject, action, "past", negative=True) + when_english,
        subject=subject,
        actions=[action],
        tense="past",
    )


def habit_negative(draw: Draw) -> Draft:
    """주말에는 신문을 읽지 않는다."""
    action = draw.action("habit", habit=True, place=0.4)
    subject = draw.subject(action)
    korean, english = draw.choose(_NEVERS)
    words, predicate = negated(draw, action, "않다", "안")
    return draft(
        subject.topic + mark(korean, "time") + words,
        predicate,
        subject.english_words
        + finite(subject, action, "present", negative=True)
        + mark(english, "time"),
        subject=subject,
        actions=[action],
    )


def could_not(draw: Draw) -> Draft:
    """어제 숙제를 못 끝냈다."""
    action = draw.action("wish")
    subject = draw.subject(action)
    when, when_english = time_words(draw.maybe_time("past", action))
    words, predicate = negated(draw, action, "못하다", "못")
    english = mark("could not", "negation") + action.english("base", subject.possessive)
    return draft(
        subject.topic + when + words,
        predicate,
        subject.english_words + english + when_english,
        subject=subject,
        actions=[action],
        tense="past",
    )


def future_negative(draw: Draw) -> Draft:
    """내일 커피를 마시지 않을 것이다."""
    action = draw.action("wish")
    subject = draw.subject(action)
    when, when_english = time_words(draw.maybe_time("future", action))
    words, predicate = negated(draw, action, "않다", None)
    return draft(
        subject.topic + when + words,
        predicate,
        subject.english_words + finite(subject, action, "future", negative=True) + when_english,
        subject=subject,
        actions=[action],
        tense="future",
    )


def negated(draw: Draw, action: Action, long: str, short: str | None) -> tuple[Words, Predicate]:
    """The action before its negated predicate: 안 먹다 or 먹지 않다."""
    compound = action.verb.korean.endswith("하다") and len(action.verb.korean) > 2
    if short and not compound and draw.chance(0.5):
        return action.korean + mark(short, "negation"), Predicate(action.verb.korean)
    return action.clause("-지"), Predicate(long)


def _ask(
    draw: Draw,
    tense: str,
    action: Action,
    subject: Subject,
    *,
    time_tense: str | None = None,
) -> Draft:
    """A yes-no question."""
    when, when_english = time_words(draw.maybe_time(time_tense or tense, action))
    english = mark(do(subject, tense).capitalize(), "verb") + mark(subject.embedded, "subject")
    return draft(
        subject.topic + when + action.korean,
        Predicate(action.verb.korean),
        english + action.english("base", subject.possessive) + when_english,
        subject=subject,
        actions=[action],
        tense=tense,
        mood="question",
    )


def ask_past(draw: Draw) -> Draft:
    """어제 영화를 봤어요?"""
    action = draw.action()
    return _ask(draw, "past", action, draw.subject(action, pronouns=(YOU,), pronoun=1))


def ask_future(draw: Draw) -> Draft:
    """내일 영화를 볼 거예요?"""
    action = draw.action("wish")
    return _ask(draw, "future", action, draw.subject(action, pronouns=(YOU,), pronoun=1))


def ask_habit(draw: Draw) -> Draft:
    """매일 신문을 읽어요?"""
    action = draw.action("habit", habit=True)
    subject = draw.subject(action, pronouns=(YOU,), pronoun=1)
    return _ask(draw, "present", action, subject, time_tense="habit")


def ask_about_other(draw: Draw) -> Draft:
    """민수는 어제 책을 샀습니까?"""
    action = draw.action()
    return _ask(draw, "past", action, draw.subject(action, third=True))


def ask_about_others_habit(draw: Draw) -> Draft:
    """민수는 매일 운동합니까?"""
    action = draw.action("habit", habit=True)
    return _ask(draw, "present", action, draw.subject(action, third=True), time_tense="habit")


def ask_who(draw: Draw) -> Draft:
    """누가 어제 창문을 열었어요?"""
    action = draw.action(
        "order",
        without=("own", "state", "search"),
        objects=lambda noun: noun.article not in ("poss", "my"),
    )
    when, when_english = time_words(draw.maybe_time("past", action))
    return draft(
        mark("누가", "question") + when + action.korean,
        Predicate(action.verb.korean),
        mark("Who", "question") + action.english("past") + when_english,
        actions=[action],
        tense="past",
        mood="question",
    )


def ask_what(draw: Draw) -> Draft:
    """민수는 어제 시장에서 무엇을 샀어요?"""
    action = draw.action(place=1, adverb=0, verb=lambda verb: verb.english in _WHAT_VERBS)
    subject = draw.subject(action, third=True)
    when, when_english = time_words(draw.maybe_time("past", action))
    place = mark(action.place.korean + "에서", "place") if action.place else ()
    where = mark(action.place.locative, "place") if action.place else ()
    asked = Action(action.verb, None)
    return draft(
        subject.topic + when + place + mark("무엇을", "question"),
        Predicate(action.verb.korean),
        mark("What", "question")
        + mark("did", "verb")
        + mark(subject.embedded, "subject")
        + asked.english("base")
        + where
        + when_english,
        subject=subject,
        actions=[asked],
        tense="past",
        mood="question",
    )


def ask_when(draw: Draw) -> Draft:
    """민수는 언제 편지를 쓸 거예요?"""
    return _ask_with(draw, "언제", "When", "future")


def ask_where(draw: Draw) -> Draft:
    """민수는 어디에서 이 가방을 샀어요?"""
    return _ask_with(draw, "어디에서", "Where", "past")


def ask_why(draw: Draw) -> Draft:
    """민수는 왜 어제 책을 샀어요?"""
    return _ask_with(draw, "왜", "Why", "past")


def ask_how(draw: Draw) -> Draft:
    """이 문제를 어떻게 풀었어요?"""
    return _ask_with(draw, "어떻게", "How", "past")


def _ask_with(draw: Draw, korean: str, english: str, tense: str) -> Draft:
    if korean == "어디에서":
        action = draw.action("order", place=0, verb=lambda verb: bool(verb.places))
    elif korean == "어떻게":
        action = draw.action(place=0, adverb=0, verb=lambda verb: verb.korean in _HOW_VERBS)
    else:
        action = draw.action("wish", place=0.7)
    asks_other = draw.chance(0.6)
    who = {"third": True} if asks_other else {"pronouns": (YOU,), "pronoun": 1}
    subject = draw.subject(action, **who)
    if korean in ("어디에서", "어떻게") and action.object and draw.chance(0.5):
        noun = draw_object(action)
        if noun.group == "thing" and noun.plural and noun.article not in ("poss", "the"):
            action = draw.with_object(action, pointed_at(noun, draw.chance(0.5), "object"))
    when: Words = ()
    when_english: Words = ()
    if korean in ("왜", "어디에서", "어떻게") and draw.chance(0.8):
        when, when_english = time_words(draw.maybe_time(tense, action))
    words = mark(korean, "question") + when if korean == "왜" else when + mark(korean, "question")
    return draft(
        subject.topic + words + action.korean,
        Predicate(action.verb.korean),
        mark(english, "question")
        + mark(do(subject, tense), "verb")
        + mark(subject.embedded, "subject")
        + action.english("base", subject.possessive)
        + when_english,
        subject=subject,
        actions=[action],
        tense=tense,
        mood="question",
    )


def progressive(draw: Draw) -> Draft:
    """지금 방에서 책을 읽고 있다."""
    action = (
        draw.action("progress", without=("state",))
        if draw.chance(0.75)
        else draw.intransitive("progress")
    )
    subject = draw.subject(action)
    english = mark(be(subject), "progress") + action.english("gerund", subject.possessive)
    return draft(
        subject.topic + mark("지금", "time") + action.clause("-고"),
        Predicate("있다", "existence"),
        subject.english_words + english + mark("now", "time"),
        role="progress",
        subject=subject,
        actions=[action],
    )


def past_progressive(draw: Draw) -> Draft:
    """그때 책을 읽고 있었다."""
    action = (
        draw.action("progress", without=("state",))
        if draw.chance(0.75)
        else draw.intransitive("progress")
    )
    subject = draw.subject(action)
    korean, english = draw.choose(_THENS)
    doing = mark(be(subject, "past"), "progress") + action.english("gerund", subject.possessive)
    return draft(
        subject.topic + mark(korean, "time") + action.clause("-고"),
        Predicate("있다", "existence"),
        subject.english_words + doing + mark(english, "time"),
        role="progress",
        subject=subject,
        actions=[action],
        tense="past",
    )


def experience(draw: Draw) -> Draft:
    """전에 한국에서 김밥을 먹은 적이 있다."""
    action = draw.action("experience", place=0.5, adverb=0)
    subject = draw.subject(action)
    return draft(
        subject.topic + mark("전에", "time") + action.clause("-(으)ㄴ") + mark("적이", "perfect"),
        Predicate("있다", "existence"),
        subject.english_words
        + mark(have(subject), "perfect")
        + action.english("participle", subject.possessive)
        + mark("before", "time"),
        role="perfect",
        subject=subject,
        actions=[action],
    )


def no_experience(draw: Draw) -> Draft:
    """한 번도 말을 타 본 적이 없다."""
    action = draw.action("experience", place=0.5, adverb=0)
    subject = draw.subject(action)
    return draft(
        subject.topic
        + mark("한 번도", "never")
        + action.clause("-(으)ㄴ")
        + mark("적이", "perfect"),
        Predicate("없다", "adjective"),
        subject.english_words
        + mark(have(subject), "perfect")
        + mark("never", "never")
        + action.english("participle", subject.possessive),
        role="perfect",
        subject=subject,
        actions=[action],
    )


def described_object(draw: Draw) -> Draft:
    """어제 빨간 가방을 샀다."""
    action = draw.action(
        adverb=0,
        verb=lambda verb: verb.korean in _DESCRIBING_VERBS and not verb.tags & {"own", "definite"},
        objects=lambda noun: bool(qualities(noun)),
    )
    noun = draw_object(action)
    adjective = draw.adjective(qualities(noun))
    action = draw.with_object(action, described(noun, adjective))
    return tell(draw, action, "past", "past")


def animal_action(draw: Draw) -> Draft:
    """고양이는 지금 소파 위에서 자고 있다."""
    row = draw.choose(_ANIMAL_DOINGS, key=lambda row: row[0])
    noun = draw.noun(*row[2])
    spot = draw.choose(_ANIMAL_SPOTS)
    near = draw.chance(0.5)
    animal = pointed_at(noun, near)
    now = draw.chance(0.5)
    time = mark("지금", "time") if now else mark("조금 전에", "time")
    after = mark("now", "time") if now else mark("a little while ago", "time")
    first = animal.english[0]
    english = ((first[0].capitalize(), first[1]), *animal.english[1:])
    korean = animal.with_particle("은/는") + time + mark(spot[0], "place")
    pair = (noun.korean, row[0])
    if now:
        verb = mark("is", "progress") + mark(inflect(row[1], "gerund"), "verb")
        return Draft(
            korean=korean + mark(conjugate(row[0], "-고"), "verb"),
            predicate=Predicate("있다", "existence"),
            english=english + verb + mark(spot[1], "place") + after,
            role="progress",
            subject_verb=(pair,),
        )
    verb = mark(inflect(row[1], "past"), "verb")
    return Draft(
        korean=korean,
        predicate=Predicate(row[0]),
        english=english + verb + mark(spot[1], "place") + after,
        tense="past",
        subject_verb=(pair,),
    )


def draw_object(action: Action) -> Noun:
    """The noun that is the object of an action."""
    if action.object is None:
        raise ValueError(f"`action` must have an object, but is {action.verb.korean}.")
    lexeme = action.object.lexeme
    return next(noun for noun in action.verb.objects if noun.korean == lexeme)


def shared(action: Action) -> Action:
    """The action if we can do it together.

    Raises:
        LookupError: If it is done alone.
    """
    if action.adverb and action.adverb.korean == "혼자":
        raise LookupError("Nobody is alone together.")
    return action


def _has_manner(verb: Verb) -> bool:
    return any(verb.korean in adverb.verbs for adverb in adverbs())


@cache
def qualities(noun: Noun) -> tuple[Adjective, ...]:
    """The adjectives that may stand before the noun."""
    return tuple(a for a in adjectives() if "attributive" in a.tags and noun in a.nouns)


_NEVERS = (
    ("주말에는", "on weekends"), ("아침에는", "in the morning"), ("밤에는", "at night"),
    ("평일에는", "on weekdays"), ("요즘", "these days"), ("여름에는", "in summer"),
    ("겨울에는", "in winter"),
)  # fmt: skip
_THENS = (
    ("그때", "at that time"), ("어제 이 시간에", "at this time yesterday"),
    ("어젯밤에", "last night"), ("어제 오후에", "yesterday afternoon"),
    ("아침 내내", "all morning"), ("하루 종일", "all day"),
)  # fmt: skip
_WHAT_VERBS = word_list("what_verbs")
_UNPLANNED = ("state", "mishap", "search")
_SOON = ("day", "week", "night", "morning", "hour", "soon")
_HOW_VERBS = word_list("how_verbs")
_DESCRIBING_VERBS = word_list("describing_verbs")
_ANIMAL_DOINGS = (
    ("자다", "sleep", ("animal",)), ("놀다", "play", ("pet", "원숭이")),
    ("달리다", "run", ("개", "강아지", "말", "토끼", "늑대", "여우")),
    ("쉬다", "rest", ("animal",)), ("걷다", "walk", ("animal",)),
)  # fmt: skip
_ANIMAL_SPOTS = (
    ("나무 아래에서", "under the tree"), ("강가에서", "by the river"),
    ("집 앞에서", "in front of the house"), ("정원에서", "in the garden"),
    ("농장에서", "on the farm"), ("길에서", "on the street"),
    ("동물원에서", "at the zoo"), ("들판에서", "in the field"),
)  # fmt: skip

EVENT_PATTERNS = {
    "past_action": past_action,
    "past_long_ago": past_long_ago,
    "past_without_object": past_without_object,
    "present_habit": present_habit,
    "habit_without_object": habit_without_object,
    "future_action": future_action,
    "future_without_object": future_without_object,
    "frequency": frequency,
    "manner": manner,
    "past_negative": past_negative,
    "habit_negative": habit_negative,
    "could_not": could_not,
    "future_negative": future_negative,
    "ask_past": ask_past,
    "ask_future": ask_future,
    "ask_habit": ask_habit,
    "ask_about_other": ask_about_other,
    "ask_about_others_habit": ask_about_others_habit,
    "ask_who": ask_who,
    "ask_what": ask_what,
    "ask_when": ask_when,
    "ask_where": ask_where,
    "ask_why": ask_why,
    "ask_how": ask_how,
    "progressive": progressive,
    "past_progressive": past_progressive,
    "experience": experience,
    "no_experience": no_experience,
    "described_object": described_object,
    "animal_action": animal_action,
}
