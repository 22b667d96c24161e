"""Who trains when: one run at a time, the others in a queue of bounded length, each in processes of its own.

    schedule = Schedule(Path("/tmp/runs"), Bounds())
    secret, run = schedule.order(Order("scenes", ("cut",), 1000, 10), visitor="127.0.0.1")
    schedule.find(secret) is run, schedule.before(run)
    schedule.stop(run); schedule.resume(run, "127.0.0.1"); schedule.close()

A process is qsneg's own command line (`qsneg.learning.process`). It is held while `give_way` says that others come
first, which costs a run no minutes.
"""

import contextlib
import hashlib
import secrets
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from qsneg.filesystem import Unwritable, clause
from qsneg.learning.order import OWN, Bounds, Order
from qsneg.learning.process import PROGRAM, begin, go_on, hold, kill, stop_orphan, tell_to_end
from qsneg.learning.run import DONE, FAILED, LEARNING, PREPARING, STOPPED, WAITING, Run, folder_name
from qsneg.rendering.colormaps import title_of
from qsneg.training.lock import alone

LEAST = 60  # seconds of training below which none is begun
DAY = 24 * 3600
NO_ROOM = "The server has no room for another run at the moment: try again later."
PATIENCE = 60  # seconds in which a process that is told to stop has to save
NEEDED = 150 << 20  # bytes of a method's checkpoint, weights and film, and room to write the next ones


class Schedule:
    """The runs below a folder, and the thread that works at them.

    program: what runs the commands of `Run.next`; priority: how nice it is, 0 to 19.

    Raises:
        ValueError: if another app has the folder.
    """

    def __init__(self, folder: Path, bounds: Bounds, program=PROGRAM, preset="small", device="auto", priority=19):
        self.folder, self.bounds, self.program = Path(folder), bounds, list(program)
        self.preset, self.device, self.priority = preset, device, priority
        self.moved = threading.Condition(threading.RLock())
        self.queue: list[Run] = []
        self.at_work: Run | None = None  # the first of the queue
        self.stopping: Run | None = None  # the one at work, where it is to stop
        self.is_closed = False
        self.process: subprocess.Popen | None = None  # of the run at work, while it is not told to end
        self.gives_way = False
        self.runs: dict[str, Run] = {}
        self.spent: list[list] = []  # when, who, seconds
        self.folder.mkdir(parents=True, exist_ok=True)
        self.held = contextlib.ExitStack()
        try:
            self.held.enter_context(alone(self.folder))
        except ValueError:
            raise ValueError(
                f"Another app trains in '{self.folder}' already: start this one without --learn, or with another "
                "GRADIO_TEMP_DIR."
            ) from None
        self.read()
        self.thread = threading.Thread(target=self.work, name="learning", daemon=True)
        self.thread.start()

    def read(self) -> None:
        """Find the runs of before; those that were under way have stopped with the app."""
        for folder in self.folder.glob("?" * len(folder_name(""))):
            try:
                run = self.runs[folder.name] = Run.read(folder)
            except ValueError:  # it never came to be one
                shutil.rmtree(folder, ignore_errors=True)
                continue
            if run.is_moving:
                stop_orphan(run.process, run.folder)
                run.become(STOPPED, f"The app was started anew. {again(run)}")
            self.spent.append([run.changed, run.visitor, run.used])

    # --- what visitors ask for ---

    def find(self, secret: str) -> Run | None:
        """The run of a secret address; None if there is none, or it has gone."""
        with self.moved:
            self.tidy()
            return self.runs.get(folder_name(secret))

    def order(self, order: Order, visitor: str, bring: Callable[[Path], object] = lambda given: None) -> tuple:
        """Put a new run into the queue; returns its secret and itself. `bring` puts its pictures into a folder.

        Raises:
            ValueError: one sentence, if it is more than may be ordered, or as `bring`; nothing is left of it then.
        """
        order.check(self.bounds)
        who, secret = digest(visitor), secrets.token_urlsafe(16)
        with self.moved:
            self.refuse(who)
            self.make_room(NEEDED * len(order.methods) + 4 * self.bounds.unpacked * (order.domain == OWN))
        folder = self.folder / folder_name(secret)
        run = Run(folder, order, who, preset=self.preset, device=self.device)
        try:
            folder.mkdir()
            bring(folder / "given")
            with self.moved:
                self.refuse(who)
                run.allowed = min(60 * order.minutes, self.left(who))
                run.write()
                self.runs[folder.name] = run
                self.join(run)
        except BaseException as error:
            shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, (OSError, Unwritable)):
                raise ValueError(NO_ROOM) from None
            raise
        return secret, run

    def resume(self, run: Run, visitor: str) -> None:
        """Put a run that has ended early into the queue again; where its time was up, it gets as much again.

        Raises:
            ValueError: one sentence, if there is no place or no time left.
        """
        with self.moved:
            if run.is_moving:
                return
            self.refuse(who := digest(visitor))
            if run.is_done:
                raise ValueError("This run has done all its steps: start another, with more of them.")
            if run.next() is None:
                run.over, run.allowed = [], run.used + 60 * run.order.minutes
            run.allowed, run.visitor = min(run.allowed, run.used + self.left(who)), who
            self.join(run)

    def stop(self, run: Run) -> None:
        """Take a run out of the queue; the one at work saves first."""
        with self.moved:
            if run in self.queue and run is not self.at_work:
                self.queue.remove(run)
                run.become(STOPPED, again(run))
            elif run in self.queue:
                self.stopping, run.note = run, "Stopping: it saves first."
            self.moved.notify_all()

    def give_way(self, to_others: bool) -> None:
        """Hold the run at work, and those after it, while others come first, such as a visitor who translates."""
        with self.moved:
            self.gives_way = to_others
            if self.process is not None:
                (hold if to_others else go_on)(self.process)
            self.moved.notify_all()

    def before(self, run: Run) -> int:
        """How many runs are served before this one: 0 for the one at work."""
        with self.moved:
            return self.queue.index(run) if run in self.queue else 0

    def left(self, who: str) -> float:
        """Seconds of training that a visitor may still use today, without those that are promised already."""
        since = time.time() - DAY
        self.spent = [entry for entry in self.spent if entry[0] > since]
        used = sum(seconds for _, name, seconds in self.spent if name == who)
        promised = sum(max(0.0, run.allowed - run.used) for run in self.queue if run.visitor == who)
        return 60 * self.bounds.minutes - used - promised

    def refuse(self, who: str) -> None:
        """Raises ValueError if a visitor cannot have another run now."""
        if self.is_closed:
            raise ValueError("The app is being stopped.")
        if len(self.queue) > self.bounds.waiting:
            raise ValueError(f"{self.bounds.waiting} runs are waiting here already: try again later.")
        if self.left(who) < LEAST:
            raise ValueError(
                f"The {self.bounds.minutes} minutes of training that each visitor may use in 24 hours are used up or "
                "promised to your runs: stop one of them, or come again later."
            )

    def join(self, run: Run) -> None:
        self.queue.append(run)
        run.become(WAITING)
        self.moved.notify_all()

    # --- room and ages ---

    def ends(self, run: Run) -> float:
        """When a run that has ended will be removed, in seconds since 1970."""
        return run.changed + 3600 * self.bounds.hours

    def tidy(self) -> None:
        """Remove the runs whose time is over."""
        for run in [run for run in self.runs.values() if not run.is_moving and self.ends(run) < time.time()]:
            self.remove(run)

    def remove(self, run: Run) -> None:
        self.runs.pop(run.folder.name, None)
        shutil.rmtree(run.folder, ignore_errors=True)

    def make_room(self, needed: int) -> None:
        """Let those go that ended first, until a run of so many bytes has room. Raises ValueError if it never has."""
        self.tidy()
        sizes = {run.folder.name: run.bytes() for run in self.runs.values()}
        old = sorted((run for run in self.runs.values() if not run.is_moving), key=lambda run: run.changed)
        while sum(sizes.values()) + needed > self.bounds.room or shutil.disk_usage(self.folder).free < needed:
            if not old:
                raise ValueError(NO_ROOM)
            del sizes[old[0].folder.name]
            self.remove(old.pop(0))

    # --- the work ---

    def work(self) -> None:
        """Work at the first run of the queue, for ever."""
        while True:
            with self.moved:
                self.moved.wait_for(lambda: self.queue or self.is_closed, 60)
                self.tidy()
                run = self.at_work = self.queue[0] if self.queue and not self.is_closed else None
            if self.is_closed:
                return
            if run is None:
                continue
            try:
                ended = self.work_at(run)
            except Exception as error:  # whatever it is, the next run has its turn
                ended = FAILED, f"The run could not be worked at ({clause(error)}). {again(run)}"
            with self.moved:
                self.queue.remove(run)
                self.at_work = self.stopping = None
                if run.folder.exists():
                    run.become(*ended)
                self.moved.notify_all()

    def work_at(self, run: Run) -> tuple[str, str]:
        """Run a run's commands one after the other; the state that it ends in, and why."""
        while (found := run.next()) is not None:
            method, command = found
            if (ended := self.run_one(run, method, command)) is not None:
                return ended
        if run.is_done:
            return DONE, ""
        return STOPPED, "Its minutes were up before all steps were done: Resume gives it as many again."

    def run_one(self, run: Run, method: str, command: list[str]) -> tuple[str, str] | None:
        """Run one command to its end, or until it has to stop; the state that the run ends in, None if it goes on."""
        with self.moved:
            if self.is_closed or self.stopping is run:
                return self.stopped(run)
            process = self.process = begin([*self.program, *command], run.folder, self.priority)
            run.process = process.pid
            self.give_way(self.gives_way)
            run.become(LEARNING if method else PREPARING)
        most = run.part() if method else run.allowed
        code, is_over = self.follow(run, method or "pictures", most, process)
        is_told = self.is_closed or self.stopping is run
        if code == 0 and not method:
            run.has_prepared()
        elif is_told:
            return self.stopped(run)
        elif is_over and method:
            run.over.append(method)
        elif is_over:
            return FAILED, "Preparing the pictures took all the minutes of this run: give it more, or fewer pictures."
        elif code != 0 or run.step(method) < run.order.steps:
            return FAILED, failure(run, code)
        return None

    def follow(self, run: Run, name: str, most: float, process: subprocess.Popen) -> tuple[int, bool]:
        """Wait for the end of a process, and tell it to stop when it has to, at the latest after `most` seconds; its
        exit code, and whether its time was up."""
        before, last, worked, told, is_over = run.seconds.get(name, 0.0), time.monotonic(), 0.0, 0.0, False
        self.spent.append(entry := [time.time(), run.visitor, 0.0])
        while process.poll() is None:
            with self.moved:
                is_held = self.gives_way and not told
                self.moved.wait(0.2)
            now = time.monotonic()
            worked, last = worked + (0 if is_held else now - last), now
            entry[2] = worked
            run.seconds[name] = before + worked
            is_over = is_over or worked >= most
            if (self.is_closed or self.stopping is run or is_over) and not told:
                told = now
                with self.moved:
                    self.process = None
                tell_to_end(process)
            if told and now - told > PATIENCE:
                kill(process)
        with self.moved:
            self.process = None
        return process.returncode, is_over

    def stopped(self, run: Run) -> tuple[str, str]:
        return STOPPED, f"{'The app was stopped. ' * self.is_closed}{again(run)}"

    def close(self) -> None:
        """Stop the run at work, which saves; it and those that wait can be resumed when the app is there again."""
        with self.moved:
            self.is_closed = True
            self.moved.notify_all()
        self.thread.join(PATIENCE + 10)
        with self.moved:
            for run in self.queue:
                run.become(*self.stopped(run))
            self.queue.clear()
        self.held.close()


def digest(visitor: str) -> str:
    """What a visitor is known by: addresses themselves are not kept."""
    return hashlib.sha256(f"qsneg {visitor}".encode()).hexdigest()[:16]


def again(run: Run) -> str:
    """Where a run goes on that is resumed."""
    steps = [f"{title_of(m)} from step {step:,}" for m in run.order.methods if (step := run.step(m))]
    return f"Resume goes on with {' and '.join(steps)}." if steps else "Resume begins again."


def failure(run: Run, code: int) -> str:
    """Why a command has failed, in one sentence where it has said one, and how to go on."""
    *_, last = [line for line in run.log().splitlines() if line.startswith("Error: ")] or [""]
    if code == 2 and last:
        return last.removeprefix("Error: ")
    if code < 0:
        name = signal.Signals(-code).name if -code in list(signal.Signals) else f"signal {-code}"
        return f"The training was ended from outside ({name}), perhaps for want of memory. {again(run)}"
    return f"The training has ended unexpectedly (exit code {code}). {again(run)}"
