import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from seq2seq.config import TrainingConfig
from seq2seq.training.callbacks import Clock, Plan
from seq2seq.training.progress import ProgressReport, describe_evaluation

ENTRY = {
    "epoch": 1.5,
    "step": 30,
    "minutes": 2.05,
    "loss": 3.14159,
    "pieces_per_second": 1234.5,
    "dev_loss": 2.5,
    "dev_perplexity": 12.18,
    "dev_bleu": 23.456,
    "dev_chrf": 45.678,
    "value": 23.456,
    "improved": True,
}
LINE = (
    "epoch 1.50  step 30  loss 3.142  dev loss 2.500  perplexity 12.18  BLEU 23.46  chrF 45.68  "
    "1,234 pieces/s  0:02:03  best"
)


def test_an_evaluation_is_one_line():
    assert describe_evaluation(ENTRY) == LINE
    assert describe_evaluation({**ENTRY, "improved": False}) == LINE.removesuffix("  best")


@pytest.fixture
def make_progress(tmp_path):
    def make(terminal=False, **training):
        development = SimpleNamespace(sources=["ein [b]Hund", "b"], references=["a dog", "B"])
        progress = ProgressReport(
            development,
            TrainingConfig(max_epochs=4, samples=1, **training),
            clock=Clock(),
            plan=Plan(steps_per_epoch=20, total_steps=80, steps_between_evaluations=20),
            samples_file=tmp_path / "logs" / "samples.txt",
            console=Console(file=io.StringIO(), force_terminal=terminal, width=120),
        )
        return progress, progress._console.file

    return make


def run_a_step(progress):
    module = SimpleNamespace(metrics={"loss": 3.25, "pieces_per_second": 5000.0})
    trainer = SimpleNamespace(global_step=20)
    progress.on_train_start(trainer, module)
    trainer.global_step = 30
    progress.on_train_batch_end(trainer, module, None, None, 0)
    progress.report(ENTRY, ["a [b]dog", "B"])
    progress.teardown(trainer, module, "fit")


def test_a_terminal_shows_a_bar_lines_and_samples(make_progress):
    progress, output = make_progress(terminal=True, max_minutes=0.5)
    run_a_step(progress)
    text = output.getvalue()
    assert "epoch 2/4" in text
    assert "loss 3.250  5,000 pieces/s  0:00:0" in text  # at the pace of this step
    assert LINE in text.replace("\n", "")
    assert "source:    ein [b]Hund" in text
    assert "output:    a [b]dog" in text


def test_off_a_terminal_there_is_the_line_only(make_progress, tmp_path):
    progress, output = make_progress(terminal=False)
    run_a_step(progress)
    assert output.getvalue() == f"{LINE}\n"
    assert (tmp_path / "logs" / "samples.txt").read_text() == (
        f"{LINE}\n  source:    ein [b]Hund\n  reference: a dog\n  output:    a [b]dog\n\n"
    )


def test_evaluations_past_the_checkpoint_stand_once(make_progress, tmp_path):
    file = tmp_path / "logs" / "samples.txt"
    first, _ = make_progress()
    first.report({**ENTRY, "step": 30}, ["a", "B"])
    state = first.state_dict()
    first.report({**ENTRY, "step": 40}, ["ä", "B"])  # and then the power fails
    straight = file.read_text("utf-8")
    resumed, _ = make_progress()
    resumed.load_state_dict(state)
    resumed.on_train_start(SimpleNamespace(global_step=30), None)
    resumed.report({**ENTRY, "step": 40}, ["ä", "B"])
    assert file.read_text("utf-8") == straight


def test_a_run_that_starts_again_has_new_samples(make_progress, tmp_path):
    make_progress()[0].report(ENTRY, ["a", "B"])
    again, _ = make_progress()
    again.on_train_start(SimpleNamespace(global_step=0), None)
    again.report(ENTRY, ["a", "B"])
    assert (tmp_path / "logs" / "samples.txt").read_text().count("output:") == 1
