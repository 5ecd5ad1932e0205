import os
import signal
import threading

import pytest

from seq2seq.config import TrainingConfig
from seq2seq.training.callbacks import Plan, handle_signals


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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_handled_and_the_second_is_not(number):
    heard = []
    previous = signal.signal(number, lambda *_: heard.append("before"))
    try:
        with handle_signals(lambda: heard.append("handler")):
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
    finally:
        signal.signal(number, previous)
    assert heard == ["handler", "before", "before"]


def test_a_thread_trains_without_signals():
    done = []

    def run():
        with handle_signals(pytest.fail):
            done.append(True)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert done == [True]
