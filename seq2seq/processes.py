"""What all processes that are started here have in common: cores, signals, and how they end."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import connection, parent_process, resource_tracker

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def count_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def signals_later() -> Iterator[None]:
    """Processes started here get no signal before `signals_now`; the caller gets its own after."""
    if sys.platform == "win32":
        yield
        return
    resource_tracker.ensure_running()  # which lets signals through when it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        with _handled_later():
            yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _handled_later() -> Iterator[None]:
    """Keeps signals that come by another thread, whose mask is its own, until the end."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are handled in the main thread, which goes on
        return
    heard: list[int] = []
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        signal.signal(number, lambda caught, _: heard.append(caught))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for caught in heard:
            signal.raise_signal(caught)  # and this thread hears it when it blocks it no more


def signals_now() -> None:
    """Lets a started process hear signals, those that have waited, too."""
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def end_with_parent() -> None:
    """Ends this process as soon as the one that started it is gone, whatever it does."""
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def how_killed(exit_code: int) -> str:
    """What is said of a process that a signal ended.

    Args:
        exit_code: As `multiprocessing` has it, below 0.
    """
    return f"was killed by {signal.Signals(-exit_code).name}"


def _wait_for_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
