import os
import signal
import threading

import pytest

from seq2seq.training.signals import handle_signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_handled_and_the_second_is_not(number):
    heard = []
    previous = signal.signal(number, lambda *_: heard.append("before"))
    try:
        with handle_signals(lambda: heard.append("handler")):
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
    finally:
        signal.signal(number, previous)
    assert heard == ["handler", "before", "before"]


def test_a_thread_trains_without_signals():
    done = []

    def run():
        with handle_signals(pytest.fail):
            done.append(True)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert done == [True]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_where_several_processes_train_signals_may_come_again(number):
    heard = []
    with handle_signals(lambda: heard.append("handler"), once=False):
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
    assert heard == ["handler", "handler"]


def test_signals_that_waited_are_heard():
    heard = []
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    try:
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)  # not to any other thread
        with handle_signals(lambda: heard.append("handler")):
            pass
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    assert heard == ["handler"]
