"""Sentence patterns of two clauses: reasons, conditions, order of events, relative clauses.

A pattern is a function from a `Draw` to a `Draft` and one line of `CLAUSE_PATTERNS`.
"""

from __future__ import annotations

from dataclasses import replace

from seq2seq.data.phrasebook import english
from seq2seq.data.phrasebook.draw import MEALS, PRONOUNS, Draw, is_own
from seq2seq.data.phrasebook.korean import Predicate, conjugate
from seq2seq.data.phrasebook.lexicon import Noun, Verb, nouns_of
from seq2seq.data.phrasebook.patterns_events import draft, draw_object, shared
from seq2seq.data.phrasebook.patterns_states import KINDS
from seq2seq.data.phrasebook.phrases import (
    Action,
    Draft,
    Subject,
    Words,
    bare,
    be,
    capitalized,
    do,
    finite,
    in_general,
    known,
    mark,
    time_words,
)  # fmt: skip
from seq2seq.data.phrasebook.tables import read_table, word_list

_PRONOUN_OF = {"my": "I", "our": "we", "their": "they", "his": "he", "her": "she", "your": "you"}
_WEATHER = (("비가 오", "rain"), ("눈이 오", "snow"))


def because(draw: Draw) -> Draft:
    """피곤했기 때문에 어제 영화를 보지 않았다."""
    return _for_a_reason(draw, "-았/었기 때문에", "past", "because")


def as_reason(draw: Draw) -> Draft:
    """피곤해서 어제 숙제를 끝내지 못했다."""
    return _for_a_reason(draw, "-아/어서", "past", "because", could=True)


def but_negative(draw: Draw) -> Draft:
    """피곤했지만 어제 방을 청소했다."""
    row, action = _state_and_action(draw, "despite")
    subject = draw.subject(action, gendered=True)
    korean, words = _state(row, subject, "-았/었지만", "past")
    return draft(
        subject.topic + korean + action.korean,
        Predicate(action.verb.korean),
        subject.english_words
        + _comma(words)
        + mark("but", "but")
        + mark(_pronoun(subject), "subject")
        + finite(subject, action, "past"),
        subject=subject,
        actions=[action],
        tense="past",
    )


def _for_a_reason(draw: Draw, ending: str, tense: str, link: str, *, could: bool = False) -> Draft:
    row, action = _state_and_action(draw, "prevents")
    subject = draw.subject(action, gendered=True)
    korean, words = _state(row, subject, ending, "past")
    helper = "could not" if could else "did not"
    return draft(
        subject.topic + korean + action.clause("-지"),
        Predicate("못하다" if could else "않다"),
        subject.english_words
        + mark(helper, "negation")
        + action.english("base", subject.possessive)
        + mark(link, "reason")
        + mark(_pronoun(subject), "subject")
        + words,
        role="negation",
        subject=subject,
        actions=[action],
        tense=tense,
    )


def weather_reason(draw: Draw) -> Draft:
    """비가 와서 우리는 집에서 영화를 보았다."""
    action = draw.action(
        "order", place=0.2, adverb=0, verb=lambda verb: _verb_key(verb) in _OUTDOOR_VERBS
    )
    subject = draw.subject(action)
    when, when_english = time_words(draw.maybe_time("past", action))
    rain, verb = draw.choose(_WEATHER)
    return _with_weather(
        draft(
            when + _weather(rain, "-아/어서") + subject.topic + action.clause("-지"),
            Predicate("않다"),
            subject.english_words
            + finite(subject, action, "past", negative=True)
            + when_english
            + mark("because", "reason")
            + mark(f"it {english.inflect(verb, 'past')}", "weather"),
            role="negation",
            subject=subject,
            actions=[action],
            tense="past",
        ),
        rain.split()[0],
    )


def weather_suggestion(draw: Draw) -> Draft:
    """비가 오니까 집에서 영화를 보자."""
    action = shared(draw.action("wish", place=0.3, verb=_indoors))
    rain, verb = draw.choose(_WEATHER)
    return _with_weather(
        draft(
            _weather(rain, "-(으)니까") + action.korean,
            Predicate(action.verb.korean),
            mark(f"It is {english.inflect(verb, 'gerund')},", "weather")
            + mark("so", "reason")
            + mark("let's", "suggestion")
            + action.english("base", "our"),
            actions=[action],
            mood="suggestion",
            person="first",
            levels=("plain", "formal"),
        ),
        rain.split()[0],
    )


def if_weather(draw: Draw) -> Draft:
    """내일 비가 오면 나는 집에서 책을 읽을 것이다."""
    action = draw.action("order", place=0.3, adverb=0, verb=_indoors)
    if action.object and action.object.lexeme in MEALS:
        raise LookupError("Meals have a time of their own.")
    subject = draw.subject(action)
    rain, verb = draw.choose(_WEATHER)
    korean, when = draw.choose((
        ("내일", "tomorrow"), ("모레", "the day after tomorrow"), ("오늘 밤에", "tonight"),
        ("이번 주말에", "this weekend"),
    ))  # fmt: skip
    return _with_weather(
        draft(
            mark(korean, "time") + _weather(rain, "-(으)면") + subject.topic + action.korean,
            Predicate(action.verb.korean),
            subject.english_words
            + finite(subject, action, "future")
            + mark("if", "condition")
            + mark(f"it {english.inflect(verb, 'third')}", "weather")
            + mark(when, "time"),
            subject=subject,
            actions=[action],
            tense="future",
        ),
        rain.split()[0],
    )


def if_state(draw: Draw) -> Draft:
    """민수는 시간이 있으면 영화를 볼 것이다."""
    return _on_condition(draw, "-(으)면", "if", "future")


def when_state(draw: Draw) -> Draft:
    """나는 피곤할 때 음악을 듣는다."""
    return _on_condition(draw, "-(으)ㄹ 때", "when", "present")


def _on_condition(draw: Draw, ending: str, link: str, tense: str) -> Draft:
    habit = tense == "present"
    row, action = _state_and_action(draw, "invites", "habit" if habit else "wish", habit=habit)
    subject = draw.subject(action, gendered=True)
    korean, words = _state(row, subject, ending, "present")
    return draft(
        subject.topic + korean + action.korean,
        Predicate(action.verb.korean),
        subject.english_words
        + finite(subject, action, tense)
        + mark(link, "condition")
        + mark(_pronoun(subject), "subject")
        + words,
        subject=subject,
        actions=[action],
        tense=tense,
    )


def after(draw: Draw) -> Draft:
    """숙제를 한 후에 텔레비전을 보았다."""
    return _in_order(draw, "-(으)ㄴ 후에", "after", _CHORES, _LEISURE)


def before(draw: Draw) -> Draft:
    """저녁을 먹기 전에 숙제를 했다."""
    return _in_order(draw, "-기 전에", "before", _LEISURE, _CHORES)


def _in_order(
    draw: Draw, ending: str, link: str, firsts: frozenset[str], seconds: frozenset[str]
) -> Draft:
    first, second, subject = _two_actions(draw, firsts, seconds)
    clause = first.korean + mark(conjugate(first.verb.korean, ending), "second verb")
    clause = tuple((word, _second(role)) for word, role in clause)
    words = tuple(
        (word, _second(role)) for word, role in first.english("gerund", subject.possessive)
    )
    return draft(
        subject.topic + clause + second.korean,
        Predicate(second.verb.korean),
        subject.english_words + finite(subject, second, "past") + mark(link, "order") + words,
        subject=subject,
        actions=[first, second],
        tense="past",
    )


def sequence(draw: Draw) -> Draft:
    """빵을 먹고 우유를 마셨다."""
    first, second, subject = _two_actions(draw, _CHORES, _LEISURE)
    clause = tuple((word, _second(role)) for word, role in first.clause("-고"))
    words = tuple((word, _second(role)) for word, role in first.english("past", subject.possessive))
    return draft(
        subject.topic + clause + second.korean,
        Predicate(second.verb.korean),
        subject.english_words + words + mark("and", "order") + finite(subject, second, "past"),
        subject=subject,
        actions=[first, second],
        tense="past",
    )


def while_doing(draw: Draw) -> Draft:
    """음악을 들으면서 저녁을 준비한다."""
    first = draw.action(
        place=0, adverb=0, objects=lambda noun: "alcohol" not in noun.classes,
        verb=lambda verb: verb.korean in ("듣다", "마시다"),
    )  # fmt: skip
    second = draw.action("progress", place=0.2, adverb=0, verb=_with_hands)
    subject = draw.subject(first, second)
    clause = tuple((word, _second(role)) for word, role in first.clause("-(으)면서"))
    words = tuple(
        (word, _second(role)) for word, role in first.english("gerund", subject.possessive)
    )
    return draft(
        subject.topic + clause + second.korean,
        Predicate(second.verb.korean),
        subject.english_words + finite(subject, second, "past") + mark("while", "order") + words,
        subject=subject,
        actions=[first, second],
        tense="past",
    )


def purpose(draw: Draw) -> Draft:
    """책을 빌리러 도서관에 갔다."""
    action = draw.action("wish", place=1, adverb=0, verb=_at_a_place)
    subject = draw.subject(action, _go())
    place = action.place
    if place is None:
        raise LookupError("The action has no place.")
    doing = Action(action.verb, action.object)
    when, when_english = time_words(draw.maybe_time("past", action))
    return draft(
        subject.topic + when + doing.clause("-(으)러") + mark(f"{place.korean}에", "place"),
        Predicate("가다"),
        subject.english_words
        + mark("went", "go")
        + mark(place.destination, "place")
        + mark("to", "ending")
        + doing.english("base", subject.possessive)
        + when_english,
        role="go",
        subject=subject,
        actions=[doing, Action(_go())],
        tense="past",
    )


def instead(draw: Draw) -> Draft:
    """어제 커피 대신 차를 마셨다."""
    action = draw.action(place=0.4, adverb=0, objects=lambda noun: "handwear" not in noun.classes,
                         verb=lambda verb: verb.english in _INSTEAD)  # fmt: skip
    noun = draw_object(action)
    others = [n for n in action.verb.objects if n is not noun and n.classes & noun.classes & KINDS]
    if not others:
        raise LookupError("Nothing else to choose.")
    other = draw.noun(among=others)
    subject = draw.subject(action)
    place = action.place
    doing = Action(action.verb, action.object)
    when, when_english = time_words(draw.maybe_time("past", action))
    return draft(
        subject.topic
        + when
        + (mark(f"{place.korean}에서", "place") if place else ())
        + mark(other.korean, "other")
        + mark("대신", "instead")
        + doing.korean,
        Predicate(action.verb.korean),
        subject.english_words
        + doing.english("past", subject.possessive)
        + mark("instead of", "instead")
        + bare(other, role="other").english
        + (mark(place.locative, "place") if place else ())
        + when_english,
        subject=subject,
        actions=[doing],
        tense="past",
    )


def relative_past(draw: Draw) -> Draft:
    """이것은 내가 어제 산 책이다."""
    return _relative(draw, "past")


def relative_future(draw: Draw) -> Draft:
    """이것은 민수가 내일 읽을 책이다."""
    return _relative(draw, "future")


def _relative(draw: Draw, tense: str) -> Draft:
    action = draw.action(
        place=0.3,
        adverb=0,
        objects=lambda noun: noun.group == "thing" and noun.article in ("a", "none"),
        verb=lambda verb: verb.english in _RELATIVE,
    )
    subject = draw.subject(action, pronouns=[p for p in PRONOUNS if p.korean])
    noun = draw_object(action)
    doing = Action(action.verb, None, action.place)
    when, when_english = time_words(draw.maybe_time(tense, action))
    ending = "-(으)ㄴ" if tense == "past" else "-(으)ㄹ"
    this = "These are" if noun.always_plural else "This is"
    result = draft(
        mark("이것은", "this") + subject.with_particle("이/가") + when + doing.clause(ending),
        Predicate(f"{noun.korean}이다", "copula"),
        mark(this, "this")
        + mark(f"the {noun.english}", "object")
        + mark("that", "ending")
        + mark(subject.embedded, "subject")
        + finite(subject, doing, tense)
        + when_english,
        role="object",
        subject=subject,
        actions=[action],
        person="third",
    )
    return result


def relative_person(draw: Draw) -> Draft:
    """지금 책을 읽고 있는 남자는 내 친구다."""
    action = draw.action("progress", place=0.6, adverb=0, without=("own", "state", "search"))
    if is_own(action):
        raise LookupError("The owner is open.")
    person = draw.noun(among=nouns_of("human", "role"))
    if action.object and action.object.lexeme == person.korean:
        raise LookupError("Nobody acts on himself.")
    doer = draw.subject(action, third=True, pronoun=0, only=person.korean)
    who = draw.noun(among=[n for n in nouns_of("family", "friend") if _may_be(n, person)])
    return draft(
        mark("지금", "time") + action.clause("-고") + mark("있는", "progress")
        + known(person).with_particle("은/는") + mark("내", "owner"),
        Predicate(f"{who.korean}이다", "copula"),
        mark(f"The {person.english}", "subject")
        + mark("who", "ending")
        + mark("is", "progress")
        + action.english("gerund")
        + mark("now", "time")
        + mark("is", "copula")
        + mark("my", "owner")
        + mark(who.english, "kin"),
        role="kin",
        subject=doer,
        actions=[action],
    )  # fmt: skip


def hobby(draw: Draw) -> Draft:
    """민수의 취미는 사진을 찍는 것이다."""
    action = draw.action(
        "habit", habit=True, place=0.3, adverb=0, without=("own", "daily", "state", "search"),
        verb=_is_hobby,
    )  # fmt: skip
    owner = draw.noun("name", "family", "elder", "friend")
    words = known(owner, "subject").english
    *rest, (last, role) = words
    return draft(
        mark(f"{owner.korean}의", "subject") + mark("취미는", "hobby") + action.clause("-는"),
        Predicate("것이다", "copula"),
        capitalized((*rest, (f"{last}'s", role)))
        + mark("hobby is", "hobby")
        + action.english("gerund"),
        actions=[action],
        role="ending",
    )


def like_doing(draw: Draw) -> Draft:
    """나는 음악을 듣는 것을 좋아한다."""
    action = draw.action(
        "habit", habit=True, place=0.6, without=("own", "daily", "state", "search"),
        verb=_is_hobby,
    )  # fmt: skip
    subject = draw.subject(action)
    likes = draw.chance(0.6)
    verb = ("like" if likes else "hate") + ("s" if subject.third_singular else "")
    return draft(
        subject.topic + action.clause("-는") + mark("것을", "ending"),
        Predicate("좋아하다" if likes else "싫어하다"),
        subject.english_words + mark(verb, "like") + action.english("gerund"),
        subject=subject,
        actions=[action],
        role="like",
    )


def learning_is(draw: Draw) -> Draft:
    """한국어를 배우는 것은 어렵지 않다."""
    action = draw.action("skill", place=0.3, adverb=0.1, habit=True, without=("own", "state"))
    if is_own(action):
        raise LookupError("The owner is open.")
    korean, quality = draw.choose((
        ("쉽다", "easy"), ("어렵다", "difficult"), ("재미있다", "interesting"),
    ))  # fmt: skip
    negative = draw.chance(0.5)
    words = mark(conjugate(korean, "-지"), "quality") if negative else ()
    predicate = Predicate("않다", "adjective")
    if not negative:
        predicate = Predicate(korean, "adjective")
    return draft(
        action.clause("-는") + mark("것은", "ending") + words,
        predicate,
        capitalized(action.english("gerund"))
        + mark("is", "copula")
        + mark("not" if negative else "", "negation")
        + mark(quality, "quality"),
        actions=[action],
        role="negation" if negative else "quality",
    )


def like(draw: Draw) -> Draft:
    """민수는 딸기를 아주 좋아한다."""
    action, subject = _taste(draw)
    degrees = (("아주", "very much"), ("정말", "really"), ("별로", ""))
    degree = draw.choose(degrees if action.verb.english == "like" else degrees[1:2])
    if not degree[1]:
        return draft(
            subject.topic
            + action.korean
            + mark(degree[0], "degree")
            + mark(conjugate(action.verb.korean, "-지"), "verb"),
            Predicate("않다"),
            subject.english_words
            + mark(f"{do(subject, 'present')} not", "negation")
            + action.english("base")
            + mark("very much", "degree"),
            role="negation",
            subject=subject,
            actions=[action],
        )
    verb = finite(subject, action, "present")
    words = mark(degree[1], "degree")
    return draft(
        subject.topic + action.korean + mark(degree[0], "degree"),
        Predicate(action.verb.korean),
        subject.english_words + (words + verb if degree[1] == "really" else verb + words),
        subject=subject,
        actions=[action],
    )


def state_of_mind(draw: Draw) -> Draft:
    """민수는 어머니를 정말 사랑한다."""
    action = draw.action(place=0, adverb=0, without=(), verb=lambda v: v.korean in _MIND_VERBS)
    noun = draw_object(action)
    if noun.group == "animal":
        action = draw.with_object(action, in_general(noun))
    subject = draw.subject(action)
    well = action.verb.korean in ("알다", "기억하다")
    degree = mark("잘", "degree") if well else mark("정말", "degree")
    words = mark("well" if well else "really", "degree")
    verb = finite(subject, action, "present")
    return draft(
        subject.topic + action.korean + degree,
        Predicate(action.verb.korean),
        subject.english_words + (verb + words if well else words + verb),
        subject=subject,
        actions=[action],
    )


def like_more(draw: Draw) -> Draft:
    """나는 커피보다 차를 더 좋아한다."""
    action, subject, other = _taste_of_two(draw)
    return draft(
        subject.topic
        + in_general(other, "other").with_particle("보다")
        + action.korean
        + mark("더", "comparison"),
        Predicate(action.verb.korean),
        subject.english_words
        + finite(subject, action, "present")
        + mark("more than", "comparison")
        + in_general(other, "other").english,
        subject=subject,
        actions=[action, Action(action.verb, in_general(other))],
    )


def like_but(draw: Draw) -> Draft:
    """나는 커피를 좋아하지만 차는 좋아하지 않는다."""
    action, subject, other = _taste_of_two(draw, only="like")
    verb = action.verb
    return draft(
        subject.topic
        + action.clause("-지만")
        + in_general(other, "other").with_particle("은/는")
        + mark(conjugate(verb.korean, "-지"), "second verb"),
        Predicate("않다"),
        subject.english_words
        + _comma(finite(subject, action, "present"))
        + mark("but", "ending")
        + mark(f"{do(subject, 'present')} not", "negation")
        + mark(verb.english, "second verb")
        + in_general(other, "other").english,
        role="negation",
        subject=subject,
        actions=[action, Action(verb, in_general(other))],
    )


def ask_like(draw: Draw) -> Draft:
    """민수는 커피와 차를 좋아해요?"""
    action, subject, other = _taste_of_two(draw, third=True, only="like")
    return draft(
        subject.topic + in_general(other, "other").with_particle("과/와") + action.korean,
        Predicate(action.verb.korean),
        mark(do(subject, "present").capitalize(), "verb")
        + mark(subject.embedded, "subject")
        + mark(action.verb.english, "verb")
        + in_general(other, "other").english
        + mark("and", "other")
        + (action.object.english if action.object else ()),
        subject=subject,
        actions=[action, Action(action.verb, in_general(other))],
        mood="question",
    )


def _taste(draw: Draw, third: bool = False, only: str = "") -> tuple[Action, Subject]:
    action = draw.action(
        "taste", without=(), place=0, adverb=0, verb=lambda verb: only in ("", verb.english)
    )
    action = draw.with_object(action, in_general(draw_object(action)))
    return action, draw.subject(action, third=third)


def _taste_of_two(draw: Draw, third: bool = False, only: str = "") -> tuple[Action, Subject, Noun]:
    action, subject = _taste(draw, third, only)
    noun = draw_object(action)
    others = [
        n
        for n in draw.objects_of(action.verb)
        if n is not noun and n.classes & noun.classes & KINDS
    ]
    if not others:
        raise LookupError("Nothing to compare with.")
    return action, subject, draw.noun(among=others)


def _two_actions(
    draw: Draw, firsts: frozenset[str], seconds: frozenset[str]
) -> tuple[Action, Action, Subject]:
    first = draw.action("order", place=0, adverb=0, verb=lambda verb: _verb_key(verb) in firsts)
    second = draw.action(
        "order", place=0, adverb=0,
        verb=lambda verb: _verb_key(verb) in seconds and verb.korean != first.verb.korean,
    )  # fmt: skip
    if first.object and second.object and first.object.lexeme == second.object.lexeme:
        raise LookupError("Two actions need two objects.")
    return first, second, draw.subject(first, second)


def _verb_key(verb: Verb) -> str:
    """The verb with its sense: 하다/do, 하다/play."""
    return f"{verb.korean}/{verb.english.split()[0]}"


def _state_and_action(
    draw: Draw, effect: str, tag: str | None = None, *, habit: bool = False
) -> tuple[dict[str, str], Action]:
    """A state like 피곤하다 and something that it prevents, invites, or does not hinder."""
    rows = [row for row in read_table("states") if row[effect] != "-"]
    row = draw.choose(rows, key=lambda row: row["korean"])
    wanted = row[effect].split()
    action = draw.action(
        tag,
        habit=habit,
        place=0.25,
        adverb=0,
        objects=lambda noun: noun.korean != "강의" and "alcohol" not in noun.classes,
        verb=lambda verb: verb.korean in wanted and verb.english not in ("take", "wear", "keep"),
    )
    return row, action


def _state(row: dict[str, str], subject: Subject, ending: str, tense: str) -> tuple[Words, Words]:
    """A state in both languages, the English with its verb."""
    *before, last = row["korean"].split()
    korean = mark(" ".join(before), "state") + mark(conjugate(last, ending), "state")
    head, _, rest = row["english"].partition(" ")
    if head == "be":
        verb = be(subject, tense)
    elif tense == "past":
        verb = english.inflect(head, "past")
    else:
        verb = english.inflect(head, "third" if subject.third_singular else "base")
    return korean, mark(f"{verb} {rest}", "state")


def _weather(rain: str, ending: str) -> Words:
    noun, stem = rain.split()
    return mark(f"{noun} {conjugate(stem + '다', ending)}", "weather")


def _with_weather(result: Draft, noun: str) -> Draft:
    return replace(result, subject_verb=(*result.subject_verb, (noun[:-1], "오다")))


def _comma(words: Words) -> Words:
    *rest, (last, role) = words
    return (*rest, (f"{last},", role))


def _pronoun(subject: Subject) -> str:
    return _PRONOUN_OF[subject.possessive]


def _second(role: str) -> str:
    return role if role.startswith(("second", "order")) else f"second {role}"


def _go() -> Verb:
    return Verb("가다", "go", (), (), frozenset())


def _may_be(kin: Noun, person: Noun) -> bool:
    if person.korean in ("아이", "소년", "소녀") and kin.korean in _GROWN_UP:
        return False
    return person.gender == "neutral" or kin.gender in (person.gender, "neutral")


def _indoors(verb: Verb) -> bool:
    return verb.korean in _INDOOR_VERBS and "single" not in verb.tags


def _is_hobby(verb: Verb) -> bool:
    return verb.korean in _HOBBIES and _verb_key(verb) not in _NO_HOBBIES


def _at_a_place(verb: Verb) -> bool:
    return bool(verb.places) and "slow" not in verb.tags and verb.korean != "운전하다"


def _with_hands(verb: Verb) -> bool:
    return verb.korean in _HAND_VERBS and "single" not in verb.tags


_GROWN_UP = ("삼촌", "이모", "남편", "아내", "동료", "손님")
_MIND_VERBS = ("사랑하다", "그리워하다", "믿다", "알다", "기억하다")
_CHORES = word_list("chores")
_LEISURE = word_list("leisure")
_INDOOR_VERBS = word_list("indoor_verbs")
_OUTDOOR_VERBS = word_list("outdoor_verbs")
_HAND_VERBS = word_list("hand_verbs")
_INSTEAD = word_list("instead")
_RELATIVE = word_list("relative")
_NO_HOBBIES = (
    "타다/take",
    "쓰다/wear",
    "쓰다/keep",
    "하다/do",
    "하다/ask",
    "켜다/turn",
    "부르다/call",
)
_HOBBIES = word_list("hobbies")

CLAUSE_PATTERNS = {
    "because": because,
    "as_reason": as_reason,
    "but_negative": but_negative,
    "weather_reason": weather_reason,
    "weather_suggestion": weather_suggestion,
    "if_weather": if_weather,
    "if_state": if_state,
    "when_state": when_state,
    "after": after,
    "before": before,
    "sequence": sequence,
    "while_doing": while_doing,
    "purpose": purpose,
    "instead": instead,
    "relative_past": relative_past,
    "relative_future": relative_future,
    "relative_person": relative_person,
    "hobby": hobby,
    "like_doing": like_doing,
    "learning_is": learning_is,
    "like": like,
    "state_of_mind": state_of_mind,
    "like_more": like_more,
    "like_but": like_but,
    "ask_like": ask_like,
}
