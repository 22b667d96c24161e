"""Being stopped: Ctrl-C, SIGTERM (`kill`, a cluster's time limit) and SIGHUP (a closed terminal) let a step finish.

with Stop() as stop:
    while not stop.asked:
        step()
stop.leave()
"""

import signal
import threading

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Stop:
    """While it is open, a signal is noted in `asked`; the same or another one again stops at once, unless it is
    `patient`: torchrun and a cluster may both tell a process. A signal that the process was told to ignore, as by nohup
    or by shells in the background, goes on being ignored."""

    def __init__(self, patient: bool = False):
        self.asked: int = 0  # the signal
        self.patient = patient

    def __enter__(self) -> "Stop":
        self.before = {}
        if threading.current_thread() is threading.main_thread():  # elsewhere signals cannot be caught
            self.before = {s: signal.getsignal(s) for s in SIGNALS if signal.getsignal(s) is not signal.SIG_IGN}
        for number in self.before:
            signal.signal(number, self.note)
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler or signal.SIG_DFL)

    def note(self, number: int, _frame) -> None:
        if self.asked and not self.patient:
            self.leave(number)
        self.asked = number

    def leave(self, number: int = 0) -> None:
        """End the program as the signal would have: KeyboardInterrupt, or SystemExit with 128 + its number."""
        number = number or self.asked
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)


def leave_signals(worker: int) -> None:
    """Worker processes leave signals, which reach the whole group, to the one that trains; they end when it does."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
