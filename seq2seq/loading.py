"""How a model is loaded to translate: options of every command that does, and of its processes."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Loading:
    """How the model computes, and which others translate together with it.

    Keywords of `Translator.load`: plain values, which other processes can have.
    """

    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    precision: Literal["auto", "float32", "bfloat16", "int8"] = "auto"
    """auto is bfloat16 where it is fast and was found to lose no quality."""
    threads: int | None = None
    """Processor threads of each process; as many as cores if not given."""
    plain: bool = False
    """Compute by the plain path, the slow reference of the faster code."""
    ensemble: list[str] = field(default_factory=list)
    """Further model directories, of the same vocabulary, that translate together with the first."""
    ensemble_weights: list[float] | None = None
    """How much each model counts, the first one first; all the same if not given."""
    ensemble_kind: Literal["log_linear", "arithmetic"] = "log_linear"
    """log_linear joins the models' log-probabilities, arithmetic their probabilities."""
    language_model: str | None = None
    """Folder of a language model for sentences in the model's own target pieces, which takes part
    as `fusion_weight` and `language_weight` say."""
