"""Runs of an experiment on Dask workers: processes of this machine, one for each board or GPU, or a cluster that is there."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING

from host import termination
from joulegrad.experiment import ExperimentError
from joulegrad.experiment_run import Task, execute
from joulegrad.settings import ExperimentSettings, board_name

if TYPE_CHECKING:
    from distributed import Client, Future

SIGNALS = (signal.SIGINT, signal.SIGTERM)
ANSWERS_S = 20
"""A scheduler that has not answered by then is not there."""
CLOSES_S = 30
"""How long worker processes have to end."""
STOPS_S = 5
"""How long runs that are stopped have to come to the end of an iteration and leave their boards in order."""


def on_cluster(tasks: list[Task], settings: ExperimentSettings, step: Callable[[str, int], None]) -> dict[tuple[str, int], dict]:
    """Return results by run and seed; a task is started when those that it needs are done and its board is free.

    A board is a resource of Dask's, named by its URL without options, of which its worker has 1: two runs never share it.

    Args:
        tasks: each behind those that it needs.
        step: is told name and seed of every run that is done.

    Raises:
        ExperimentError: no scheduler answers, no worker can be started, or none drives a board that is asked for.
    """
    from distributed import as_completed

    with _levels_kept(), _client(settings) as client:
        _check_driven(client, settings)
        futures: dict[tuple[str, int], Future] = {}
        for task in tasks:
            needed = {name: futures[name, task.seed] for name in task.run.needs}
            held = {board_name(task.board): 1} if task.board else None
            futures[task.run.name, task.seed] = client.submit(execute, task, needed, pure=False, resources=held)
        keys = {future: key for key, future in futures.items()}
        done = {}
        try:
            for future in as_completed(futures.values()):
                done[keys[future]] = _result(future)
                step(*keys[future])
        except KeyboardInterrupt:
            _silence()
            _stop(client, list(keys))
            raise
    return done


@contextlib.contextmanager
def _levels_kept() -> Iterator[None]:
    """Give Dask's loggers behind the block the levels that they had before it."""
    before = [(one, one.level) for one in _dask_loggers()]
    try:
        yield
    finally:
        for one, level in before:
            one.setLevel(level)


def _silence() -> None:
    """Leave out what Dask says while it is stopped: of connections that close and of processes that are killed. What became of
    a run is in its result and its folder."""
    for one in _dask_loggers():
        one.setLevel(logging.CRITICAL)


def _dask_loggers() -> list[logging.Logger]:
    return [logging.getLogger(name) for name in list(logging.root.manager.loggerDict) if name.split(".")[0] == "distributed"]


def _stop(client: Client, futures: list[Future]) -> None:
    """Cancel what is left, and wait until it has stopped, or for twice STOPS_S: a worker may not answer any more."""
    stopping = threading.Thread(target=_stopped, args=(client, futures), daemon=True)
    stopping.start()
    stopping.join(2 * STOPS_S)


def _stopped(client: Client, futures: list[Future]) -> None:
    """Cancel, and return when no worker is at it: a run sees it after each iteration."""
    client.cancel(futures)
    keys, end_s = {future.key for future in futures}, time.monotonic() + STOPS_S
    while any(client.run(_executes, keys, on_error="ignore").values()) and time.monotonic() < end_s:
        time.sleep(0.05)


def _executes(keys: set[str], dask_worker=None) -> bool:
    """Return whether a worker, which Dask names, executes one of these tasks."""
    return not keys.isdisjoint(dask_worker.active_threads.values())


@contextlib.contextmanager
def _client(settings: ExperimentSettings) -> Iterator[Client]:
    """Join the cluster that is asked for, or start one of worker processes here."""
    from distributed import Client

    if not settings.scheduler:
        with _workers(settings) as cluster, Client(cluster) as client:
            client.run(_prepare)
            yield client
        return
    try:
        client = Client(settings.scheduler, timeout=ANSWERS_S)
    except (OSError, TimeoutError, ValueError) as error:
        raise ExperimentError(
            f"--scheduler {settings.scheduler}: no Dask scheduler answers there ({error}); an address is such as tcp://host:8786"
        ) from None
    with client:
        yield client


@contextlib.contextmanager
def _workers(settings: ExperimentSettings) -> Iterator[object]:
    """Start worker processes of one thread, numbered from 0: one for each board, or as many as asked for."""
    from distributed import Nanny, Scheduler, SpecCluster

    boards = settings.boards if len(settings.boards) > 1 else settings.boards * settings.workers
    held = [{"resources": {board_name(board): 1}} for board in boards] or [{}] * settings.workers
    host = {"host": "127.0.0.1", "dashboard_address": ":0"}
    options = {**host, "nthreads": 1, "silence_logs": logging.WARNING}
    workers = {number: {"cls": Nanny, "options": {**options, **one}} for number, one in enumerate(held)}
    cluster = None
    try:
        with _held():
            try:
                cluster = SpecCluster(workers, {"cls": Scheduler, "options": {**host, "port": 0}}, silence_logs=logging.WARNING)
            except (OSError, TimeoutError, ValueError, RuntimeError) as error:
                raise ExperimentError(f"{len(held)} worker processes cannot be started here ({error})") from None
        yield cluster
    except KeyboardInterrupt:
        _silence()
        raise
    finally:
        if cluster is not None:
            with contextlib.suppress(TimeoutError):  # workers that do not answer end with this process
                cluster.close(timeout=CLOSES_S)


@contextlib.contextmanager
def _held() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM wait until workers are started; they begin with both held up, so that none dies half started of what
    went to the whole group."""
    resource_tracker.ensure_running()  # starting it later would let the signals through again
    with termination.deferred():
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # handed down to Dask's threads, and to processes from there
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _prepare() -> None:
    """Have a worker leave Ctrl-C and SIGTERM, which a terminal or `timeout` send to the whole group, to the command, which stops
    it; say nothing of tasks that are cancelled, nor, after such a signal, of a scheduler that has gone.

    A handler, unlike SIG_IGN, is not handed down to the processes that a worker starts.
    """
    logging.getLogger("distributed.worker.state_machine").setLevel(logging.ERROR)
    for number in SIGNALS:
        signal.signal(number, lambda number, frame: _silence())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _check_driven(client: Client, settings: ExperimentSettings) -> None:
    """Raise ExperimentError where runs would wait for ever, since no worker of a cluster has a board that is asked for."""
    if not settings.scheduler:
        return
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    driven = {name for worker in workers for name in worker.get("resources", {})}
    missing = next((name for name in map(board_name, settings.boards) if name not in driven), None)
    if missing is None:
        return
    raise ExperimentError(
        f"--board {missing}: none of the {len(workers)} workers at {settings.scheduler} drives it; beside the board start "
        f'dask worker {settings.scheduler} --nthreads 1 --resources "{missing}=1"'
    )


def _result(future: Future) -> dict:
    """Return what a task returned; where its worker died over it, the sentence on that."""
    from distributed import KilledWorker

    try:
        return future.result()
    except KilledWorker as error:
        times = error.allowed_failures + 1
        return {"error": f"{times} worker processes died over it or over a run that it needs, as where memory is short"}
