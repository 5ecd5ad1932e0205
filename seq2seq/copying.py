"""Copies source words that the vocabulary cannot spell, such as names in another script.

A network that has never met the bytes of a word makes anything of it. So the word is hidden behind
the unknown piece while the sentence is translated, and then put where the network finds it most
natural: in place of words that attended to it, or between two of them, as an unknown piece that
stands there, too. After Luong et al. (2015), https://aclanthology.org/P15-1002, who let attention
alone decide, which takes away the verb where the network has just left the name out.
"""

import dataclasses
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from torch import Tensor

from seq2seq.alignments import Span, find_words, is_unknown, piece_spans
from seq2seq.batches import naming_owners
from seq2seq.config import UNKNOWN_ID
from seq2seq.data.cleaning import clean_sentence
from seq2seq.data.sentences import find_phrase
from seq2seq.data.tokenizer import Tokenizer
from seq2seq.decoding.beam_search import Hypothesis
from seq2seq.decoding.scoring import Forced
from seq2seq.languages import is_unspaced
from seq2seq.source import Source

Copies = tuple[str | None, ...]
"""What the unknown pieces of a hypothesis stand for; None where the network said one itself."""
Force = Callable[[list[list[int]], list[list[int]]], list[Forced]]
"""Gives what the network thinks of target ids, for each pair of source and target ids."""

_ATTENDED = 0.3  # of its attention, from which a word may have been made of the unknown one
_LONGEST_RUN = 6  # words that are tried in all ways
_DRAFTS = 64  # at a time: each has up to 28 candidates, whose alignments take memory


class Unknown(NamedTuple):
    """A word that the vocabulary does not know."""

    text: str
    position: int  # of what stands for it among the source ids


class Masked(NamedTuple):
    """A source, or a part of one, without the words that the vocabulary does not know."""

    ids: list[int]
    unknown: list[Unknown]


class Copied(NamedTuple):
    """A hypothesis, and what its unknown pieces stand for."""

    hypothesis: Hypothesis
    copies: Copies


def mask_words(
    source: Source,
    parts: Sequence[list[int]],
    tokenizer: Tokenizer,
    language: str,
    *,
    unknown: bool,
) -> list[Masked]:
    """Puts the unknown piece in place of each word or phrase that is to be copied.

    Args:
        source: Clean. Words of its terms are left to the search.
        parts: Its ids, in one or more parts.
        unknown: Whether words with characters that the vocabulary lacks are to be copied, too.
            Punctuation alone makes no word unknown, and stays where it stands around one; nor do
            capitals of letters that are known as small ones.
    """
    ids = [id_ for part in parts for id_ in part]
    pieces = tokenizer.pieces(ids)
    found = list(_copied_phrases(source, pieces))
    if unknown:
        found += [
            each
            for each in _unknown_words(source.text, pieces, language)
            if not _is_known(each.text.lower(), tokenizer)
            and not any(each.text in term for term in source.terms)
            and not any(each.first < other.last and other.first < each.last for other in found)
        ]
    owners = [number for number, part in enumerate(parts) for _ in part]
    masked = [Masked([], []) for _ in parts]
    done = 0
    for first, last, text in sorted(found):
        if owners[first] != owners[last - 1]:
            continue  # what is longer than all that was learnt from is cut anywhere
        for index in range(done, first):
            masked[owners[index]].ids.append(ids[index])
        part = masked[owners[last - 1]]
        part.unknown.append(Unknown(text, len(part.ids)))
        part.ids.append(UNKNOWN_ID)
        done = last
    for index in range(done, len(ids)):
        masked[owners[index]].ids.append(ids[index])
    return masked


def copy_words(
    masked: Sequence[Masked],
    hypotheses: Sequence[Sequence[Hypothesis]],
    sources: Sequence[Source],
    force: Force,
    tokenizer: Tokenizer,
    language: str,
) -> list[list[Copied]]:
    """Puts the hidden words of each source into its hypotheses.

    Args:
        hypotheses: Of the masked sources.
        sources: What the texts must obey, of each masked source. A word that nowhere can stand
            without breaking it is left out.
        tokenizer: Of the target side.
        language: Of the target side.

    Returns:
        As many hypotheses for each source; scores and log-probabilities stay those of the search.

    Raises:
        TooLongError: If memory does not suffice for one of the sources alone.
    """
    drafts = [
        [_Draft(number, source, found, tokenizer, language) for found in hypotheses[number]]
        for number, source in enumerate(masked)
    ]
    active = [draft for own in drafts for draft in own if draft.source.unknown]
    for first in range(0, len(active), _DRAFTS):
        _complete(active[first : first + _DRAFTS], sources, force, language)
    return [[draft.copied for draft in own] for own in drafts]


def _complete(
    drafts: Sequence["_Draft"], sources: Sequence[Source], force: Force, language: str
) -> None:
    """Puts all hidden words into some drafts, one word of each at a time."""
    for draft, found in zip(drafts, _force(drafts, [d.ids for d in drafts], force), strict=True):
        draft.alignment = found.alignment
    for turn in range(max(len(draft.source.unknown) for draft in drafts)):
        tried = [
            (draft, candidate)
            for draft in drafts
            if len(draft.source.unknown) > turn
            for candidate in draft.candidates(turn)
            if _obeys(draft.fill(candidate), sources[draft.number], language)
        ]
        owners, candidates = [draft for draft, _ in tried], [candidate for _, candidate in tried]
        forced = _force(owners, [each.hypothesis.ids for each in candidates], force)
        for draft, candidate, found in zip(owners, candidates, forced, strict=True):
            draft.consider(candidate, found)
        for draft in drafts:
            draft.decide()


def fill(ids: Sequence[int], copies: Copies, tokenizer: Tokenizer, language: str) -> str:
    """The text of ids, with copies in place of unknown pieces."""
    if not any(copies):
        return tokenizer.decode(ids)
    space = "" if is_unspaced(language) else " "
    text, start = "", 0
    unknown = [index for index, id_ in enumerate(ids) if id_ == UNKNOWN_ID]
    for copy, index in zip(copies, unknown, strict=True):
        if copy is None:
            continue
        text += _continued(text, ids[start:index], tokenizer)
        text += f"{space if text and not _is_opening(text[-1]) else ''}{copy}"
        start = index + 1
    return (text + _continued(text, ids[start:], tokenizer)).strip()


def unmask(source: Masked, tokenizer: Tokenizer, language: str) -> str:
    """The text of a source, with the words that were hidden."""
    texts = {word.position: word.text for word in source.unknown}
    copies = tuple(texts.get(i) for i, id_ in enumerate(source.ids) if id_ == UNKNOWN_ID)
    return fill(source.ids, copies, tokenizer, language)


def _force(
    drafts: Sequence["_Draft"], target_ids: list[list[int]], force: Force
) -> Sequence[Forced]:
    """What the network thinks of target ids, each for the source of a draft."""
    with naming_owners([draft.number for draft in drafts]):
        return force([draft.source.ids for draft in drafts], target_ids) if drafts else []


def _obeys(text: str, source: Source, language: str) -> bool:
    """Whether a text still has what must stand in it, and nothing that must not."""
    folded, whole_words = text.casefold(), not is_unspaced(language)
    return (
        text.startswith(clean_sentence(source.prefix))
        and all(text.count(term) >= count for term, count in Counter(source.terms).items())
        and not any(
            find_phrase(each.casefold(), folded, whole_words=whole_words)
            for each in source.forbidden
        )
    )


def _continued(text: str, ids: Sequence[int], tokenizer: Tokenizer) -> str:
    """The text of ids after some text."""
    begins_word = text and ids and tokenizer.pieces(ids[:1])[0].startswith("▁")
    return f"{' ' if begins_word else ''}{tokenizer.decode(ids)}"


class _Stretch(NamedTuple):
    """Neighbouring pieces of a source."""

    first: int
    last: int  # the piece after the last one
    text: str


def _copied_phrases(source: Source, pieces: Sequence[str]) -> Iterator[_Stretch]:
    """Where the phrases stand that are not translated."""
    spans = piece_spans(source.text, pieces)
    end, done = 0, 0
    for phrase in source.copied:
        start = source.text.find(phrase, end)
        if start < 0 or not phrase:
            continue  # cleaning has changed it
        end = start + len(phrase)
        inside = [i for i, span in enumerate(spans) if i >= done and _overlap(span, (start, end))]
        if inside:
            first, done = inside[0], inside[-1] + 1
            while first and spans[first - 1][0] == spans[first - 1][1]:
                first -= 1  # a space before bytes
            yield _Stretch(first, done, phrase)


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return max(one[0], other[0]) < min(one[1], other[1])


def _unknown_words(text: str, pieces: Sequence[str], language: str) -> Iterator[_Stretch]:
    """Where words stand that have unknown characters."""
    spans = piece_spans(text, pieces)
    end = 0
    for word in _joined(find_words(text, pieces, language), pieces, language):
        inside = [i for i in range(word.first, word.last) if spans[i][0] < spans[i][1]]
        unknown = "".join(text[slice(*spans[i])] for i in inside if is_unknown(pieces[i]))
        if all(_is_mark(letter) for letter in unknown) or word.first < end:
            continue  # an unknown piece may hold several words: then it is one
        first, last = word.first, word.last
        while _is_punctuation(text[slice(*spans[last - 1])]):
            last -= 1
        while inside and _is_punctuation(text[slice(*spans[inside[0]])]):
            first = inside.pop(0) + 1
        inside = [index for index in inside if index < last]
        end = last
        yield _Stretch(first, last, text[spans[inside[0]][0] : spans[inside[-1]][1]])


def _is_known(word: str, tokenizer: Tokenizer) -> bool:
    return not any(map(is_unknown, tokenizer.pieces(tokenizer.encode(word))))


def _joined(words: Sequence[Span], pieces: Sequence[str], language: str) -> list[Span]:
    """Unknown neighbours as one word, where words are not separated."""
    joined: list[Span] = []
    for word in words:
        both = [*joined[-1:], word]
        known = [not is_unknown(pieces[each.last - 1]) for each in both]
        if (
            is_unspaced(language)
            and len(both) == 2
            and both[0].end == word.start
            and not any(known)
        ):
            joined[-1] = Span(both[0].start, word.end, both[0].first, word.last)
        else:
            joined.append(word)
    return joined


class _Draft:
    """A hypothesis on its way to having all the unknown words of its source."""

    def __init__(
        self,
        number: int,
        source: Masked,
        hypothesis: Hypothesis,
        tokenizer: Tokenizer,
        language: str,
    ) -> None:
        self.number = number
        self.source = source
        self.copied = Copied(hypothesis, (None,) * hypothesis.ids.count(UNKNOWN_ID))
        self.alignment: Tensor | None = None
        self._tokenizer = tokenizer
        self._language = language
        self._best: tuple[float, Copied, Tensor | None] | None = None

    @property
    def ids(self) -> list[int]:
        return self.copied.hypothesis.ids

    def fill(self, copied: Copied) -> str:
        return fill(copied.hypothesis.ids, copied.copies, self._tokenizer, self._language)

    def candidates(self, turn: int) -> Iterator[Copied]:
        """Ways to put an unknown word in place of words that came from it, or beside them."""
        if self.alignment is None:
            return
        unknown = self.source.unknown[turn]
        text = self.fill(self.copied)
        pieces = self._tokenizer.pieces(self.ids)
        words = find_words(text, pieces, self._language)
        weights = [
            float(self.alignment[word.first : word.last, unknown.position].mean())
            if UNKNOWN_ID not in self.ids[word.first : word.last]
            else 0.0
            for word in words
        ]
        marks = [_count_marks(pieces[word.first : word.last]) for word in words]
        first, last = _run(weights)
        begins = [word.first for word in words]
        ends = [word.last - mark for word, mark in zip(words, marks, strict=True)]
        final = ends[-1] if ends else 0
        begins.append(final)
        stretches = {(begins[start], begins[start]) for start in range(first, last + 1)}
        stretches |= {
            (begins[start], ends[end]) for start in range(first, last) for end in range(start, last)
        }
        for stretch in sorted({*stretches, (final, final)}):
            yield self._with(unknown.text, *stretch)

    def consider(self, candidate: Copied, forced: Forced) -> None:
        """Keeps the candidate in which the network finds all the rest most probable."""
        ids = candidate.hypothesis.ids
        rest = sum(
            log_probability
            for id_, log_probability in zip(ids, forced.log_probabilities, strict=True)
            if id_ != UNKNOWN_ID
        )
        if self._best is None or rest > self._best[0]:
            self._best = rest, candidate, forced.alignment

    def decide(self) -> None:
        """Goes on with the best candidate, if there was one."""
        if self._best is not None:
            _, self.copied, self.alignment = self._best
            hypothesis = self.copied.hypothesis
            if hypothesis.alignment is not None:
                hypothesis = dataclasses.replace(hypothesis, alignment=self.alignment)
                self.copied = self.copied._replace(hypothesis=hypothesis)
        self._best = None

    def _with(self, copy: str, start: int, end: int) -> Copied:
        """A copy in place of the ids from `start` to `end`."""
        ids, copies = self.ids, self.copied.copies
        before = ids[:start].count(UNKNOWN_ID)
        after = before + ids[start:end].count(UNKNOWN_ID)
        return Copied(
            dataclasses.replace(self.copied.hypothesis, ids=[*ids[:start], UNKNOWN_ID, *ids[end:]]),
            (*copies[:before], copy, *copies[after:]),
        )


def _run(weights: Sequence[float]) -> tuple[int, int]:
    """The first and the one after the last of neighbouring words that were attended to most."""
    if not weights:
        return 0, 0
    first = max(range(len(weights)), key=weights.__getitem__)
    last = first + 1
    while last < len(weights) and weights[last] >= _ATTENDED and last - first < _LONGEST_RUN:
        last += 1
    while first and weights[first - 1] >= _ATTENDED and last - first < _LONGEST_RUN:
        first -= 1
    return first, last


def _count_marks(pieces: Sequence[str]) -> int:
    """How many pieces of punctuation end a word."""
    count = 0
    while count < len(pieces) and _is_punctuation(pieces[-1 - count].removeprefix("▁")):
        count += 1
    return count


def _is_punctuation(text: str) -> bool:
    return bool(text) and all(unicodedata.category(letter)[0] == "P" for letter in text)


def _is_mark(letter: str) -> bool:
    return unicodedata.category(letter)[0] in "PZC"


def _is_opening(letter: str) -> bool:
    return unicodedata.category(letter) in ("Ps", "Pi")
