import math

import pytest
import torch
from torch.optim import SGD

from seq2seq.training.schedule import SCHEDULES

RATE, WARMUP, TOTAL = 0.5, 4, 20


def make(name, warmup_steps=WARMUP, total_steps=TOTAL):
    optimizer = SGD([torch.nn.Parameter(torch.zeros(1))], lr=RATE)
    return SCHEDULES[name](optimizer, warmup_steps=warmup_steps, total_steps=total_steps)


def rates(schedule, num_steps):
    """Learning rates of so many steps, as a share of the full one."""
    found = []
    for _ in range(num_steps):
        found.append(schedule.optimizer.param_groups[0]["lr"] / RATE)
        schedule.optimizer.step()
        schedule.step()
    return found


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_warms_up_linearly_to_the_full_rate(name):
    assert rates(make(name), WARMUP) == pytest.approx([0.25, 0.5, 0.75, 1.0], abs=0.01)


@pytest.mark.parametrize("name", SCHEDULES)
def test_no_warmup_starts_with_the_full_rate_and_never_exceeds_it(name):
    found = rates(make(name, warmup_steps=0), TOTAL)
    assert found[0] == pytest.approx(1.0, abs=0.01)
    assert max(found) <= 1.0


def test_constant_stays():
    assert rates(make("constant"), TOTAL)[WARMUP:] == [1.0] * (TOTAL - WARMUP)


def test_inverse_square_root_halves_in_four_times_the_steps():
    found = rates(make("inverse_square_root"), 4 * WARMUP)
    assert found[4 * WARMUP - 1] == pytest.approx(0.5)


def test_cosine_is_half_in_the_middle_and_zero_at_the_end():
    found = rates(make("cosine"), TOTAL + 3)
    middle = (TOTAL + WARMUP) // 2 - 1
    assert found[middle] == pytest.approx(0.5)
    assert found[TOTAL - 1 :] == pytest.approx([0.0] * 4)
    assert found[5] == pytest.approx(0.5 * (1 + math.cos(math.pi * 2 / 16)))


def test_plateau_halves_without_improvement_down_to_a_hundredth():
    schedule = make("plateau")
    schedule.observe(False)  # in the warm-up, without effect
    rates(schedule, WARMUP)
    schedule.observe(True)
    assert rates(schedule, 2)[-1] == 1.0
    schedule.observe(False)
    assert rates(schedule, 2)[-1] == 0.5
    for _ in range(9):
        schedule.observe(False)
    assert rates(schedule, 2)[-1] == 0.01


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_restored_schedule_continues_where_it_was(name):
    straight, first = make(name), make(name)
    for schedule in (straight, first):
        rates(schedule, 7)
        schedule.observe(False)
    second = make(name)
    second.optimizer.load_state_dict(first.optimizer.state_dict())
    second.load_state_dict(first.state_dict())
    assert rates(second, 5) == rates(straight, 5)


def test_a_restored_schedule_takes_the_new_length():
    first, second = make("cosine"), make("cosine", total_steps=2 * TOTAL)
    rates(first, 7)
    second.load_state_dict(first.state_dict())
    assert second.total_steps == 2 * TOTAL
