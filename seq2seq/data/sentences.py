"""Splits and joins text at the ends of sentences, and counts words, as languages write them."""

import itertools
import re
from collections.abc import Callable, Sequence

from seq2seq.languages import base_language, is_unspaced, is_word_character


def split_sentences(text: str, language: str) -> list[str]:
    """The sentences of a text, each with the spaces after it; joined they are the text.

    A full stop ends none after an abbreviation, a single Latin letter or the number of a list or a
    date, as in "Dr. Kim", "No. 5", "z. B." and "3. Mai"; nor does any mark before a small letter,
    unless the text has no others. What follows 。！？ is another sentence, except for the verb of
    what was quoted: 「はい。」と言った。
    """
    sentences, start, small_begins = [], 0, text.islower()
    last_word = max((place for place, letter in enumerate(text) if letter.isalnum()), default=0)
    for match in _END.finditer(text):
        end = match.end()
        if end > last_word or (text[end].islower() and not small_begins):
            continue
        if match["stop"] and not _is_end(text, start, match, language):
            continue
        sentences.append(text[start:end])
        start = end
    return [*sentences, text[start:]]


def split_paragraph(text: str, language: str) -> list[str]:
    """The sentences of a paragraph, each with the spaces after it; joined they are the text.

    The library sentencex knows the marks and abbreviations of some 300 languages. What it parts
    without a space where the language has spaces, as after a quotation in Korean, stays together.
    """
    from sentencex import segment  # only documents and subtitles need it

    begins: list[int] = []
    end = 0
    # The library breaks down at some spaces that are more than a byte long.
    for size in map(len, segment(base_language(language), _SPACE.sub(" ", text))):
        begin, end = end, end + size
        if not begin or not _goes_on(text, begin, language):
            begins.append(begin)
    return [text[begin:end] for begin, end in itertools.pairwise([*begins, len(text)])]


def count_sentences(texts: Sequence[str], language: str) -> list[int]:
    """How many sentences each text has."""
    return [len(split_sentences(text, language)) for text in texts]


def split_clauses(text: str) -> list[str]:
    """The parts of a text between commas, each with its comma; joined they are the text."""
    return _CLAUSE.findall(text)


def split_words(text: str) -> list[str]:
    """The words of a text, each with the spaces after it; joined they are the text."""
    return _WORD.findall(text)


def pack(parts: Sequence[str], fits: Callable[[str], bool]) -> list[str]:
    """Joins neighbours as long as what they make fits; a part that does not fit stays alone."""
    packed = [""]
    for part in parts:
        if packed[-1] and not fits(packed[-1] + part):
            packed.append("")
        packed[-1] += part
    return packed


def join_sentences(sentences: Sequence[str], language: str) -> str:
    """One text of translated parts, with spaces between them where the language has spaces."""
    separator = "" if is_unspaced(language) else " "
    return separator.join(sentence for sentence in sentences if sentence)


def count_words(text: str, language: str) -> int:
    """Words between spaces; characters where the language writes no spaces between words."""
    words = text.split()
    return sum(map(len, words)) if is_unspaced(language) else len(words)


def find_phrase(phrase: str, text: str, *, whole_words: bool) -> list[int]:
    """The places of a phrase in a text; they do not overlap.

    Args:
        whole_words: Where the phrase begins or ends with a letter, no other letter may stand beside
            it.
    """
    places, place = [], text.find(phrase)
    while place >= 0:
        end = place + len(phrase)
        beside = text[max(place - 1, 0) : place] + phrase[0], phrase[-1] + text[end : end + 1]
        if whole_words and any(
            len(pair) == 2 and all(map(is_word_character, pair)) for pair in beside
        ):
            place = text.find(phrase, place + 1)
            continue
        places.append(place)
        place = text.find(phrase, end)
    return places


# Of several languages together: where one has the word of another's abbreviation, two sentences
# stay one, which does less harm than one that is torn.
_ABBREVIATION = re.compile(
    "adm|bzw|ca|capt|cf|co|col|corp|drs?|etc|evtl|gen|ggf|gov|hl|hon|hr|inc|inkl|jr|lt|ltd|maj|mio|"
    "mrd|mrs?|ms|mt|prof|rev|sgt|sog|sra?|st|usw|vgl|vs|zzgl",
    re.IGNORECASE,
)
# These are words, too: they are abbreviations before a number only.
_ABBREVIATION_BEFORE_NUMBERS = re.compile(
    "abb|abs|apr|art|aug|bd|ch|chap|dec|eq|feb|figs?|jan|kap|mar|nos?|nov|nr|oct|pp|sec|sept?|str|"
    "tab|tel|vol",
    re.IGNORECASE,
)
_LONGEST_WORD = 8  # longer than the abbreviations
# Languages that write "3rd", or a date, with a full stop; elsewhere a number is like any word.
_STOPS_AFTER_NUMBERS = (
    *("bs", "cs", "da", "de", "et", "fi", "fo", "hr", "hu", "is", "ko", "lb"),
    *("lv", "nb", "nl", "nn", "no", "pl", "sk", "sl", "sr", "tr"),
)

_CLOSING = "[\"'”’“‘»«)\\]）」』】》〉]"
# How a sentence goes on after a quotation; other words begin with the same letter.
_AFTER_QUOTATION = (
    "(?:と(?!ても|ころ|にかく|りあえず|うとう|もかく|きどき|もだち)|って|など|なんて|[をの])"
)
# After the marks of Chinese and Japanese stands no space. Runs of marks are tried at their
# beginning only, so that the time stays linear in the text.
_END = re.compile(
    rf"(?:[。！？｡]++(?!{_CLOSING}++{_AFTER_QUOTATION}){_CLOSING}*+"
    rf"|(?<![.?!…])(?:(?P<stop>\.)(?![.?!…])|[.?!…]++){_CLOSING}*+(?=\s))\s*+"
)
_WORD_BEFORE = re.compile(r"[^\W_]+$")
_QUOTED, _VERB_OF_QUOTATION = re.compile(_CLOSING), re.compile(_AFTER_QUOTATION)
_CLAUSE = re.compile(r".*?(?:[、，；：]|[,;:](?=\s))\s*|.+", re.DOTALL)
_WORD = re.compile(r"\s*\S+\s*")
_SPACE = re.compile(r"\s")


def _goes_on(text: str, place: int, language: str) -> bool:
    """Whether a sentence does not end at a place, whatever mark stands before it."""
    if is_unspaced(language):
        is_quoted = _QUOTED.match(text, place - 1) is not None
        return is_quoted and _VERB_OF_QUOTATION.match(text, place) is not None
    return not text[place - 1].isspace()


def _is_end(text: str, start: int, match: re.Match[str], language: str) -> bool:
    """Whether a single full stop ends the sentence that begins at `start`."""
    stop, end = match.start(), match.end()
    found = _WORD_BEFORE.search(text, max(start, stop - _LONGEST_WORD), stop)
    if not found:
        return True
    word, before_number = found[0], text[end].isdigit()
    if word.isdecimal():
        is_first = not text[start : found.start()].strip()
        stops_after_numbers = base_language(language) in _STOPS_AFTER_NUMBERS
        return not (is_first or before_number or (stops_after_numbers and len(word) <= 2))
    if len(word) == 1 and word.isascii():
        return False
    if before_number and _ABBREVIATION_BEFORE_NUMBERS.fullmatch(word):
        return False
    return not _ABBREVIATION.fullmatch(word)
