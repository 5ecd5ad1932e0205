"""Korean particles and conjugation by arithmetic over Hangul syllables. Knows nothing of English.

An ending is written as grammars write it, and its notation says how it joins a stem:
`-고` joins as it is, `-(으)면` after 으, `-아/어서` after the infinitive, `-았/었다` after the past
stem, `-ㄴ/는다` and `-ㅂ/습니다` by the final consonant. A new irregular word is one entry below.
"""

from __future__ import annotations

from dataclasses import dataclass

_VOWELS = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
_FINALS = " ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"
_FIRST_SYLLABLE, _LAST_SYLLABLE = ord("가"), ord("힣")

# Final syllables of stems. ㅂ is irregular unless listed, ㄷ and ㅅ are regular unless listed.
_REGULAR_B = frozenset("입잡뽑씹좁접집업꼽")
_IRREGULAR_D = ("듣", "걷", "묻", "깨닫", "싣")
_IRREGULAR_S = frozenset("짓낫붓잇긋젓")
_IRREGULAR_H = frozenset(
    [
        "하얗",
        "허옇",
        "까맣",
        "꺼멓",
        "빨갛",
        "뻘겋",
        "파랗",
        "퍼렇",
        "노랗",
        "누렇",
        "그렇",
        "이렇",
        "저렇",
        "어떻",
        "동그랗",
        "커다랗",
    ]
)
_REGULAR_REU = ("따르", "치르", "들르", "다다르", "우러르")
_REO = ("푸르", "이르")  # 푸르다 -> 푸르러; 이르다 here is "to arrive"
_H_CONTRACTIONS = {"ㅏ": "ㅐ", "ㅑ": "ㅒ", "ㅓ": "ㅔ", "ㅕ": "ㅖ"}
_H_DEMONSTRATIVES = ("그렇", "이렇", "저렇", "어떻")  # 그렇다 -> 그래, not 그레

# Vowels that melt together with the 아/어 of an ending.
_CONTRACTIONS = {
    "ㅏ": "ㅏ", "ㅓ": "ㅓ", "ㅐ": "ㅐ", "ㅔ": "ㅔ", "ㅕ": "ㅕ",
    "ㅗ": "ㅘ", "ㅜ": "ㅝ", "ㅚ": "ㅙ", "ㅣ": "ㅕ",
}  # fmt: skip

PARTICLES = {  # written "after a consonant/after a vowel"
    "은/는": ("은", "는"), "이/가": ("이", "가"), "을/를": ("을", "를"), "과/와": ("과", "와"),
    "으로/로": ("으로", "로"), "이나/나": ("이나", "나"), "이랑/랑": ("이랑", "랑"),
}  # fmt: skip


@dataclass(frozen=True)
class Predicate:
    """A word that ends a sentence, in its dictionary form.

    Args:
        word: Dictionary form; a copula is written together with its noun (고양이이다).
        kind: "verb", "adjective" (없다, 싶다 and 아니다 too), "existence" (있다) or "copula".
    """

    word: str
    kind: str = "verb"


def has_final(text: str) -> bool:
    """Whether the last syllable ends in a consonant."""
    return _final(text) != " "


def attach_particle(text: str, particle: str) -> str:
    """The word with the form of the particle that its last syllable asks for.

    Args:
        particle: A key of `PARTICLES`, or a particle with one form only (에, 에서, 까지).
    """
    if particle not in PARTICLES:
        return text + particle
    after_consonant, after_vowel = PARTICLES[particle]
    if particle == "으로/로" and _final(text) == "ㄹ":
        return text + after_vowel
    return text + (after_consonant if has_final(text) else after_vowel)


def conjugate(word: str, ending: str) -> str:
    """A verb or adjective with an ending: `conjugate("돕다", "-아/어요")` is 도와요.

    Args:
        word: Dictionary form; the copula has `conjugate_copula`.
        ending: In the notation of the head of this file.

    Raises:
        ValueError: If `word` does not end in 다 or `ending` does not begin with a hyphen.
    """
    if not word.endswith("다") or len(word) < 2:
        raise ValueError(f"`word` must be a dictionary form that ends in 다, but is {word!r}.")
    if not ending.startswith("-"):
        raise ValueError(f"`ending` must begin with a hyphen, but is {ending!r}.")
    stem = word[:-1]
    for notation, join in _JOINS.items():
        if ending.startswith(notation):
            return join(stem, ending[len(notation) :])
    return _join_plain(stem, ending[1:])


def conjugate_copula(noun: str, ending: str) -> str:
    """A noun with the copula 이다, which loses its 이 after a vowel where writing drops it.

    Args:
        ending: One of the keys of `_COPULA`: `-다`, `-에요`, `-ㅂ니다`, `-었다`, `-ㄴ` and others.

    Raises:
        ValueError: If the ending is not in the table.
    """
    if ending not in _COPULA:
        allowed = ", ".join(_COPULA)
        raise ValueError(f"`ending` must be one of {allowed}, but is {ending!r}.")
    after_consonant, after_vowel = _COPULA[ending]
    return noun + (after_consonant if has_final(noun) else after_vowel)


def finish(predicate: Predicate, tense: str, level: str, mood: str = "statement") -> str:
    """The predicate as the end of a sentence, without the full stop.

    Args:
        tense: "past", "present" or "future".
        level: "plain" (-다), "polite" (-아요), "formal" (-습니다) or "archaic" (copula only).
        mood: "statement", "question", "request", "prohibition", "favour", "suggestion",
            "offer" (shall we) or "promise" (-겠-).

    Raises:
        ValueError: If the combination has no form.
    """
    try:
        if predicate.kind == "copula":
            noun = predicate.word[:-2]
            return conjugate_copula(noun, _COPULA_FINALS[mood][tense, level])
        ending = _FINALS_OF_MOOD[mood][tense, level]
    except KeyError:
        raise ValueError(f"No form of {predicate} for {tense}, {level}, {mood}.") from None
    if ending == "-ㄴ/는다" and predicate.kind != "verb":
        ending = "-다"
    if ending == "-아/어요" and predicate.word.endswith("아니다"):
        ending = "-에요"
    return conjugate(predicate.word, ending)


def adnominal(predicate: Predicate, tense: str = "present") -> str:
    """The form before a noun: 읽는, 읽은, 읽을; 큰; 재미있는."""
    if predicate.kind == "copula":
        return conjugate_copula(predicate.word[:-2], "-ㄴ")
    if tense == "future":
        return conjugate(predicate.word, "-(으)ㄹ")
    like_있다 = predicate.word.endswith(("있다", "없다"))
    if like_있다 or (predicate.kind == "verb" and tense == "present"):
        return conjugate(predicate.word, "-는")
    return conjugate(predicate.word, "-(으)ㄴ")


def _infinitive(stem: str) -> str:
    head, last = stem[:-1], stem[-1]
    if last == "하":
        return head + "해"
    if stem == "푸":
        return "퍼"
    if stem.endswith("아니"):
        return stem + "어"
    if stem.endswith(_REO):
        return stem + "러"
    if last == "르" and head and not stem.endswith(_REGULAR_REU):
        return head[:-1] + _with(head[-1], final="ㄹ") + ("라" if _bright(head) else "러")
    vowel, final = _vowel(last), _final(last)
    if final == " ":
        if vowel == "ㅡ":
            return head + _with(last, vowel="ㅏ" if head and _bright(head) else "ㅓ")
        if vowel in _CONTRACTIONS:
            return head + _with(last, vowel=_CONTRACTIONS[vowel])
        return stem + "어"
    if stem in _IRREGULAR_H or stem.endswith(tuple(_IRREGULAR_H)):
        melted = "ㅐ" if stem.endswith(_H_DEMONSTRATIVES) else _H_CONTRACTIONS[vowel]
        return head + _with(last, vowel=melted, final=" ")
    if final == "ㅂ" and last not in _REGULAR_B:
        return head + _with(last, final=" ") + ("와" if stem in ("돕", "곱") else "워")
    base = _before_vowel(stem)
    return base + ("아" if vowel in "ㅏㅑㅗ" else "어")


def _before_vowel(stem: str) -> str:
    """The stem as it stands before a vowel: 듣- -> 들-, 짓- -> 지-."""
    last = stem[-1]
    if _final(last) == "ㄷ" and stem.endswith(_IRREGULAR_D):
        return stem[:-1] + _with(last, final="ㄹ")
    if _final(last) == "ㅅ" and last in _IRREGULAR_S:
        return stem[:-1] + _with(last, final=" ")
    return stem


def _join_infinitive(stem: str, rest: str) -> str:
    return _infinitive(stem) + rest


def _join_past(stem: str, rest: str) -> str:
    infinitive = _infinitive(stem)
    return infinitive[:-1] + _with(infinitive[-1], final="ㅆ") + rest


def _join_after_eu(stem: str, rest: str) -> str:
    head, last, final = stem[:-1], stem[-1], _final(stem)
    if final == "ㄹ":
        kept = rest[0] in "면러려며"
        return stem + rest if kept else _append(head + _with(last, final=" "), rest)
    if final == " ":
        return _append(stem, rest)
    if stem.endswith(tuple(_IRREGULAR_H)):
        return _append(head + _with(last, final=" "), rest)
    if final == "ㅂ" and last not in _REGULAR_B:
        return _append(head + _with(last, final=" ") + "우", rest)
    return _append(_before_vowel(stem) + "으", rest)


def _join_n(stem: str, rest: str) -> str:
    return _drop_l(stem, "ㄴ", rest) if _final(stem) in " ㄹ" else stem + "는" + rest


def _join_b(stem: str, rest: str) -> str:
    return _drop_l(stem, "ㅂ", rest) if _final(stem) in " ㄹ" else stem + "습" + rest


def _join_plain(stem: str, rest: str) -> str:
    if _final(stem) == "ㄹ" and rest[0] in "는니네나":
        return stem[:-1] + _with(stem[-1], final=" ") + rest
    return stem + rest


def _drop_l(stem: str, final: str, rest: str) -> str:
    return stem[:-1] + _with(stem[-1], final=final) + rest


def _append(text: str, rest: str) -> str:
    """Joins an ending whose first letter may be a lone consonant (ㄴ, ㄹ, ㅂ)."""
    if rest[0] in _FINALS:
        return text[:-1] + _with(text[-1], final=rest[0]) + rest[1:]
    return text + rest


def _bright(text: str) -> bool:
    return _vowel(text[-1]) in "ㅏㅑㅗ"


def _vowel(syllable: str) -> str:
    return _VOWELS[(ord(syllable) - _FIRST_SYLLABLE) // 28 % 21]


def _final(text: str) -> str:
    code = ord(text[-1])
    if not _FIRST_SYLLABLE <= code <= _LAST_SYLLABLE:
        return " "
    return _FINALS[(code - _FIRST_SYLLABLE) % 28]


def _with(syllable: str, *, vowel: str | None = None, final: str | None = None) -> str:
    code = ord(syllable) - _FIRST_SYLLABLE
    initial_index, vowel_index, final_index = code // 588, code // 28 % 21, code % 28
    if vowel is not None:
        vowel_index = _VOWELS.index(vowel)
    if final is not None:
        final_index = _FINALS.index(final)
    return chr(_FIRST_SYLLABLE + initial_index * 588 + vowel_index * 28 + final_index)


_JOINS = {
    "-아/어": _join_infinitive,
    "-았/었": _join_past,
    "-(으)": _join_after_eu,
    "-ㄴ/는": _join_n,
    "-ㅂ/습": _join_b,
}

_COPULA = {  # after a consonant, after a vowel
    "-다": ("이다", "다"), "-에요": ("이에요", "예요"), "-ㅂ니다": ("입니다", "입니다"),
    "-었다": ("이었다", "였다"), "-었어요": ("이었어요", "였어요"),
    "-었습니다": ("이었습니다", "였습니다"), "-ㄹ 것이다": ("일 것이다", "일 것이다"),
    "-ㄹ 거예요": ("일 거예요", "일 거예요"), "-ㄹ 것입니다": ("일 것입니다", "일 것입니다"),
    "-니": ("이니", "니"), "-었니": ("이었니", "였니"), "-ㅂ니까": ("입니까", "입니까"),
    "-었습니까": ("이었습니까", "였습니까"), "-로소이다": ("이로소이다", "로소이다"),
    "-ㄴ": ("인", "인"), "-지만": ("이지만", "지만"), "-라서": ("이라서", "라서"),
    "-라고": ("이라고", "라고"), "-면": ("이면", "면"), "-고": ("이고", "고"),
    "-기 때문에": ("이기 때문에", "이기 때문에"),
}  # fmt: skip

_FINALS_OF_MOOD = {
    "statement": {
        ("present", "plain"): "-ㄴ/는다",
        ("present", "polite"): "-아/어요",
        ("present", "formal"): "-ㅂ/습니다",
        ("past", "plain"): "-았/었다",
        ("past", "polite"): "-았/었어요",
        ("past", "formal"): "-았/었습니다",
        ("future", "plain"): "-(으)ㄹ 것이다",
        ("future", "polite"): "-(으)ㄹ 거예요",
        ("future", "formal"): "-(으)ㄹ 것입니다",
    },
    "question": {
        ("present", "plain"): "-니",
        ("present", "polite"): "-아/어요",
        ("present", "formal"): "-ㅂ/습니까",
        ("past", "plain"): "-았/었니",
        ("past", "polite"): "-았/었어요",
        ("past", "formal"): "-았/었습니까",
        ("future", "plain"): "-(으)ㄹ 거니",
        ("future", "polite"): "-(으)ㄹ 거예요",
        ("future", "formal"): "-(으)ㄹ 겁니까",
    },
    "request": {
        ("present", "plain"): "-아/어라",
        ("present", "polite"): "-(으)세요",
        ("present", "formal"): "-(으)십시오",
    },
    "prohibition": {
        ("present", "plain"): "-지 마라",
        ("present", "polite"): "-지 마세요",
        ("present", "formal"): "-지 마십시오",
    },
    "favour": {
        ("present", "plain"): "-아/어 줘",
        ("present", "polite"): "-아/어 주세요",
        ("present", "formal"): "-아/어 주십시오",
    },
    "suggestion": {
        ("present", "plain"): "-자",
        ("present", "formal"): "-(으)ㅂ시다",
    },
    "offer": {
        ("present", "plain"): "-(으)ㄹ까",
        ("present", "polite"): "-(으)ㄹ까요",
    },
    "promise": {
        ("future", "plain"): "-겠다",
        ("future", "polite"): "-(으)ㄹ게요",
        ("future", "formal"): "-겠습니다",
    },
}

_COPULA_FINALS = {
    "statement": {
        ("present", "plain"): "-다",
        ("present", "polite"): "-에요",
        ("present", "formal"): "-ㅂ니다",
        ("present", "archaic"): "-로소이다",
        ("past", "plain"): "-었다",
        ("past", "polite"): "-었어요",
        ("past", "formal"): "-었습니다",
        ("future", "plain"): "-ㄹ 것이다",
        ("future", "polite"): "-ㄹ 거예요",
        ("future", "formal"): "-ㄹ 것입니다",
    },
    "question": {
        ("present", "plain"): "-니",
        ("present", "polite"): "-에요",
        ("present", "formal"): "-ㅂ니까",
        ("past", "plain"): "-었니",
        ("past", "polite"): "-었어요",
        ("past", "formal"): "-었습니까",
    },
}
