"""Draws the golden file anew after a change of grammar or lexicon: two pairs of every pattern.

Whoever runs this reads each pair and judges it, Korean and English, before it is committed.

    python tests/data/sample_golden_phrasebook.py
"""

import random
from collections import defaultdict
from pathlib import Path

from seq2seq.data.phrasebook.corpus import SPLITS, PhrasebookPair, load_phrasebook

GOLDEN = Path(__file__).with_name("golden_phrasebook.tsv")
SEED = 20
PAIRS_PER_PATTERN = 2


def main() -> None:
    corpus = load_phrasebook()
    by_pattern: dict[str, list[tuple[str, PhrasebookPair]]] = defaultdict(list)
    for split in SPLITS:
        for pair in corpus[split]:
            by_pattern[pair.pattern].append((split, pair))
    generator = random.Random(SEED)
    rows = ["split\tpattern\tkorean\tenglish"]
    for pattern in sorted(by_pattern):
        drawn = generator.sample(by_pattern[pattern], PAIRS_PER_PATTERN)
        for split, pair in sorted(drawn, key=lambda each: SPLITS.index(each[0])):
            rows.append(f"{split}\t{pattern}\t{pair.korean}\t{pair.english}")
    GOLDEN.write_text("\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
