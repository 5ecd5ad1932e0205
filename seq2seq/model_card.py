"""The model card: what a folder translates, how well, and how to use it, for people."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seq2seq.config import CorpusConfig, Recipe
from seq2seq.language_config import LanguageRecipe, TextConfig


def write_model_card(recipe: Recipe, scores: Mapping[str, Any], folder: Path) -> str:
    """Writes README.md of a model directory.

    Args:
        scores: For each set of sentences the scores by name, each with `value` and `signature`;
            whatever else stands there is left to `scores.json`.
        folder: The directory, from where the run was started.
    """
    name = folder.name
    source, target = recipe.source_language, recipe.target_language
    model = recipe.model
    context = (
        "a fixed-length context"
        if model.attention == "none"
        else f"{model.attention.capitalize()} attention"
    )
    return f"""---
language: ["{source}", "{target}"]
library_name: seq2seq
pipeline_tag: translation
---

# {recipe.name}: {source} to {target}

A recurrent translation model: {model.cell.upper()} cells with {context}, {model.encoder_layers}
encoder and {model.decoder_layers} decoder layer(s) of {model.hidden_size} units. `recipe.yaml` has
every setting. The same run again, from the folder where it was started:

```
{command_again(folder)}
```

## Corpus

{_describe_corpus(recipe.corpus)}

## Scores

{_score_table(scores) or "Not evaluated yet."}

## Use

From the folder that holds this one:

```
seq2seq translate {name} < input.{source} > output.{target}
```

```python
from seq2seq import Translator

translator = Translator.load("{name}")
print(translator.translate("...").text)
```
"""


def write_language_model_card(
    recipe: LanguageRecipe, scores: Mapping[str, Any], folder: Path
) -> str:
    """Writes README.md of a language model.

    Args:
        scores: For each text its losses by name, as `scores.json` has them.
        folder: Of the model, from where the run was started.
    """
    model = recipe.model
    kind = "running text" if recipe.text.lines == "text" else "sentences, each for itself"
    rows = [
        f"| {name} | {loss['bits_per_character']:.3f} | {loss['perplexity']:.2f} | "
        f"{loss['word_perplexity']:.1f} | {loss['characters']:,} |"
        for name, loss in scores.items()
    ]
    header = "| text | bits per character | perplexity per piece | per word | characters |"
    table = "\n".join([header, "|---|--:|--:|--:|--:|", *rows]) if rows else "Not evaluated yet."
    return f"""---
language: ["{recipe.language}"]
library_name: seq2seq
pipeline_tag: text-generation
---

# {recipe.name}: a language model

A recurrent language model of {kind}: {model.num_layers} layer(s) of {model.hidden_size}
{model.cell.upper()} units. `language_model.yaml` has every setting. The same run again, from the
folder where it was started:

```
{command_again(folder, "train_lm", "language_model.yaml")}
```

## Text

{_describe_text(recipe.text)}

## Losses

{table}

The end of a line counts as a character, a piece and a word.

## Use

From the folder that holds this one:

```
seq2seq generate {folder.name} --length 400 --temperature 0.7
seq2seq evaluate_lm {folder.name} --text FILE
```

```python
from seq2seq.language_model import LanguageModel

print(LanguageModel.load("{folder.name}").generate(length=400, temperature=0.7)[0])
```
"""


def _describe_text(text: TextConfig) -> str:
    if text.train is None:
        return "The Python source of seq2seq itself."
    files = [text.train] if isinstance(text.train, str) else text.train
    return "Files: " + ", ".join(f"`{name}`" for name in files) + "."


def command_again(folder: Path, command: str = "train", recipe_file: str = "recipe.yaml") -> str:
    """The command that runs a recipe anew, under a name of its own.

    Args:
        folder: Of the finished run, from where it was started.
    """
    # Of `.` or `..` the name is known only from above.
    folder = folder if folder.name == folder.resolve().name else folder.resolve()
    recipe, name = shlex.quote(str(folder / recipe_file)), shlex.quote(f"{folder.name}-again")
    return f"seq2seq {command} --config {recipe} --name {name}"


def _describe_corpus(corpus: CorpusConfig) -> str:
    if corpus.hub:
        parts = (corpus.hub, corpus.hub_configuration, corpus.hub_revision)
        return f"The data set `{' '.join(part for part in parts if part)}` of the datasets hub."
    if corpus.train:
        files = [corpus.train] if isinstance(corpus.train, str) else corpus.train
        return "Line-aligned files: " + ", ".join(f"`{name}`" for name in files) + "."
    return "The phrasebook that ships with seq2seq."


def _score_table(scores: Mapping[str, Any]) -> str:
    rows = ["| set | score | value |", "|---|---|---|"]
    sets: dict[tuple[str, str], list[str]] = {}  # by name of the metric and signature, in order
    for set_name, metrics in scores.items():
        for metric, score in metrics.items() if isinstance(metrics, Mapping) else ():
            if isinstance(score, Mapping) and {"value", "signature"} <= score.keys():
                name = score.get("name", metric)
                rows.append(f"| {set_name} | {name} | {score['value']:.2f} |")
                sets.setdefault((name, score["signature"]), []).append(set_name)
    if not sets:
        return ""
    signatures = [
        f"* {name} of {', '.join(set_names)}: `{signature}`"
        for (name, signature), set_names in sets.items()
    ]
    return "\n".join([*rows, "", _SIGNATURES, "", *signatures])


_SIGNATURES = (
    "Signatures of sacreBLEU (BLEU and chrF are cased, `case:mixed`; TER is not, `case:lc`):"
)
