"""What corpora and plans of batches have always been, as digests: they decide the weights."""

import hashlib
import json
import random
from pathlib import Path

import numpy as np
import pytest
from corpus_files import as_tuples, load, write, write_pairs

from seq2seq.config import FilterConfig
from seq2seq.data.corpus import Corpus
from seq2seq.data.sampler import TokenBatchSampler

WORDS = ["ein", "Ein", "ＥＩＮ", "Hund", "läuft", "la\u0308uft", "жук", "字", "-", "12", "Straße"]
BLANKS = ["", " ", "\u3000", "\x00", "\t"]


def sentence(draw: random.Random) -> str:
    if draw.random() < 0.05:
        return draw.choice(BLANKS)
    words = [draw.choice(WORDS) for _ in range(draw.randint(1, draw.choice((2, 6, 12))))]
    return draw.choice((" ", " ", " ", "  ", "\u3000", "\x07")).join(words)


def pairs(seed: int, size: int) -> list[tuple[str, str]]:
    draw = random.Random(seed)
    made = [
        (sentence(draw), sentence(draw) if draw.random() < 0.9 else "x" * draw.randint(1, 60))
        for _ in range(size)
    ]
    return [
        draw.choice(made[: place + 1][-50:]) if draw.random() < 0.2 else pair
        for place, pair in enumerate(made)
    ]


def digest(corpus: Corpus) -> str:
    sets = {"train": corpus.train, "dev": corpus.dev, "test": corpus.test, **corpus.extra_tests}
    plain = [
        {name: as_tuples(one) for name, one in sets.items()},
        {name: report.to_plain() for name, report in corpus.reports.items()},
        {
            name: {part: list(rows) for part, rows in parts.items()}
            for name, parts in corpus.parts.items()
        },
    ]
    return hashlib.sha256(json.dumps(plain).encode()).hexdigest()[:16]


EVERYTHING = FilterConfig(
    max_characters=50, identical=True, duplicates=True, max_ratio=3.0, script=0.5, language=True
)
CASES = {
    "drawn": ({}, ()),
    "drawn by another seed": ({"seed": 9}, ()),
    "dev given": ({}, ("dev",)),
    "both given": ({}, ("dev", "test")),
    "no duplicates": ({"filters": FilterConfig(duplicates=True)}, ()),
    "usual ratio": ({"filters": FilterConfig(max_ratio=1.7)}, ("test",)),
    "all filters": ({"filters": EVERYTHING}, ("dev", "test")),
    "all filters, drawn": ({"filters": EVERYTHING}, ()),
    "parts": ({"parts": True, "filters": FilterConfig(identical=True)}, ()),
    "first pairs of parts": ({"parts": True, "max_pairs": 1700}, ("dev",)),
    "no spaces": ({"remove_spaces": "both", "parts": True}, ("test",)),
}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("drawn", "63f03921696be343"),
        ("drawn by another seed", "044d85ddadb44232"),
        ("dev given", "f7a24240521d5395"),
        ("both given", "c4075fd649f12898"),
        ("no duplicates", "03fa24f124701a46"),
        ("usual ratio", "bdbca636ee241778"),
        ("all filters", "197100c4342b012f"),
        ("all filters, drawn", "c07e00127142bb54"),
        ("parts", "48e084c8e1348717"),
        ("first pairs of parts", "fb2887b7ea733a20"),
        ("no spaces", "f1760edb38a5ae05"),
    ],
)
def test_the_same_pairs_are_kept_and_drawn_as_ever(
    tmp_path: Path, name: str, expected: str
) -> None:
    settings, given = CASES[name]
    settings = dict(settings)
    train = train_files(tmp_path, with_parts=settings.pop("parts", False))
    for number, one in enumerate(given, start=5):
        settings[one] = write_pairs(tmp_path, one, [*pairs(number, 40), *pairs(1, 20)])
    corpus = load(train=train, **settings)
    assert digest(corpus) == expected


def train_files(folder: Path, *, with_parts: bool) -> list[str] | str:
    train = write_pairs(folder, "train", pairs(1, 1500))
    if not with_parts:
        return train
    rows = [f"{number}\t{s}\t{t}" for number, (s, t) in enumerate(unbroken(pairs(2, 900)))]
    table = write(folder / "more.tsv", ["id\tde\ten", *rows])
    return [f"{train}[10:-10%]", str(table)]


def unbroken(found: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(source.replace("\t", " "), target.replace("\t", " ")) for source, target in found]


def plans(lengths: np.ndarray, world_size: int, shuffle: bool, epochs: int) -> str:
    whole = hashlib.sha256()
    for rank in range(world_size):
        sampler = TokenBatchSampler(
            *lengths, 700, seed=5, shuffle=shuffle, rank=rank, world_size=world_size
        )
        for epoch in range(epochs):
            sampler.set_epoch(epoch)
            whole.update(json.dumps([batch.tolist() for batch in sampler]).encode())
    return whole.hexdigest()[:16]


@pytest.mark.parametrize(
    ("longest", "world_size", "shuffle", "expected"),
    [
        (40, 1, True, "307a9e1989427ddb"),
        (40, 3, True, "5df9275957456fa9"),
        (40, 2, False, "c9919fda7fa7a767"),
        (900, 1, True, "dfeeea4aa59ac0c2"),
    ],
)
def test_the_same_pairs_stand_together_as_ever(
    longest: int, world_size: int, shuffle: bool, expected: str
) -> None:
    generator = np.random.default_rng(longest)
    sources = generator.integers(0, longest, 3000)
    lengths = np.stack([sources, np.maximum(0, sources + generator.integers(-4, 5, 3000))])
    assert plans(lengths, world_size, shuffle, epochs=2) == expected
