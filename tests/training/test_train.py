import csv
import math
import os
import re
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from copy_corpus import make_recipe, write_copy_corpus
from safetensors.torch import load_file

from seq2seq.config import EOS_ID, PAD_ID, ConfigurationError, ModelConfig
from seq2seq.data.text_files import read_lines
from seq2seq.data.tokenizer import are_draws_repeatable
from seq2seq.exits import run_command
from seq2seq.model_directory import load_model_directory, read_scores
from seq2seq.training import callbacks, development
from seq2seq.training.errors import TrainingError, TrainingInterrupted
from seq2seq.training.module import TranslationModule
from seq2seq.training.train import train
from seq2seq.translator import Translator


def test_it_learns_to_copy(tmp_path):
    corpus = write_copy_corpus(tmp_path, num_train=1500, num_dev=50)
    recipe = make_recipe(
        corpus,
        ModelConfig(cell="gru", embedding_size=16, hidden_size=64, attention_size=32, dropout=0.0),
        max_epochs=10,
        batch_tokens=512,
        learning_rate=1e-2,
        warmup_steps=20,
        schedule="cosine",
        label_smoothing=0.0,
        validate_every=5,
    )
    train(recipe, tmp_path / "run")
    sentences = read_lines(corpus / "test.aa")
    translations = Translator.load(tmp_path / "run", device="cpu").translate(sentences)
    right = [t.text == s for t, s in zip(translations, sentences, strict=True)]
    assert sum(right) >= 0.9 * len(right)


def at_step(monkeypatch, step, act):
    """Does something in the middle of an optimiser step."""
    original = TranslationModule.training_step
    acted = []

    def training_step(self, batch, batch_idx):
        if self.global_step == step and not acted:
            acted.append(step)
            act()
        return original(self, batch, batch_idx)

    monkeypatch.setattr(TranslationModule, "training_step", training_step)


def weights_of(run):
    return load_file(run / "model.safetensors")


def history_of(result):
    """Without what counts from the last start or evaluation, and without times."""
    left_out = ("minutes", "pieces_per_second", "loss")
    return [{n: v for n, v in entry.items() if n not in left_out} for entry in result.history]


# With 64 pieces per batch, the corpus has NUM_STEPS batches.
NUM_STEPS = 10


@pytest.mark.parametrize(
    ("step", "training"),
    [
        (4, {}),
        (NUM_STEPS - 1, {}),  # the checkpoint is that of a whole epoch
        (NUM_STEPS, {}),
        (NUM_STEPS + 3, {"schedule": "cosine", "optimizer": "sgd"}),
        (4, {"validate_every": 0.5, "schedule": "plateau", "learning_rate": 0.1}),
        (5, {"accumulate_batches": 2, "validate_every": 0.3}),
        (8, {"truncation_steps": 2, "weight_decay": 0.01, "monitor": "loss"}),
    ],
)
def test_an_interrupted_run_continues_to_the_same_weights(
    tmp_path, tiny_corpus, monkeypatch, step, training
):
    recipe = make_recipe(tiny_corpus, **training)
    straight = train(recipe, tmp_path / "straight")
    with monkeypatch.context() as patch:
        at_step(patch, step, lambda: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(TrainingInterrupted, match=r"after \d+ steps; `--resume` continues"):
            train(recipe, tmp_path / "interrupted")
    torch.rand(5)  # whatever happened in between
    resumed = train(recipe, tmp_path / "interrupted", resume=True)

    last = [
        torch.load(run / "checkpoints/last.ckpt", weights_only=True)
        for run in (tmp_path / "straight", tmp_path / "interrupted")
    ]
    for name, tensor in last[0]["state_dict"].items():
        assert torch.equal(tensor, last[1]["state_dict"][name]), name
    straight_weights, weights = weights_of(straight.path), weights_of(resumed.path)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in straight_weights.items())
    assert history_of(resumed) == history_of(straight)
    assert resumed.minutes > 0


def test_a_killed_run_continues_from_its_last_checkpoint(tmp_path, tiny_corpus, monkeypatch):
    recipe = make_recipe(tiny_corpus, checkpoint_minutes=1e-9)  # after every step
    straight = train(recipe, tmp_path / "straight")

    def die():
        raise MemoryError

    for step in (2, NUM_STEPS, NUM_STEPS + 2):
        with monkeypatch.context() as patch, pytest.raises(MemoryError):
            at_step(patch, step, die)
            train(recipe, tmp_path / "killed", resume=step > 2)
    resumed = train(recipe, tmp_path / "killed", resume=True)
    weights = weights_of(resumed.path)
    assert all(torch.equal(t, weights[name]) for name, t in weights_of(straight.path).items())
    assert history_of(resumed) == history_of(straight)


def test_resuming_where_there_is_no_run_begins_one_and_says_so(tmp_path, tiny_corpus, capsys):
    recipe = make_recipe(tiny_corpus)
    begun = train(recipe, tmp_path / "begun", resume=True)
    assert "begun holds no run to continue, so one begins" in capsys.readouterr().err
    weights = weights_of(train(recipe, tmp_path / "straight").path)
    assert all(torch.equal(t, weights[name]) for name, t in weights_of(begun.path).items())


@pytest.mark.parametrize("epochs", [1, 2])
def test_another_order_of_the_target_lines_is_another_corpus(tmp_path, tiny_corpus, epochs):
    corpus = Path(shutil.copytree(tiny_corpus, tmp_path / "corpus"))
    train(make_recipe(corpus, max_epochs=1), tmp_path / "run")
    lines = (corpus / "train.bb").read_text("utf-8").splitlines(keepends=True)
    (corpus / "train.bb").write_text("".join(reversed(lines)), "utf-8")
    before = (tmp_path / "run/corpus.json").read_bytes()
    with pytest.raises(ConfigurationError, match="training corpus has changed since the run"):
        train(make_recipe(corpus, max_epochs=epochs), tmp_path / "run", resume=True)
    assert (tmp_path / "run/corpus.json").read_bytes() == before
    (corpus / "train.bb").write_text("".join(lines), "utf-8")  # at another time, but the same
    train(make_recipe(corpus, max_epochs=epochs), tmp_path / "run", resume=True)


def test_an_interrupted_run_continues_with_the_same_segmentations(
    tmp_path, tiny_corpus, monkeypatch, capsys
):
    recipe = make_recipe(tiny_corpus)
    tokenizer = replace(recipe.tokenizer, vocabulary_size=20, sampling=0.5)
    recipe = replace(recipe, tokenizer=tokenizer)
    straight = train(recipe, tmp_path / "straight")
    is_said = "this run cannot be repeated exactly" in capsys.readouterr().err
    assert is_said is not are_draws_repeatable()
    with monkeypatch.context() as patch:
        at_step(patch, NUM_STEPS + 3, lambda: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(TrainingInterrupted):
            train(recipe, tmp_path / "interrupted")
    resumed = train(recipe, tmp_path / "interrupted", resume=True)
    weights = weights_of(resumed.path)
    assert all(torch.equal(tensor, weights[n]) for n, tensor in weights_of(straight.path).items())
    plain = replace(recipe, tokenizer=replace(tokenizer, sampling=0.0))
    other = weights_of(train(plain, tmp_path / "plain").path)
    assert any(not torch.equal(tensor, weights[n]) for n, tensor in other.items())


def test_samples_of_a_run_killed_before_its_checkpoint_stand_once(
    tmp_path, tiny_corpus, monkeypatch
):
    recipe = make_recipe(tiny_corpus)
    original = callbacks.LastCheckpoint.on_train_epoch_end

    def die_in_the_second_epoch(self, trainer, module):
        if trainer.current_epoch:
            raise MemoryError
        original(self, trainer, module)

    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(callbacks.LastCheckpoint, "on_train_epoch_end", die_in_the_second_epoch)
        train(recipe, tmp_path / "run")
    train(recipe, tmp_path / "run", resume=True)
    lines = (tmp_path / "run/logs/samples.txt").read_text().splitlines()
    assert [line[:10] for line in lines if line.startswith("epoch")] == ["epoch 1.00", "epoch 2.00"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_ends_with_130(tmp_path, tiny_corpus, monkeypatch, number, capsys):
    at_step(monkeypatch, 4, lambda: os.kill(os.getpid(), number))
    recipe = make_recipe(tiny_corpus)
    assert run_command(lambda: train(recipe, tmp_path / "run")) == 130
    last_line = capsys.readouterr().err.splitlines()[-1]
    assert last_line.startswith("seq2seq: Interrupted in epoch 1 after 5 steps")


def test_a_resumed_run_may_average_fewer(tmp_path, tiny_corpus, capfd):
    first = train(make_recipe(tiny_corpus, max_epochs=3, average_best=3), tmp_path / "run")
    assert "average of the best 3" in capfd.readouterr().err
    best = max(first.history, key=lambda entry: entry["value"])
    again = train(
        make_recipe(tiny_corpus, max_epochs=3, average_best=1), tmp_path / "run", resume=True
    )
    assert again.averaged == 1
    assert "average of the best" not in capfd.readouterr().err
    kept = load_file(tmp_path / f"run/checkpoints/best-{best['step']:08d}.safetensors")
    weights = weights_of(again.path)
    assert all(torch.equal(kept[name], tensor) for name, tensor in weights.items())


def test_resuming_a_finished_run_only_finishes_again(tmp_path, tiny_corpus, monkeypatch):
    recipe = make_recipe(tiny_corpus)
    first = train(recipe, tmp_path / "run")
    weights = weights_of(first.path)
    at_step(monkeypatch, NUM_STEPS, lambda: pytest.fail("trains on"))
    second = train(recipe, tmp_path / "run", resume=True)
    assert second.history == first.history
    assert all(torch.equal(tensor, weights[n]) for n, tensor in weights_of(second.path).items())


def test_a_finished_run_can_be_given_more_epochs(tmp_path, tiny_corpus):
    settings = {"schedule": "constant"}  # cosine would fall more slowly from the beginning
    train(make_recipe(tiny_corpus, max_epochs=1, **settings), tmp_path / "run")
    longer = make_recipe(tiny_corpus, max_epochs=3, **settings)
    more = train(longer, tmp_path / "run", resume=True)
    straight = train(longer, tmp_path / "straight")
    assert history_of(more) == history_of(straight)


def test_a_run_that_is_past_its_new_end_only_finishes(tmp_path, tiny_corpus):
    first = train(make_recipe(tiny_corpus, max_epochs=2), tmp_path / "run")
    second = train(make_recipe(tiny_corpus, max_epochs=1), tmp_path / "run", resume=True)
    assert second.history == first.history


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tmp_path, tiny_corpus):
    runs = [
        weights_of(train(make_recipe(tiny_corpus, seed=seed, max_epochs=1), tmp_path / name).path)
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    name = "decoder.embedding.weight"
    assert torch.equal(runs[0][name], runs[1][name])
    assert not torch.equal(runs[0][name], runs[2][name])


def test_the_run_folder_becomes_a_model_directory_with_logs(tmp_path, tiny_corpus, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = train(make_recipe(tiny_corpus, validate_every=0.5), "runs/copy")
    loaded = load_model_directory(result.path)
    assert loaded.recipe == make_recipe(tiny_corpus, validate_every=0.5)
    assert isinstance(loaded.decode["bfloat16"], bool)
    sources = loaded.tokenizers.source.encode_batch(result.corpus.train.sources)
    assert loaded.decode["longest_source"] == max(map(len, sources))
    assert loaded.decode["sentences_per_source"] == 1
    assert read_scores(result.path) == result.scores
    assert result.scores["dev"]["bleu"]["signature"].startswith("nrefs:1|case:mixed|eff:no|tok:13a")
    with open(result.path / "logs/metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["dev_bleu"]) for row in rows if row["dev_bleu"]] == [
        entry["dev_bleu"] for entry in result.history
    ]
    logged = next(row for row in rows if row["loss"])
    for name in ("gradient_norm", "learning_rate", "pieces_per_second", "padding_share"):
        assert float(logged[name]) > 0
    assert list((result.path / "logs/tensorboard").glob("events*"))
    assert (result.path / "logs/samples.txt").read_text().count("output:") == 3 * len(
        result.history
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs"]
    assert not (result.path / ".lock").exists()


def test_a_resumed_log_has_every_step_once(tmp_path, tiny_corpus, monkeypatch):
    monkeypatch.setattr("seq2seq.training.module.LOG_EVERY", 1)
    recipe = make_recipe(tiny_corpus, checkpoint_minutes=1e-9)
    with monkeypatch.context() as patch:
        at_step(patch, 4, lambda: os.kill(os.getpid(), signal.SIGTERM))
        with pytest.raises(TrainingInterrupted):
            train(recipe, tmp_path / "run")
    train(recipe, tmp_path / "run", resume=True)
    with open(tmp_path / "run/logs/metrics.csv", newline="") as file:
        steps = [int(row["step"]) for row in csv.DictReader(file) if row["loss"]]
    assert steps == list(range(1, 2 * NUM_STEPS + 1))


def test_off_a_terminal_there_is_one_line_per_evaluation(tmp_path, tiny_corpus, capfd, monkeypatch):
    monkeypatch.setattr("seq2seq.training.train.is_bfloat16_fast", lambda device: True)
    train(make_recipe(tiny_corpus), tmp_path / "run")
    output, error = capfd.readouterr()
    assert output == ""
    *corpus, batches, tokenizer, first, epoch_1, epoch_2, average, low = error.splitlines()
    assert [line.split(": ")[0] for line in corpus] == ["train", "dev", "test"]
    assert batches.startswith("60 training pairs in 10 batches of up to 64 pieces; padding: ")
    assert first == "Training 4,160 weights on cpu with 1 thread in float32"
    evaluations = [epoch_1, epoch_2]
    assert [line.split("  ")[0] for line in evaluations] == ["epoch 1.00", "epoch 2.00"]
    assert average.startswith("average of the best 2: ")
    assert tokenizer == "tokenizer: 16 pieces for both sides"
    assert re.fullmatch(
        r"bfloat16: BLEU [\d.]+, in float32 [\d.]+; [\d.]+% of the translations are identical", low
    )


def scripted(monkeypatch, values):
    """Development scores as in a script, one per evaluation."""
    remaining = iter(values)
    original = development.Development.evaluate

    def evaluate(self, network):
        scores = original(self, network)
        return replace(scores, bleu=replace(scores.bleu, value=next(remaining)))

    monkeypatch.setattr(development.Development, "evaluate", evaluate)


def test_patience_stops_training(tmp_path, tiny_corpus, monkeypatch):
    scripted(monkeypatch, [1.0, 3.0, 2.0, 3.0, 9.0])
    recipe = make_recipe(tiny_corpus, max_epochs=9, patience=2, average_best=1)
    result = train(recipe, tmp_path / "run")
    assert [entry["improved"] for entry in result.history] == [True, True, False, False]
    assert result.steps == 4 * NUM_STEPS
    best = load_file(tmp_path / f"run/checkpoints/best-{2 * NUM_STEPS:08d}.safetensors")
    weights = weights_of(result.path)
    assert all(torch.equal(best[name], tensor) for name, tensor in weights.items())


@pytest.mark.parametrize(("value", "averaged"), [(2.5, 1), (3.0, 2), (3.5, 2)])
def test_the_average_is_kept_if_it_is_no_worse(tmp_path, tiny_corpus, monkeypatch, value, averaged):
    scripted(monkeypatch, [1.0, 3.0, 2.0, value])
    result = train(make_recipe(tiny_corpus, max_epochs=3, average_best=2), tmp_path / "run")
    assert result.averaged == averaged
    best, other = (
        load_file(result.path / f"checkpoints/best-{epoch * NUM_STEPS:08d}.safetensors")
        for epoch in (2, 3)
    )
    weights = weights_of(result.path)
    for name, tensor in weights.items():
        expected = best[name] if averaged == 1 else (best[name] + other[name]) / 2
        torch.testing.assert_close(tensor, expected)


def test_time_that_is_up_ends_training_with_an_evaluation(tmp_path, tiny_corpus):
    recipe = make_recipe(tiny_corpus, max_epochs=1000, max_minutes=1e-9)
    result = train(recipe, tmp_path / "run")
    assert (result.steps, len(result.history)) == (1, 1)
    again = train(recipe, tmp_path / "run", resume=True)
    assert again.steps == 1  # the time counts over the whole run
    assert load_model_directory(result.path)


def break_losses(monkeypatch, steps):
    """Makes the loss of some training steps, counted from 1, not a number."""
    original = TranslationModule.forward

    def forward(self, batch):
        output = original(self, batch)
        broken = self.global_step + 1 in steps
        return output._replace(loss=output.loss * math.nan) if broken else output

    monkeypatch.setattr(TranslationModule, "forward", forward)


def test_losses_that_are_not_finite_stop_with_the_batch_and_advice(
    tmp_path, tiny_corpus, monkeypatch, capfd
):
    break_losses(monkeypatch, range(3, 99))
    recipe = make_recipe(tiny_corpus, non_finite_limit=2, checkpoint_minutes=1e-9)
    with pytest.raises(TrainingError) as caught:
        train(recipe, tmp_path / "run")
    pattern = (
        r"with training pairs ((\d+)(, \d+)*( and \d+ more)?) \(the first source: '([\d ]+)'\)"
    )
    found = re.fullmatch(
        rf"The loss was not finite in step 5 of epoch 1, as in the 2 before it, {pattern}; look at "
        r"them, lower `training.learning_rate` or `training.gradient_clip`, or raise "
        r"`training.warmup_steps`.",
        str(caught.value),
    )
    assert read_lines(tiny_corpus / "train.aa")[int(found[2]) - 1] == found[5]
    said = [line for line in capfd.readouterr().err.splitlines() if "left out" in line]
    assert len(said) == 2
    assert re.fullmatch(
        rf"step 3 of epoch 1 is left out: its loss is not finite, {pattern}", said[0]
    )
    assert not (tmp_path / "run/model.safetensors").exists()
    last = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)
    assert all(tensor.isfinite().all() for tensor in last["state_dict"].values())


@pytest.mark.parametrize("step", [3, 4])
def test_a_resumed_run_goes_over_the_same_steps(tmp_path, tiny_corpus, monkeypatch, step):
    break_losses(monkeypatch, (4, 5, NUM_STEPS + 2))
    recipe = make_recipe(tiny_corpus, non_finite_limit=2, validate_every=0.1)
    straight = train(recipe, tmp_path / "straight")
    with monkeypatch.context() as patch:
        at_step(patch, step, lambda: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(TrainingInterrupted):
            train(recipe, tmp_path / "interrupted")
    resumed = train(recipe, tmp_path / "interrupted", resume=True)
    weights = weights_of(resumed.path)
    assert all(torch.equal(t, weights[name]) for name, t in weights_of(straight.path).items())
    assert history_of(resumed) == history_of(straight)


def test_weights_that_explode_stop_training_with_advice(tmp_path, tiny_corpus):
    recipe = make_recipe(tiny_corpus, learning_rate=3e38, gradient_clip=0.0, optimizer="sgd")
    with pytest.raises(TrainingError, match=r"lower `training.learning_rate` or"):
        train(recipe, tmp_path / "run")


@pytest.mark.parametrize(("low", "allowed"), [(50.05, True), (49.8, False), (50.2, False)])
def test_bfloat16_is_recorded_only_if_it_loses_no_quality(
    tmp_path, tiny_corpus, monkeypatch, low, allowed
):
    def translate(self, network, *, bfloat16, **search):
        return [low if bfloat16 else 50.0]

    original = development.Development.score

    def score(self, metric, translations):
        return replace(original(self, metric, self.references), value=translations[0])

    monkeypatch.setattr("seq2seq.training.train.is_bfloat16_fast", lambda device: True)
    monkeypatch.setattr(development.Development, "translate", translate)
    monkeypatch.setattr(development.Development, "score", score)
    result = train(make_recipe(tiny_corpus, max_epochs=1, samples=0), tmp_path / "run")
    assert load_model_directory(result.path).decode["bfloat16"] is allowed
    dev = result.scores["dev"]
    assert dev["bleu"]["value"] == (low if allowed else 50.0)
    assert dev["precision"] == ("bfloat16" if allowed else "float32")


def test_the_share_of_sentences_that_bfloat16_leaves_alone_is_recorded(
    tmp_path, tiny_corpus, monkeypatch
):
    def translate(self, network, *, bfloat16, **search):
        sentences = [f"{number} 1 2 3" for number in range(len(self.references))]
        return [*sentences[:-2], "7", "8"] if bfloat16 else sentences

    monkeypatch.setattr("seq2seq.training.train.is_bfloat16_fast", lambda device: True)
    monkeypatch.setattr(development.Development, "translate", translate)
    result = train(make_recipe(tiny_corpus, max_epochs=1, samples=0), tmp_path / "run")
    decode = load_model_directory(result.path).decode
    assert decode["dev_identical_bfloat16"] == pytest.approx(5 / 7, abs=1e-4)


def test_development_scores_say_how_they_came_about(tmp_path, tiny_corpus, monkeypatch):
    monkeypatch.setattr("seq2seq.training.train.is_bfloat16_fast", lambda device: False)
    dev = train(make_recipe(tiny_corpus, max_epochs=1), tmp_path / "run").scores["dev"]
    assert (dev["sentences"], dev["precision"], dev["beam_size"]) == (7, "float32", 5)


def test_bfloat16_trains_on_any_processor(tmp_path, tiny_corpus):
    result = train(make_recipe(tiny_corpus, precision="bfloat16"), tmp_path / "run")
    weights = weights_of(result.path)
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}
    assert result.history[-1]["loss"] < result.history[0]["loss"]


@pytest.mark.parametrize(
    ("attention", "lexicon_pairs", "learns"),
    [("bahdanau", 1, True), ("bahdanau", 0, False), ("none", 100_000, False)],
)
def test_a_lexicon_is_learnt_where_there_is_attention_and_it_is_wanted(
    tmp_path, tiny_corpus, attention, lexicon_pairs, learns
):
    recipe = make_recipe(tiny_corpus, max_epochs=1, samples=0, lexicon_pairs=lexicon_pairs)
    recipe = replace(recipe, model=replace(recipe.model, attention=attention))
    result = train(recipe, tmp_path / "run")
    lexicon = load_model_directory(result.path).lexicon
    assert (lexicon is not None) is learns


def test_the_lexicon_is_learnt_from_segmentations_as_sources_will_have(
    tmp_path, tiny_corpus, monkeypatch
):
    read = []

    def learn(network, batches, hardware, **settings):
        assert not network.training
        read.extend(batches)

    monkeypatch.setattr("seq2seq.training.train.learn_lexicon", learn)
    recipe = make_recipe(tiny_corpus, max_epochs=1, samples=0)
    sampling = replace(recipe.tokenizer, vocabulary_size=20, sampling=0.5)
    result = train(replace(recipe, tokenizer=sampling), tmp_path / "run")
    encode = load_model_directory(result.path).tokenizers.source.encode_batch
    expected = [[*ids, EOS_ID] for ids in encode(result.corpus.train.sources)]
    found = [
        [piece for piece in ids if piece != PAD_ID]
        for batch in read
        for ids in batch.source_ids.tolist()
    ]
    assert sorted(found) == sorted(expected)


@pytest.mark.gpu
def test_a_gpu_trains_in_bfloat16_and_resumes(tmp_path, tiny_corpus):
    short = make_recipe(tiny_corpus, device="cuda", precision="auto", max_epochs=1)
    train(short, tmp_path / "run")
    longer = make_recipe(tiny_corpus, device="cuda", precision="auto", max_epochs=3)
    result = train(longer, tmp_path / "run", resume=True)
    assert result.steps == 3 * NUM_STEPS
    assert result.history[-1]["dev_loss"] < result.history[0]["dev_loss"]
    assert {tensor.dtype for tensor in weights_of(result.path).values()} == {torch.float32}
