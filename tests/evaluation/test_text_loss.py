import pytest

from seq2seq.evaluation.text_loss import TextLoss, describe_unknown, show_perplexity, total


def test_losses_add_up():
    found = total([TextLoss(3.0, 4, 5, 2, 1), TextLoss(1.0, 2, 3, 1)])
    assert found == TextLoss(4.0, 6, 8, 3, 1)


@pytest.mark.parametrize(
    ("nats", "shown"),
    [(1.0, "2.72"), (20.0, "4.85e+08"), (1e5, "more than 1e100")],
    ids=["usual", "large", "diverged"],
)
def test_perplexities_are_short(nats, shown):
    assert show_perplexity(TextLoss(nats, 1, 1, 1).perplexity, 2) == shown


def test_unknown_pieces_are_told():
    assert describe_unknown(TextLoss(1.0, 9, 9, 3)) is None
    assert describe_unknown(TextLoss(1.0, 9_000, 9, 3, unknown=1_200)) == (
        "Unknown pieces: 1,200, which do not say what they spell; compare bits per character and "
        "perplexities only with models that know the same pieces."
    )
