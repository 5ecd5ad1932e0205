import pytest

from seq2seq.config import TrainingConfig
from seq2seq.training.callbacks import Plan


@pytest.mark.parametrize(
    ("training", "num_batches", "expected"),
    [
        ({"max_epochs": 3}, 7, Plan(7, 21, 7)),
        ({"max_epochs": 3, "accumulate_batches": 2}, 7, Plan(4, 12, 4)),
        ({"max_epochs": 3, "validate_every": 0.5}, 10, Plan(10, 30, 5)),
        ({"max_epochs": 3, "validate_every": 2.0}, 10, Plan(10, 30, 20)),
        ({"max_epochs": 1, "validate_every": 0.01}, 10, Plan(10, 10, 1)),
    ],
)
def test_the_plan_counts_optimiser_steps(training, num_batches, expected):
    assert Plan.of(TrainingConfig(**training), num_batches) == expected
