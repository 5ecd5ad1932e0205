import pytest

from seq2seq.decoding.length_penalty import LENGTH_PENALTIES


@pytest.mark.parametrize(
    ("kind", "length", "exponent", "expected"),
    [
        ("power", 1, 1.0, 1.0),
        ("power", 7, 1.0, 7.0),
        ("power", 4, 0.5, 2.0),
        ("power", 9, 0.0, 1.0),
        ("gnmt", 1, 0.7, 1.0),
        ("gnmt", 7, 1.0, 2.0),
        ("gnmt", 19, 0.5, 2.0),
        ("gnmt", 9, 0.0, 1.0),
    ],
)
def test_values(kind, length, exponent, expected):
    assert LENGTH_PENALTIES[kind](length, exponent) == pytest.approx(expected)


@pytest.mark.parametrize("kind", LENGTH_PENALTIES)
@pytest.mark.parametrize("exponent", [0.0, 0.6, 1.0, 10.0])
def test_no_penalty_falls_as_the_length_grows(kind, exponent):
    values = [LENGTH_PENALTIES[kind](length, exponent) for length in range(1, 300)]
    assert values == sorted(values)
