"""A function at work in a process of its own, which ends with this one, however this one ends.

    process = start(measured, "one piece", 1024)
    process.join()

What is measured alone needs a memory of its own, and must not be left at work when a bench is stopped.
"""

import multiprocessing
import os
import threading
from collections.abc import Callable
from multiprocessing.context import SpawnProcess

CONTEXT = multiprocessing.get_context("spawn")


def start(function: Callable, *arguments) -> SpawnProcess:
    """Call a function of a module in a new process. Arguments are pickled: numbers, names, pipes and barriers of
    `CONTEXT`."""
    process = CONTEXT.Process(target=call, args=(function, arguments), daemon=True)
    process.start()
    return process


def call(function: Callable, arguments: tuple) -> None:
    """In the new process: the call, and an eye on the process that began it."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    function(*arguments)


def end_with_parent() -> None:
    multiprocessing.parent_process().join()  # comes back when that one is over, killed too
    os._exit(1)
