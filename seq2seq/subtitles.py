"""Subtitles (.srt): cues of a number, times and lines of text; sentences run from cue to cue.

Knows nothing of networks: it says what the sentences are, and shares out what becomes of them over
the cues again, in proportion to the lengths that they had there.
"""

import itertools
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from seq2seq.config import ConfigurationError, shown
from seq2seq.data.sentences import split_paragraph
from seq2seq.documents import is_text
from seq2seq.languages import is_unspaced
from seq2seq.line_breaks import TAG, ShareOut, share_out, share_out_unspaced, split_words

_MOST_CUES = 5  # of a sentence: where more cues than that have no full stop, there are none at all
_LONGEST_PAUSE = 3.0  # seconds between cues of one sentence
_TIME = r"(?:(\d{1,6}):)?(\d{1,6}):(\d{1,6}(?:[.,]\d{1,6})?)"
_TIMES = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}(?:\s.*)?", re.ASCII)
_MARK = re.compile(rf"({TAG}|[♪♫]+)")
_DASH = re.compile(r"\s*([-‐–—]{1,2}(?!\d)\s*)")  # another speaker begins; but -5 is a number
_END = re.compile(r"[.?!…。？！｡؟।۔]['\"”’“‘»«)\]）」』】]*$")
# Signs, noises and songs are no part of the sentences around them.
_STANDS_ALONE = re.compile(r"[\[(（♪♫].*|.*[\])）♪♫]", re.DOTALL)


class _Share(NamedTuple):
    """A stretch of a sentence that stands in one text of one turn."""

    turn: int
    token: int
    begin: int
    end: int


class _Sentence(NamedTuple):
    text: str
    shares: list[_Share]


@dataclass
class _Turn:
    """What one speaker says in one cue."""

    cue: int
    number: int  # of its first line
    lines: list[str]
    starts: float  # seconds, as its cue
    ends: float
    tokens: list[str]  # texts and marks in turn, texts at even places
    is_translated: bool = False
    words: dict[int, list[str]] = field(default_factory=dict)  # of translations, by token

    @property
    def plain(self) -> str:
        """Without tags."""
        return re.sub(TAG, "", " ".join(self.lines)).strip()


class Subtitles:
    """Whole cues, read from neighbouring lines.

    Args:
        first: Number of the first line in the input, counted from 1.
        language: Of the text.

    Raises:
        ConfigurationError: If a line belongs to no cue; names it.
    """

    def __init__(self, lines: Sequence[str], first: int, language: str) -> None:
        self._lines = list(lines)
        self._first = first
        self._turns = list(_read_turns(lines, first))
        self._sentences = [
            sentence
            for stretch in _find_stretches(self._turns)
            for sentence in _find_sentences(stretch, self._turns, language)
        ]

    def to_translate(self) -> list[tuple[int, str]]:
        """Sentences with letters, each with the number of a line of the cue in which it begins."""
        return [
            (self._turns[sentence.shares[0].turn].number, sentence.text)
            for sentence in self._sentences
            if is_text(sentence.text)
        ]

    def join(
        self,
        translations: Iterator[str],
        language: str,
        runs: Iterator[Sequence[int]] | None = None,
    ) -> list[str]:
        """As many lines as were read, with translations in the places of the texts.

        Args:
            translations: Of `to_translate`; of a blank one nothing is left, tags neither.
            language: Of the translations.
            runs: Of each translation, where its words begin, if that is known though no spaces say
                it.
        """
        share = share_out_unspaced if is_unspaced(language) else share_out
        runs = itertools.repeat(()) if runs is None else runs
        for turn in self._turns:
            turn.words, turn.is_translated = {}, False
        for sentence in self._sentences:
            is_translated = is_text(sentence.text)
            text, begins = (
                (next(translations), next(runs)) if is_translated else (sentence.text, ())
            )
            sizes = [place.end - place.begin + 1 for place in sentence.shares]
            words = split_words(text, language, begins, len(sizes))
            parts = share_out(words, sizes)
            if is_unspaced(language):  # tags may part words, but cues may not
                parts = _share_by_turns(words, sentence.shares, sizes)
            for place, part in zip(sentence.shares, parts, strict=True):
                turn = self._turns[place.turn]
                turn.words.setdefault(place.token, []).extend(part)
                turn.is_translated |= is_translated
        separator = "" if is_unspaced(language) else " "
        lines = list(self._lines)
        for _, turns in itertools.groupby(self._turns, key=lambda turn: turn.cue):
            self._write_cue(list(turns), lines, separator, share)
        return lines

    def _write_cue(
        self, turns: Sequence[_Turn], lines: list[str], separator: str, share: ShareOut
    ) -> None:
        written = [line for turn in turns for line in _write_turn(turn, separator, share)]
        start = turns[0].number - self._first
        num_lines = sum(len(turn.lines) for turn in turns)
        # Where there are fewer words than lines, blank lines follow the cue.
        lines[start : start + num_lines] = written + [""] * (num_lines - len(written))


def _share_by_turns(
    words: Sequence[str], shares: Sequence[_Share], sizes: Sequence[int]
) -> list[list[str]]:
    """The words of each share, where no spaces are."""
    pairs = zip(shares, sizes, strict=True)
    turns = [
        [size for _, size in own] for _, own in itertools.groupby(pairs, lambda pair: pair[0].turn)
    ]
    parts = share_out_unspaced(words, list(map(sum, turns)))
    return [
        share
        for part, own in zip(parts, turns, strict=True)
        for share in share_out_unspaced(part, own)
    ]


def may_end(lines: Sequence[str], *, late: bool) -> bool:
    """Whether cues may be parted after these lines: after a blank one and the end of a sentence.

    Args:
        late: A blank line will do.
    """
    if lines[-1].strip():
        return False
    before = next((line for line in reversed(lines) if line.strip()), "")
    is_times = _TIMES.fullmatch(before) is not None
    return late or not before or is_times or bool(_END.search(_MARK.sub("", before).rstrip()))


def _read_turns(lines: Sequence[str], first: int) -> Iterator[_Turn]:
    """The turns of all cues, in order."""
    times: tuple[float, float] | None = None
    text: list[str] = []
    cue = 0
    # A blank line at the end closes the last cue.
    for number, line in enumerate([*lines, ""], first):
        following = lines[number - first + 1] if number - first + 1 < len(lines) else ""
        found = _TIMES.fullmatch(line)
        is_number = line.strip().isdecimal() and _TIMES.fullmatch(following)
        if line.strip() and not found and not is_number:
            if times is None or "-->" in line:
                raise ConfigurationError(
                    f"line {number} of the input, {shown(line)}, belongs to no subtitle: times "
                    f"such as 00:00:01,500 --> 00:00:03,000 must come before the text, and no "
                    f"blank line between them."
                )
            text.append(line)
            continue
        if times and text:
            yield from _split_turns(text, cue, number - len(text), times)
            cue += 1
        times, text = _seconds(found) if found else None, []


def _seconds(times: re.Match[str]) -> tuple[float, float]:
    """When a cue begins and ends."""
    numbers = [float((group or "0").replace(",", ".")) for group in times.groups()]
    begin, end = (60 * (60 * h + m) + s for h, m, s in (numbers[:3], numbers[3:]))
    return begin, end


def _split_turns(
    lines: Sequence[str], cue: int, number: int, times: tuple[float, float]
) -> Iterator[_Turn]:
    """What each speaker of a cue says; a dash before a line says that another one begins."""
    begins = [n for n, line in enumerate(lines) if n and _DASH.match(_MARK.sub("", line))]
    for start, stop in itertools.pairwise([0, *begins, len(lines)]):
        own = list(lines[start:stop])
        yield _Turn(cue, number + start, own, *times, _read_tokens(" ".join(own)))


def _read_tokens(text: str) -> list[str]:
    """Texts and marks in turn; notes and dashes have the spaces that part them from the text."""
    tokens = _MARK.split(text)
    place = next((n for n in range(0, len(tokens), 2) if tokens[n].strip()), len(tokens))
    if place < len(tokens) and (dash := _DASH.match(tokens[place])):
        tokens[place : place + 1] = ["", dash[1], tokens[place][dash.end() :]]
    is_first = True
    for n in range(1, len(tokens), 2):
        is_first = is_first and not tokens[n - 1].strip()
        if tokens[n][0] in "♪♫" and is_first:
            tokens[n] += " " * tokens[n + 1].startswith(" ")
        elif tokens[n][0] in "♪♫":
            tokens[n] = " " * tokens[n - 1].endswith(" ") + tokens[n]
    return tokens


def _find_stretches(turns: Sequence[_Turn]) -> Iterator[list[int]]:
    """Indices of neighbouring turns of which each may go on with what the one before began."""
    stretch: list[int] = []
    for index, turn in enumerate(turns):
        if stretch and not _may_go_on(turns[index - 1], turn):
            yield stretch
            stretch = []
        stretch.append(index)
    if stretch:
        yield stretch


def _may_go_on(before: _Turn, after: _Turn) -> bool:
    return (
        before.cue != after.cue
        and after.starts - before.ends <= _LONGEST_PAUSE
        and not _DASH.match(_MARK.sub("", after.lines[0]))
        and not _STANDS_ALONE.fullmatch(before.plain)
        and not _STANDS_ALONE.fullmatch(after.plain)
        and before.plain.isupper() == after.plain.isupper()
    )


def _find_sentences(
    stretch: Sequence[int], turns: Sequence[_Turn], language: str
) -> Iterator[_Sentence]:
    """The sentences of a stretch; what seems to run on without an end is parted by cues."""
    whole, texts = _join_texts(stretch, turns, "" if is_unspaced(language) else " ")
    end = 0
    for part in split_paragraph(whole, language):
        begin, end = end, end + len(part)
        first = bisect_right(texts, begin, key=lambda share: share.end)
        last = bisect_left(texts, end, key=lambda share: share.begin)
        shares = [
            share._replace(begin=max(begin, share.begin), end=min(end, share.end))
            for share in texts[first:last]
        ]
        groups = [list(group) for _, group in itertools.groupby(shares, lambda share: share.turn)]
        if 1 < len(groups) <= _MOST_CUES and _END.search(part.rstrip()):
            groups = [shares]
        for group in groups:
            yield _Sentence(whole[group[0].begin : group[-1].end].strip(), group)


def _join_texts(
    stretch: Sequence[int], turns: Sequence[_Turn], separator: str
) -> tuple[str, list[_Share]]:
    """The texts of a stretch as one, and where each of them stands in it."""
    whole = ""
    shares: list[_Share] = []
    for index in stretch:
        has_space = True  # before what comes next
        for place, token in enumerate(turns[index].tokens):
            text = " ".join(token.split())
            if place % 2 or not text:
                has_space |= token[:1].isspace()
                continue
            whole += separator * (bool(whole) and (has_space or token[0].isspace()))
            shares.append(_Share(index, place, len(whole), len(whole) + len(text)))
            whole += text
            has_space = token[-1].isspace()
    return whole, shares


def _write_turn(turn: _Turn, separator: str, share: ShareOut) -> list[str]:
    """The lines of a turn, not more than it had."""
    if not turn.is_translated:
        return turn.lines
    if not any(turn.words.values()):
        return []
    words: list[str] = []
    pending = ""  # marks that stand before the next word
    for place, token in enumerate(turn.tokens):
        if place % 2 == 0:
            for word in turn.words.get(place, []):
                words.append(pending + word)
                pending = ""
        elif words and not pending and _closes(token):
            words[-1] += token
        else:
            pending += token
    words += [pending] if pending else []
    lines = [separator.join(line).strip() for line in share(words, [1] * len(turn.lines))]
    return [line for line in lines if line]


def _closes(mark: str) -> bool:
    """Whether a mark belongs to the word before it."""
    return mark.startswith("</") or mark[-1] in "♪♫"
