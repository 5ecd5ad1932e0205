"""What a run leaves beside its model for reports: its corpus, its words, its time and machine."""

import datetime
import json
import platform
from collections import Counter
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from seq2seq.data.corpus import Corpus, CorpusReport
from seq2seq.evaluate import WORDS_FILE
from seq2seq.files import replacing
from seq2seq.training.hardware import Hardware, describe_machine

CORPUS_FILE, TRAINING_FILE = "corpus.json", "training.json"
_MOST_WORDS = 500_000  # different ones, about 60 MB


def record_corpus(folder: Path, corpus: Corpus, reports: Mapping[str, CorpusReport]) -> None:
    """Writes what became of the pairs of each set, and the words of the training sources.

    Args:
        reports: Those of the corpus, with the pairs that were too long in pieces.
    """
    sets = {name: report.to_plain() for name, report in reports.items()}
    _write(folder / CORPUS_FILE, _json({"sets": sets, "revision": corpus.revision}))
    counts = _count_words(corpus.train.sources)
    _write(folder / WORDS_FILE, "".join(f"{word}\t{n}\n" for word, n in counts.most_common()))


def record_training(
    folder: Path,
    hardware: Hardware,
    *,
    minutes: float,
    epochs: float,
    steps: int,
    weights: int,
    seed: int,
    ended: str,
) -> None:
    """Writes how long a training took, on what, and with which versions.

    Args:
        minutes: Over all interruptions.
        ended: Why it ended, as a part of a sentence.
    """
    record = {
        "minutes": round(minutes, 2),
        "epochs": round(epochs, 2),
        "steps": steps,
        "weights": weights,
        "seed": seed,
        "ended": ended,
        **describe_machine(hardware),
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("torch", "seq2seq", "sentencepiece", "sacrebleu")},
        "date": datetime.date.today().isoformat(),
    }
    _write(folder / TRAINING_FILE, _json(record))


def _count_words(sentences: Iterable[str]) -> Counter[str]:
    """How often each word occurs; of very many different ones, rare ones are forgotten."""
    counts: Counter[str] = Counter()
    for sentence in sentences:
        counts.update(sentence.split())
        if len(counts) > _MOST_WORDS:
            # Twice, since most words are met once or twice, and soon there were as many again.
            counts = Counter({word: count for word, count in counts.items() if count > 2})
    return counts


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def _write(path: Path, text: str) -> None:
    with replacing(path) as (part,):
        part.write_text(text, "utf-8")
