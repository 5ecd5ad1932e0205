"""Shows how far the preparation of a corpus has come, on a terminal only."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[int, float | None], None]]:
    """A bar on standard error that vanishes in the end.

    Yields:
        What is to be told the pairs done so far, and their share of all, None if it is not known.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[numbers]}"),
        TimeRemainingColumn(),
        TextColumn("left"),
        console=console,
        refresh_per_second=2,
        transient=True,
        disable=not console.is_terminal,
    )
    started = time.monotonic()
    with bar:
        task = bar.add_task(title, total=None, numbers="")

        def show(num_pairs: int, share: float | None) -> None:
            speed = num_pairs / max(time.monotonic() - started, 1e-3)
            bar.update(
                task,
                total=None if share is None else 1.0,
                completed=share or 0.0,
                numbers=f"{num_pairs:,} pairs  {speed:,.0f}/s",
            )

        yield show
