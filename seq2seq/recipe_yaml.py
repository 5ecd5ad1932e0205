"""The recipe as YAML: written whole, read strictly, every mistake named by its dotted key."""

import dataclasses
import difflib
import math
import re
import types
import typing
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from typing import Any, TypeVar

import yaml

from seq2seq.config import ConfigurationError, Recipe, shown
from seq2seq.language_config import LanguageRecipe

FORMAT_VERSION = 1
MOST_RECIPE_BYTES = 300_000  # of a file: far above all that anybody writes, read in seconds
_LONGEST_NAME = 120  # of a foreign key in an error message, which is one line
# Halves of characters: Python has them for bytes that are no UTF-8, also in names of files.
_SURROGATE = re.compile("[\ud800-\udfff]")

Settings = TypeVar("Settings")  # a frozen dataclass

_TYPE_NAMES = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    types.NoneType: "null",
    list[str]: "a list of texts",
}


def recipe_to_yaml(recipe: Recipe | LanguageRecipe, **sections: Any) -> str:
    """Writes every value of `recipe`, None included, and `sections` below it."""
    values = {"format_version": FORMAT_VERSION, **dataclasses.asdict(recipe), **sections}
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=100)


def recipe_from_yaml(text: str, *, sections: Iterable[str] = ("decode",)) -> Recipe:
    """Reads a recipe; what it does not mention has its default.

    Args:
        text: YAML as `recipe_to_yaml` writes it or as a user does by hand.
        sections: Top-level keys that may stand beside the recipe and are no part of it.

    Raises:
        ConfigurationError: If the text is no YAML, or a key or a value is wrong; names the key.
    """
    return recipe_from_values(values_from_yaml(text), sections=sections)


def recipe_from_values(
    values: Mapping[str, Any], *, sections: Iterable[str] = ("decode",)
) -> Recipe:
    """What `recipe_from_yaml` makes of what `values_from_yaml` gave."""
    return update_recipe(Recipe(), _without(values, sections))


def language_recipe_from_yaml(text: str) -> LanguageRecipe:
    """Reads the recipe of a language model, as `recipe_from_yaml` does that of a translator.

    Raises:
        ConfigurationError: If the text is no YAML, or a key or a value is wrong; names the key.
    """
    return language_recipe_from_values(values_from_yaml(text))


def language_recipe_from_values(values: Mapping[str, Any]) -> LanguageRecipe:
    """What `language_recipe_from_yaml` makes of what `values_from_yaml` gave."""
    found: LanguageRecipe = _update(
        LanguageRecipe(), _without(values, ["weights", "texts"]), prefix=""
    )
    return found


def texts_from_values(values: Mapping[str, Any]) -> dict[str, str]:
    """The checksums of the texts of a language model, by name; none if it does not say any."""
    texts = values.get("texts", {})
    return texts if isinstance(texts, dict) else {}


def _without(values: Mapping[str, Any], sections: Iterable[str]) -> dict[str, Any]:
    """The recipe alone, of a format that is known."""
    values = dict(values)
    version = values.pop("format_version", FORMAT_VERSION)
    if version != FORMAT_VERSION or isinstance(version, bool):
        raise ConfigurationError(
            f"`format_version` must be {FORMAT_VERSION}, but is {shown(version)}; "
            f"a newer seq2seq may read it."
        )
    for section in sections:
        values.pop(section, None)
    return values


def values_from_yaml(text: str) -> dict[str, Any]:
    """Reads YAML with a mapping on top; builds plain values only and refuses doubled keys."""
    try:
        values = yaml.load(text, Loader=_StrictLoader)
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        problem = (error.problem or "no YAML")[:_LONGEST_NAME]
        raise ConfigurationError(f"{line}{problem}.") from error
    except Exception as error:  # PyYAML lets many classes through, such as those of `!!bool 3`
        raise ConfigurationError("the text is no YAML.") from error
    if not isinstance(values, dict):
        raise ConfigurationError("the text is no recipe: its top level is no mapping of keys.")
    return values


def update_recipe(recipe: Recipe, values: Mapping[str, Any]) -> Recipe:
    """Returns `recipe` with `values`, a tree of plain values, in place of its own.

    Raises:
        ConfigurationError: If a key is unknown, or a value has the wrong type or is out of range.
    """
    return _update(recipe, values, prefix="")


def update_settings(settings: Settings, values: Mapping[str, Any], *, prefix: str) -> Settings:
    """The same for other dataclasses, such as the section `search` alone.

    Args:
        prefix: Stands before the keys in messages: "search.".
    """
    found: Settings = _update(settings, values, prefix)
    return found


def suggestion(name: str, known: Iterable[str]) -> str:
    """Says which of `known` may have been meant by `name`, or nothing: "; did you mean `x`?"."""
    known = list(known)
    matches = [k for k in known if name and k.startswith(name)]
    matches = matches or difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {' or '.join(f'`{m}`' for m in matches[:2])}?" if matches else "."


def describe_type(annotation: Any) -> str:
    """Says in words what values an annotation of the recipe allows."""
    if typing.get_origin(annotation) is typing.Literal:
        return f"one of {', '.join(typing.get_args(annotation))}"
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        return " or ".join(describe_type(part) for part in typing.get_args(annotation))
    return _TYPE_NAMES.get(annotation, str(annotation))


def _update(section: Any, values: Any, prefix: str) -> Any:
    if not isinstance(values, Mapping):
        raise ConfigurationError(
            f"`{prefix.rstrip('.')}` must be a mapping of keys, but is {shown(values)}."
        )
    annotations = typing.get_type_hints(type(section))
    changes = {}
    for key, value in values.items():
        if key not in annotations:
            name = (key if isinstance(key, str) else shown(key))[:_LONGEST_NAME]
            raise ConfigurationError(f"unknown key `{prefix}{name}`{suggestion(name, annotations)}")
        annotation = annotations[key]
        if dataclasses.is_dataclass(annotation):
            changes[key] = _update(getattr(section, key), value, f"{prefix}{key}.")
        else:
            changes[key] = _convert(value, annotation, f"{prefix}{key}")
    return dataclasses.replace(section, **changes)


def _convert(value: Any, annotation: Any, key: str) -> Any:
    """Checks a plain value against the annotation of its field."""
    union = typing.get_origin(annotation) in (types.UnionType, typing.Union)
    for text in value if isinstance(value, list) else [value]:
        if isinstance(text, str) and _SURROGATE.search(text):
            raise ConfigurationError(f"`{key}` must be text in UTF-8, but is {shown(value)}.")
    for option in typing.get_args(annotation) if union else (annotation,):
        if typing.get_origin(option) is typing.Literal and value in typing.get_args(option):
            return value
        if option == list[str]:
            if isinstance(value, list) and all(isinstance(item, str) for item in value):
                return value
        elif option is float and not isinstance(value, bool):
            # YAML 1.1 reads 1e-3 as text.
            if isinstance(value, int | float | str) and _is_number(value):
                return float(value)
        elif option in _TYPE_NAMES and type(value) is option:
            return value
    raise ConfigurationError(f"`{key}` must be {describe_type(annotation)}, but is {shown(value)}.")


def _is_number(value: int | float | str) -> bool:
    try:
        return math.isfinite(float(value))
    except (ValueError, OverflowError):
        return False


class _StrictLoader(yaml.SafeLoader):
    """YAML's safe loader, which also refuses a key that stands twice, and aliases.

    A few aliases of aliases make a value that fills the memory; no recipe needs one.
    """

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(
                None, None, "aliases are not allowed", self.peek_event().start_mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        counts = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        for key in [key for key, count in counts.items() if count > 1]:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key `{key[:_LONGEST_NAME]}` stands twice", node.start_mark
            )
        return super().construct_mapping(node, deep=deep)
