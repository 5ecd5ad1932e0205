"""Maps chunks of work in several processes, the results in order and few of them at once."""

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import chain, islice
from typing import Any, TypeVar

from seq2seq.config import ConfigurationError
from seq2seq.processes import count_cores, end_with_parent

Chunk = TypeVar("Chunk")
Result = TypeVar("Result")


def in_order(
    work: Callable[[Chunk], Result], chunks: Iterable[Chunk], processes: int
) -> Iterator[Result]:
    """What `work` makes of each chunk, in their order.

    The first chunks are done here, since starting processes takes longer than a small corpus.

    Args:
        work: Goes to each process once, so it may hold what all chunks need.
        processes: Processes at most; with 1 everything is done here.

    Raises:
        ConfigurationError: If a process dies.
    """
    chunks = iter(chunks)
    yield from map(work, islice(chunks, _DONE_HERE))
    begin = list(islice(chunks, 1))
    if processes < 2 or not begin:
        yield from map(work, chain(begin, chunks))
        return
    waiting: deque[Future[Result]] = deque()
    with _pool(work, processes) as pool:
        for chunk in chain(begin, chunks):
            waiting.append(pool.submit(_work_on, chunk))
            if len(waiting) > _IN_FLIGHT * processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def in_other_process(work: Callable[[Chunk], Result], chunk: Chunk) -> Result:
    """What `work` makes of a chunk, in a process whose memory is given back afterwards.

    Raises:
        ConfigurationError: If the process dies.
    """
    with _pool(work, 1) as pool:
        return pool.submit(_work_on, chunk).result()


def count_processes(threads: int | None) -> int:
    """Processes that prepare a corpus.

    Args:
        threads: `training.threads`; None takes all cores that this process may use.
    """
    return min(threads or count_cores(), _MOST_PROCESSES)


_MOST_PROCESSES = 16  # the one that reads and writes does not keep more of them busy
_DONE_HERE = 8  # chunks, which is some ten thousands of pairs
_IN_FLIGHT = 3  # chunks for each process, so that none of them waits for the next
_own_work: Callable[[Any], Any]


@contextmanager
def _pool(work: Callable[[Any], Any], processes: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that are ready for `_work_on`."""
    pool = ProcessPoolExecutor(
        processes,
        # A copy of this process would have the locks of its threads, but not the threads.
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_begin,
        initargs=(work,),
    )
    try:
        yield pool
    except BrokenProcessPool as error:
        raise ConfigurationError(
            "A process that prepares the corpus has died: it was killed, perhaps for want of "
            "memory, or a script trains without `if __name__ == '__main__':` around it."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(work: Callable[[Any], Any]) -> None:
    """Makes a new process ready: it ends with its parent, and only then."""
    global _own_work
    _own_work = work
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, too
    end_with_parent()


def _work_on(chunk: Any) -> Any:
    return _own_work(chunk)
