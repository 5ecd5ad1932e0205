"""Interruptions: Ctrl+C and requests to end, as a checkpoint's reason and not as a crash."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from seq2seq.processes import SIGNALS, signals_now


@contextmanager
def handle_signals(handler: Callable[..., None], *, once: bool = True) -> Iterator[None]:
    """Lets `handler` hear Ctrl+C and requests to end.

    Args:
        once: The second signal works as ever. Where several processes train, a signal may come to
            one of them from the terminal and from the others, too, and must not end it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only there may signals be handled
        return
    previous = {number: signal.getsignal(number) for number in SIGNALS}

    def handle(number: int, frame: Any) -> None:
        if once:
            signal.signal(number, previous[signal.Signals(number)])
        handler()

    for number in SIGNALS:
        signal.signal(number, handle)
    signals_now()  # a started process had them wait
    try:
        yield
    finally:
        for number, old in previous.items():
            signal.signal(number, old)


class OwnSignals(Callback):
    """Takes back the signal that Lightning handles, too.

    Its handler communicates with the other processes, whatever they are doing.
    """

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Remembers the handler before Lightning puts its own in the place."""
        self._handler = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Puts it back."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._handler)
