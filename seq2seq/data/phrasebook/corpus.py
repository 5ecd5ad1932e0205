"""Writes the phrasebook: draws drafts, gives them speech levels and divides them into splits."""

from __future__ import annotations

import random
import unicodedata
from collections import Counter, defaultdict
from dataclasses import dataclass

from seq2seq.data.phrasebook.alignments import Links, align
from seq2seq.data.phrasebook.draw import Draw
from seq2seq.data.phrasebook.korean import finish
from seq2seq.data.phrasebook.patterns import FIXED_DRAFTS, PATTERNS, WEIGHTS
from seq2seq.data.phrasebook.phrases import Draft, Words, mark

SPLITS = ("train", "dev", "test", "test_unseen")

NUM_SEEN_PAIRS = 31_500
"""Pairs of train, dev and test together."""
NUM_UNSEEN_PAIRS = 1_300
NUM_HELD_OUT_PAIRS = 1_200
"""Pairs of dev, and of test."""
SECOND_LEVEL = 0.3
"""Probability that a sentence is written in a second speech level too."""

_POLITE_WORDS = {
    "나는": "저는", "내가": "제가", "나를": "저를", "내": "제", "나에게": "저에게", "나와": "저와",
    "나도": "저도", "나보다": "저보다",
}  # fmt: skip
_YOU = ("너는", "네가")


@dataclass(frozen=True)
class PhrasebookPair:
    """A Korean sentence, its English translation, and what is known of them.

    Args:
        pattern: Key of `patterns.PATTERNS`.
        tense: "past", "present" or "future".
        speech_level: "plain", "polite", "formal" or "archaic".
        person: "first", "second" or "third", of the subject.
        verb_object: Korean verbs with their objects, in dictionary form.
        subject_verb: Korean subjects with their verbs.
        sure: Indices of Korean and English words that surely translate each other, ascending;
            words are what spaces separate.
        possible: The same of those that may do so, the sure ones among them.
    """

    korean: str
    english: str
    pattern: str
    tense: str
    speech_level: str
    person: str
    verb_object: tuple[tuple[str, str], ...]
    subject_verb: tuple[tuple[str, str], ...]
    sure: Links = ()
    possible: Links = ()


def load_phrasebook(seed: int = 1) -> dict[str, list[PhrasebookPair]]:
    """The corpus by split, the same for the same seed.

    Every Korean sentence has one English one. `test_unseen` holds only verb-object and
    subject-verb pairs that train does not contain, of words that it does contain.
    """
    seen = _write(Draw(seed), NUM_SEEN_PAIRS, list(PATTERNS))
    splits = _divide(seen, random.Random(seed))
    known_english = {pair.english for pair in seen}
    known_korean = {pair.korean for pair in seen}
    known_pairs = {lexemes for pair in seen for lexemes in pair.verb_object + pair.subject_verb}
    known_words = {word for pair in splits["train"] for word in _words(pair.english)}
    unseen = _write(Draw(seed, unseen=True), 2 * NUM_UNSEEN_PAIRS, list(PATTERNS))
    unseen = [
        pair
        for pair in unseen
        if known_pairs.isdisjoint(pair.verb_object + pair.subject_verb)
        and pair.english not in known_english
        and pair.korean not in known_korean
        and known_words.issuperset(_words(pair.english))
    ]
    random.Random(seed).shuffle(unseen)
    splits["test_unseen"] = unseen[:NUM_UNSEEN_PAIRS]
    return splits


def _write(draw: Draw, num_pairs: int, names: list[str]) -> list[PhrasebookPair]:
    """Pairs of all the patterns, as evenly as the patterns allow."""
    pairs: dict[str, PhrasebookPair] = {}
    if not draw.unseen:
        for name, draft, level in FIXED_DRAFTS:
            pair = _realize(name, draft, level)
            pairs[pair.korean] = pair
    open_names = list(names)
    failures: Counter[str] = Counter()
    while open_names and len(pairs) < num_pairs:
        for name in list(open_names):
            added = sum(_add(draw, name, pairs) for _ in range(WEIGHTS.get(name, 1)))
            failures[name] = 0 if added else failures[name] + 1
            if failures[name] > 40:
                open_names.remove(name)
    return list(pairs.values())


def _add(draw: Draw, name: str, pairs: dict[str, PhrasebookPair]) -> int:
    try:
        draft = PATTERNS[name](draw)
    except LookupError:
        return 0
    if draw.unseen and not draft.verb_object:
        return 0
    levels = list(draft.levels)
    draw.random.shuffle(levels)
    added = 0
    for level in levels[: 2 if draw.chance(SECOND_LEVEL) else 1]:
        pair = _realize(name, draft, level)
        known = pairs.setdefault(pair.korean, pair)
        if known.english != pair.english:
            raise ValueError(
                f"Every Korean sentence must have one translation, but {pair.korean} has "
                f"{known.english} ({known.pattern}) and {pair.english} ({name})."
            )
        added += known is pair
    return added


def _realize(name: str, draft: Draft, level: str) -> PhrasebookPair:
    """The sentence of a draft at a speech level."""
    korean = list(draft.korean)
    if level in ("polite", "formal"):
        korean = [
            (_POLITE_WORDS.get(word, word), role)
            for word, role in korean
            if not (word in _YOU and role == "subject")
        ]
    predicate = len(korean)
    first, *rest = finish(draft.predicate, draft.tense, level, draft.mood).split()
    korean += [*mark(first, draft.role), *mark(" ".join(rest), "ending")]
    end = "?" if draft.mood in ("question", "offer") else "."
    alignment = align(tuple(korean), draft.english, predicate=predicate)
    return PhrasebookPair(
        korean=_sentence(tuple(korean), end),
        english=_sentence(draft.english, end),
        pattern=name,
        tense=draft.tense,
        speech_level=level,
        person=draft.person,
        verb_object=draft.verb_object,
        subject_verb=draft.subject_verb,
        sure=alignment.sure,
        possible=alignment.possible,
    )


def _sentence(words: Words, end: str) -> str:
    text = " ".join(word for word, _ in words) + end
    return unicodedata.normalize("NFC", text[0].upper() + text[1:])


def _words(sentence: str) -> list[str]:
    return sentence.rstrip(".?!").split()


def _divide(pairs: list[PhrasebookPair], rng: random.Random) -> dict[str, list[PhrasebookPair]]:
    """Train, dev and test, all translations of one English sentence on one side."""
    groups: dict[str, list[PhrasebookPair]] = defaultdict(list)
    for pair in pairs:
        groups[pair.english].append(pair)
    fixed = {_realize(*fixed).english for fixed in FIXED_DRAFTS}
    names = sorted(groups)
    rng.shuffle(names)
    splits: dict[str, list[PhrasebookPair]] = {name: [] for name in SPLITS}
    for name in names:
        split = "train"
        if name not in fixed:
            for held_out in ("dev", "test"):
                if len(splits[held_out]) < NUM_HELD_OUT_PAIRS:
                    split = held_out
                    break
        splits[split].extend(groups[name])
    rng.shuffle(splits["train"])
    return splits
