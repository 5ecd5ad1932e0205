"""Commands that draw what a trained model does, a picture each: `seq2seq picture KIND`.

To add a picture: a module of `insight/` with a function that returns data and one that draws it, a
function here, and one line of `PICTURES`.
"""

from collections.abc import Callable
from typing import Literal

from seq2seq.config import ConfigurationError
from seq2seq.lines import open_output


def alignment(
    model: str,
    sentence: str,
    *,
    output: str = "alignment.svg",
    units: Literal["pieces", "words"] = "pieces",
    device: str = "auto",
    threads: int | None = None,
) -> None:
    """Draws where the decoder looked while it translated a sentence.

    Args:
        model: The model directory, of a model with attention.
        sentence: The source sentence.
        output: File to write.
        units: What rows and columns are.
        device: auto, cpu, cuda or cuda:N.
        threads: Processor threads; as many as cores if not given.
    """
    from seq2seq.insight.alignment import draw_alignment, find_alignment
    from seq2seq.translator import Translator

    translator = Translator.load(model, device, "float32", threads)
    translation = translator.translate(sentence)
    if translation.alignment is None:
        raise ConfigurationError(
            f"{model} was trained with `model.attention` none, so it has no alignment to draw."
        )
    figure = draw_alignment(
        find_alignment(translation),
        f"{sentence} → {translation.text}",
        languages=(translator.recipe.source_language, translator.recipe.target_language),
    )
    write_figure(output, figure)


def write_figure(output: str, figure: str) -> None:
    """Writes a figure or a page, and says where it is."""
    with open_output(output) as file:
        file.write(figure.encode(errors="replace"))  # a sentence may be no UTF-8
    print(f"picture: {output}")


PICTURES: dict[str, Callable[..., None]] = {
    "alignment": alignment,
}
