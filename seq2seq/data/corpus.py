"""Makes the sets of a run from files, the datasets hub or the embedded phrasebook, and counts them.

Nothing vanishes silently: each set comes with a report of what was read, kept and dropped.
"""

import random
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import accumulate, islice, pairwise
from typing import Any

from seq2seq.config import ConfigurationError, CorpusConfig, FilterConfig, Recipe
from seq2seq.data.filters import active_filters, folded
from seq2seq.data.hub import read_hub
from seq2seq.data.readers import READERS, Columns, Sides, is_table, read_entry
from seq2seq.data.slices import part_names

CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Pairs:
    """Sentences and their translations, in order."""

    sources: list[str]
    targets: list[str]

    def __post_init__(self) -> None:
        if len(self.sources) != len(self.targets):
            raise ValueError(
                f"`sources` and `targets` must be equally many, "
                f"but are {len(self.sources)} and {len(self.targets)}."
            )

    def __len__(self) -> int:
        return len(self.sources)

    def select(self, indices: Iterable[int]) -> "Pairs":
        """The pairs at `indices`, in their order."""
        indices = list(indices)
        return Pairs(
            [self.sources[index] for index in indices], [self.targets[index] for index in indices]
        )


@dataclass(frozen=True)
class CorpusReport:
    """What became of the pairs of one set: `read` = `kept` + all `dropped` + all `moved`."""

    read: int
    kept: int
    dropped: dict[str, int] = field(default_factory=dict)
    """Pairs left out, by reason."""
    moved: dict[str, int] = field(default_factory=dict)
    """Pairs that went to another set, by its name."""
    cleaned: dict[str, int] = field(default_factory=dict)
    """Pairs kept with a change of their text, by reason."""
    parts: dict[str, int] = field(default_factory=dict)
    """Pairs read by the part of the set they stand in, if it has several."""
    kept_parts: dict[str, int] = field(default_factory=dict)
    """Those of them that are kept."""
    examples: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    """The first sources and targets left out, by reason; long ones are cut."""
    note: str = ""
    """Where the pairs stand, if not where the recipe says."""

    def without(
        self, reason: str, count: int, examples: Iterable[tuple[str, str]] = ()
    ) -> "CorpusReport":
        """The report after `count` more pairs were dropped, and some of them to show."""
        if not count:
            return self
        dropped = {**self.dropped, reason: self.dropped.get(reason, 0) + count}
        shown = [*self.examples.get(reason, []), *map(_example, islice(examples, _MOST_EXAMPLES))]
        kept_examples = (
            {**self.examples, reason: shown[:_MOST_EXAMPLES]} if shown else self.examples
        )
        return replace(self, kept=self.kept - count, dropped=dropped, examples=kept_examples)

    def to_plain(self) -> dict[str, Any]:
        """The report as JSON has it."""
        return asdict(self)

    def __str__(self) -> str:
        parts = [f"{self.read:,} pairs read, {self.kept:,} kept"]
        for verb, counts in (("dropped", self.dropped), ("moved", self.moved)):
            if counts:
                listed = ", ".join(f"{count:,} {reason}" for reason, count in counts.items())
                parts.append(f"{verb} {listed}")
        parts += [f"{count:,} with {reason}" for reason, count in self.cleaned.items()]
        parts += [self.note] if self.note else []
        return "; ".join(parts)


@dataclass(frozen=True)
class Corpus:
    """The sets of a run."""

    train: Pairs
    dev: Pairs
    test: Pairs
    extra_tests: dict[str, Pairs] = field(default_factory=dict)
    """Further test sets by name, such as `test_unseen` of the phrasebook."""
    reports: dict[str, CorpusReport] = field(default_factory=dict)
    """One report for each set, by its name."""
    parts: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    """For `train` and `test`, if they have several parts: the indices of each part's pairs."""
    revision: str | None = None
    """The commit that a data set of the hub was read from."""


def load_corpus(recipe: Recipe) -> Corpus:
    """Reads the sets that `recipe.corpus` names, the embedded phrasebook if it names none.

    Missing development and test sets are drawn from the training pairs by `recipe.training.seed`.
    Training pairs that share a side with a development or test pair are dropped, then those that
    `recipe.corpus.filters` leave out. Case, width and white space tell no sentences apart there.

    Raises:
        ConfigurationError: If a file or column is missing, unreadable, empty or does not match.
    """
    config = recipe.corpus
    languages = (recipe.source_language, recipe.target_language)
    columns = Columns(config.source_column or languages[0], config.target_column or languages[1])
    revision = None
    if config.train is not None:
        raw = _read_files(config, languages, columns)
    elif config.hub is not None:
        raw, revision = _read_hub(config, columns)
    else:
        raw = _read_phrasebook(languages, config.max_pairs)
    sets = {name: _clean(one, config.remove_spaces) for name, one in raw.items()}
    if config.train is not None or config.hub is not None:  # the phrasebook's are apart by design
        sets["train"] = _without_overlap(sets["train"], [sets[n] for n in sets if n != "train"])
    sets["train"] = _filter(sets["train"], config.filters, languages)
    sets = _draw_missing(sets, recipe.training.seed)
    if not len(sets["train"].pairs):
        raise ConfigurationError(
            f"`corpus.train` has no pairs left to learn from: {sets['train'].report}."
        )
    named = ("train", "dev", "test")
    return Corpus(
        **{name: sets[name].pairs for name in named},
        extra_tests={name: sets[name].pairs for name in sets if name not in named},
        reports={name: sets[name].full_report() for name in sets},
        parts={name: sets[name].filled_parts() for name in ("train", "test") if sets[name].parts},
        revision=revision,
    )


def clean_sentence(sentence: str, *, without_spaces: bool = False) -> str:
    """The sentence in NFC, control characters as spaces, without spaces at its ends or at all."""
    if without_spaces:
        sentence = "".join(sentence.split())
    return CONTROL.sub(" ", unicodedata.normalize("NFC", sentence)).strip(" ")


_DRAWN_SHARE, _DRAWN_MOST = 0.05, 2000
_MOST_EXAMPLES, _EXAMPLE_CHARACTERS = 3, 300
# Why a pair is left out, by which of its sides are blank.
_BLANK = {
    (True, False): "with an empty source",
    (False, True): "with an empty target",
    (True, True): "with both sides empty",
}


@dataclass(frozen=True)
class _RawSet:
    """A set as its files have it."""

    sources: list[str]
    targets: list[str]
    where: str
    """What the set was read from, for error messages."""
    parts: dict[str, int] = field(default_factory=dict)
    """Pairs of each part, in the order of the sentences; empty if there is only one."""
    note: str = ""
    """As in the report."""


@dataclass(frozen=True)
class _Set:
    """A set on its way: the pairs that are left, their report, and the indices of each part."""

    pairs: Pairs
    report: CorpusReport
    parts: dict[str, list[int]] = field(default_factory=dict)

    def keep(self, mask: Sequence[bool], reason: str) -> "_Set":
        """The set with the pairs whose mask is True; the others count as dropped."""
        dropped = [index for index, stays in enumerate(mask) if not stays]
        if not dropped:
            return self
        left = self.select(index for index, stays in enumerate(mask) if stays)
        examples = ((self.pairs.sources[i], self.pairs.targets[i]) for i in dropped)
        return replace(left, report=self.report.without(reason, len(dropped), examples))

    def select(self, indices: Iterable[int]) -> "_Set":
        """The set with the pairs at `indices`, in their order, and the same report."""
        indices = list(indices)
        places = {index: place for place, index in enumerate(indices)}
        parts = {
            name: [places[index] for index in part if index in places]
            for name, part in self.parts.items()
        }
        return _Set(self.pairs.select(indices), self.report, parts)

    def full_report(self) -> CorpusReport:
        """The report with the pairs of each part that are left."""
        kept = {name: len(part) for name, part in self.parts.items()}
        return replace(self.report, kept_parts=kept)

    def filled_parts(self) -> dict[str, list[int]]:
        """The indices of each part of which pairs are left."""
        return {name: part for name, part in self.parts.items() if part}


def _example(pair: tuple[str, str]) -> tuple[str, str]:
    source, target = (
        side if len(side) <= _EXAMPLE_CHARACTERS else f"{side[:_EXAMPLE_CHARACTERS]}…"
        for side in pair
    )
    return source, target


def _read_files(
    config: CorpusConfig, languages: tuple[str, str], columns: Columns
) -> dict[str, _RawSet]:
    given_sets = {
        name: [given] if isinstance(given, str) else given
        for name in ("train", "dev", "test")
        if (given := getattr(config, name)) is not None
    }
    _refuse_columns_of_texts(config, [e for entries in given_sets.values() for e in entries])
    sets = {}
    for name, entries in given_sets.items():
        read = [read_entry(e, languages, columns, field=f"corpus.{name}") for e in entries]
        if name == "train" and config.max_pairs is not None:
            read = _first(read, config.max_pairs)
        sources = [sentence for side, _ in read for sentence in side]
        targets = [sentence for _, side in read for sentence in side]
        sizes = [len(side) for side, _ in read]
        parts = dict(zip(part_names(entries), sizes, strict=True)) if len(entries) > 1 else {}
        where = f"`corpus.{name}` ({getattr(config, name)})"
        sets[name] = _RawSet(sources, targets, where, parts)
    return sets


def _refuse_columns_of_texts(config: CorpusConfig, entries: Sequence[str]) -> None:
    for name in ("source_column", "target_column"):
        if getattr(config, name) is not None and not any(map(is_table, entries)):
            raise ConfigurationError(
                f"`corpus.{name}` is for tables ({', '.join(READERS)}), but the corpus has pairs "
                f"of text files only; leave it out."
            )


def _first(read: Sequence[Sides], most: int) -> list[Sides]:
    """The first pairs of several files, `most` in all."""
    cut = []
    for sources, targets in read:
        cut.append((sources[:most], targets[:most]))
        most -= len(cut[-1][0])
    return cut


def _read_hub(config: CorpusConfig, columns: Columns) -> tuple[dict[str, _RawSet], str | None]:
    read = read_hub(config, columns)
    sets = {}
    for name, sides in read.sets.items():
        split = read.splits[name]
        note = "" if split == getattr(config, f"{name}_split") else f"read from split {split!r}"
        sets[name] = _RawSet(*sides, f"Split {split!r} of {config.hub}", note=note)
    return sets, read.commit


def _read_phrasebook(languages: tuple[str, str], most: int | None) -> dict[str, _RawSet]:
    from seq2seq.data.phrasebook.corpus import load_phrasebook

    if set(languages) != {"ko", "en"}:
        raise ConfigurationError(
            f"The embedded phrasebook is Korean and English (ko, en), but `source_language` is "
            f"{languages[0]!r} and `target_language` is {languages[1]!r}; give `corpus.train` or "
            f"`corpus.hub`."
        )
    sets = {}
    for name, pairs in load_phrasebook().items():
        pairs = pairs[:most] if name == "train" else pairs
        sides = {"ko": [pair.korean for pair in pairs], "en": [pair.english for pair in pairs]}
        source, target = (sides[language] for language in languages)
        sets[name] = _RawSet(source, target, f"The phrasebook's {name}")
    return sets


def _clean(raw: _RawSet, remove_spaces: str | None) -> _Set:
    """The cleaned sentences, without the pairs of which a side is blank."""
    source_unspaced = remove_spaces in ("source", "both")
    target_unspaced = remove_spaces in ("target", "both")
    pairs = Pairs(
        [clean_sentence(source, without_spaces=source_unspaced) for source in raw.sources],
        [clean_sentence(target, without_spaces=target_unspaced) for target in raw.targets],
    )
    blank = [
        (not source.strip(), not target.strip())
        for source, target in zip(pairs.sources, pairs.targets, strict=True)
    ]
    changed = sum(
        bool(CONTROL.search(source) or CONTROL.search(target))
        for source, target, is_blank in zip(raw.sources, raw.targets, blank, strict=True)
        if not any(is_blank)
    )
    cleaned = {"control characters turned into spaces": changed} if changed else {}
    report = CorpusReport(len(pairs), len(pairs), cleaned=cleaned, parts=raw.parts, note=raw.note)
    bounds = pairwise(accumulate(raw.parts.values(), initial=0))
    parts = {name: list(range(*ends)) for name, ends in zip(raw.parts, bounds, strict=False)}
    kept = _drop_blank(_Set(pairs, report, parts), blank)
    if not len(kept.pairs):
        raise ConfigurationError(f"{raw.where} has no sentence pairs.")
    return kept


def _drop_blank(one: _Set, blank: Sequence[tuple[bool, bool]]) -> _Set:
    for sides, reason in _BLANK.items():
        one = one.keep([is_blank != sides for is_blank in blank], reason)
        blank = [is_blank for is_blank in blank if is_blank != sides]
    return one


def _without_overlap(train: _Set, others: Iterable[_Set]) -> _Set:
    """The training pairs with no source and no target of the others."""
    pairs = [other.pairs for other in others]
    sources = {folded(source) for other in pairs for source in other.sources}
    targets = {folded(target) for other in pairs for target in other.targets}
    mask = [
        folded(source) not in sources and folded(target) not in targets
        for source, target in zip(train.pairs.sources, train.pairs.targets, strict=True)
    ]
    return train.keep(mask, "that share a side with a dev or test pair")


def _filter(train: _Set, config: FilterConfig, languages: tuple[str, str]) -> _Set:
    for one, setting in active_filters(config):
        mask = one.keep(train.pairs.sources, train.pairs.targets, setting, languages)
        train = train.keep(mask, one.reason.format(setting))
    return train


def _draw_missing(sets: dict[str, _Set], seed: int) -> dict[str, _Set]:
    """Draws missing development and test sets from the training pairs."""
    missing = [name for name in ("dev", "test") if name not in sets]
    if not missing or not len(sets["train"].pairs):
        return sets
    train = sets["train"]
    rest, drawn = _draw(train.pairs, missing, seed)
    report = train.report
    made = {}
    for name, indices in drawn.items():
        pairs = train.pairs.select(indices)
        made[name] = _Set(pairs, CorpusReport(len(pairs), len(pairs)))
        moved = {**report.moved, f"to {name}": len(pairs)}
        report = replace(report, kept=report.kept - len(pairs), moved=moved)
    sets = {**sets, **made, "train": replace(train.select(rest), report=report)}
    return {name: sets[name] for name in ("train", "dev", "test")}


def _draw(train: Pairs, names: Sequence[str], seed: int) -> tuple[list[int], dict[str, list[int]]]:
    """The indices that stay and those of new sets; pairs that share a side stay together."""
    limit = min(int(_DRAWN_SHARE * len(train)), _DRAWN_MOST)
    groups = _connected(train)
    random.Random(seed).shuffle(groups)
    drawn: dict[str, list[int]] = {name: [] for name in names}
    rest: list[int] = []
    for group in groups:
        for indices in drawn.values():
            if len(indices) + len(group) <= limit:
                indices += group
                break
        else:
            rest += group
    for name, indices in drawn.items():
        if not indices:
            raise ConfigurationError(
                f"`corpus.{name}` is missing, and {len(train)} training pairs are too few "
                f"or too much alike to draw it from them; give `corpus.{name}`."
            )
    return sorted(rest), {name: sorted(indices) for name, indices in drawn.items()}


def _connected(pairs: Pairs) -> list[list[int]]:
    """Indices in groups: a source or a target of one group is in no other (union-find)."""
    parents = list(range(len(pairs)))

    def root(index: int) -> int:
        while parents[index] != index:
            parents[index] = parents[parents[index]]
            index = parents[index]
        return index

    for side in (pairs.sources, pairs.targets):
        first: dict[str, int] = {}
        for index, sentence in enumerate(map(folded, side)):
            parents[root(index)] = root(first.setdefault(sentence, index))
    groups: dict[int, list[int]] = {}
    for index in range(len(pairs)):
        groups.setdefault(root(index), []).append(index)
    return list(groups.values())
