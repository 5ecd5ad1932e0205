"""Sentence patterns of journeys, clocks, amounts, prices, gifts.

A pattern is a function from a `Draw` to a `Draft` and one line of `TRAVEL_PATTERNS`.
"""

from __future__ import annotations

from seq2seq.data.phrasebook import english
from seq2seq.data.phrasebook.draw import Draw
from seq2seq.data.phrasebook.korean import Predicate
from seq2seq.data.phrasebook.lexicon import Noun, Verb, motion_verbs, nouns_of
from seq2seq.data.phrasebook.patterns_events import draft, draw_object, tell
from seq2seq.data.phrasebook.patterns_states import KINDS, count
from seq2seq.data.phrasebook.phrases import (
    Action,
    Draft,
    Phrase,
    Subject,
    Words,
    add_particle,
    bare,
    capitalized,
    close_to,
    finite,
    in_general,
    mark,
    may_be_close,
    time_words,
)  # fmt: skip
from seq2seq.data.phrasebook.tables import read_table, word_list

_VEHICLES: tuple[tuple[str, str], ...] = (
    ("버스로", "by bus"), ("지하철로", "by subway"), ("택시로", "by taxi"),
    ("자전거로", "by bicycle"), ("자동차로", "by car"),
)  # fmt: skip
_CITY_VEHICLES = (("기차로", "by train"), ("버스로", "by bus"), ("자동차로", "by car"))
_FAR_VEHICLES = (("비행기로", "by airplane"), ("배로", "by ship"))
_MINUTES = (
    ("십 분", "ten minutes"), ("이십 분", "twenty minutes"), ("삼십 분", "thirty minutes"),
    ("한 시간", "an hour"), ("두 시간", "two hours"), ("세 시간", "three hours"),
)  # fmt: skip
_PRICES = (
    ("천 원", "one thousand won"), ("이천 원", "two thousand won"),
    ("삼천 원", "three thousand won"), ("오천 원", "five thousand won"),
    ("육천 원", "six thousand won"), ("팔천 원", "eight thousand won"),
    ("만 원", "ten thousand won"),
)  # fmt: skip
_KIN = ("name", "family", "elder", "friend")
_DAYS = ("day", "week", "night", "morning", "daily", "weekly")
_DAYTIMES = (
    ("오전", "in the morning", range(7, 12)), ("오후", "in the afternoon", range(1, 6)),
    ("저녁", "in the evening", range(6, 10)),
)  # fmt: skip


def went(draw: Draw) -> Draft:
    """어제 버스로 학교에 갔다."""
    return _move(draw, "past", "past", by=True)


def went_together(draw: Draw) -> Draft:
    """어제 친구와 함께 공원에 갔다."""
    return _move(draw, "past", "past", together=True)


def will_go(draw: Draw) -> Draft:
    """내일 기차로 부산에 갈 것이다."""
    return _move(draw, "future", "future", by=True)


def goes(draw: Draw) -> Draft:
    """매일 자전거로 학교에 간다."""
    return _move(draw, "present", "habit", by=True)


def did_not_go(draw: Draw) -> Draft:
    """어제 학교에 안 갔다."""
    return _move(draw, "past", "past", negative=True)


def ask_went(draw: Draw) -> Draft:
    """민수는 어제 학교에 갔어요?"""
    result = _move(draw, "past", "past", third=True, together=draw.chance(0.5), asks=True)
    return result


def _move(
    draw: Draw,
    tense: str,
    time_tense: str,
    *,
    by: bool = False,
    together: bool = False,
    negative: bool = False,
    third: bool = False,
    asks: bool = False,
) -> Draft:
    tag = "habit" if time_tense == "habit" else "go" if negative or tense == "future" else ""
    rows = [
        v for v in motion_verbs() if (not tag or tag in v.tags) and not (by and "foot" in v.tags)
    ]
    verb = draw.choose(rows, key=lambda row: row.korean)
    near = [n for n in verb.places if not n.classes & {"travel", "nature"}]
    place = draw.noun(among=near if tense == "present" else verb.places)
    action = Action(verb)
    subject = draw.subject(action, third=third)
    means, means_english = _circumstances(draw, subject, place, by, together)
    when, when_english = time_words(draw.maybe_time(time_tense, action, *_DAYS))
    where = mark(place.destination, "place")
    if asks:
        start = mark("Did", "verb") + mark(subject.embedded, "subject") + action.english("base")
    else:
        start = subject.english_words + finite(subject, action, tense, negative=negative)
    return draft(
        subject.topic
        + when
        + means
        + mark(f"{place.korean}에", "place")
        + mark("안" if negative else "", "negation"),
        Predicate(verb.korean),
        start + where + means_english + when_english,
        subject=subject,
        actions=[action],
        tense=tense,
        mood="question" if asks else "statement",
    )


def _circumstances(
    draw: Draw, subject: Subject, place: Noun, by: bool, together: bool
) -> tuple[Words, Words]:
    """By which vehicle, or with whom."""
    if together:
        others = [n for n in nouns_of("name", "family", "friend") if may_be_close(n, subject)]
        other = close_to(draw.noun(among=others), subject, "companion")
        company = other.with_particle("과/와") + mark("함께", "companion")
        return company, mark("with", "companion") + other.english
    if by:
        far = place.classes & {"country"} or place.korean in (
            "제주도",
            "도쿄",
            "파리",
            "런던",
            "뉴욕",
        )
        inland = place.korean in ("서울", "부산")
        vehicles: tuple[tuple[str, str], ...] = _CITY_VEHICLES if inland else _VEHICLES
        if far:
            vehicles = _FAR_VEHICLES if place.korean in ("제주도", "일본") else _FAR_VEHICLES[:1]
        korean, words = draw.choose(vehicles)
        return mark(korean, "means"), mark(words, "means")
    return (), ()


def journey_time(draw: Draw) -> Draft:
    """학교에서 도서관까지 버스로 삼십 분이 걸린다."""
    places = [noun for noun in nouns_of("location") if noun.destination.startswith("to ")]
    start = draw.noun(among=places)
    end = draw.noun(among=[noun for noun in places if noun is not start])
    vehicle, by = draw.choose(_VEHICLES)
    korean, minutes = draw.choose(_MINUTES)
    return Draft(
        korean=mark(f"{start.korean}에서", "start")
        + mark(f"{end.korean}까지", "end")
        + mark(vehicle, "means")
        + add_particle(mark(korean, "time"), "이/가"),
        predicate=Predicate("걸리다"),
        english=mark("It takes", "verb")
        + mark(minutes, "time")
        + mark(f"from {start.destination[3:]}", "start")
        + mark(end.destination, "end")
        + mark(by, "means"),
    )


def event_time(draw: Draw) -> Draft:
    """회의는 오후 세 시에 시작한다."""
    row = draw.choose(read_table("events"), key=lambda row: row["korean"])
    clock, clock_english = _clock(draw)
    korean, ends = draw.choose((("시작하다", "start"), ("끝나다", "end")))
    day, when, tense = draw.choose((
        ("내일", "tomorrow", "future"), ("어제", "yesterday", "past"),
        ("토요일마다", "every Saturday", "present"), ("매일", "every day", "present"),
        ("모레", "the day after tomorrow", "future"),
    ))  # fmt: skip
    verb = {"past": english.inflect(ends, "past"), "present": english.inflect(ends, "third")}
    return Draft(
        korean=mark(day, "day") + known_event(row).with_particle("은/는") + mark(clock, "time"),
        predicate=Predicate(korean),
        english=mark(f"The {row['english']}", "subject")
        + mark(verb.get(tense, f"will {ends}"), "verb")
        + mark(clock_english, "time")
        + mark(when, "day"),
        tense=tense,
    )


def known_event(row: dict[str, str]) -> Phrase:
    """The Korean word of an event."""
    return Phrase(mark(row["korean"], "subject"), (), False, row["korean"])


def daily_routine(draw: Draw) -> Draft:
    """매일 아침 일곱 시에 일어난다."""
    korean, words, hours = draw.choose(_ROUTINES, key=lambda row: row[0])
    verb = Verb(korean, words, (), (), frozenset())
    action = Action(verb)
    subject = draw.subject(action)
    day, when, tense = draw.choose((
        ("매일", "every day", "present"), ("어제", "yesterday", "past"),
        ("토요일마다", "every Saturday", "present"), ("주말마다", "every weekend", "present"),
        ("내일", "tomorrow", "future"), ("그저께", "the day before yesterday", "past"),
    ))  # fmt: skip
    if korean in ("출근하다", "퇴근하다") and day.endswith("마다"):
        raise LookupError("Nobody works on weekends.")
    row = draw.choose([r for r in read_table("numbers") if int(r["value"]) in hours], key=_native)
    return draft(
        subject.topic + mark(day, "day") + mark(f"{row['native']} 시에", "time"),
        Predicate(korean),
        subject.english_words
        + finite(subject, action, tense)
        + mark(f"at {row['english']} o'clock", "time")
        + mark(when, "day"),
        subject=subject,
        actions=[action],
        tense=tense,
    )


def counted_object(draw: Draw) -> Draft:
    """어제 시장에서 사과 다섯 개를 샀다."""
    return _with_count(draw, "past")


def counted_object_future(draw: Draw) -> Draft:
    """내일 시장에서 사과 다섯 개를 살 것이다."""
    return _with_count(draw, "future")


def counted_request(draw: Draw) -> Draft:
    """내일 시장에서 사과 다섯 개를 사 주세요."""
    action = _counted_action(draw, _COUNTED_REQUESTS)
    when, when_english = time_words(draw.maybe_time("future", action))
    return draft(
        when + action.korean,
        Predicate(action.verb.korean),
        mark("Please", "please") + action.english("base") + when_english,
        actions=[action],
        mood="favour",
        person="second",
    )


def _with_count(draw: Draw, tense: str) -> Draft:
    return tell(draw, _counted_action(draw, _COUNTED_VERBS), tense, tense)


def _counted_action(draw: Draw, verbs: frozenset[str]) -> Action:
    action = draw.action(
        adverb=0,
        place=0.5,
        objects=lambda noun: bool(noun.counter) and noun.group not in _KIN,
        verb=lambda verb: verb.korean in verbs and not verb.tags & {"own", "state"},
    )
    return draw.with_object(action, count(draw, draw_object(action), "object", 10))


def price(draw: Draw) -> Draft:
    """사과 세 개에 오천 원이다."""
    noun = draw.noun("fruit", "vegetable", "stationery", "tableware", "drink", "socks", "flower")
    if not noun.counter:
        raise LookupError("Nobody counts these.")
    phrase = count(draw, noun, "subject", 10)
    korean, words = draw.choose(_PRICES)
    verb = "cost" if phrase.plural else "costs"
    shop = draw.choose((
        ("이 가게에서", "at this store"), ("그 시장에서", "at that market"), ("", ""),
    ))  # fmt: skip
    return Draft(
        korean=mark(shop[0], "place")
        + add_particle(phrase.korean, "은/는")
        + mark(korean.split()[0], "price"),
        predicate=Predicate("원이다", "copula"),
        english=capitalized(phrase.english)
        + mark(verb, "verb")
        + mark(words, "price")
        + mark(shop[1], "place"),
        role="price",
    )


def for_hours(draw: Draw) -> Draft:
    """어제 두 시간 동안 책을 읽었다."""
    action = _long_action(draw) if draw.chance(0.6) else draw.intransitive("duration")
    subject = draw.subject(action)
    when, when_english = time_words(draw.maybe_time("past", action, "day", "week"))
    korean, hours = draw.choose(_MINUTES)
    return draft(
        subject.topic + when + mark(f"{korean} 동안", "duration") + action.korean,
        Predicate(action.verb.korean),
        subject.english_words
        + finite(subject, action, "past")
        + mark(f"for {hours}", "duration")
        + when_english,
        subject=subject,
        actions=[action],
        tense="past",
    )


def _long_action(draw: Draw) -> Action:
    return draw.action("progress", without=("state",), verb=lambda verb: verb.english in _LASTING)


def two_objects(draw: Draw) -> Draft:
    """어제 시장에서 사과와 귤을 샀다."""
    action = draw.action(adverb=0, place=0.5, verb=lambda verb: verb.english in _TWO)
    noun = draw_object(action)
    others = [
        n
        for n in draw.objects_of(action.verb)
        if n is not noun and n.classes & noun.classes & KINDS and n.article != "poss"
    ]
    if not others or noun.article == "poss":
        raise LookupError("There is no second object.")
    make = in_general if "plural" in action.verb.tags else bare
    first, second = make(draw.noun(among=others), role="other"), make(noun, role="object")
    both = Phrase(
        first.with_particle("과/와") + second.korean,
        first.english + mark("and", "other") + second.english,
        True,
        second.lexeme,
    )
    doing, other = draw.with_object(action, both), Action(action.verb, first)
    subject = draw.subject(doing, other)
    when, when_english = time_words(draw.maybe_time("past", action))
    return draft(
        subject.topic + when + doing.korean,
        Predicate(action.verb.korean),
        subject.english_words + finite(subject, doing, "past") + when_english,
        subject=subject,
        actions=[doing, other],
        tense="past",
    )


def gift(draw: Draw) -> Draft:
    """어제 친구에게 선물을 주었다."""
    return _give(draw, "past")


def gift_future(draw: Draw) -> Draft:
    """내일 친구에게 책을 보여 줄 것이다."""
    return _give(draw, "future")


def _give(draw: Draw, tense: str) -> Draft:
    action = draw.action("give", without=(), place=0, adverb=0)
    subject = draw.subject(action)
    taken = action.object.lexeme if action.object else ""
    others = [
        n
        for n in nouns_of("name", "family", "friend", "human")
        if n.korean != taken and may_be_close(n, subject)
    ]
    receiver = close_to(draw.noun(among=others), subject, "receiver")
    when, when_english = time_words(draw.maybe_time(tense, action))
    return draft(
        subject.topic + when + receiver.with_particle("에게") + action.korean,
        Predicate(action.verb.korean),
        subject.english_words
        + finite(subject, action, tense)
        + mark("to", "receiver")
        + receiver.english
        + when_english,
        subject=subject,
        actions=[action],
        tense=tense,
    )


def received(draw: Draw) -> Draft:
    """어제 친구에게서 편지를 받았다."""
    action = draw.action(
        place=0, adverb=0, verb=lambda verb: verb.korean in ("받다", "빌리다", "배우다")
    )
    subject = draw.subject(action)
    others = [n for n in nouns_of("name", "family", "friend") if may_be_close(n, subject)]
    giver = close_to(draw.noun(among=others), subject, "giver")
    when, when_english = time_words(draw.maybe_time("past", action))
    return draft(
        subject.topic + when + giver.with_particle("에게서") + action.korean,
        Predicate(action.verb.korean),
        subject.english_words
        + finite(subject, action, "past")
        + mark("from", "giver")
        + giver.english
        + when_english,
        subject=subject,
        actions=[action],
        tense="past",
    )


def for_somebody(draw: Draw) -> Draft:
    """어머니를 위해 저녁을 준비했다."""
    action = draw.action(place=0.3, adverb=0, verb=lambda verb: verb.english in _FOR_SOMEBODY)
    subject = draw.subject(action)
    others = [n for n in nouns_of("name", "family", "friend", "elder") if may_be_close(n, subject)]
    friend = close_to(draw.noun(among=others), subject, "receiver")
    when, when_english = time_words(draw.maybe_time("past", action))
    return draft(
        subject.topic
        + when
        + friend.with_particle("을/를")
        + mark("위해", "receiver")
        + action.korean,
        Predicate(action.verb.korean),
        subject.english_words
        + finite(subject, action, "past")
        + mark("for", "receiver")
        + friend.english
        + when_english,
        subject=subject,
        actions=[action],
        tense="past",
    )


def _clock(draw: Draw) -> tuple[str, str]:
    """오후 세 시에, at three o'clock in the afternoon."""
    korean, words, hours = draw.choose(_DAYTIMES, key=lambda row: row[0])
    row = draw.choose([r for r in read_table("numbers") if int(r["value"]) in hours], key=_native)
    half = draw.chance(0.3)
    if half:
        return f"{korean} {row['native']} 시 반에", f"at half past {row['english']} {words}"
    return f"{korean} {row['native']} 시에", f"at {row['english']} o'clock {words}"


def _native(row: dict[str, str]) -> str:
    return row["native"]


_ROUTINES = (
    ("일어나다", "get up", range(5, 11)), ("출근하다", "go to work", range(6, 11)),
    ("퇴근하다", "leave work", range(4, 10)), ("자다", "go to bed", range(9, 13)),
    ("산책하다", "take a walk", range(5, 11)), ("운동하다", "exercise", range(5, 11)),
    ("샤워하다", "take a shower", range(5, 11)),
)  # fmt: skip
_LASTING = word_list("lasting")
_COUNTED_VERBS = word_list("counted_verbs")
_COUNTED_REQUESTS = word_list("counted_requests")
_TWO = word_list("two")
_FOR_SOMEBODY = word_list("for_somebody")

TRAVEL_PATTERNS = {
    "went": went,
    "went_together": went_together,
    "will_go": will_go,
    "goes": goes,
    "did_not_go": did_not_go,
    "ask_went": ask_went,
    "journey_time": journey_time,
    "event_time": event_time,
    "daily_routine": daily_routine,
    "counted_object": counted_object,
    "counted_object_future": counted_object_future,
    "counted_request": counted_request,
    "price": price,
    "for_hours": for_hours,
    "two_objects": two_objects,
    "gift": gift,
    "gift_future": gift_future,
    "received": received,
    "for_somebody": for_somebody,
}
