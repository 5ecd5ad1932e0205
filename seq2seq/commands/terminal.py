"""What commands say on the terminal."""

import contextlib
import sys
from collections.abc import Callable, Iterator


def note(count: int, what: str, *, one: str | None = None) -> None:
    """Says of how many lines something holds, if of any; of one line in words of its own."""
    if count:
        say(f"1 line {one or what}" if count == 1 else f"{count:,} lines {what}")


def say(message: str) -> None:
    """Prints a line for people on standard error."""
    print(f"seq2seq: {message}", file=sys.stderr)


@contextlib.contextmanager
def progress(quiet: bool, input: str | None, output: str | None) -> Iterator[Callable[[int], None]]:
    """Shows lines and lines per second, on a terminal where nobody types or reads meanwhile."""
    busy = (input is None and sys.stdin.isatty()) or (output is None and sys.stdout.isatty())
    if quiet or busy or not sys.stderr.isatty():
        yield lambda num_lines: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.completed:,.0f} lines, {task.fields[speed]:,.0f} per second"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=None, speed=0.0)

        def advance(num_lines: int) -> None:
            bar.update(task, advance=num_lines)
            state = bar.tasks[0]
            bar.update(task, speed=state.completed / (state.elapsed or 1.0))

        yield advance
