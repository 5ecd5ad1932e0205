"""Memory that preparing and planning take for each pair, in a process of its own."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

from corpus_files import write_pairs

SCRIPT = """
import json, re, sys, threading, time
from pathlib import Path
from seq2seq.config import CorpusConfig, FilterConfig, Recipe, TokenizerConfig, TrainingConfig
from seq2seq.data.encoded import encode_corpus
from seq2seq.data.loading import load_corpus
from seq2seq.data.sampler import TokenBatchSampler
from seq2seq.data.tokenizer import train_tokenizers

def anonymous():
    status = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(r"RssAnon:\\s*(\\d+)", status)[1])

def watch():
    global peak
    while True:
        peak = max(peak, anonymous())
        time.sleep(0.002)

def prepare(prefix):
    global tokenizers
    recipe = Recipe(
        source_language="de",
        target_language="en",
        corpus=CorpusConfig(train=prefix, filters=FilterConfig(duplicates=True, max_ratio=9)),
        training=TrainingConfig(threads=1),
    )
    train = load_corpus(recipe, prefix + "-cache").train
    if tokenizers is None:
        learnt = train.select(range(500))
        tokenizers = train_tokenizers(learnt, TokenizerConfig("bpe", vocabulary_size=400))
    pairs = encode_corpus(train, tokenizers, prefix + "-cache")
    batches = TokenBatchSampler(pairs.source_lengths, pairs.target_lengths, 2000).plan()
    return {"pairs": len(pairs), "batches": len(batches)}

peak, tokenizers = 0, None
results = []
threading.Thread(target=watch, daemon=True).start()
for prefix in sys.argv[1:]:
    peak = 0
    results.append({**prepare(prefix), "peak": peak})
print(json.dumps(results))
"""


def test_memory_hardly_grows_with_the_number_of_pairs(tmp_path: Path) -> None:
    draw = random.Random(1)

    def sentence() -> str:
        return " ".join(str(draw.randrange(10_000)) for _ in range(8))

    pairs = [(sentence(), sentence()) for _ in range(100_000)]
    # The first one takes what libraries take once.
    sizes = {"warm-up": 8_000, "small": 12_000, "large": 100_000}
    prefixes = [write_pairs(tmp_path, name, pairs[:size]) for name, size in sizes.items()]
    finished = subprocess.run(
        [sys.executable, "-c", SCRIPT, *prefixes],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        check=True,
    )
    _, small, large = json.loads(finished.stdout)
    assert (small["pairs"], large["pairs"]) == (10_800, 96_000)
    assert small["batches"] > 50 and small["peak"] > 1e8
    # The text of a pair is 80 bytes, as strings of Python 180.
    per_pair = (large["peak"] - small["peak"]) / (large["pairs"] - small["pairs"])
    assert per_pair < 160, per_pair
