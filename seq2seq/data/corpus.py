"""Reads sentence pairs from files, the datasets hub or the embedded phrasebook, and counts them.

Nothing vanishes silently: each set comes with a report of what was read, kept and dropped.
"""

import gzip
import random
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from seq2seq.config import ConfigurationError, CorpusConfig, Recipe

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

    def without(self, reason: str, count: int) -> "CorpusReport":
        """The report after `count` more pairs were dropped."""
        if not count:
            return self
        dropped = {**self.dropped, reason: self.dropped.get(reason, 0) + count}
        return replace(self, kept=self.kept - count, dropped=dropped)

    def __str__(self) -> str:
        parts = [f"{self.read:,} pairs read, {self.kept:,} kept"]
        for verb, counts in (("dropped", self.dropped), ("moved", self.moved)):
            if counts:
                listed = ", ".join(f"{count:,} {reason}" for reason, count in counts.items())
                parts.append(f"{verb} {listed}")
        parts += [f"{count:,} with {reason}" for reason, count in self.cleaned.items()]
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


def load_corpus(recipe: Recipe) -> Corpus:
    """Reads the sets that `recipe.corpus` names, the embedded phrasebook if it names none.

    Missing development and test sets are drawn from the training pairs by `recipe.training.seed`.
    Training pairs that share a side with a development or test pair are dropped.

    Raises:
        ConfigurationError: If a file or column is missing, unreadable, empty or does not match.
    """
    config = recipe.corpus
    if config.train is not None:
        sets = _read_files(config, recipe.source_language, recipe.target_language)
    elif config.hub is not None:
        sets = _read_hub(config, recipe.source_language, recipe.target_language)
    else:
        return _read_phrasebook(recipe.source_language, recipe.target_language)
    return _complete(sets, recipe.training.seed)


def read_lines(path: str | Path) -> list[str]:
    r"""The lines of a UTF-8 text file, compressed if its name ends in .gz.

    Lines end at "\n" only; a "\r" before it and a byte order mark at the start are no text.

    Raises:
        ConfigurationError: If the file is missing, a folder, corrupt or not UTF-8.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
        if path.suffix == ".gz":
            data = _decompress(data)
    except FileNotFoundError as error:
        raise ConfigurationError(f"There is no file {path}.") from error
    except IsADirectoryError as error:
        raise ConfigurationError(f"{path} is a folder, but must be a file.") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ConfigurationError(
            f"{path} is not a complete gzip file; compress it again or drop the .gz of its name."
        ) from error
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from error
    data = data.removeprefix(_BYTE_ORDER_MARK)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(
            f"{path} is not UTF-8 in line {line}; find out its encoding and convert it, "
            f"for instance with `iconv -f latin1 -t utf-8`."
        ) from error
    lines = text.split("\n")
    if lines[-1] == "":
        del lines[-1]
    return [line[:-1] if line.endswith("\r") else line for line in lines]


def clean_sentence(sentence: str) -> str:
    """The sentence in NFC, control characters as spaces, without spaces at its ends."""
    return CONTROL.sub(" ", unicodedata.normalize("NFC", sentence)).strip(" ")


_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_DRAWN_SHARE, _DRAWN_MOST = 0.05, 2000

# A set as it was read: its pairs without blank ones, and their report.
_Set = tuple[Pairs, CorpusReport]


def _decompress(data: bytes) -> bytes:
    if not data:
        raise EOFError  # even nothing has a header when compressed; `gzip` lets this pass
    return gzip.decompress(data)


def _read_files(config: CorpusConfig, source: str, target: str) -> dict[str, _Set]:
    prefixes = {"train": config.train, "dev": config.dev, "test": config.test}
    sets = {}
    for name, given in prefixes.items():
        if given is None:
            continue
        sources: list[str] = []
        targets: list[str] = []
        for prefix in [given] if isinstance(given, str) else given:
            source_path = _find(prefix, source, field=f"corpus.{name}")
            target_path = _find(prefix, target, field=f"corpus.{name}")
            source_lines, target_lines = read_lines(source_path), read_lines(target_path)
            if len(source_lines) != len(target_lines):
                raise ConfigurationError(
                    f"{source_path} has {len(source_lines)} lines, but {target_path} has "
                    f"{len(target_lines)}; they must be line-aligned."
                )
            sources += source_lines
            targets += target_lines
        sets[name] = _clean(sources, targets, where=f"`corpus.{name}` ({given})")
    return sets


def _find(prefix: str, language: str, *, field: str) -> Path:
    plain, compressed = Path(f"{prefix}.{language}"), Path(f"{prefix}.{language}.gz")
    if plain.exists() and compressed.exists():
        raise ConfigurationError(
            f"`{field}` is ambiguous: both {plain} and {compressed} exist; remove one of them."
        )
    if not plain.exists() and not compressed.exists():
        raise ConfigurationError(f"`{field}` needs a file {plain} or {compressed}; neither exists.")
    return plain if plain.exists() else compressed


def _clean(sources: Sequence[str], targets: Sequence[str], *, where: str) -> _Set:
    kept = Pairs([], [])
    dropped: Counter[str] = Counter()
    cleaned: Counter[str] = Counter()
    for raw_source, raw_target in zip(sources, targets, strict=True):
        source, target = clean_sentence(raw_source), clean_sentence(raw_target)
        has_source, has_target = bool(source.strip()), bool(target.strip())
        if has_source and has_target:
            kept.sources.append(source)
            kept.targets.append(target)
            if CONTROL.search(raw_source) or CONTROL.search(raw_target):
                cleaned["control characters turned into spaces"] += 1
        elif has_source or has_target:
            dropped["with an empty target" if has_source else "with an empty source"] += 1
        else:
            dropped["with both sides empty"] += 1
    if not len(kept):
        raise ConfigurationError(f"{where} has no sentence pairs.")
    return kept, CorpusReport(len(sources), len(kept), dict(dropped), cleaned=dict(cleaned))


def _read_hub(config: CorpusConfig, source: str, target: str) -> dict[str, _Set]:
    data = _load_dataset(config)
    splits = {"train": config.train_split, "dev": config.dev_split, "test": config.test_split}
    sets = {}
    for name, split in splits.items():
        if split not in data:
            # A set that was not asked for by name may be missing: it is drawn from the others.
            if name != "train" and split == getattr(CorpusConfig, f"{name}_split"):
                continue
            raise ConfigurationError(
                f"`corpus.{name}_split` must be one of {', '.join(data)} in {config.hub}, "
                f"but is {split!r}."
            )
        source_column = config.source_column or source
        target_column = config.target_column or target
        sources = _column(data[split], source_column, config.hub, field="corpus.source_column")
        targets = _column(data[split], target_column, config.hub, field="corpus.target_column")
        sets[name] = _clean(sources, targets, where=f"Split {split!r} of {config.hub}")
    return sets


def _load_dataset(config: CorpusConfig) -> Mapping[str, Any]:
    import datasets

    try:
        return datasets.load_dataset(
            config.hub, name=config.hub_configuration, revision=config.hub_revision
        )
    except Exception as error:  # of the hub, its network, its formats: none of them documented
        reason = " ".join(str(error).split()).rstrip(".")
        raise ConfigurationError(
            f"`corpus.hub` {config.hub!r} cannot be loaded ({type(error).__name__}: {reason})."
        ) from error


def _column(split: Any, name: str, hub: str | None, *, field: str) -> list[str]:
    """The column `name`, or the language `name` within the column `translation`."""
    flat = split.flatten()  # {"translation": {"de": ...}} has the column translation.de then
    for column in (name, f"translation.{name}"):
        if column in flat.column_names:
            break
    else:
        raise ConfigurationError(
            f"`{field}` must be one of {', '.join(flat.column_names)} in {hub}, but is {name!r}."
        )
    sentences = ["" if sentence is None else sentence for sentence in flat[column][:]]
    for sentence in sentences:
        if not isinstance(sentence, str):
            raise ConfigurationError(
                f"`{field}` must name a column of text in {hub}, "
                f"but {column!r} has {type(sentence).__name__} values."
            )
    return sentences


def _read_phrasebook(source: str, target: str) -> Corpus:
    from seq2seq.data.phrasebook.corpus import load_phrasebook

    if {source, target} != {"ko", "en"}:
        raise ConfigurationError(
            f"The embedded phrasebook is Korean and English (ko, en), but `source_language` is "
            f"{source!r} and `target_language` is {target!r}; give `corpus.train` or `corpus.hub`."
        )
    sets = {}
    for name, pairs in load_phrasebook().items():
        korean = [pair.korean for pair in pairs]
        english = [pair.english for pair in pairs]
        sides = (korean, english) if source == "ko" else (english, korean)
        sets[name] = _clean(*sides, where=f"The phrasebook's {name}")
    extra_tests = {name: sets[name][0] for name in sets if name not in ("train", "dev", "test")}
    return Corpus(
        train=sets["train"][0],
        dev=sets["dev"][0],
        test=sets["test"][0],
        extra_tests=extra_tests,
        reports={name: report for name, (_, report) in sets.items()},
    )


def _complete(sets: dict[str, _Set], seed: int) -> Corpus:
    """Draws missing sets and keeps training pairs away from development and test pairs."""
    pairs = {name: kept for name, (kept, _) in sets.items()}
    reports = {name: report for name, (_, report) in sets.items()}
    train, overlap = _without_overlap(pairs["train"], [pairs[n] for n in pairs if n != "train"])
    report = reports["train"].without("that share a side with a dev or test pair", overlap)
    missing = [name for name in ("dev", "test") if name not in pairs]
    rest, drawn = _draw(train, missing, seed)
    for name, drawn_pairs in drawn.items():
        pairs[name] = drawn_pairs
        reports[name] = CorpusReport(len(drawn_pairs), len(drawn_pairs))
        moved = {**report.moved, f"to {name}": len(drawn_pairs)}
        report = replace(report, kept=report.kept - len(drawn_pairs), moved=moved)
    if not len(rest):
        raise ConfigurationError(f"`corpus.train` has no pairs left to learn from: {report}.")
    reports["train"] = report
    ordered = {name: reports[name] for name in ("train", "dev", "test")}
    return Corpus(rest, pairs["dev"], pairs["test"], reports=ordered)


def _without_overlap(train: Pairs, others: Sequence[Pairs]) -> tuple[Pairs, int]:
    """The training pairs with no source and no target of the others, and how many had one."""
    sources = {source for pairs in others for source in pairs.sources}
    targets = {target for pairs in others for target in pairs.targets}
    kept = [
        index
        for index in range(len(train))
        if train.sources[index] not in sources and train.targets[index] not in targets
    ]
    return train.select(kept), len(train) - len(kept)


def _draw(train: Pairs, names: Sequence[str], seed: int) -> tuple[Pairs, dict[str, Pairs]]:
    """Moves pairs to new sets; pairs that share a source or a target stay together."""
    if not names:
        return train, {}
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
    return train.select(sorted(rest)), {
        name: train.select(sorted(indices)) for name, indices in drawn.items()
    }


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
        for index, sentence in enumerate(side):
            parents[root(index)] = root(first.setdefault(sentence, index))
    groups: dict[int, list[int]] = {}
    for index in range(len(pairs)):
        groups.setdefault(root(index), []).append(index)
    return list(groups.values())
