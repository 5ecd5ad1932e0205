"""Damaged SentencePiece models: refused, or they work; no process ends over them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fuzzing import CASES

from seq2seq.config import TokenizerConfig
from seq2seq.data.corpus import Pairs
from seq2seq.data.tokenizer import TOKENIZERS, train_tokenizers

SCRIPT = Path(__file__).with_name("load_damaged_tokenizers.py")


@pytest.mark.parametrize("kind", sorted(TOKENIZERS))
@CASES
def test_damaged_tokenizers_work_or_are_refused(
    cases: int, kind: str, tiny_pairs: Pairs, tmp_path: Path, environment: dict[str, str]
) -> None:
    tokenizers = train_tokenizers(tiny_pairs, TokenizerConfig(kind=kind))
    tokenizers.source.save(tmp_path / "a.model")
    path = os.pathsep.join([environment["PYTHONPATH"], str(SCRIPT.parent)])
    result = subprocess.run(
        [sys.executable, SCRIPT, tmp_path / "a.model", str(cases)],
        env={**environment, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    outcomes = json.loads(result.stdout)
    assert min(outcomes["worked"], outcomes["refused"]) > cases / 50
