"""Options that take several values; the other ones are tested with the commands."""

import pytest

from seq2seq.config import ConfigurationError
from seq2seq.options import Options


def blend(
    output: str,
    inputs: list[str],
    *,
    further: list[str] | None = None,
    weights: list[float] | None = None,
    quiet: bool = False,
) -> None:
    """Blends files.

    Args:
        output: What to write.
        inputs: What to read.
        further: What to read, too.
        weights: How much each counts.
        quiet: Say nothing.
    """


def parse(*argv: str) -> dict:
    options = Options("seq2seq blend", "Blends files.")
    options.add_function(blend)
    return options.parse(argv)


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ([], {}),
        (["--further", "b", "c"], {"further": ["b", "c"]}),
        (["--further=b"], {"further": ["b"]}),
        (["--further", "1", "null", "[x]", "a: b"], {"further": ["1", "null", "[x]", "a: b"]}),
        (["--further", "b", "--quiet"], {"further": ["b"], "quiet": True}),
        (["--weights", "2", "0.5", "-1"], {"weights": [2.0, 0.5, -1.0]}),
        (["--weights=2", "--further", "b"], {"weights": [2.0], "further": ["b"]}),
    ],
    ids=["none", "two", "attached", "odd texts", "before a switch", "numbers", "both"],
)
def test_options_take_several_values(argv, expected):
    assert parse("out", "a", "b", *argv) == {"output": "out", "inputs": ["a", "b"], **expected}


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--weights", "2", "x"], "`--weights` must be one or more numbers, but is '2 x'."),
        (["--weights=x", "--quiet"], "`--weights` must be one or more numbers, but is 'x'."),
        (["--weights", "nan"], "`--weights` must be one or more numbers, but is 'nan'."),
        (["--further"], "`--further` needs a value: one or more texts."),
        (
            ["--further", "b", "--further", "c"],
            "`--further` stands there 2 times; give all its values after one.",
        ),
        (
            ["--quiet", "--quiet"],
            "`--quiet` stands there 2 times, but takes one value; give it once.",
        ),
        (["--further+", "b"], "unknown option `--further+`; did you mean `--further`?"),
    ],
    ids=["no number", "attached", "nan", "nothing", "twice", "switch twice", "plus"],
)
def test_mistakes_are_named(argv, message):
    with pytest.raises(ConfigurationError) as error:
        parse("out", "a", *argv)
    assert str(error.value) == message


def test_an_argument_that_is_swallowed_is_missing():
    with pytest.raises(ConfigurationError, match=r"^OUTPUT, INPUTS is missing"):
        parse("--further", "b", "out", "a")


def test_help_shows_that_there_may_be_several(capsys):
    with pytest.raises(SystemExit):
        parse("--help")
    text = capsys.readouterr().out
    assert "--further FURTHER [FURTHER ...]" in text
    assert "--further+" not in text
    assert "[options] OUTPUT INPUTS ..." in text
