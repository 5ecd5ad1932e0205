"""A damaged quality.yaml is refused in a sentence, or gives every translation a confidence."""

import random
from pathlib import Path

import yaml
from fuzzing import CASES, damaged, damaged_tree, fuzz

from seq2seq.confidence import (
    FEATURES,
    Feature,
    Quality,
    read_quality,
    with_confidence,
    write_quality,
)
from seq2seq.translation import Translation

WEIGHTS = [{"crc32": "1234"}]
TRANSLATION = Translation(
    *("a b", -1.0, -3.0, ["a", "</s>"], ["x", "</s>"]),
    piece_log_probabilities=(-0.5, -2.0),
    piece_entropies=(0.1, 0.9),
)


@CASES
def test_a_confidence_is_a_share_or_the_file_is_refused(cases: int, tmp_path: Path) -> None:
    features = {name: Feature(-1.0, 0.5, 10.0) for name in FEATURES}
    file = write_quality(tmp_path, Quality(50.0, features, WEIGHTS, {"beam_size": 5}, {}))
    data = file.read_bytes()
    tree = yaml.safe_load(data)

    def read(rng: random.Random) -> None:
        if rng.random() < 0.5:
            file.write_bytes(damaged(data, rng))
        else:
            file.write_text(yaml.safe_dump(damaged_tree(tree, rng)))
        quality = read_quality(tmp_path, WEIGHTS)
        if quality is not None:
            confidence = with_confidence(TRANSLATION, quality).confidence
            assert confidence is not None and 0 <= confidence <= 1

    outcomes = fuzz(read, cases)
    assert min(outcomes["worked"], outcomes["refused"]) > cases / 20
