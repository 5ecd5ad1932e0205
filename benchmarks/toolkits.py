"""Other toolkits, by their own commands: each trains a network, once, and translates with it.

They read and write lines of numbers, ids in place of pieces, so that no toolkit's own notion of
space or of special symbols meddles with the text. Sizes, batch tokens, threads, beams and the
smoothed loss are the same for all, there is no dropout, and translations end at twice the length
of their sources; where a toolkit differs, its class says so. Speeds are those that it prints, so
its start and its reading of files do not count.

To add one: a class and a line of `PEERS`.
"""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from processes import Finished, run
from shapes import NUM_SPECIAL

from seq2seq.config import ModelConfig, Recipe
from seq2seq.data.tokenizer import Tokenizers

LEARNING_RATE, LABEL_SMOOTHING, GRADIENT_CLIP = 1e-3, 0.1, 1.0
INTERVALS = 10  # of training: a speed is told for each
DEV_PAIRS = 10  # some toolkits want a development set, even one that they never look at
NEVER = 10**6  # updates

Ids = Sequence[int]


@dataclass(frozen=True)
class Search:
    """How sentences are translated."""

    beam: int
    batch: int
    sentences: int
    """The first ones."""

    @property
    def title(self) -> str:
        manner = f"batches of {self.batch}" if self.batch > 1 else "one at a time"
        return f"Sentences per second, beam {self.beam}, {manner}, {self.sentences} sentences"


@dataclass(frozen=True)
class Work:
    """What every toolkit has to do."""

    recipe: Recipe
    tokenizers: Tokenizers
    pairs: list[tuple[list[int], list[int]]]
    """Ids of sources and targets to learn from."""
    sentences: list[str]
    """What is translated."""
    updates: int
    batch_tokens: int
    threads: int
    seed: int

    @property
    def shape(self) -> ModelConfig:
        return self.recipe.model

    @property
    def languages(self) -> tuple[str, str]:
        return self.recipe.source_language, self.recipe.target_language

    @property
    def interval(self) -> int:
        """Updates between two speeds."""
        return max(self.updates // INTERVALS, 1)


class Toolkit(ABC):
    """One that does the work.

    Args:
        folder: Its own, empty.
    """

    def __init__(self, work: Work, folder: Path) -> None:
        self.work = work
        self.folder = folder

    @abstractmethod
    def train(self) -> list[float]:
        """Target pieces per second in each interval."""

    @abstractmethod
    def translate(self, search: Search) -> tuple[float, float]:
        """Seconds per sentence, and pieces per translation, `</s>` not counted."""


class Peer(Toolkit):
    """A toolkit in an environment of its own, which is handed files.

    Args:
        python: The interpreter of the environment.

    Raises:
        SystemExit: Its methods, if a command fails; its errors are the message.
    """

    def __init__(self, work: Work, folder: Path, python: str) -> None:
        super().__init__(work, folder)
        self.python = python
        self.source, self.target = work.languages
        tokenizers = (work.tokenizers.source, work.tokenizers.target)
        sides = zip(*work.pairs, strict=True)
        for language, tokenizer, ids in zip(work.languages, tokenizers, sides, strict=True):
            pieces = range(NUM_SPECIAL, tokenizer.vocabulary_size)  # the toolkit adds its own
            self.write(f"vocabulary.{language}", map(str, pieces))
            self.write(f"train.{language}", lines_of(ids))
            self.write(f"dev.{language}", lines_of(ids[:DEV_PAIRS]))
        self.sources = lines_of(tokenizers[0].encode_batch(work.sentences))

    def call(
        self, *arguments: str, lines: Iterable[str] = (), threads: int | None = None
    ) -> Finished:
        """Runs a Python module of the environment, which reads these lines."""
        command = [self.python, "-m", *arguments]
        return run(command, threads=threads or self.work.threads, lines=_joined(lines))

    def write(self, name: str, lines: Iterable[str]) -> str:
        """Writes a file of lines; its path."""
        (self.folder / name).write_text(_joined(lines), "utf-8")
        return self.path(name)

    def read(self, name: str) -> str:
        return (self.folder / name).read_text("utf-8")

    def path(self, name: str) -> str:
        return str(self.folder / name)

    def vocabulary(self, language: str) -> list[str]:
        return self.read(f"vocabulary.{language}").split()


def lines_of(sentences: Iterable[Ids]) -> list[str]:
    """A line for each sentence, its ids as words."""
    return [" ".join(map(str, ids)) for ids in sentences]


def _joined(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def mean_length(translations: Sequence[str], search: Search) -> float:
    """Words per line.

    Raises:
        SystemExit: If there is not a line for each sentence.
    """
    if len(translations) != search.sentences:
        raise SystemExit(f"It translated {len(translations)} of {search.sentences} sentences.")
    return sum(len(line.split()) for line in translations) / search.sentences


def numbers(pattern: str, text: str) -> list[float]:
    """The number in each match of a pattern that has one group.

    Raises:
        SystemExit: If there is none, as when another version prints other words.
    """
    found = [float(number.replace(",", "")) for number in re.findall(pattern, text)]
    if not found:
        raise SystemExit(f"It printed nothing like `{pattern}`.")
    return found


def flags(options: Mapping[str, Any]) -> list[str]:
    """`--name value` for each option; a list has several values, True none."""
    parts = []
    for name, value in options.items():
        values = [] if value is True else value if isinstance(value, list) else [value]
        parts += [f"--{name}", *map(str, values)]
    return parts


class JoeyNMT(Peer):
    """Joey NMT; run with version 2.3.0.

    Its batches hold sentences of any length, since it does not sort them. Its translations end at
    one and a half times the longest source of their batch.
    """

    def train(self) -> list[float]:
        self.call("joeynmt", "train", self._configuration(), "--skip-test")
        return numbers(r"Tokens per Sec:\s*([\d.]+)", self.read("model/train.log"))

    def translate(self, search: Search) -> tuple[float, float]:
        configuration = self._configuration(beam_size=search.beam, batch_size=search.batch)
        lines = self.sources[: search.sentences]
        output = self.call("joeynmt", "translate", configuration, lines=lines).output
        seconds = numbers(r"Generation took ([\d.]+)\[sec\]", self.read("model/translate.log"))
        return seconds[-1] / search.sentences, mean_length(output.splitlines(), search)

    def _configuration(self, **search: int) -> str:
        work, shape = self.work, self.work.shape
        embeddings = {"embedding_dim": shape.embedding_size, "dropout": 0.0}
        half = {"type": "recurrent", "rnn_type": "lstm", "embeddings": embeddings, "dropout": 0.0}
        encoder = {
            **half,
            "bidirectional": True,
            "hidden_size": shape.hidden_size // 2,
            "num_layers": shape.encoder_layers,
        }
        decoder = {
            **half,
            "attention": "bahdanau",
            "init_hidden": "bridge",
            "input_feeding": True,
            "hidden_size": shape.hidden_size,
            "num_layers": shape.decoder_layers,
        }
        training = {
            "optimizer": "adam",
            "learning_rate": LEARNING_RATE,
            "label_smoothing": LABEL_SMOOTHING,
            "clip_grad_norm": GRADIENT_CLIP,
            "scheduling": "exponential",
            "decrease_factor": 1.0,
            "normalization": "tokens",
            "batch_type": "token",
            "batch_size": work.batch_tokens,
            "epochs": NEVER,
            "updates": work.updates,
            "logging_freq": work.interval,
            "validation_freq": NEVER * work.interval,
        }
        configuration = {
            "name": "peer",
            "model_dir": self.path("model"),
            "use_cuda": False,
            "random_seed": work.seed,
            "data": {
                "train": self.path("train"),
                "dev": self.path("dev"),
                "src": self._side(self.source),
                "trg": self._side(self.target),
            },
            "model": {"encoder": encoder, "decoder": decoder},
            "training": training,
            "testing": {"load_model": self.path("model/latest.ckpt"), "beam_alpha": 1.0, **search},
        }
        return self.write("joeynmt.yaml", [json.dumps(configuration)])  # which is YAML, too

    def _side(self, language: str) -> dict[str, str]:
        return {
            "lang": language,
            "level": "word",
            "voc_file": self.path(f"vocabulary.{language}"),
        }


class OpenNMT(Peer):
    """OpenNMT-py; run with version 3.5.1, on a newer torch than it asks for.

    Its attention looks from the decoder's new state, and the next step is fed what it made of it.
    """

    def train(self) -> list[float]:
        work, shape = self.work, self.work.shape
        corpus = {
            "path_src": self.path(f"train.{self.source}"),
            "path_tgt": self.path(f"train.{self.target}"),
            "transforms": [],
        }
        configuration = {
            "data": {"corpus": corpus},
            "src_vocab": self.path(f"vocabulary.{self.source}"),
            "tgt_vocab": self.path(f"vocabulary.{self.target}"),
            "save_model": self.path("model"),
            "seed": work.seed,
            "encoder_type": "brnn",
            "decoder_type": "rnn",
            "rnn_type": "LSTM",
            "word_vec_size": shape.embedding_size,
            "hidden_size": shape.hidden_size,
            "enc_layers": shape.encoder_layers,
            "dec_layers": shape.decoder_layers,
            "global_attention": "mlp",
            "bridge": True,
            "dropout": [0.0],
            "optim": "adam",
            "learning_rate": LEARNING_RATE,
            "label_smoothing": LABEL_SMOOTHING,
            "max_grad_norm": GRADIENT_CLIP,
            "normalization": "tokens",
            "batch_type": "tokens",
            "batch_size": work.batch_tokens,
            "bucket_size": len(work.pairs),
            "num_workers": 0,
            "train_steps": work.updates,
            "report_every": work.interval,
            "valid_steps": NEVER,
            "save_checkpoint_steps": work.updates,
        }
        file = self.write("opennmt.yaml", [json.dumps(configuration)])  # which is YAML, too
        finished = self.call("onmt.bin.train", "-config", file)
        return numbers(r"\d+/\s*(\d+) tok/s", finished.errors)

    def translate(self, search: Search) -> tuple[float, float]:
        name = f"beam{search.beam}-batch{search.batch}"
        options = {
            "model": self.path(f"model_step_{self.work.updates}.pt"),
            "src": self.write("source", self.sources[: search.sentences]),
            "output": self.path(f"{name}.output"),
            "log_file": self.path(f"{name}.log"),
            "beam_size": search.beam,
            "batch_size": search.batch,
            "length_penalty": "avg",
            "max_length_ratio": 2,
            "report_time": True,
        }
        self.call("onmt.bin.translate", *flags(options))
        milliseconds = numbers(r"translation time \(ms\): ([\d.]+)", self.read(f"{name}.log"))
        translations = self.read(f"{name}.output").splitlines()
        return milliseconds[-1] / 1000, mean_length(translations, search)


class Fairseq(Peer):
    """fairseq; written from the documentation and source of version 0.12.2, not run.

    Its attention multiplies states in place of comparing them in a layer with tanh.
    """

    def train(self) -> list[float]:
        work, shape = self.work, self.work.shape
        dictionaries = [
            self.write(f"dictionary.{language}", (f"{p} 1" for p in self.vocabulary(language)))
            for language in work.languages
        ]
        prepared = {
            "source-lang": self.source,
            "target-lang": self.target,
            "trainpref": self.path("train"),
            "validpref": self.path("dev"),
            "srcdict": dictionaries[0],
            "tgtdict": dictionaries[1],
            "destdir": self.path("data"),
        }
        self.call("fairseq_cli.preprocess", *flags(prepared))
        options = {
            "cpu": True,
            "arch": "lstm",
            "encoder-bidirectional": True,
            "encoder-embed-dim": shape.embedding_size,
            "encoder-hidden-size": shape.hidden_size // 2,
            "encoder-layers": shape.encoder_layers,
            "decoder-embed-dim": shape.embedding_size,
            "decoder-hidden-size": shape.hidden_size,
            "decoder-out-embed-dim": shape.hidden_size,
            "decoder-layers": shape.decoder_layers,
            "dropout": 0.0,
            "criterion": "label_smoothed_cross_entropy",
            "label-smoothing": LABEL_SMOOTHING,
            "optimizer": "adam",
            "lr": LEARNING_RATE,
            "clip-norm": GRADIENT_CLIP,
            "max-tokens": work.batch_tokens,
            "max-update": work.updates,
            "disable-validation": True,
            "seed": work.seed,
            "num-workers": 0,
            "log-format": "simple",
            "log-interval": work.interval,
            "save-dir": self.path("model"),
        }
        finished = self.call("fairseq_cli.train", self.path("data"), *flags(options))
        return numbers(r"wps=([\d.]+)", finished.output)

    def translate(self, search: Search) -> tuple[float, float]:
        options = {
            "cpu": True,
            "path": self.path("model/checkpoint_last.pt"),
            "source-lang": self.source,
            "target-lang": self.target,
            "beam": search.beam,
            "batch-size": search.batch,
            "buffer-size": search.sentences,
            "max-len-a": 2,
            "max-len-b": 10,
        }
        lines = self.sources[: search.sentences]
        command = ["fairseq_cli.interactive", self.path("data"), *flags(options)]
        output = self.call(*command, lines=lines).output
        seconds = numbers(r"translation time: ([\d.]+)", output)
        translations = re.findall(r"^H-\d+\t\S+\t(.*)$", output, re.MULTILINE)
        return seconds[-1] / search.sentences, mean_length(translations, search)


class Marian(Peer):
    """Marian by pymarian; run with version 1.12.42.

    Each direction of its encoder has the size of the decoder, which has a second recurrent step
    behind the attention. Its threads share the sentences, each with products of its own.
    """

    def train(self) -> list[float]:
        work, shape = self.work, self.work.shape
        for language in work.languages:
            pieces = ["</s>", "<unk>", *self.vocabulary(language)]
            ids = {piece: number for number, piece in enumerate(pieces)}
            self.write(f"{language}.yml", [json.dumps(ids)])  # which is YAML, too
        options = {
            **self._common(),
            "model": self.path("model.npz"),
            "train-sets": [self.path(f"train.{language}") for language in work.languages],
            "type": "s2s",
            "enc-type": "bidirectional",
            "enc-cell": "lstm",
            "dec-cell": "lstm",
            "enc-depth": shape.encoder_layers,
            "dec-depth": shape.decoder_layers,
            "dim-emb": shape.embedding_size,
            "dim-rnn": shape.hidden_size,
            "optimizer": "adam",
            "learn-rate": LEARNING_RATE,
            "label-smoothing": LABEL_SMOOTHING,
            "clip-norm": GRADIENT_CLIP,
            "mini-batch-words": work.batch_tokens,
            "max-length": 1000,
            "after": f"{work.updates}u",
            "disp-freq": f"{work.interval}u",
            "save-freq": f"{NEVER}u",
            "seed": work.seed,
            "log": self.path("train.log"),
        }
        self._marian("train", options)
        return numbers(r"([\d.,]+) words/s", self.read("train.log"))

    def translate(self, search: Search) -> tuple[float, float]:
        name = f"beam{search.beam}-batch{search.batch}"
        options = {
            **self._common(),
            "models": self.path("model.npz"),
            "input": self.write("source", self.sources[: search.sentences]),
            "output": self.path(f"{name}.output"),
            "log": self.path(f"{name}.log"),
            "beam-size": search.beam,
            "normalize": 1,
            "max-length-factor": 2,
            "mini-batch": search.batch,
            "maxi-batch": 100 if search.batch > 1 else 1,
            "maxi-batch-sort": "src" if search.batch > 1 else "none",
        }
        self._marian("decode", options)
        seconds = numbers(r"Total time: ([\d.]+)s", self.read(f"{name}.log"))
        translations = self.read(f"{name}.output").splitlines()
        return seconds[-1] / search.sentences, mean_length(translations, search)

    def _common(self) -> dict[str, Any]:
        return {
            "vocabs": [self.path(f"{language}.yml") for language in self.work.languages],
            "cpu-threads": self.work.threads,
            "workspace": 1000,
        }

    def _marian(self, command: str, options: Mapping[str, Any]) -> None:
        self.call("pymarian", command, *flags(options), threads=1)


PEERS: dict[str, type[Peer]] = {
    "joeynmt": JoeyNMT,
    "opennmt-py": OpenNMT,
    "fairseq": Fairseq,
    "marian": Marian,
}
