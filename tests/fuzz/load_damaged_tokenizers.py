"""Loads damaged SentencePiece models, as a process of its own: their reader is written in C++.

    python load_damaged_tokenizers.py MODEL CASES

Prints how many worked and how many were refused.
"""

import faulthandler
import json
import random
import sys
from collections import Counter
from pathlib import Path

from fuzzing import damaged, fuzz

from seq2seq.data.tokenizer import Tokenizer

TEXTS = ["ein hund sieht den ball .", "  x \u2581 é🙂 \ue000 中", "", "a" * 300, "\0\ud800"]


def main(model: str, cases: int) -> None:
    faulthandler.enable()
    whole = Path(model).read_bytes()

    def read(rng: random.Random) -> None:
        use(Tokenizer.from_bytes(damaged(whole, rng)))

    outcomes: Counter[str] = Counter()
    for seed in range(cases):
        print(f"seed {seed}", file=sys.stderr)  # the last one, if the process dies
        outcomes += fuzz(read, 1, first=seed)
    print(json.dumps(outcomes))


def use(tokenizer: Tokenizer) -> None:
    """Whatever is loaded must also work."""
    everything = list(range(tokenizer.vocabulary_size))
    for ids in [*tokenizer.encode_batch(TEXTS), *map(tokenizer.encode, TEXTS), everything]:
        assert set(ids) <= set(everything)
        assert not {"\n", "\0"} & set(tokenizer.decode(ids))
        assert len(tokenizer.pieces(ids)) == len(ids)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
