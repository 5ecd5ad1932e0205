"""Sees to it that addresses, placeholders and numbers of a source stand in its translation.

Knows nothing of networks.
"""

import re
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, count
from typing import NamedTuple

from seq2seq.alignments import with_words
from seq2seq.batches import naming_owners
from seq2seq.constraints import ConstraintError
from seq2seq.data.cleaning import clean_sentence
from seq2seq.data.sentences import find_phrase
from seq2seq.items import ITEM, Item, find_items, replace_items
from seq2seq.languages import is_unspaced, parts_word
from seq2seq.source import Source
from seq2seq.translation import Translation, with_best

# Two digits are seldom written out as a word, which one often is.
_NUMBERS = ("50", "11", "22", "18", "12", "45", "60", "30")
_LETTER = re.compile("[A-Za-z]")
_CLOSING = " .!?\u2026\u3002\uff01\uff1f\"'\u201d\u201c\u00bb)]"


def preserve(
    sources: Sequence[Source],
    found: Sequence[Translation],
    translate: Callable[[list[Source]], list[Translation]],
    languages: tuple[str, str],
) -> list[Translation]:
    """Brings back what translations have lost.

    Where a network wrote as many wrong numbers, or the like, they are exchanged. Where it lost an
    address or a placeholder, the source is translated again with a number in its place, which is
    easier to copy, and the spelling of which does not confuse what stands around it. Where that
    does not help, these numbers and all others are terms, which the search must obey, but for
    sources in parts. What is wrong then is mended in the text.

    Args:
        sources: Clean.
        found: Their translations.
        translate: Translates sources, none of them blank.
        languages: Of the sources and of the translations.

    Returns:
        The translations, those that had to be changed as `repaired`. Their pieces and scores remain
        those of the search, with the numbers.

    Raises:
        TooLongError: If memory does not suffice for a source.
        ConstraintError: If what must survive is forbidden.
    """
    whole_words = not is_unspaced(languages[1])
    for index, source in enumerate(sources):
        for item in find_items(source.text):
            if phrase := _find_forbidden(source, item.text, whole_words=whole_words):
                raise ConstraintError(
                    index,
                    f"`preserve` asks for {item.text!r}, but `forbidden` rules out {phrase!r}.",
                )
    results = list(found)
    strict: defaultdict[int, set[Item]] = defaultdict(set)
    for as_terms in (False, True):
        asked = []
        for index, (source, result) in enumerate(zip(sources, results, strict=True)):
            exchange = partial(_exchanged_if_whole, source, whole_words=whole_words)
            results[index] = _change(result, languages, exchange, str)
            lost = _find_to_replace(source.text, results[index].text)
            strict[index].update(filter(_is_strict, lost))
            # Terms would hold a source together that is too long to be translated in one.
            if lost and (strict[index] if not as_terms else not _is_in_parts(results[index])):
                asked.append(index)
        stands = [put_numbers(sources[index], strict[index]) for index in asked]
        again = [_with_terms(stand.source) if as_terms else stand.source for stand in stands]
        for index, stand, result in zip(asked, stands, _ask(translate, again, asked), strict=True):
            put_back = partial(take_numbers, stand.items)
            restored = _change(result, languages, put_back, put_back)
            results[index] = with_best(restored, repaired=True)
    mended = [
        _change(result, languages, partial(mend, source.text, allowed=_asked_for(source)), str)
        for source, result in zip(sources, results, strict=True)
    ]
    for index, (source, result) in enumerate(zip(sources, mended, strict=True)):
        for one in (result, *result.alternatives) if result.repaired else ():
            if phrase := _find_forbidden(source, one.text, whole_words=whole_words):
                raise ConstraintError(
                    index,
                    f"`preserve` puts in what makes {phrase!r}, which `forbidden` rules out.",
                )
    return mended


def _find_forbidden(source: Source, text: str, *, whole_words: bool) -> str | None:
    """A phrase that a text says and must not, if there is one."""
    phrases = map(clean_sentence, source.forbidden)
    folded = text.casefold()
    return next(
        (p for p in phrases if p and find_phrase(p.casefold(), folded, whole_words=whole_words)),
        None,
    )


def _is_in_parts(translation: Translation) -> bool:
    return translation.source_pieces.count("</s>") > 1


def _ask(
    translate: Callable[[list[Source]], list[Translation]], sources: list[Source], owners: list[int]
) -> list[Translation]:
    """Translations of sources, whose faults are named by the numbers of their owners."""
    try:
        with naming_owners(owners):
            return translate(sources) if sources else []
    except ConstraintError as error:
        raise ConstraintError(owners[error.index], error.reason) from error


def find_lost(source: str, target: str) -> Counter[Item]:
    """What stands in the source more often than in the target."""
    return Counter(find_items(source)) - Counter(find_items(target))


def has_survived(source: str, target: str, allowed: str = "") -> bool:
    """Whether nothing is lost, and no address or placeholder is doubled or invented.

    Args:
        allowed: Holds what may stand in the target, too.
    """
    is_invented = any(map(_is_strict, _find_surplus(source, target, allowed)))
    return not find_lost(source, target) and not is_invented


def _find_surplus(source: str, target: str, allowed: str) -> Counter[Item]:
    """What stands in the target and neither in the source nor in what is allowed."""
    return find_lost(target, source) - Counter(find_items(allowed))


def _find_to_replace(source: str, target: str) -> set[Item]:
    """What stands in the source and was lost, or doubled though it is an address or the like."""
    ours, theirs = Counter(find_items(source)), Counter(find_items(target))
    doubled = {item for item in theirs - ours if _is_strict(item) and item in ours}
    return {*(ours - theirs), *doubled}


def _with_terms(source: Source) -> Source:
    """The source, all of whose items must stand in the translation."""
    items = [item.text for item in find_items(source.text)]
    return replace(source, terms=(*source.terms, *items))


class Stand(NamedTuple):
    """A source in which numbers stand for what a network cannot translate."""

    source: Source
    items: Mapping[str, Item]
    """What each of these numbers stands for; one number for each place."""


def put_numbers(source: Source, items: Collection[Item]) -> Stand:
    """Puts numbers into the places of items, wherever they stand.

    Numbers are what a network has most probably learnt to copy.
    """
    texts = [source.text, source.prefix, *source.terms, *source.forbidden]
    taken = {item.text for text in texts for item in find_items(text)}

    def put(space: str) -> Stand:
        free = (n for n in chain(_NUMBERS, map(str, count(2))) if n not in taken)
        places: dict[str, Item] = {}

        def put_next(item: Item) -> str:
            if item not in items:
                return item.text
            places[number := next(free)] = item
            return f"{space}{number}{space}"

        text = replace_items(source.text, put_next)
        first = {item: number for number, item in reversed(places.items())}
        put_first = partial(replace_items, replace=lambda item: first.get(item, item.text))
        terms = tuple(map(put_first, source.terms))
        return Stand(
            replace(source, text=text, prefix=put_first(source.prefix), terms=terms), places
        )

    stand = put("")
    # {a}-{b} must not become 50-11, which is one number, nor {a}s become 50s.
    return stand if take_numbers(stand.items, stand.source.text) == source.text else put(" ")


def take_numbers(items: Mapping[str, Item], text: str) -> str:
    """Puts items back into the places of the numbers that stand for them.

    A number to which letters were added, as in 50s, does not stand for anything.
    """

    def put_back(match: re.Match[str]) -> str:
        is_whole = not _LETTER.match(text, match.end())
        return items[match[0]].text if is_whole and match[0] in items else match[0]

    return ITEM.sub(put_back, text)


def _asked_for(source: Source) -> str:
    """What may stand in the translation beside what stands in the source."""
    return " ".join([source.prefix, *source.terms])


def mend(source: str, target: str, allowed: str = "") -> str:
    """The target with all that must survive: the last resort, which looks at the texts alone.

    What is lost takes the place of something invented of its kind, or else stands at the end.
    Addresses and placeholders that are left over are removed.

    Args:
        allowed: Holds what is left alone though it does not stand in the source.
    """
    if has_survived(source, target, allowed):
        return target
    mended = _without_surplus(source, _exchange(source, target, allowed), allowed)
    lost = list(find_lost(source, mended).elements())
    return _append(mended, lost) if lost else mended


def _exchange(source: str, target: str, allowed: str) -> str:
    """The target with things that were lost in the place of others of their kind, in order."""
    lost: defaultdict[str, deque[Item]] = defaultdict(deque)
    for item in find_lost(source, target).elements():
        lost[item.kind].append(item)
    surplus = _find_surplus(source, target, allowed)

    def exchange(item: Item) -> str:
        if not surplus[item] or not lost[item.kind]:
            return item.text
        surplus[item] -= 1
        return lost[item.kind].popleft().text

    return replace_items(target, exchange)


def _exchanged_if_whole(source: Source, target: str, *, whole_words: bool) -> str:
    """The same if nothing is lost then: a wrong number mostly stands where the right one should."""
    allowed = _asked_for(source)
    exchanged = _exchange(source.text, target, allowed)
    is_allowed = not _find_forbidden(source, exchanged, whole_words=whole_words)
    return exchanged if is_allowed and has_survived(source.text, exchanged, allowed) else target


def _without_surplus(source: str, target: str, allowed: str) -> str:
    """The target without addresses and placeholders that it should not have."""
    while surplus := {
        item: n for item, n in _find_surplus(source, target, allowed).items() if _is_strict(item)
    }:

        def remove(item: Item, surplus: dict[Item, int] = surplus) -> str:
            if not surplus.get(item):
                return item.text
            surplus[item] -= 1
            return ""

        # What stood around something may become something else.
        target = re.sub(" {2,}", " ", replace_items(target, remove)).strip(" ")
    return target


def _is_strict(item: Item) -> bool:
    """Whether there may be no more of it than in the source; of numbers "zwei" may become one."""
    return item.kind != "number"


def _append(text: str, items: list[Item]) -> str:
    """Puts items before the marks that end a text, or behind them if they are part of others."""
    place = len(text.rstrip(_CLOSING))
    added = " ".join(item.text for item in items)
    inside = f"{text[:place]} {added}{text[place:]}".strip()
    is_whole = Counter(find_items(inside)) == Counter([*find_items(text), *items])
    return inside if is_whole else f"{text} {added}".strip()


def _change(
    translation: Translation,
    languages: tuple[str, str],
    change: Callable[[str], str],
    change_word: Callable[[str], str],
) -> Translation:
    """A translation and its alternatives with changed texts, and what is left of the words."""
    alternatives = tuple(_with_text(one, change(one.text)) for one in translation.alternatives)
    text = change(translation.text)
    changed = replace(_with_text(translation, text), alternatives=alternatives)
    if text == translation.text or translation.words is None or translation.source_words is None:
        return changed
    words, end = [], 0
    for word in translation.words:
        new = change_word(word.text)
        start = text.find(new, end)
        while start >= 0 and (parts_word(text, start) or parts_word(text, start + len(new))):
            start = text.find(new, start + 1)
        if new and start >= 0:
            words.append(replace(word, text=new, start=start))
            end = start + len(new)
    return with_words(changed, list(map(change_word, translation.source_words)), words, languages)


def _with_text(translation: Translation, text: str) -> Translation:
    is_same = text == translation.text
    return translation if is_same else replace(translation, text=text, repaired=True)
