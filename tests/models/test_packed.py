import pytest
import torch

from seq2seq.models import packed
from seq2seq.models.packed import ARITHMETICS, is_int8_there

TOLERANCE = {"float32": 1e-5, "bfloat16": 3e-2, "int8": 3e-2}
every_precision = pytest.mark.parametrize("precision", ARITHMETICS)


@pytest.fixture(autouse=True)
def fresh_findings():
    """What was found out of the machine in one test must not reach the next."""
    yield
    packed._can_pack.cache_clear()
    is_int8_there.cache_clear()


def operands(rows: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Inputs between -1 and 1, a weight whose outputs have about size 1, and a bias."""
    inputs = torch.rand(rows, 24) * 2 - 1
    return inputs, torch.randn(40, 24) / 24**0.5, torch.randn(40)


@every_precision
@pytest.mark.parametrize("rows", [1, 5, 16, 17, 64, 300])
@pytest.mark.parametrize("with_bias", [True, False])
def test_products_are_those_of_the_plain_weights(precision, rows, with_bias):
    inputs, weight, bias = operands(rows)
    bias = bias if with_bias else None
    arithmetic = ARITHMETICS[precision]()
    found = arithmetic.pack(weight, bias)(arithmetic.lower(inputs))
    expected = torch.nn.functional.linear(inputs, weight, bias)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, atol=TOLERANCE[precision], rtol=1e-2)


@every_precision
def test_inputs_of_unlike_bounds_share_a_product(precision):
    inputs, weight, bias = operands(9)
    inputs[:, 10:] *= 7
    arithmetic = ARITHMETICS[precision]()
    bounds = torch.tensor([1.0] * 10 + [7.0] * 14)
    low = torch.cat([arithmetic.lower(inputs[:, :10]), arithmetic.lower(inputs[:, 10:], 7)], dim=1)
    found = arithmetic.pack(weight, bias, bounds)(low)
    expected = torch.nn.functional.linear(inputs, weight, bias)
    torch.testing.assert_close(found, expected, atol=7 * TOLERANCE[precision], rtol=1e-2)


@every_precision
def test_a_row_depends_on_no_other(precision):
    inputs, weight, bias = operands(50)
    arithmetic = ARITHMETICS[precision]()
    product = arithmetic.pack(weight, bias)
    together = product(arithmetic.lower(inputs))
    inputs[1:] = 1.0
    other = product(arithmetic.lower(inputs))
    assert torch.equal(together[0], other[0])


def test_int8_holds_its_bounds_and_rounds_to_the_nearest():
    step = 3.0 / 127
    values = torch.tensor([-3.0, -0.6 * step, 0.0, 0.4 * step, 0.6 * step, 3.0])
    assert packed.Int8().lower(values, 3.0).tolist() == [1, 127, 128, 128, 129, 255]


def test_a_row_of_zeros_has_a_product_in_int8():
    product = packed.Int8().pack(torch.zeros(4, 16), torch.arange(4.0))
    found = product(packed.Int8().lower(torch.ones(2, 16)))
    assert found.tolist() == [[0.0, 1.0, 2.0, 3.0]] * 2


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_where_packing_is_missing_plain_products_stand_in(precision, monkeypatch):
    inputs, weight, bias = operands(33)
    arithmetic = ARITHMETICS[precision]()
    expected = arithmetic.pack(weight, bias)(arithmetic.lower(inputs))
    monkeypatch.setattr(torch.ops, "mkldnn", object())
    packed._can_pack.cache_clear()
    found = arithmetic.pack(weight, bias)(arithmetic.lower(inputs))
    torch.testing.assert_close(found, expected, atol=TOLERANCE[precision], rtol=1e-2)


def test_int8_is_there_only_if_its_products_are(monkeypatch):
    assert is_int8_there()
    is_int8_there.cache_clear()
    monkeypatch.setattr(torch.ops, "onednn", object())
    assert not is_int8_there()
