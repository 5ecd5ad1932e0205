import itertools
import pickle
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import lightning
import numpy as np
import pytest
import torch
from corpus_files import as_tuples, write_pairs
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from torch import Tensor, nn

from seq2seq.config import ConfigurationError, CorpusConfig, Recipe, TokenizerConfig, TrainingConfig
from seq2seq.data.batch import Batch
from seq2seq.data.corpus import Corpus, CorpusReport, Pairs
from seq2seq.data.datamodule import TranslationDataModule, describe
from seq2seq.data.loading import load_corpus
from seq2seq.data.sampler import TokenBatchSampler
from seq2seq.data.tokenizer import Tokenizers, train_tokenizers


@pytest.fixture
def corpus(tiny_pairs: Pairs) -> Corpus:
    return Corpus(
        train=tiny_pairs.select(range(0, 240)),
        dev=tiny_pairs.select(range(240, 264)),
        test=tiny_pairs.select(range(264, 288)),
        reports={"train": CorpusReport(240, 240)},
    )


@pytest.fixture
def recipe() -> Recipe:
    return Recipe(training=TrainingConfig(batch_tokens=500))


@pytest.fixture
def data(
    corpus: Corpus, tiny_tokenizers: Tokenizers, recipe: Recipe, tmp_path: Path
) -> TranslationDataModule:
    return TranslationDataModule(corpus, tiny_tokenizers, recipe, tmp_path / "cache")


def served(batches: object) -> list[tuple[int, ...]]:
    return [batch.sentence_indices for batch in batches]  # type: ignore[attr-defined]


def test_training_batches_hold_the_training_pairs(
    data: TranslationDataModule, corpus: Corpus, tiny_tokenizers: Tokenizers
) -> None:
    loader = data.train_dataloader()
    batches = list(loader)
    assert len(batches) == len(loader) > 5
    assert sorted(index for batch in served(batches) for index in batch) == list(range(240))
    for batch in batches:
        assert max(batch.source_ids.numel(), batch.target_output_ids.numel()) <= 500
    batch = batches[0]
    texts = [tiny_tokenizers.source.decode(ids) for ids in batch.source_ids.tolist()]
    assert texts == [corpus.train.sources[index] for index in batch.sentence_indices]
    loader.set_epoch(1)
    assert served(loader) != served(batches)


def test_development_batches_are_always_the_same(data: TranslationDataModule) -> None:
    loader = data.val_dataloader()
    first = served(loader)
    assert sorted(index for batch in first for index in batch) == list(range(24))
    next(iter(loader))  # Lightning's sanity check looks at a few batches only
    assert served(loader) == first


def test_long_training_pairs_are_dropped_and_reported_but_no_development_pair(
    corpus: Corpus, tiny_tokenizers: Tokenizers, recipe: Recipe, tmp_path: Path
) -> None:
    lengths = list(map(len, tiny_tokenizers.source.encode_batch(corpus.train.sources)))
    longest = sorted(lengths)[120]
    recipe = replace(recipe, corpus=CorpusConfig(max_length=longest))
    data = TranslationDataModule(corpus, tiny_tokenizers, recipe, tmp_path)
    data.prepare_data()
    data.setup("fit")
    report = data.reports["train"]
    dropped = report.dropped[f"longer than {longest} pieces (`corpus.max_length`)"]
    assert 0 < dropped == 240 - report.kept
    assert sum(map(len, served(data.train_dataloader()))) == report.kept
    assert sum(map(len, served(data.val_dataloader()))) == 24
    assert corpus.reports["train"] == CorpusReport(240, 240)


def test_the_longest_source_is_the_longest_that_is_trained_on(
    corpus: Corpus, tiny_tokenizers: Tokenizers, recipe: Recipe, tmp_path: Path
) -> None:
    lengths = list(map(len, tiny_tokenizers.source.encode_batch(corpus.train.sources)))
    data = TranslationDataModule(corpus, tiny_tokenizers, recipe, tmp_path)
    assert data.longest_source == max(lengths)
    recipe = replace(recipe, corpus=CorpusConfig(max_length=max(lengths) - 1))
    data = TranslationDataModule(corpus, tiny_tokenizers, recipe, tmp_path)
    assert data.longest_source < max(lengths)


def test_pairs_that_are_too_long_are_counted_and_shown(
    corpus: Corpus, tiny_tokenizers: Tokenizers, recipe: Recipe, tmp_path: Path
) -> None:
    lengths = list(map(len, tiny_tokenizers.source.encode_batch(corpus.train.sources)))
    longest = sorted(lengths)[len(lengths) // 2]
    recipe = replace(recipe, corpus=CorpusConfig(max_length=longest))
    data = TranslationDataModule(corpus, tiny_tokenizers, recipe, tmp_path)
    data.setup()
    report = data.reports["train"]
    reason = f"longer than {longest} pieces (`corpus.max_length`)"
    assert report.dropped[reason] == report.read - report.kept > 3
    assert len(report.examples[reason]) == 3
    pairs = set(zip(corpus.train.sources, corpus.train.targets, strict=True))
    for example in report.examples[reason]:
        assert example in pairs
        assert max(map(len, tiny_tokenizers.source.encode_batch(list(example)))) > longest


@pytest.mark.parametrize(("kind", "longest"), [("bpe", 200), ("character", 1000), ("byte", 1000)])
def test_a_length_that_nobody_chose_fits_the_kind_of_pieces(
    recipe: Recipe, tmp_path: Path, kind: str, longest: int
) -> None:
    lines = ["c " * number for number in (20, 99, 101, 499, 501)]  # a piece or two for each
    pairs = Pairs(lines, ["c"] * 5)
    corpus = Corpus(pairs, pairs, pairs, reports={"train": CorpusReport(5, 5)})
    config = TokenizerConfig(kind)
    tokenizers = train_tokenizers(Pairs(["a b c d"], ["e"]), config)
    recipe = replace(recipe, tokenizer=config)
    data = TranslationDataModule(corpus, tokenizers, recipe, tmp_path)
    lengths = list(map(len, tokenizers.source.encode_batch(lines)))
    assert data.longest_source == max(length for length in lengths if length <= longest)
    reason = f"longer than {longest:,} pieces (`corpus.max_length`)"
    assert data.reports["train"].dropped == {reason: sum(length > longest for length in lengths)}


def test_the_kept_pairs_of_each_part_are_counted_after_the_long_ones_have_gone(
    corpus: Corpus, tiny_tokenizers: Tokenizers, recipe: Recipe, tmp_path: Path
) -> None:
    lengths = [
        max(map(len, sides))
        for sides in zip(
            tiny_tokenizers.source.encode_batch(corpus.train.sources),
            tiny_tokenizers.target.encode_batch(corpus.train.targets),
            strict=True,
        )
    ]
    longest = sorted(lengths)[120]
    parts = {"first": range(100), "second": range(100, 240)}
    report = CorpusReport(240, 240, kept_parts={"first": 100, "second": 140, "empty": 0})
    mixed = replace(corpus, parts={"train": parts}, reports={"train": report})
    recipe = replace(recipe, corpus=CorpusConfig(max_length=longest))
    data = TranslationDataModule(mixed, tiny_tokenizers, recipe, tmp_path)
    data.setup()
    kept = {name: sum(lengths[row] <= longest for row in rows) for name, rows in parts.items()}
    assert data.reports["train"].kept_parts == {**kept, "empty": 0}
    assert sum(kept.values()) == data.reports["train"].kept < 240


@pytest.mark.parametrize(("doubled", "usual"), [(2, 1), (3, 2)])
def test_the_usual_number_of_sentences_is_that_of_all_but_a_hundredth(
    corpus: Corpus,
    tiny_tokenizers: Tokenizers,
    recipe: Recipe,
    tmp_path: Path,
    doubled: int,
    usual: int,
) -> None:
    sources = [f"{n} runs. It sleeps." if n < doubled else f"{n} runs." for n in range(200)]
    sources[0] = "One. Two. Three. Four."
    corpus = replace(corpus, train=Pairs(sources, sources))
    data = TranslationDataModule(corpus, tiny_tokenizers, recipe, tmp_path)
    assert data.sentences_per_source == usual


def test_training_pairs_that_are_all_too_long_are_an_error(
    corpus: Corpus, tiny_tokenizers: Tokenizers, recipe: Recipe, tmp_path: Path
) -> None:
    recipe = replace(recipe, corpus=CorpusConfig(max_length=1))
    data = TranslationDataModule(corpus, tiny_tokenizers, recipe, tmp_path)
    message = r"`corpus\.max_length` must be more than 1, as all training pairs are longer\."
    with pytest.raises(ConfigurationError, match=message):
        data.setup()


@pytest.fixture
def sampling_data(
    corpus: Corpus, tiny_tokenizers: Tokenizers, recipe: Recipe, tmp_path: Path
) -> TranslationDataModule:
    recipe = replace(recipe, tokenizer=TokenizerConfig("bpe", sampling=0.3))
    return TranslationDataModule(corpus, tiny_tokenizers, recipe, tmp_path / "cache")


def ids(batches: Iterable[Batch]) -> list[list[list[list[int]]]]:
    return [[batch.source_ids.tolist(), batch.target_output_ids.tolist()] for batch in batches]


def test_segmentations_are_drawn_anew_in_every_epoch_of_the_same_batches(
    data: TranslationDataModule, sampling_data: TranslationDataModule, corpus: Corpus
) -> None:
    decode = data.tokenizers.source.decode
    drawn = []
    for epoch in (0, 1):
        plain, sampled = data.train_dataloader(), sampling_data.train_dataloader()
        plain.set_epoch(epoch)
        sampled.set_epoch(epoch)
        assert served(sampled) == served(plain)
        sources, pieces = {}, {}
        for batch in sampled:
            rows = zip(batch.sentence_indices, batch.source_ids.tolist(), strict=True)
            pieces |= {index: [i for i in row if i] for index, row in rows}
        sources = {index: decode(row) for index, row in pieces.items()}
        assert sources == dict(enumerate(corpus.train.sources))
        drawn.append(pieces)
    assert sum(drawn[0][index] != drawn[1][index] for index in range(240)) > 120
    assert ids(sampling_data.val_dataloader()) == ids(data.val_dataloader())


def test_a_resumed_epoch_draws_the_same_segmentations(
    sampling_data: TranslationDataModule,
) -> None:
    whole = ids(sampling_data.train_dataloader())
    assert ids(sampling_data.train_dataloader()) == whole
    for handed_out in (0, 1, len(whole) // 2):
        first, second = (sampling_data.train_dataloader() for _ in range(2))
        batches = iter(first)
        assert ids(itertools.islice(batches, handed_out)) == whole[:handed_out]
        second.load_state_dict(first.state_dict())
        assert ids(second) == whole[handed_out:]


class Recorder(lightning.LightningModule):
    """Learns one number and writes down which sentences it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.seen: list[tuple[int, tuple[int, ...]]] = []

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        self.seen.append((self.current_epoch, batch.sentence_indices))
        return (self.weight - batch.source_lengths.float().mean()).square()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        pass

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.01)


class StopAfter(Callback):
    """Stops the run like a power cut, right after a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: object) -> None:
        if trainer.global_step == self.step:
            raise PowerCutError


class PowerCutError(Exception):
    pass


def make_trainer(folder: Path, *callbacks: Callback, **settings: object) -> lightning.Trainer:
    return lightning.Trainer(
        accelerator="cpu",
        max_epochs=3,
        logger=False,
        callbacks=list(callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        **settings,  # type: ignore[arg-type]
    )


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("validate_every", [1.0, 0.5])
@pytest.mark.parametrize(
    "stop", ["early", "in the middle", "at the end", "in the next epoch", "at the very end"]
)
def test_a_resumed_run_sees_the_same_batches_in_the_same_order(
    corpus: Corpus,
    tiny_tokenizers: Tokenizers,
    recipe: Recipe,
    tmp_path: Path,
    stop: str,
    validate_every: float,
) -> None:
    def new_data() -> TranslationDataModule:
        return TranslationDataModule(corpus, tiny_tokenizers, recipe, tmp_path / "cache")

    whole = Recorder()
    make_trainer(tmp_path, enable_checkpointing=False, val_check_interval=validate_every).fit(
        whole, new_data()
    )
    length = len(new_data().train_dataloader())
    assert len(whole.seen) == 3 * length

    assert whole.seen[:length] != [(0, batch) for _, batch in whole.seen[length : 2 * length]]

    last = {
        "early": 2,
        "in the middle": length + length // 2 + 1,
        "at the end": 2 * length,
        "in the next epoch": 2 * length + 1,
        "at the very end": 3 * length,
    }[stop]
    saver = ModelCheckpoint(tmp_path, "step", every_n_train_steps=1, save_on_train_epoch_end=False)
    cut, resumed = Recorder(), Recorder()
    with pytest.raises(PowerCutError):
        make_trainer(tmp_path, saver, StopAfter(last), val_check_interval=validate_every).fit(
            cut, new_data()
        )
    make_trainer(tmp_path, enable_checkpointing=False, val_check_interval=validate_every).fit(
        resumed, new_data(), ckpt_path=saver.best_model_path, weights_only=True
    )
    assert cut.seen == whole.seen[:last]
    # Lightning calls checkpoint callbacks last: the checkpoint is the one of the step before.
    assert resumed.seen == whole.seen[last - 1 :]
    assert torch.equal(resumed.weight, whole.weight)


def test_a_state_of_other_pairs_is_refused_and_none_at_all_is_not(
    data: TranslationDataModule,
    corpus: Corpus,
    tiny_tokenizers: Tokenizers,
    recipe: Recipe,
    tmp_path: Path,
) -> None:
    state = data.state_dict()
    shuffled = replace(corpus, train=Pairs(corpus.train.sources, corpus.train.targets[::-1]))
    other = TranslationDataModule(shuffled, tiny_tokenizers, recipe, tmp_path / "cache")
    with pytest.raises(ConfigurationError, match="training corpus has changed since the run"):
        other.load_state_dict(state)
    other.load_state_dict({})  # of an older version
    data.load_state_dict(state)


def test_an_epoch_is_described_in_one_line(data: TranslationDataModule) -> None:
    line = describe(data.train_dataloader().sampler)
    assert re.fullmatch(
        r"240 training pairs in \d+ batches of up to 500 pieces; "
        r"padding: [\d.]+% of the source, [\d.]+% of the target",
        line,
    )


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_training_plans_an_epoch_only_to_train_on_it(
    data: TranslationDataModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = TokenBatchSampler._all_batches
    planned = []

    def count(sampler: TokenBatchSampler) -> list[np.ndarray]:
        planned.append(sampler.epoch)
        return plan(sampler)

    monkeypatch.setattr(TokenBatchSampler, "_all_batches", count)
    make_trainer(tmp_path, enable_checkpointing=False, limit_val_batches=0).fit(Recorder(), data)
    assert planned == [0, 1, 2]


def test_data_can_be_sent_to_other_processes_wherever_their_folder_is_moved(
    tiny_pairs: Pairs, tiny_tokenizers: Tokenizers, tmp_path: Path
) -> None:
    prefix = write_pairs(tmp_path, "all", as_tuples(tiny_pairs))
    recipe = Recipe(
        source_language="de",
        target_language="en",
        corpus=CorpusConfig(train=prefix),
        tokenizer=TokenizerConfig("bpe", sampling=0.1),
        training=TrainingConfig(batch_tokens=500),
    )
    corpus = load_corpus(recipe, tmp_path / "new")
    data = TranslationDataModule(corpus, tiny_tokenizers, recipe, tmp_path / "new")
    data.setup()
    (tmp_path / "new").rename(tmp_path / "old")
    data.move(tmp_path / "old")
    received = pickle.loads(pickle.dumps(data))
    assert received.corpus == corpus and not isinstance(corpus.train.sources, list)
    assert received.reports == data.reports
    for name in ("train_dataloader", "val_dataloader"):
        theirs, ours = (list(getattr(one, name)()) for one in (received, data))
        assert served(theirs) == served(ours)
        for their, our in zip(theirs, ours, strict=True):
            assert torch.equal(their.source_ids, our.source_ids)
    size = len(pickle.dumps(data.corpus.train)) + len(pickle.dumps(data._encode()))
    assert size < 2000  # their places, not the text
