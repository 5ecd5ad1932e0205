"""Run folders made by hand, with every file that a report reads."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from seq2seq.config import ModelConfig, Recipe
from seq2seq.recipe_yaml import recipe_to_yaml

HOSTILE = "<script>alert('&')</script>"
SIGNATURE = "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0"
PAIRS = [
    ("나는 고양이로소이다.", "I am a cat without a name."),
    ("비가 온다.", "It is raining."),
    (f"{HOSTILE} 안녕", f"Hello {HOSTILE}"),
    ("긴" * 300, "long" * 100),
    *[(f"문장 {number} 이다.", f"This is sentence {number}.") for number in range(36)],
]


def make_run(
    folder: Path, *, attention: str = "bahdanau", wrong: str = "dog", bleu: float = 41.25
) -> Path:
    """Writes a run folder whose translations put `wrong` in the place of some words."""
    (folder / "translations").mkdir(parents=True)
    (folder / "logs").mkdir()
    recipe = Recipe(name=folder.name, model=ModelConfig(attention=attention, hidden_size=48))
    (folder / "recipe.yaml").write_text(recipe_to_yaml(recipe), "utf-8")
    weights = {"weight": np.zeros((7, 11), np.float32), "bias": np.zeros(3, np.float32)}
    safetensors.numpy.save_file(weights, folder / "model.safetensors")
    write_json(folder / "scores.json", make_scores(bleu))
    write_json(folder / "corpus.json", make_corpus())
    write_json(folder / "training.json", make_training())
    (folder / "logs" / "metrics.csv").write_text(make_log())
    sentences = [make_sentence(*pair, wrong, index) for index, pair in enumerate(PAIRS)]
    lines = [json.dumps(sentence, ensure_ascii=False) for sentence in sentences]
    (folder / "translations" / "test.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    if attention != "none":
        alignment = {
            "set": "test",
            "index": 0,
            "source_pieces": ["▁나는", HOSTILE, "</s>"],
            "target_pieces": ["▁I", "</s>"],
            "weights": [[0.9, 0.05, 0.05], [0.0, 0.25, 0.75]],
        }
        write_json(folder / "translations" / "alignments.json", [alignment])
    return folder


def write_json(file: Path, value: Any) -> None:
    file.write_text(json.dumps(value, ensure_ascii=False), "utf-8")


def make_sentence(source: str, reference: str, wrong: str, index: int) -> dict[str, Any]:
    spoilt = index % 3 == 2
    return {
        "source": source,
        "reference": reference,
        "hypothesis": reference.replace("sentence", wrong) if spoilt else reference,
        "bleu": 20.0 if spoilt else 100.0,
        "chrf": 30.0 + index / 100 if spoilt else 100.0,
        "ter": 0.0,
        "repeated": index == 5,
    }


def make_scores(bleu: float) -> dict[str, Any]:
    def score(name: str, value: float) -> dict[str, Any]:
        ends = {"low": value - 1.5, "high": value + 1.5}
        return {"name": name, "value": value, "signature": SIGNATURE, **ends}

    rows = [
        {"label": "1-5", "sentences": 1234, "bleu": bleu, "chrf": 61.0},
        {"label": "6-10", "sentences": 6, "bleu": bleu - 9, "chrf": 50.0},
    ]
    return {
        "dev": {"bleu": {"name": "BLEU", "value": 43.21, "signature": SIGNATURE}},
        "test": {
            "bleu": score("BLEU", bleu),
            "chrf": score("chrF2", 62.5),
            "ter": score("TER", 35.75),
            "sentences": len(PAIRS),
            "sentences_per_second": 87.6,
            "precision": "float32",
            "beam_size": 5,
            "length_penalty": 1.0,
            "length_penalty_kind": "power",
            "length_ratio": 0.987,
            "shares": {"empty": 0.0, "truncated": 0.011, "repeated": 0.022, "copied": 0.033},
            "by_source_length": rows,
            "by_rarest_word": [{**row, "label": f"seen {row['label']} times"} for row in rows],
        },
    }


def make_corpus() -> dict[str, Any]:
    train = {
        "read": 12845,
        "kept": 12000,
        "dropped": {"duplicates": 300, "too long": 45},
        "moved": {"to dev": 500},
        "cleaned": {"control characters": 3},
        "parts": {"tatoeba": 12500, "kaist": 345},
        "kept_parts": {"tatoeba": 11700, "kaist": 300},
        "examples": {"duplicates": [["두 번", "twice"], [HOSTILE, "hostile pair"]]},
    }
    test = {"read": 40, "kept": 40, "dropped": {}}
    return {"sets": {"train": train, "test": test}, "revision": "0a1b2c3d"}


def make_training() -> dict[str, Any]:
    return {
        "minutes": 37.4,
        "epochs": 14.0,
        "steps": 4858,
        "weights": 80,
        "hardware": "a quick processor",
        "threads": 2,
        "ended": "the score stood still",
        "versions": {"torch": "9.8.7"},
        "date": "2030-01-31",
    }


def make_log(steps: int = 400) -> str:
    """Like that of a run: development rows and training rows, most cells empty."""
    lines = ["dev_bleu,dev_loss,gradient_norm,learning_rate,loss,pieces_per_second,step"]
    for step in range(10, 10 * steps, 10):
        lines.append(f",,{1 + step % 7},{0.002 - step * 4e-7},{8 - step / 1000},3500.5,{step}")
        if step % 500 == 0:
            lines.append(f"{step / 100},{5 - step / 1000},,,,,{step}")
    return "\n".join(lines) + "\n"
