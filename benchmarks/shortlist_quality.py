"""What shortlists leave of the quality: covered pieces, equal translations and BLEU.

    python benchmarks/shortlist_quality.py --model DIR --source FILE --reference FILE

The model directory needs a lexicon. Prints a Markdown table, best made with a development set.
"""

import argparse
from collections.abc import Sequence

from torch import Tensor

from seq2seq.config import EOS_ID, PAD_ID
from seq2seq.decoding.shortlist import require_lexicon
from seq2seq.evaluate import clean_pairs, read_test_pairs
from seq2seq.evaluation.metrics import measure
from seq2seq.model_directory import load_model_directory
from seq2seq.translator import Translator

HEADER = """\
| per source piece | considered, mean | most | of references | of translations | equal | BLEU |
|--:|--:|--:|--:|--:|--:|--:|"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, metavar="DIR")
    parser.add_argument("--source", required=True, metavar="FILE")
    parser.add_argument("--reference", required=True, metavar="FILE")
    parser.add_argument("--per_piece", type=int, nargs="+", default=[5, 10, 20, 50, 100])
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    loaded = load_model_directory(arguments.model)
    lexicon = require_lexicon(loaded.lexicon, attention=loaded.recipe.model.attention)
    translator = Translator.load(
        arguments.model, precision=arguments.precision, threads=arguments.threads
    )
    pairs = clean_pairs(read_test_pairs(arguments.source, arguments.reference), loaded.recipe)

    def translate(shortlist: int) -> tuple[list[str], float]:
        found = translator.translate(pairs.sources, with_alignment=False, shortlist=shortlist)
        texts = [translation.text for translation in found]
        bleu = measure("bleu", texts, pairs.targets, loaded.recipe.target_language).score()
        return texts, bleu.value

    target = loaded.tokenizers.target
    source_ids = loaded.tokenizers.source.encode_batch(pairs.sources)
    whole, bleu = translate(0)
    size = f"{target.vocabulary_size:,}"
    print(HEADER)
    print(f"| all | {size} | {size} | 100.0% | 100.0% | 100.0% | {bleu:.2f} |", flush=True)
    for per_piece in arguments.per_piece:
        candidates = lexicon.candidates(source_ids, per_piece)
        sizes = (candidates != PAD_ID).sum(dim=1)
        of_references = covered(candidates, target.encode_batch(pairs.targets))
        of_translations = covered(candidates, target.encode_batch(whole))
        texts, bleu = translate(per_piece)
        equal = sum(map(str.__eq__, texts, whole)) / len(whole)
        print(
            f"| {per_piece} | {sizes.float().mean():.0f} | {sizes.max()} | {of_references:.1%} "
            f"| {of_translations:.1%} | {equal:.1%} | {bleu:.2f} |",
            flush=True,
        )


def covered(candidates: Tensor, target_ids: Sequence[Sequence[int]]) -> float:
    """Share of the pieces of targets, the end symbol counted, that their candidates hold."""
    num_pieces = num_covered = 0
    for row, ids in zip(candidates.tolist(), target_ids, strict=True):
        found = set(row)
        num_pieces += len(ids) + 1
        num_covered += sum(piece in found for piece in [*ids, EOS_ID])
    return num_covered / num_pieces


if __name__ == "__main__":
    main()
