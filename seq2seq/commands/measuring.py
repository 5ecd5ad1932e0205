"""Commands that measure a model on sentence pairs."""

import contextlib
import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, Literal

from seq2seq.commands.terminal import progress, say
from seq2seq.config import ConfigurationError, check_given
from seq2seq.lines import open_output, refuse_overwriting
from seq2seq.loading import Loading


def evaluate(
    model: str,
    *,
    source: str,
    reference: str,
    against: str | None = None,
    output: str | None = None,
    reverse: str | None = None,
    quiet: bool = False,
    loading: Loading,
    search: Mapping[str, Any],
) -> None:
    """Translates a file, scores it against references and says where the translations fail.

    Args:
        model: The model directory.
        source: File of source sentences, one per line.
        reference: File of their translations by people, as many lines.
        against: Another model directory, or a file with the translations of another system; the
            paired bootstrap says whether one of the two is better.
        output: File for the translations with their scores, a JSON object per line.
        reverse: Model directory of the other direction; ranks the hypotheses of both models anew,
            as `reverse_weight` says.
        quiet: Print no progress on standard error.
        loading: How the model computes, and which others take part.
        search: Settings in place of the recipes' of both models.
    """
    _check_measured(search)
    refuse_overwriting(output, source=source, reference=reference, against=against)
    from seq2seq.evaluate import (
        clean_pairs,
        evaluate_set,
        measure_other,
        read_test_pairs,
        read_word_counts,
    )
    from seq2seq.show_evaluation import print_comparisons, print_evaluation
    from seq2seq.translator import Translator

    pairs = read_test_pairs(source, reference)
    translator = Translator.load(model, reverse=reverse, **vars(loading))
    alone = dataclasses.replace(
        loading, ensemble=[], ensemble_weights=None, ensemble_kind="log_linear"
    )
    load = functools.partial(Translator.load, reverse=reverse, **vars(alone))
    settings = translator.search_settings(**search)
    translator.refuse_idle(settings)
    pairs = clean_pairs(pairs, translator.recipe)
    word_counts = read_word_counts(model, translator.recipe.source_language)
    with contextlib.ExitStack() as stack:
        output_file = None if output is None else stack.enter_context(open_output(output))
        with progress(quiet, source, source) as advance:  # the terminal is not used otherwise
            other = against and measure_other(
                against, translator, pairs, load=load, advance=advance, **search
            )
            if not quiet:
                say(translator.describe(settings))
            result = evaluate_set(
                translator,
                pairs.sources,
                pairs.targets,
                word_counts=word_counts,
                advance=advance,
                **search,
            )
        if output_file is not None:
            output_file.write(result.to_jsonl())
    print_evaluation(result, " + ".join([model, *loading.ensemble]), source)
    if against and other:
        print_comparisons(
            result.statistics,
            other,
            names=(_short(model, loading), against),
        )


def tune(
    model: str,
    *,
    source: str,
    reference: str,
    metric: Literal["bleu", "chrf"] = "bleu",
    reverse: str | None = None,
    save: bool = False,
    quiet: bool = False,
    loading: Loading,
    search: Mapping[str, Any],
) -> None:
    """Finds the length penalty and other settings of search that suit a development set best.

    Args:
        model: The model directory.
        source: File of source sentences, one per line; never those of a test set.
        reference: File of their translations by people, as many lines.
        metric: What is to be high, bleu or chrf.
        reverse: Model directory of the other direction, whose weights are tried, too; and so are
            those of a `language_model`.
        save: Write what is found into the recipe.yaml of `model` if settings chosen by one half of
            the sentences are significantly better on the other, both ways.
        quiet: Print no progress on standard error.
        loading: How the model computes, and which others take part.
        search: Settings that are kept as they are given, in place of the recipe's.
    """
    _check_measured(search)
    if save and loading.ensemble:
        raise ConfigurationError(
            "`save` writes into the directory of one model, not into those of an `ensemble`; give "
            "what is found to `seq2seq translate`."
        )
    from seq2seq.data.progress import progress_bar
    from seq2seq.evaluate import clean_pairs, read_test_pairs
    from seq2seq.model_directory import update_search
    from seq2seq.show_evaluation import print_tuning
    from seq2seq.translator import Translator
    from seq2seq.tune import tune as find_settings

    pairs = read_test_pairs(source, reference)
    translator = Translator.load(model, reverse=reverse, **vars(loading))
    pairs = clean_pairs(pairs, translator.recipe)
    with contextlib.ExitStack() as stack:
        advance = None if quiet else stack.enter_context(progress_bar("Searching"))
        tuned = find_settings(translator, pairs, metric=metric, advance=advance, **search)
    best = tuned.best.search
    is_fluency_asked = best.fusion_weight > 0 or best.language_weight != 0
    given = {
        "ensemble": loading.ensemble or None,
        "ensemble_weights": loading.ensemble_weights,
        "ensemble_kind": loading.ensemble_kind if loading.ensemble else None,
        "language_model": loading.language_model if is_fluency_asked else None,
        "reverse": reverse,
        **search,
    }
    print_tuning(tuned, pairs, model, given)
    if save and tuned.is_better:
        print(f"saved: {update_search(model, tuned.best.search)}")
    elif save:
        print(f"{model} is left as it was.")


def calibrate(
    model: str,
    *,
    source: str,
    reference: str,
    quiet: bool = False,
    loading: Loading,
    search: Mapping[str, Any],
) -> None:
    """Learns from a development set how much to trust each translation; writes MODEL/quality.yaml.

    Args:
        model: The model directory.
        source: File of source sentences that the model has not learnt from, one per line.
        reference: File of their translations by people, as many lines.
        quiet: Print no progress on standard error.
        loading: How the model computes, and which others take part.
        search: Settings in place of the recipe's.
    """
    _check_measured(search)
    from seq2seq.calibrate import calibrate as learn
    from seq2seq.confidence import write_quality
    from seq2seq.evaluate import clean_pairs, read_test_pairs
    from seq2seq.show_evaluation import print_calibration
    from seq2seq.translator import Translator

    pairs = read_test_pairs(source, reference)
    translator = Translator.load(model, **vars(loading))
    translator.refuse_idle(translator.search_settings(**search))
    pairs = clean_pairs(pairs, translator.recipe)
    with progress(quiet, source, source) as advance:
        calibration = learn(translator, pairs, advance=advance, **search)
    print_calibration(calibration)
    print(f"quality: {write_quality(model, calibration.quality)}")


def _short(model: str, loading: Loading) -> str:
    """A model or an ensemble in few words, for columns."""
    return f"{model} + {len(loading.ensemble)} more" if loading.ensemble else model


def _check_measured(search: Mapping[str, Any]) -> None:
    """Refuses settings, before anything is loaded, by which not all translations would count."""
    check_given(search)
    if search.get("min_confidence"):
        raise ConfigurationError(
            "`--min_confidence` is for `seq2seq translate`; what is measured here is how good all "
            "translations are."
        )
