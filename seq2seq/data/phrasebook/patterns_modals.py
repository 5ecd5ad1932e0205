"""Sentence patterns of wishes, abilities, duties, requests, plans and suggestions.

A pattern is a function from a `Draw` to a `Draft` and one line of `MODAL_PATTERNS`.
"""

from __future__ import annotations

from dataclasses import replace

from seq2seq.data.phrasebook.draw import I_LEFT_OUT, WE, YOU, Draw, I
from seq2seq.data.phrasebook.korean import Predicate
from seq2seq.data.phrasebook.lexicon import Time
from seq2seq.data.phrasebook.patterns_events import draft, shared
from seq2seq.data.phrasebook.phrases import (
    Action,
    Draft,
    Subject,
    Words,
    be,
    capitalized,
    do,
    have,
    mark,
    time_words,
)  # fmt: skip
from seq2seq.data.phrasebook.tables import word_list


def _modal(
    draw: Draw,
    action: Action,
    subject: Subject,
    ending: str,
    middle: str,
    predicate: Predicate,
    helper: str,
    *,
    time: Time | None,
    form: str = "base",
    tense: str = "present",
) -> Draft:
    """Subject, time, action, and Korean words after the verb for an English helper before it."""
    when, when_english = time_words(time)
    return draft(
        subject.topic + when + action.clause(ending) + mark(middle, "modal"),
        predicate,
        subject.english_words
        + mark(helper, "modal")
        + action.english(form, subject.possessive)
        + when_english,
        role="modal",
        subject=subject,
        actions=[action],
        tense=tense,
    )


def _ask_modal(
    draw: Draw, tag: str, ending: str, middle: str, predicate: Predicate, helpers: tuple[str, str]
) -> Draft:
    """A question to you; `helpers` stand around the English subject."""
    action = draw.action(tag, without=("state",))
    subject = draw.subject(action, pronouns=(YOU,), pronoun=1)
    when, when_english = time_words(draw.maybe_time("future", action))
    return draft(
        subject.topic + when + action.clause(ending) + mark(middle, "modal"),
        predicate,
        mark(helpers[0], "modal")
        + mark("you", "subject")
        + mark(helpers[1], "modal")
        + action.english("base", "your")
        + when_english,
        role="modal",
        subject=subject,
        actions=[action],
        mood="question",
    )


def wish(draw: Draw) -> Draft:
    """내일 영화를 보고 싶다."""
    action = draw.action("wish")
    subject = draw.subject(action, pronouns=(I, I_LEFT_OUT, WE), pronoun=1)
    time = draw.maybe_time("future", action)
    wanting = Predicate("싶다", "adjective")
    return _modal(draw, action, subject, "-고", "", wanting, "want to", time=time)


def wish_of_other(draw: Draw) -> Draft:
    """민수는 내일 영화를 보고 싶어 한다."""
    action = draw.action("wish")
    subject = draw.subject(action, third=True)
    helper = "wants to" if subject.third_singular else "want to"
    time, predicate = draw.maybe_time("future", action), Predicate("하다")
    return _modal(draw, action, subject, "-고", "싶어", predicate, helper, time=time)


def wish_past(draw: Draw) -> Draft:
    """어제 쉬고 싶었다."""
    action = draw.action("wish")
    subject = draw.subject(action, pronouns=(I, I_LEFT_OUT, WE), pronoun=1)
    predicate = Predicate("싶다", "adjective")
    time = draw.maybe_time("past", action)
    return _modal(draw, action, subject, "-고", "", predicate, "wanted to", time=time, tense="past")


def wish_not(draw: Draw) -> Draft:
    """오늘 숙제를 하고 싶지 않다."""
    action = draw.action("wish")
    subject = draw.subject(action, pronouns=(I, I_LEFT_OUT, WE), pronoun=1)
    time, predicate = draw.maybe_time("future", action), Predicate("않다", "adjective")
    return _modal(draw, action, subject, "-고", "싶지", predicate, "do not want to", time=time)


def ask_wish(draw: Draw) -> Draft:
    """내일 영화를 보고 싶어요?"""
    return _ask_modal(draw, "wish", "-고", "", Predicate("싶다", "adjective"), ("Do", "want to"))


def ability(draw: Draw) -> Draft:
    """피아노를 칠 수 있다."""
    action = draw.action("skill", place=0.4, adverb=0.2)
    subject = draw.subject(action)
    predicate = Predicate("있다", "existence")
    time = draw.maybe_time("future", action) if draw.chance(0.8) else None
    return _modal(draw, action, subject, "-(으)ㄹ", "수", predicate, "can", time=time)


def inability(draw: Draw) -> Draft:
    """내일 친구를 만날 수 없다."""
    action = draw.action("wish")
    subject = draw.subject(action)
    predicate = Predicate("없다", "adjective")
    time = draw.maybe_time("future", action)
    return _modal(draw, action, subject, "-(으)ㄹ", "수", predicate, "cannot", time=time)


def ask_ability(draw: Draw) -> Draft:
    """내일 친구를 만날 수 있어요?"""
    predicate = Predicate("있다", "existence")
    return _ask_modal(draw, "duty", "-(으)ㄹ", "수", predicate, ("Can", ""))


def duty(draw: Draw) -> Draft:
    """내일 숙제를 해야 한다."""
    action = draw.action("duty", without=("state",))
    subject = draw.subject(action)
    time, predicate = draw.maybe_time("future", action), Predicate("하다")
    helper = f"{have(subject)} to"
    return _modal(draw, action, subject, "-아/어야", "", predicate, helper, time=time)


def duty_past(draw: Draw) -> Draft:
    """어제 숙제를 해야 했다."""
    action = draw.action("duty", without=("state",))
    subject = draw.subject(action)
    time, predicate = draw.maybe_time("past", action), Predicate("하다")
    return _modal(
        draw, action, subject, "-아/어야", "", predicate, "had to", time=time, tense="past"
    )


def no_duty(draw: Draw) -> Draft:
    """내일 숙제를 하지 않아도 된다."""
    action = draw.action("duty", without=("state",))
    subject = draw.subject(action)
    time, predicate = draw.maybe_time("future", action), Predicate("되다")
    helper = f"{do(subject, 'present')} not have to"
    return _modal(draw, action, subject, "-지", "않아도", predicate, helper, time=time)


def ask_duty(draw: Draw) -> Draft:
    """내일 숙제를 해야 해요?"""
    return _ask_modal(draw, "duty", "-아/어야", "", Predicate("하다"), ("Do", "have to"))


def ask_permission(draw: Draw) -> Draft:
    """내일 컴퓨터를 사용해도 돼요?"""
    action = draw.action("wish", verb=lambda verb: verb.korean in _ASKED_VERBS)
    subject = draw.subject(action, pronouns=(I,), pronoun=1)
    when, when_english = time_words(draw.maybe_time("future", action))
    subject_korean = mark("내가", "subject")
    return draft(
        subject_korean + when + action.clause("-아/어도"),
        Predicate("되다"),
        mark("May", "modal") + mark("I", "subject") + action.english("base", "my") + when_english,
        role="modal",
        subject=subject,
        actions=[action],
        mood="question",
        levels=("polite", "formal"),
    )


def forbidden(draw: Draw) -> Draft:
    """도서관에서 음악을 들으면 안 된다."""
    action = draw.action("order", place=0.6, verb=lambda verb: verb.korean in _FORBIDDEN_VERBS)
    subject = draw.subject(action, pronouns=(YOU, WE), pronoun=0.5)
    time = draw.maybe_time("future", action) if draw.chance(0.6) else None
    result = _modal(
        draw, action, subject, "-(으)면", "안", Predicate("되다"), "must not", time=time
    )
    return _only_plain(result) if subject is YOU else result


def plan(draw: Draw) -> Draft:
    """내년에 중국어를 배우려고 한다."""
    action = draw.action("wish")
    subject = draw.subject(action)
    time = draw.maybe_time("future", action, *_SOME_DAY[: 6 if "long" in action.verb.tags else 5])
    helper = f"{be(subject)} going to"
    return _modal(draw, action, subject, "-(으)려고", "", Predicate("하다"), helper, time=time)


def plan_noun(draw: Draw) -> Draft:
    """내년에 집을 지을 계획이다."""
    action = draw.action("long")
    subject = draw.subject(action)
    time = draw.maybe_time("future", action, "long", "week", "day")
    helper = "plans to" if subject.third_singular else "plan to"
    return _modal(
        draw, action, subject, "-(으)ㄹ", "", Predicate("계획이다", "copula"), helper, time=time
    )


def decision(draw: Draw) -> Draft:
    """내년에 중국어를 배우기로 했다."""
    action = draw.action("wish")
    subject = draw.subject(action)
    time = draw.maybe_time("future", action, *_SOME_DAY[: 6 if "long" in action.verb.tags else 5])
    return _modal(
        draw, action, subject, "-기로", "", Predicate("하다"), "decided to",
        time=time, tense="past",
    )  # fmt: skip


def beginning(draw: Draw) -> Draft:
    """어제 한국어를 배우기 시작했다."""
    action = draw.action("progress", without=("state",))
    subject = draw.subject(action)
    return _modal(
        draw, action, subject, "-기", "", Predicate("시작하다"), "began to",
        time=draw.maybe_time("past", action), tense="past",
    )  # fmt: skip


def promise(draw: Draw) -> Draft:
    """내가 내일 방을 청소하겠다."""
    action = draw.action("order", adverb=0.2)
    subject = draw.subject(action, pronouns=(I,), pronoun=1)
    when, when_english = time_words(draw.maybe_time("future", action))
    return draft(
        mark("내가", "subject") + when + action.korean,
        Predicate(action.verb.korean),
        mark("I", "subject") + mark("will", "verb") + action.english("base", "my") + when_english,
        subject=subject,
        actions=[action],
        tense="future",
        mood="promise",
    )


def request(draw: Draw) -> Draft:
    """내일 이 책을 읽으세요."""
    return _order(draw, "request", "")


def favour(draw: Draw) -> Draft:
    """내일 편지를 보내 주세요."""
    return _order(draw, "favour", "please")


def prohibition(draw: Draw) -> Draft:
    """밤에 커피를 마시지 마세요."""
    return _order(draw, "prohibition", "do not")


def _order(draw: Draw, mood: str, helper: str) -> Draft:
    action = draw.action(
        None if mood == "prohibition" else "order",
        place=0.6, adverb=0.2, verb=_FITS_ORDER.get(mood),
        without=("state", "search", "own", "daily") if mood == "favour" else ("state", "search"),
    )  # fmt: skip
    when, when_english = time_words(draw.maybe_time("future", action))
    words = mark(helper, "negation") + action.english("base", "your") + when_english
    return draft(
        when + action.korean,
        Predicate(action.verb.korean),
        capitalized(words),
        actions=[action],
        mood=mood,
        person="second",
    )


def suggestion(draw: Draw) -> Draft:
    """내일 영화를 보자."""
    action = shared(draw.action("wish", place=0.6))
    when, when_english = time_words(draw.maybe_time("future", action))
    return draft(
        when + action.korean,
        Predicate(action.verb.korean),
        mark("Let's", "suggestion") + action.english("base", "our") + when_english,
        actions=[action],
        mood="suggestion",
        person="first",
        levels=("plain", "formal"),
    )


def offer(draw: Draw) -> Draft:
    """내일 영화를 볼까요?"""
    action = shared(draw.action("wish", place=0.6))
    when, when_english = time_words(draw.maybe_time("future", action))
    return draft(
        when + action.korean,
        Predicate(action.verb.korean),
        mark("Shall we", "suggestion") + action.english("base", "our") + when_english,
        actions=[action],
        mood="offer",
        person="first",
        levels=("plain", "polite"),
    )


def opinion(draw: Draw) -> Draft:
    """나는 민수가 내일 책을 살 것이라고 생각한다."""
    return _report(draw, "think", "생각하다", "present")


def belief(draw: Draw) -> Draft:
    """우리는 민수가 어제 책을 샀다고 믿는다."""
    return _report(draw, "believe", "믿다", "present")


def hearsay(draw: Draw) -> Draft:
    """나는 민수가 어제 책을 샀다고 들었다."""
    return _report(draw, "heard", "듣다", "past")


def _report(draw: Draw, english: str, korean: str, tense: str) -> Draft:
    action = draw.action("wish", place=0.4, adverb=0)
    other = draw.subject(action, third=True, pronoun=0.2)
    inner = draw.choose(("past", "future"))
    when, when_english = time_words(draw.maybe_time(inner, action))
    ending = "-았/었다고" if inner == "past" else "-(으)ㄹ 것이라고"
    said = _english_clause(other, action, inner)
    teller = draw.choose((I, WE), key=lambda each: each.korean)
    outer = Predicate(korean)
    return draft(
        teller.topic
        + tuple((word, "other") for word, _ in other.with_particle("이/가"))
        + when
        + action.clause(ending),
        outer,
        teller.english_words
        + mark(f"{english}", "report")
        + mark("that", "ending")
        + mark(other.embedded, "other")
        + said
        + when_english,
        role="report",
        others=[(other, action)],
        tense=tense,
        person="first",
    )


def _english_clause(subject: Subject, action: Action, tense: str) -> Words:
    if tense == "future":
        return mark("will", "ending") + action.english("base", subject.possessive)
    return action.english("past", subject.possessive)


def guess(draw: Draw) -> Draft:
    """민수가 내일 책을 살 것 같다."""
    action = draw.action("wish")
    subject = draw.subject(action, third=True)
    past = draw.chance(0.5)
    when, when_english = time_words(draw.maybe_time("past" if past else "future", action))
    clause = _english_clause(subject, action, "past" if past else "future")
    return draft(
        subject.with_particle("이/가")
        + when
        + action.clause("-(으)ㄴ 것" if past else "-(으)ㄹ 것"),
        Predicate("같다", "adjective"),
        mark("It seems that", "guess") + mark(subject.embedded, "subject") + clause + when_english,
        role="guess",
        subject=subject,
        actions=[action],
    )


def refusal(draw: Draw) -> Draft:
    """민수는 커피를 마시고 싶어 하지 않는다."""
    action = draw.action("wish", place=0.6)
    subject = draw.subject(action, third=True)
    helper = f"{do(subject, 'present')} not want to"
    return _modal(
        draw, action, subject, "-고", "싶어 하지", Predicate("않다"), helper,
        time=draw.maybe_time("future", action),
    )  # fmt: skip


def ask_favour(draw: Draw) -> Draft:
    """내일 창문을 열어 줄 수 있어요?"""
    action = draw.action(
        "order",
        place=0.6,
        adverb=0.1,
        verb=_FITS_ORDER["favour"],
        without=("state", "search", "own", "daily"),
    )
    when, when_english = time_words(draw.maybe_time("future", action))
    return draft(
        when + action.clause("-아/어") + mark("줄 수", "modal"),
        Predicate("있다", "existence"),
        mark("Could you please", "modal") + action.english("base", "your") + when_english,
        role="modal",
        actions=[action],
        mood="question",
        person="second",
    )


def _only_plain(result: Draft) -> Draft:
    return replace(result, levels=("plain",))


_ASKED_VERBS = word_list("asked_verbs")
_FORBIDDEN_VERBS = word_list("forbidden_verbs")
_FAVOUR_VERBS = word_list("favour_verbs")
_SOME_DAY = ("day", "week", "night", "morning", "soon", "long")
_FITS_ORDER = {
    "favour": lambda verb: verb.korean in _FAVOUR_VERBS,
    "prohibition": lambda verb: verb.korean in _FORBIDDEN_VERBS,
}

MODAL_PATTERNS = {
    "wish": wish,
    "wish_of_other": wish_of_other,
    "wish_past": wish_past,
    "wish_not": wish_not,
    "ask_wish": ask_wish,
    "ability": ability,
    "inability": inability,
    "ask_ability": ask_ability,
    "duty": duty,
    "duty_past": duty_past,
    "no_duty": no_duty,
    "ask_duty": ask_duty,
    "ask_permission": ask_permission,
    "forbidden": forbidden,
    "plan": plan,
    "plan_noun": plan_noun,
    "decision": decision,
    "beginning": beginning,
    "promise": promise,
    "request": request,
    "favour": favour,
    "prohibition": prohibition,
    "suggestion": suggestion,
    "offer": offer,
    "opinion": opinion,
    "belief": belief,
    "hearsay": hearsay,
    "guess": guess,
    "refusal": refusal,
    "ask_favour": ask_favour,
}
