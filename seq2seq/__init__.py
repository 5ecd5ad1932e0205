"""Machine translation with recurrent networks: train, search, look inside, ship a folder.

The public names are imported when they are first used, so that `import seq2seq` is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seq2seq.config import ConfigurationError as ConfigurationError
    from seq2seq.config import CorpusConfig as CorpusConfig
    from seq2seq.config import FilterConfig as FilterConfig
    from seq2seq.config import ModelConfig as ModelConfig
    from seq2seq.config import Recipe as Recipe
    from seq2seq.config import SearchConfig as SearchConfig
    from seq2seq.config import TokenizerConfig as TokenizerConfig
    from seq2seq.config import TrainingConfig as TrainingConfig
    from seq2seq.recipe import run as run
    from seq2seq.source import Source as Source
    from seq2seq.translation import Translation as Translation
    from seq2seq.translator import Translator as Translator

_HOMES = {
    "ConfigurationError": "config",
    "CorpusConfig": "config",
    "FilterConfig": "config",
    "ModelConfig": "config",
    "Recipe": "config",
    "SearchConfig": "config",
    "TokenizerConfig": "config",
    "TrainingConfig": "config",
    "Source": "source",
    "Translation": "translation",
    "Translator": "translator",
    "run": "recipe",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("importlib.metadata").version("seq2seq")
    if name not in _HOMES:
        raise AttributeError(f"module 'seq2seq' has no attribute {name!r}")
    return getattr(import_module(f"seq2seq.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
