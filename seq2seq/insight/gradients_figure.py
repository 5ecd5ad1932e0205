"""The figure of `gradients` and `clipping`."""

import itertools
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence

from seq2seq.evaluation.charts import Series, line_chart
from seq2seq.insight.chart_figure import chart_figure
from seq2seq.insight.clipping import Clipping, Trial
from seq2seq.insight.gradients import GradientFlow, Gradients

_FAINTEST = 1e-10  # what is below it reaches no weight in float32; curves end there
_STEPS = "k, steps back"
_NORM = "mean norm of the gradient"


def draw_gradients(gradients: Gradients, clipping: Clipping | None = None) -> str:
    """Draws norms against steps back, and losses with and without clipping.

    Returns:
        A self-contained SVG document.
    """
    highest = max(value for flow in _all_flows(gradients) for value in (*flow.hidden, *flow.memory))
    limits = (_FAINTEST, 10.0 ** math.ceil(math.log10(highest)))
    charts = [
        _chart(
            _before_and_after(gradients),
            "Before (dashed) and after training",
            limits,
        ),
        *(
            _chart(_by_radius(flows), f"{name} as initialised: by spectral radius", limits)
            for name, flows in gradients.by_radius.items()
        ),
    ]
    notes = [
        f"{_where(gradients.places)} the norm of d loss(t) / d h(t-k), "
        f"where h is the top layer's hidden state; for an LSTM h moves while its memory cell c "
        f"stays as it is, and d loss(t) / d c(t-k) stands beside it. Curves end at 10⁻¹⁰.",
        "Spectral radius: the largest |eigenvalue| of the recurrent matrix of each gate, of which "
        "orthogonal ones, as training begins with them, have 1.",
    ]
    if clipping is not None:
        charts += [_losses(clipping), _last_losses(clipping)]
        notes.append(_clipping_note(clipping))
    names = ", ".join(gradients.trained)
    return chart_figure(charts, title=f"How far gradients reach: {names}", columns=2, notes=notes)


def _where(places: int) -> str:
    if places == 1:
        return "At one place of the text,"
    return f"Mean over {places} places of the text of"


def _all_flows(gradients: Gradients) -> Iterator[GradientFlow]:
    yield from gradients.trained.values()
    yield from gradients.fresh.values()
    for flows in gradients.by_radius.values():
        yield from flows.values()


def _chart(series: Sequence[Series], title: str, limits: tuple[float, float]) -> str:
    return line_chart(
        series, title=title, x_label=_STEPS, y_label=_NORM, log_y=True, y_limits=limits
    )


def _before_and_after(gradients: Gradients) -> list[Series]:
    """A colour for each state, full for trained models, dashed for fresh ones."""
    styles = itertools.count()
    series = []
    for name, trained in gradients.trained.items():
        fresh = gradients.fresh[name]
        for part, after, before in (
            ("", trained.hidden, fresh.hidden),
            (" memory c", trained.memory, fresh.memory),
        ):
            if after:
                style = next(styles)
                series += [
                    _curve(f"{name}{part}", after, style, dashed=False),
                    _curve(f"{name}{part}, before", before, style, dashed=True),
                ]
    return series


def _by_radius(flows: Mapping[float, GradientFlow]) -> list[Series]:
    """A colour for each radius, full for hidden states, dashed for memory cells."""
    series = []
    for style, (radius, flow) in enumerate(flows.items()):
        series.append(_curve(f"radius {radius:g}", flow.hidden, style, dashed=False))
        if flow.memory:
            series.append(_curve(f"{radius:g}, memory c", flow.memory, style, dashed=True))
    return series


def _curve(name: str, norms: Sequence[float], style: int, *, dashed: bool) -> Series:
    return Series(name, list(enumerate(norms)), style=style, dashed=dashed)


def _losses(clipping: Clipping) -> str:
    """The course of the loss at one learning rate: mean over seeds, band from lowest to highest."""
    rate = _telling_rate(clipping)
    series = []
    for style, is_clipped in enumerate((True, False)):
        trials = _trials(clipping, is_clipped, rate)
        courses = list(zip(*([each.loss for each in one.updates] for one in trials), strict=True))
        series.append(
            Series(
                "clipped" if is_clipped else "not clipped",
                [(step, statistics.fmean(losses)) for step, losses in enumerate(courses, 1)],
                band=[(step, min(losses), max(losses)) for step, losses in enumerate(courses, 1)],
                style=style,
                dashed=not is_clipped,
            )
        )
    return line_chart(
        series,
        title=f"{clipping.name}, learning rate {rate:g}",
        x_label="updates",
        y_label="training loss, nats per piece",
        log_y=True,
    )


def _last_losses(clipping: Clipping) -> str:
    rates = sorted({trial.learning_rate for trial in clipping.trials})
    series = []
    for style, is_clipped in enumerate((True, False)):
        losses = {
            rate: [trial.last_loss for trial in _trials(clipping, is_clipped, rate)]
            for rate in rates
        }
        series.append(
            Series(
                "clipped" if is_clipped else "not clipped",
                [(rate, statistics.fmean(losses[rate])) for rate in rates],
                band=[(rate, min(losses[rate]), max(losses[rate])) for rate in rates],
                style=style,
                dashed=not is_clipped,
            )
        )
    return line_chart(
        series,
        title=f"{clipping.name}: loss after {clipping.num_updates} updates",
        x_label="learning rate",
        y_label="training loss, nats per piece",
        log_x=True,
        log_y=True,
        x_ticks=rates,
    )


def _telling_rate(clipping: Clipping) -> float:
    """The highest rate at which clipped training still ends below the loss it began with."""
    rates = sorted({trial.learning_rate for trial in clipping.trials})

    def learns(rate: float) -> bool:
        trials = _trials(clipping, True, rate)
        began = statistics.fmean(trial.updates[0].loss for trial in trials)
        return statistics.fmean(trial.last_loss for trial in trials) < began

    return max(filter(learns, rates), default=rates[0])


def _trials(clipping: Clipping, is_clipped: bool, rate: float) -> list[Trial]:
    return [
        trial
        for trial in clipping.trials
        if trial.is_clipped == is_clipped and trial.learning_rate == rate
    ]


def _clipping_note(clipping: Clipping) -> str:
    rates = sorted({trial.learning_rate for trial in clipping.trials})
    seeds = sorted({trial.seed for trial in clipping.trials})
    spread = f"seed {seeds[0]}"
    if len(seeds) > 1:
        spread = (
            f"means over {len(seeds)} seeds ({', '.join(map(str, seeds))}), bands from the lowest "
            f"to the highest"
        )
    return (
        f"Clipping: {clipping.name} trained anew by gradient descent without momentum, "
        f"{clipping.num_updates} updates, the norm of all gradients clipped at 1 or not; "
        f"{spread}; learning rates {', '.join(f'{rate:g}' for rate in rates)}. The course is shown "
        f"at the highest rate at which clipped training still learns."
    )
