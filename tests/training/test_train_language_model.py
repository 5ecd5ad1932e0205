import csv
import json
import math
import os
import signal
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from tiny_language_model import CODE

from seq2seq.config import EOS_ID, ConfigurationError, TokenizerConfig
from seq2seq.data.running_text import EncodedText
from seq2seq.language_config import (
    LanguageNetworkConfig,
    LanguageRecipe,
    LanguageTrainingConfig,
    TextConfig,
)
from seq2seq.language_model import LanguageModel
from seq2seq.language_model_directory import load_language_model_directory
from seq2seq.model_directory import load_model_directory
from seq2seq.training import language_development
from seq2seq.training.errors import TrainingError, TrainingInterrupted
from seq2seq.training.hardware import choose_hardware
from seq2seq.training.language_development import TextDevelopment
from seq2seq.training.language_module import LanguageModule
from seq2seq.training.train_language_model import train_language_model

NUM_STEPS = 14  # of an epoch


@pytest.fixture(autouse=True)
def short_samples(monkeypatch):
    """What a network writes after each evaluation would take most of the time."""
    monkeypatch.setattr(language_development, "SAMPLE_LENGTH", 5)


def make_recipe(folder, lines="text", model=None, **training):
    """Keyword arguments change the `training` section."""
    file, dev = folder / "text.py", folder / "dev.py"
    if not file.exists():
        file.write_text("\n".join(CODE * 10) + "\n", "utf-8")
        dev.write_text("\n".join(CODE[::-1]) + "\n", "utf-8")
    settings = {
        "max_epochs": 2,
        "streams": 5,
        "truncation_steps": 10,
        "warmup_steps": 3,
        "precision": "float32",
        "device": "cpu",
    }
    return LanguageRecipe(
        name="code",
        text=TextConfig(train=str(file), dev=str(dev), lines=lines),
        tokenizer=TokenizerConfig(kind="character", byte_fallback=False, character_coverage=1.0),
        model=model
        or LanguageNetworkConfig(cell="gru", embedding_size=8, hidden_size=16, dropout=0.2),
        training=LanguageTrainingConfig(**{**settings, **training}),
    )


def weights_of(run):
    return load_file(run / "model.safetensors")


def assert_same_weights(run, other):
    weights = weights_of(other)
    for name, tensor in weights_of(run).items():
        assert torch.equal(tensor, weights[name]), name


def history_of(result):
    """Without what counts from the last start or evaluation, and without times."""
    left_out = ("minutes", "pieces_per_second", "loss")
    return [{n: v for n, v in entry.items() if n not in left_out} for entry in result.history]


def at_step(monkeypatch, step, act):
    """Does something in the middle of an optimiser step."""
    original = LanguageModule.training_step
    acted = []

    def training_step(self, chunk, batch_idx):
        if self.global_step == step and not acted:
            acted.append(step)
            act()
        return original(self, chunk, batch_idx)

    monkeypatch.setattr(LanguageModule, "training_step", training_step)


def test_it_learns_a_text_by_heart(tmp_path):
    (tmp_path / "text.py").write_text("def f(x):\n  return x\n\n" * 30, "utf-8")
    model = LanguageNetworkConfig(cell="lstm", embedding_size=16, hidden_size=64, dropout=0.0)
    recipe = make_recipe(tmp_path, model=model, max_epochs=6, learning_rate=3e-2, validate_every=6)
    recipe = replace(recipe, text=replace(recipe.text, dev=recipe.text.train))
    result = train_language_model(recipe, tmp_path / "run", quiet=True)
    assert result.scores["dev"].bits_per_character < 0.1
    text = LanguageModel.load(tmp_path / "run").generate("def", 40, temperature=0)[0]
    assert text.startswith("def f(x):\n  return x\n\ndef f(x):")


@pytest.mark.parametrize(
    ("step", "lines", "training"),
    [
        (4, "text", {}),
        (NUM_STEPS - 1, "text", {}),  # the checkpoint is that of a whole epoch
        (NUM_STEPS + 3, "text", {"schedule": "plateau", "validate_every": 0.6}),
        (5, "sentences", {}),
    ],
    ids=["epoch-1", "epoch-end", "epoch-2", "sentences"],
)
def test_an_interrupted_run_continues_to_the_same_weights(
    tmp_path, monkeypatch, step, lines, training
):
    model = LanguageNetworkConfig(
        cell="lstm", embedding_size=8, hidden_size=16, num_layers=2, dropout=0.2
    )
    recipe = make_recipe(tmp_path, lines, model, **training)
    straight = train_language_model(recipe, tmp_path / "straight")
    with monkeypatch.context() as patch:
        at_step(patch, step, lambda: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(TrainingInterrupted, match=f"after {step + 1} steps; `--resume`"):
            train_language_model(recipe, tmp_path / "interrupted")
    torch.rand(5)  # whatever happened in between
    resumed = train_language_model(recipe, tmp_path / "interrupted", resume=True)
    last = [
        torch.load(run / "checkpoints/last.ckpt", weights_only=True)
        for run in (straight.path, resumed.path)
    ]
    for name, tensor in last[0]["state_dict"].items():
        assert torch.equal(tensor, last[1]["state_dict"][name]), name
    assert_same_weights(straight.path, resumed.path)
    assert history_of(resumed) == history_of(straight)


@pytest.mark.slow
def test_a_killed_run_continues_from_its_last_checkpoint(tmp_path, monkeypatch):
    recipe = make_recipe(tmp_path, checkpoint_minutes=1e-9)  # after every step
    straight = train_language_model(recipe, tmp_path / "straight")

    def die():
        raise KeyError

    for step in (2, NUM_STEPS, NUM_STEPS + 2):
        with monkeypatch.context() as patch, pytest.raises(KeyError):
            at_step(patch, step, die)
            train_language_model(recipe, tmp_path / "killed", resume=step > 2)
    resumed = train_language_model(recipe, tmp_path / "killed", resume=True)
    assert_same_weights(straight.path, resumed.path)


def test_a_finished_run_can_go_on_for_more_epochs(tmp_path):
    recipe = make_recipe(tmp_path, schedule="constant")
    more = replace(recipe, training=replace(recipe.training, max_epochs=3))
    straight = train_language_model(more, tmp_path / "straight")
    train_language_model(recipe, tmp_path / "run")
    resumed = train_language_model(more, tmp_path / "run", resume=True)
    assert_same_weights(straight.path, resumed.path)
    assert (straight.steps, resumed.steps) == (3 * NUM_STEPS, 3 * NUM_STEPS)


def test_another_text_or_setting_is_another_run(tmp_path):
    recipe = make_recipe(tmp_path)
    train_language_model(recipe, tmp_path / "run")
    before = weights_of(tmp_path / "run")
    with pytest.raises(ConfigurationError, match="holds a run already; continue it with"):
        train_language_model(recipe, tmp_path / "run")
    other = replace(recipe, training=replace(recipe.training, truncation_steps=9))
    with pytest.raises(ConfigurationError, match=r"`training\.truncation_steps` was 10 when"):
        train_language_model(other, tmp_path / "run", resume=True)
    for name, kind in (("text.py", "training"), ("dev.py", "development")):
        file = tmp_path / name
        content = file.read_text("utf-8")
        file.write_text(f"{content}x = 1\n", "utf-8")
        with pytest.raises(ConfigurationError, match=f"The {kind} text has changed since the run"):
            train_language_model(recipe, tmp_path / "run", resume=True)
        file.write_text(content, "utf-8")
    assert all(torch.equal(t, before[name]) for name, t in weights_of(tmp_path / "run").items())


def test_a_text_changed_before_the_first_checkpoint_is_named_and_no_setting(tmp_path, monkeypatch):
    def suit(recipe, characters):
        return replace(recipe, model=replace(recipe.model, hidden_size=4 + characters % 7))

    def die():
        raise MemoryError

    recipe = make_recipe(tmp_path)
    with monkeypatch.context() as patch, pytest.raises(TrainingError):
        at_step(patch, 0, die)
        train_language_model(recipe, tmp_path / "run", suit=suit)
    assert not (tmp_path / "run/checkpoints/last.ckpt").exists()
    (tmp_path / "text.py").write_text("\n".join(CODE) + "\n", "utf-8")
    with pytest.raises(ConfigurationError, match="The training text has changed since the run"):
        train_language_model(recipe, tmp_path / "run", resume=True, suit=suit)


def test_too_little_memory_is_a_sentence_about_training(tmp_path, monkeypatch):
    def die():
        raise RuntimeError("CUDA out of memory")

    at_step(monkeypatch, 2, die)
    with pytest.raises(
        TrainingError,
        match=r"`training\.streams`, `training\.truncation_steps` or `model\.hidden_size`",
    ):
        train_language_model(make_recipe(tmp_path), tmp_path / "run")


def test_a_folder_with_a_translator_is_refused_until_it_is_to_be_overwritten(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "recipe.yaml").write_text("name: x\n")
    with pytest.raises(ConfigurationError, match="holds a translator; give this run another"):
        train_language_model(make_recipe(tmp_path), run)
    with pytest.raises(ConfigurationError, match="holds a translator; give this run another"):
        train_language_model(make_recipe(tmp_path), run, resume=True)
    train_language_model(make_recipe(tmp_path, max_epochs=1), run, overwrite=True)
    assert not (run / "recipe.yaml").exists()
    assert load_language_model_directory(run).recipe.name == "code"


def test_a_run_folder_is_a_language_model_with_its_logs(tmp_path, capsys):
    recipe = make_recipe(tmp_path, max_epochs=1, validate_every=0.5)
    result = train_language_model(recipe, tmp_path / "run")
    names = {path.name for path in result.path.iterdir()}
    assert names >= {
        *("language_model.yaml", "model.safetensors", "text.model", "README.md"),
        *("scores.json", "training.json", "checkpoints", "logs"),
    }
    with open(result.path / "logs/metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    columns = {"step", "loss", "gradient_norm", "learning_rate", "dev_loss"}
    assert columns | {"dev_bits_per_character", "pieces_per_second"} <= rows[0].keys()
    dev = [float(row["dev_loss"]) for row in rows if row["dev_loss"]]
    assert dev == pytest.approx([entry["dev_loss"] for entry in result.history])
    assert {entry["step"] for entry in result.history} == {NUM_STEPS // 2, NUM_STEPS}
    shown = capsys.readouterr().err
    assert "characters in 70 lines to learn from" in shown
    assert "bits/character" in shown
    samples = (result.path / "logs/samples.txt").read_text("utf-8")
    assert samples.count("epoch ") == 2
    assert "  | " in samples
    best = min(result.history, key=lambda entry: entry["dev_loss"])
    scores = json.loads((result.path / "scores.json").read_text())
    assert scores["dev"]["bits_per_character"] == pytest.approx(best["dev_bits_per_character"])


def test_a_quiet_run_says_nothing(tmp_path, capsys):
    train_language_model(make_recipe(tmp_path, max_epochs=1), tmp_path / "run", quiet=True)
    captured = capsys.readouterr()
    assert captured.out + captured.err == ""


def loop_nats(path, lines):
    """Of running text, one piece after another in float64."""
    loaded = load_language_model_directory(path)
    network = loaded.network.double()
    ids = [i for encoded in loaded.tokenizer.encode_batch(lines) for i in (*encoded, EOS_ID)]
    state, last, nats = network.start(1), EOS_ID, 0.0
    with torch.no_grad():
        for id_ in ids:
            logits, state = network.step(torch.tensor([last]), state)
            nats -= float(logits[0].log_softmax(-1)[id_])
            last = id_
    return nats, len(ids)


def test_perplexity_and_bits_per_character_are_those_of_a_loop(tmp_path):
    recipe = make_recipe(tmp_path, max_epochs=1)
    test = tmp_path / "test.py"
    test.write_text("def g(x):\n    return x\n", "utf-8")
    recipe = replace(recipe, text=replace(recipe.text, test=str(test)))
    result = train_language_model(recipe, tmp_path / "run")
    nats, pieces = loop_nats(tmp_path / "run", ["def g(x):", "    return x"])
    loss = result.scores["test"]
    assert (loss.pieces, loss.characters, loss.words) == (pieces, 23, 6)
    assert loss.perplexity == pytest.approx(math.exp(nats / pieces), rel=1e-5)
    assert loss.word_perplexity == pytest.approx(math.exp(nats / 6), rel=1e-5)
    assert loss.bits_per_character == pytest.approx(nats / math.log(2) / 23, rel=1e-5)


def measure(path):
    """The loss of a text by a language model, measured as training does."""
    loaded = load_language_model_directory(path)
    hardware = choose_hardware(LanguageTrainingConfig(precision="float32", device="cpu"))
    text = EncodedText.of(CODE * 8, loaded.tokenizer)
    return TextDevelopment(text, loaded.tokenizer, loaded.recipe, hardware).measure(loaded.network)


def test_the_loss_of_sentences_does_not_depend_on_the_batch(monkeypatch, language_directory):
    expected = measure(language_directory)
    monkeypatch.setattr(language_development, "_STEPS", 3)
    for rows in (1, 2, 7):
        monkeypatch.setattr(language_development, "_SENTENCES", rows)
        found = measure(language_directory)
        assert found.nats == pytest.approx(expected.nats, rel=1e-6)
        assert (found.pieces, found.words) == (expected.pieces, expected.words)


def test_a_long_text_is_measured_in_few_long_streams(monkeypatch, text_directory):
    whole = measure(text_directory)
    monkeypatch.setattr(language_development, "_STREAM_PIECES", 250)
    parts = measure(text_directory)
    assert parts.pieces == whole.pieces
    assert parts.nats == pytest.approx(whole.nats, rel=0.05)
    assert parts.nats != whole.nats


def test_the_pieces_of_a_translator_can_be_taken(tmp_path, tiny_directory):
    recipe = make_recipe(tmp_path, "sentences", max_epochs=1)
    recipe = replace(recipe, tokenizer_of=str(tiny_directory))
    with pytest.raises(ConfigurationError, match="`tokenizer_of` takes the place of all options"):
        train_language_model(recipe, tmp_path / "run")
    recipe = replace(recipe, tokenizer=LanguageRecipe().tokenizer)
    train_language_model(recipe, tmp_path / "run")
    loaded, translator = (
        load(path)
        for load, path in (
            (load_language_model_directory, tmp_path / "run"),
            (load_model_directory, tiny_directory),
        )
    )
    assert loaded.tokenizer.to_bytes() == translator.tokenizers.target.to_bytes()
    assert loaded.recipe.tokenizer == replace(
        translator.recipe.tokenizer, sampling=0.0, shared=True
    )
    again = train_language_model(loaded.recipe, tmp_path / "again")  # as it was recorded
    assert again.recipe == loaded.recipe
    train_language_model(recipe, tmp_path / "run", resume=True)


def test_a_run_that_breaks_down_says_what_to_do(tmp_path):
    recipe = make_recipe(
        tmp_path, optimizer="sgd", learning_rate=1e38, gradient_clip=0.0, warmup_steps=0
    )
    with pytest.raises(TrainingError, match=r"lower `training\.learning_rate`"):
        train_language_model(recipe, tmp_path / "run")


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ("training", "optimizer", "adagrad"),
        ("training", "schedule", "linear"),
        ("tokenizer", "kind", "letters"),
        ("model", "cell", "tanh"),
    ],
    ids=["optimizer", "schedule", "tokenizer", "cell"],
)
def test_misspelt_names_are_found_before_anything_is_read(tmp_path, section, name, value):
    recipe = make_recipe(tmp_path)
    recipe = replace(recipe, **{section: replace(getattr(recipe, section), **{name: value})})
    (tmp_path / "text.py").unlink()
    with pytest.raises(ConfigurationError, match=f"`{section}.{name}` must be one of .*'{value}'"):
        train_language_model(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_time_ends_training(tmp_path):
    recipe = make_recipe(tmp_path, max_minutes=1e-9)
    result = train_language_model(recipe, tmp_path / "run")
    assert result.steps == 1
    assert (
        "after 1e-09 minutes" in json.loads((tmp_path / "run/training.json").read_text())["ended"]
    )
