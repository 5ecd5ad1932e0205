"""How every command reads its options: one rule of spelling, no abbreviations, one-line errors.

Options come from the arguments of functions and the fields of dataclasses, their help from the
docstrings. Underscores are the spelling; hyphens are accepted, here and nowhere else.
"""

import argparse
import dataclasses
import inspect
import itertools
import re
import typing
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from jsonargparse import ArgumentParser, Namespace, set_parsing_settings

from seq2seq.config import ConfigurationError, shown
from seq2seq.recipe_yaml import describe_type, suggestion

_LONGEST_NAME = 120  # of what was typed for an option, in an error message
# Lists among the arguments of a command, which take several values: of what type, and its name.
_SEVERAL: dict[Any, tuple[type, str]] = {
    list[str]: (str, "one or more texts"),
    list[int]: (int, "one or more whole numbers"),
    list[float]: (float, "one or more numbers"),
}


class Options:
    """The options of one command.

    Args:
        command: As the user types it, such as "seq2seq translate".
        description: What the command does; stands at the top of its help.
    """

    def __init__(self, command: str, description: str) -> None:
        set_parsing_settings(docstring_parse_attribute_docstrings=True)
        self.command = command
        self._annotations: dict[str, Any] = {}
        self._own: set[str] = set()  # of the command, no settings
        self._several: dict[str, str] = {}  # options of several values, and what they must be
        self._positional: list[str] = []
        self._required: list[str] = []
        self._parser = ArgumentParser(
            prog=command,
            usage="%(prog)s [options]",
            description=description,
            exit_on_error=False,
            allow_abbrev=False,
        )

    def add_function(self, function: Callable[..., Any], skip: Sequence[str] = ()) -> None:
        """Adds the arguments of a function; those before `*` without a default go by position.

        One of a type in `_SEVERAL`, such as `list[str]`, takes one or more values: `--names a b`.
        """
        annotations = typing.get_type_hints(function)
        own = {n: a for n, a in annotations.items() if n not in (*skip, "return")}
        self._annotations |= own
        self._own |= own.keys()
        self._parser.add_function_arguments(function, as_positional=True, skip=set(skip))
        for name, parameter in inspect.signature(function).parameters.items():
            if name not in skip and parameter.default is parameter.empty:
                by_name = parameter.kind is parameter.KEYWORD_ONLY
                (self._required if by_name else self._positional).append(name)
        usage = ["%(prog)s [options]"]
        for action in self._parser._actions:
            is_several = self._take_several(action)
            if action.dest in self._positional:
                action.metavar = action.dest.upper()
                usage += [action.metavar, "..."] if is_several else [action.metavar]
        self._parser.usage = " ".join(usage)

    def _take_several(self, action: argparse.Action) -> bool:
        """Lets an argument that is a list take several values, and says whether it is one."""
        annotation = self._annotations.get(action.dest)
        for several, (of, name) in _SEVERAL.items():
            if annotation in (several, several | None):
                # The library would take one argument with brackets and commas.
                action.nargs, action._typehint = "+", of  # type: ignore[attr-defined]
                action.metavar = action.dest.upper()
                action.option_strings = [f"--{action.dest}"] if action.option_strings else []
                self._several[action.dest] = name
                return True
        return False

    def add_settings(self, settings: Any, *, show_defaults: bool = True) -> None:
        """Adds the fields of a dataclass, nested ones with dots.

        Args:
            settings: Its values are shown as defaults.
            show_defaults: Otherwise nothing is, for what is decided later.
        """
        cls = type(settings)
        known = {action.dest for action in self._parser._actions}
        self._parser.add_class_arguments(cls)
        self._annotations |= _leaf_annotations(cls)
        defaults = dict(_leaf_values(settings))
        self._parser.set_defaults({n: v if show_defaults else None for n, v in defaults.items()})
        for action in self._parser._actions:
            if action.dest in known:
                continue
            self._take_several(action)
            if action.dest not in defaults:
                action.help = argparse.SUPPRESS  # `--model FILE`: one place for files is enough

    def parse(self, argv: Sequence[str]) -> dict[str, Any]:
        """Returns the values that were given, and only those, as a tree.

        Raises:
            ConfigurationError: If an option is unknown or abbreviated, or a value is missing or of
                the wrong type.
            SystemExit: After `--help`.
        """
        spelled = self._spell(argv)
        try:
            given: Namespace = self._parser.parse_args(spelled, defaults=False)
        except Exception as error:  # PyYAML reads values, and has many classes for `!!bool 3`
            raise ConfigurationError(self._explain(str(error), spelled)) from error
        return given.as_dict()

    def _spell(self, argv: Sequence[str]) -> list[str]:
        """Turns hyphens into underscores, bare switches into `=true`, and refuses the unknown."""
        known = {"help", *self._annotations}
        appendable = {
            f"{name}+"
            for name, a in self._annotations.items()
            if list[str] in typing.get_args(a) and name not in self._several
        }
        spelled = []
        for position, token in enumerate(argv):
            if not token.startswith("--") or token == "--":
                spelled.append(token)
                continue
            typed, equals, value = token[2:].partition("=")
            name = typed.replace("-", "_")
            if name not in known | appendable:
                unknown = " ".join(typed.split())[:_LONGEST_NAME]
                raise ConfigurationError(
                    f"unknown option `--{unknown}`{suggestion(name, known)}".replace(
                        "mean `", "mean `--"
                    ).replace("or `", "or `--")
                )
            following = argv[position + 1] if position + 1 < len(argv) else ""
            # A command's own switches may stand before a file name; a recipe's values may not.
            switch = "." not in name or not following or following.startswith("--")
            bare = not equals and following.lower() not in ("true", "false") and switch
            if self._annotations.get(name) is bool and bare:
                spelled.append(f"--{name}=true")
            else:
                spelled.append(f"--{name}{equals}{value}")
        self._refuse_lost_values(spelled)
        return spelled

    def _refuse_lost_values(self, argv: Sequence[str]) -> None:
        """The parser would keep the last value alone where somebody may have meant several.

        Of a setting the last value counts: scripts add to those that they have.
        """
        names = Counter(token[2:].partition("=")[0] for token in argv if token.startswith("--"))
        for name, count in names.items():
            if count > 1 and name in self._several:
                raise ConfigurationError(
                    f"`--{name}` stands there {count} times; give all its values after one."
                )
            if count > 1 and list[str] in typing.get_args(self._annotations.get(name)):
                raise ConfigurationError(
                    f"`--{name}` stands there {count} times; give all its values as one list, "
                    f'`--{name} \'["a", "b"]\'`, or the further ones with `--{name}+`.'
                )
            if count > 1 and name in self._own:
                raise ConfigurationError(
                    f"`--{name}` stands there {count} times, but takes one value; give it once."
                )

    def _explain(self, message: str, argv: Sequence[str]) -> str:
        """Says in one sentence what the parser has to say at length."""
        if match := re.search(r"[Pp]arser key \"([^\"]+)\"", message):
            name = match[1]
            if name in self._annotations:
                return self._refuse_value(name, argv)
        if match := re.search(r"argument --(\S+): expected", message):
            return f"`--{match[1]}` needs a value: {self._allowed(match[1])}."
        if "required" in message and (missing := self._missing(message, argv)):
            return f"{', '.join(missing)} is missing; see `{self.command} --help`."
        if match := re.search(r"[Uu]nrecognized arguments: (\S+)", message):
            return f"unexpected argument {shown(match[1])}; see `{self.command} --help`."
        return self._find_unreadable(argv)

    def _find_unreadable(self, argv: Sequence[str]) -> str:
        """Names the option at whose value the parser breaks down."""
        typed = {token.partition("=")[0].removesuffix("+") for token in argv}
        for name in (name for name in self._annotations if f"--{name}" in typed):
            try:
                self._parser.parse_args([f"--{name}={_last_value(name, argv)}"], defaults=False)
            except Exception as error:
                if "required" not in str(error):
                    return self._refuse_value(name, argv)
        return f"an argument cannot be read; see `{self.command} --help`."

    def _refuse_value(self, name: str, argv: Sequence[str]) -> str:
        value = " ".join(_values(name, argv)) if name in self._several else _last_value(name, argv)
        return f"`--{name}` must be {self._allowed(name)}, but is {shown(value)}."

    def _allowed(self, name: str) -> str:
        return self._several.get(name) or describe_type(self._annotations.get(name, str))

    def _missing(self, message: str, argv: Sequence[str]) -> list[str]:
        given = {token.partition("=")[0] for token in argv}
        by_position = [
            name.upper() for name in self._positional if re.search(rf"\b{name}\b", message)
        ]
        return by_position + [f"`--{name}`" for name in self._required if f"--{name}" not in given]


def _leaf_annotations(cls: type, prefix: str = "") -> dict[str, Any]:
    leaves: dict[str, Any] = {}
    for name, annotation in typing.get_type_hints(cls).items():
        if dataclasses.is_dataclass(annotation) and isinstance(annotation, type):
            leaves |= _leaf_annotations(annotation, f"{prefix}{name}.")
        else:
            leaves[prefix + name] = annotation
    return leaves


def _leaf_values(settings: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for setting in dataclasses.fields(settings):
        value = getattr(settings, setting.name)
        if dataclasses.is_dataclass(value):
            yield from _leaf_values(value, f"{prefix}{setting.name}.")
        else:
            yield prefix + setting.name, value


def _last_value(name: str, argv: Sequence[str]) -> str:
    value = ""
    for token, following in zip(argv, [*argv[1:], ""], strict=True):
        typed, equals, attached = token.partition("=")
        if typed in (f"--{name}", f"--{name}+"):
            value = attached if equals else following
    return value


def _values(name: str, argv: Sequence[str]) -> list[str]:
    """All values of an option that takes several."""
    rest = list(itertools.dropwhile(lambda token: token.partition("=")[0] != f"--{name}", argv))
    attached = rest[0].partition("=")[2:] if rest and "=" in rest[0] else ()
    return [*attached, *itertools.takewhile(lambda token: not token.startswith("--"), rest[1:])]
