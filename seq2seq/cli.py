"""The command line: parses, calls and prints; computes nothing.

To add a command, write a function in `commands/` and one line of `COMMANDS`: its arguments become
options, its docstring their help.
"""

import dataclasses
import functools
import inspect
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from seq2seq.commands.language import evaluate_lm, generate
from seq2seq.commands.looking import align, inspect_sentence, score
from seq2seq.commands.making import average, lexicon, report
from seq2seq.commands.measuring import calibrate, evaluate, tune
from seq2seq.commands.pictures import PICTURES
from seq2seq.commands.translating import complete, translate
from seq2seq.config import ConfigurationError, Recipe, SearchConfig
from seq2seq.exits import run_command
from seq2seq.language_config import LanguageRecipe
from seq2seq.loading import Loading
from seq2seq.options import Options
from seq2seq.recipe_yaml import suggestion

# Arguments of commands whose options are the fields of a dataclass.
_GROUPS: dict[str, Any] = {"loading": Loading(), "search": SearchConfig()}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code."""
    return run_command(lambda: _dispatch(list(sys.argv[1:] if argv is None else argv)))


def _dispatch(argv: list[str]) -> None:
    name = argv[0] if argv else "--help"
    if name in ("-h", "--help"):
        print(_overview())
    elif name == "--version" or (name in COMMANDS and "--version" in argv):
        from seq2seq import __version__

        print(f"seq2seq {__version__}")
    elif name in COMMANDS:
        COMMANDS[name](argv[1:])
    else:
        raise ConfigurationError(f"unknown command `{name}`{suggestion(name, COMMANDS)}")


def _overview() -> str:
    return "\n".join(
        [
            "Machine translation with recurrent networks.",
            "",
            "usage: seq2seq COMMAND ...     seq2seq COMMAND --help     seq2seq --version",
            "",
            *_list(COMMANDS),
        ]
    )


def _list(commands: Mapping[str, Callable[..., Any]]) -> list[str]:
    return [f"  {name:<13}{_first_line(command)}" for name, command in commands.items()]


def _train(argv: Sequence[str]) -> None:
    """Trains a translator from a recipe or from two files, evaluates it and prints the scores."""
    from seq2seq.recipe import run_with_options

    run_with_options(Recipe(), argv, command="seq2seq train", from_scratch=True)


def _train_lm(argv: Sequence[str]) -> None:
    """Trains a language model on a text file, or on this package's own source."""
    from seq2seq.language_recipe import train_with_options

    train_with_options(LanguageRecipe(), argv, command="seq2seq train_lm", from_scratch=True)


def _picture(argv: Sequence[str]) -> None:
    """Draws what a trained model does, one of several pictures."""
    name = argv[0] if argv else "--help"
    if name in PICTURES:
        _command(f"picture {name}", PICTURES[name])(argv[1:])
    elif name in ("-h", "--help"):
        usage = "usage: seq2seq picture KIND ...     seq2seq picture KIND --help"
        print("\n".join([f"{_first_line(_picture)}", "", usage, "", *_list(PICTURES)]))
    else:
        raise ConfigurationError(f"unknown picture `{name}`{suggestion(name, PICTURES)}")


def _command(name: str, function: Callable[..., None]) -> Callable[[Sequence[str]], None]:
    """Makes a command of a function; its `loading` and `search` become the fields of these."""
    parameters = inspect.signature(function).parameters
    groups = {name: default for name, default in _GROUPS.items() if name in parameters}
    for group in groups:
        if parameters[group].default is not inspect.Parameter.empty:
            groups[group] = parameters[group].default  # a command may have defaults of its own
    names = [n for n, p in parameters.items() if p.kind is p.KEYWORD_ONLY and n not in groups]
    if "loading" in groups:
        names += _fields(groups["loading"])

    @functools.wraps(function)
    def command(argv: Sequence[str]) -> None:
        options = Options(f"seq2seq {name}", _first_line(function))
        options.add_function(function, skip=list(groups))
        for group, default in groups.items():
            options.add_settings(default, show_defaults=group == "loading")
        given = options.parse(argv)
        for group, default in groups.items():
            given[group] = {n: given.pop(n) for n in _fields(default) if n in given}
        if "loading" in groups:
            given["loading"] = dataclasses.replace(groups["loading"], **given["loading"])
        try:
            function(**given)
        except ConfigurationError as error:
            if type(error) is not ConfigurationError:
                raise  # about a file, whose keys are no options
            # The options are `--device` and `--beam_size` here, `device` in Python and
            # `search.beam_size` in a recipe.
            message = re.sub(rf"`(search\.|(?=({'|'.join(names)})`))", "`--", str(error))
            raise ConfigurationError(message) from error

    return command


def _fields(settings: Any) -> list[str]:
    return [setting.name for setting in dataclasses.fields(settings)]


COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {
    "train": _train,
    "translate": _command("translate", translate),
    "evaluate": _command("evaluate", evaluate),
    "tune": _command("tune", tune),
    "calibrate": _command("calibrate", calibrate),
    "score": _command("score", score),
    "align": _command("align", align),
    "complete": _command("complete", complete),
    "train_lm": _train_lm,
    "generate": _command("generate", generate),
    "evaluate_lm": _command("evaluate_lm", evaluate_lm),
    "inspect": _command("inspect", inspect_sentence),
    "picture": _picture,
    "lexicon": _command("lexicon", lexicon),
    "average": _command("average", average),
    "report": _command("report", report),
}


def _first_line(function: Callable[..., Any]) -> str:
    return (function.__doc__ or "").splitlines()[0]
