"""The sets of a run, and what became of the pairs that were read for them.

Nothing vanishes silently: each set comes with a report of what was read, kept and dropped.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from typing import Any


@dataclass(frozen=True)
class Pairs:
    """Sentences and their translations, in order; those of large sets are on disk."""

    sources: Sequence[str]
    targets: Sequence[str]
    alignments: Sequence[str] | None = None
    """Of training pairs, if they are known: as `alignments.with_alignments` writes them."""

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
        columns = (self.sources, self.targets, self.alignments)
        return Pairs(*([c[index] for index in indices] for c in columns if c is not None))


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
        shown = [*self.examples.get(reason, []), *map(_example, islice(examples, MOST_EXAMPLES))]
        kept_examples = {**self.examples, reason: shown[:MOST_EXAMPLES]} if shown else self.examples
        return replace(self, kept=self.kept - count, dropped=dropped, examples=kept_examples)

    def to_plain(self) -> dict[str, Any]:
        """The report as JSON has it."""
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> "CorpusReport":
        """The report from what `to_plain` gave, perhaps by way of JSON."""
        examples = {
            reason: [(source, target) for source, target in pairs]
            for reason, pairs in plain["examples"].items()
        }
        return cls(**{**plain, "examples": examples})

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
    """The sets of a run; it can be sent to other processes, the training pairs as their place."""

    train: Pairs
    dev: Pairs
    test: Pairs
    extra_tests: dict[str, Pairs] = field(default_factory=dict)
    """Further test sets by name, such as `test_unseen` of the phrasebook."""
    reports: dict[str, CorpusReport] = field(default_factory=dict)
    """One report for each set, by its name."""
    parts: dict[str, dict[str, range]] = field(default_factory=dict)
    """For `train` and `test`, if they have several parts: the indices of each part's pairs."""
    revision: str | None = None
    """The commit that a data set of the hub was read from."""


MOST_EXAMPLES, _EXAMPLE_CHARACTERS = 3, 300


def _example(pair: tuple[str, str]) -> tuple[str, str]:
    source, target = (
        side if len(side) <= _EXAMPLE_CHARACTERS else f"{side[:_EXAMPLE_CHARACTERS]}…"
        for side in pair
    )
    return source, target
