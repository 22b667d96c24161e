"""Who trains when: one at a time, within bounds, and whatever a training does, the schedule goes on."""

import json
import os
import signal
import subprocess
import time

import pytest

from qsneg.learning import live, schedule
from qsneg.learning.order import Bounds, Order
from qsneg.learning.process import hold, stop_orphan
from qsneg.learning.run import DONE, FAILED, LEARNING, STOPPED, WAITING, Run, folder_name
from tests.learning.conftest import until

LONG = Order("scenes", ("cut",), 2000, 10)


def order(methods=("cut",), steps=5, minutes=10):
    return Order("scenes", tuple(methods), steps, minutes)


def ended(run):
    return not run.is_moving


def test_methods_are_trained_one_after_the_other_to_their_last_step(make):
    secret, run = make().order(order(("cut", "negcut")), "a")
    until(lambda: ended(run))
    assert run.state == DONE and {m: run.step(m) for m in run.weights()} == {"cut": 5, "negcut": 5}
    assert set(live.watch(run)) == {"cut", "negcut"} and live.watch(run)["cut"].curves["Contrast"][-1] == (5, 0.2)
    assert live.watch(run)["cut"].speed == pytest.approx(50) and live.left(run, live.watch(run)) == (0, False)
    assert secret not in str(run.folder) and secret not in (run.folder / "run.json").read_text()


def test_one_at_a_time_and_a_place_in_the_queue(make):
    plan = make(waiting=1)
    _, first = plan.order(LONG, "a")
    secret, second = plan.order(order(), "b")
    until(lambda: first.step("cut") > 2)
    assert (first.state, second.state, plan.before(second)) == (LEARNING, WAITING, 1)
    with pytest.raises(ValueError, match="1 runs are waiting here already"):
        plan.order(order(), "c")
    assert len(list(plan.folder.glob("*/"))) == 2  # nothing is left of what was refused
    plan.stop(first)
    until(lambda: second.state == DONE)
    assert first.state == STOPPED and 2 < first.step("cut") < 2000 and "CUT from step" in first.note
    assert plan.find(secret) is second and plan.find("guess") is None and plan.find(None) is None


def test_who_waits_can_leave_the_queue_and_come_back(make):
    plan = make()
    _, first = plan.order(LONG, "a")
    _, second = plan.order(order(), "a")
    plan.stop(second)
    assert (second.state, second.note) == (STOPPED, "Resume begins again.")
    plan.resume(second, "a")
    plan.stop(first)
    until(lambda: second.state == DONE)
    with pytest.raises(ValueError, match="done all its steps"):
        plan.resume(second, "a")


def test_a_run_goes_on_where_it_was(make):
    plan = make()
    _, run = plan.order(LONG, "a")
    until(lambda: run.step("cut") > 3)
    plan.stop(run)
    until(lambda: ended(run))
    step = run.step("cut")
    plan.resume(run, "a")
    until(lambda: run.step("cut") > step)
    lines = live.metrics(run.folder / "cut" / "metrics.jsonl")
    assert [line["step"] for line in lines] == sorted({line["step"] for line in lines})  # none is done twice


def test_a_killed_training_is_told_in_a_sentence_and_resumed(make):
    plan = make()
    _, run = plan.order(LONG, "a")
    _, next_one = plan.order(order(), "b")
    until(lambda: run.step("cut") > 3)
    os.kill(run.process, signal.SIGKILL)
    until(lambda: next_one.state == DONE)  # the next has its turn
    assert run.state == FAILED and run.note.startswith("The training was ended from outside (SIGKILL)")
    assert f"CUT from step {run.step('cut')}" in run.note
    plan.resume(run, "a")
    until(lambda: run.state == LEARNING)


@pytest.mark.parametrize("does, said", [
    ("refuse", "Every picture in 'cut' is smaller."),
    ("crash", "The training has ended unexpectedly (exit code 1). Resume goes on with CUT from step 3."),
])  # fmt: skip
def test_what_a_training_dies_of_is_told(make, monkeypatch, does, said):
    monkeypatch.setenv("FAKE", does)
    _, run = make().order(order(), "a")
    until(lambda: ended(run))
    assert (run.state, run.note) == (FAILED, said)
    assert str(run.folder) not in run.log()


def test_a_program_that_is_not_there_is_a_failure_like_any_other(make):
    plan = make()
    plan.program = ["/no/such/program"]
    _, run = plan.order(order(), "a")
    until(lambda: ended(run))
    assert run.state == FAILED and "could not be worked at" in run.note


def test_one_that_does_not_stop_is_ended(make, monkeypatch):
    monkeypatch.setenv("FAKE", "deaf")
    monkeypatch.setattr(schedule, "PATIENCE", 0.2)
    plan = make()
    _, run = plan.order(LONG, "a")
    until(lambda: run.step("cut") > 1)
    plan.stop(run)
    until(lambda: ended(run))
    assert run.state == STOPPED


def test_a_training_is_held_while_others_come_first_and_loses_no_minutes(make):
    plan = make()
    _, run = plan.order(LONG, "a")
    until(lambda: run.step("cut") > 3)
    plan.give_way(True)
    time.sleep(0.5)  # until the schedule has seen it
    step, used = run.step("cut"), run.used
    time.sleep(1)
    assert run.step("cut") == step and run.used == used and run.state == LEARNING
    plan.give_way(False)
    until(lambda: run.step("cut") > step + 3 and run.used > used)


def test_a_held_training_can_be_stopped_and_the_next_one_begins_held(make):
    plan = make()
    _, run = plan.order(LONG, "a")
    _, second = plan.order(LONG, "a")
    until(lambda: run.step("cut") > 3)
    plan.give_way(True)
    plan.stop(run)
    until(lambda: ended(run))
    assert run.state == STOPPED and run.note.startswith("Resume goes on with CUT")
    until(lambda: second.state == LEARNING)
    time.sleep(1)
    assert second.step("cut") == 0
    plan.give_way(False)
    until(lambda: second.step("cut") > 3)


def test_minutes_end_a_run_each_method_having_its_part(make):
    plan = make()
    _, run = plan.order(Order("scenes", ("cut", "hdce"), 2000, 1), "a")
    with plan.moved:
        run.allowed = 1.2
    until(lambda: ended(run))
    assert run.state == STOPPED and "minutes were up" in run.note
    assert all(0 < run.step(m) < 2000 for m in ("cut", "hdce")) and 1.2 <= run.used < 6
    plan.resume(run, "a")  # which gives it as many again
    assert run.allowed == pytest.approx(run.used + 60, abs=1) and run.part() == pytest.approx(30, abs=1)


def test_minutes_of_a_visitor_are_bounded(make):
    plan = make(minutes=3)
    _, first = plan.order(order(steps=1000, minutes=2), "a")
    plan.order(order(minutes=2), "a")  # has the minute that is left
    with pytest.raises(ValueError, match="The 3 minutes of training that each visitor may use"):
        plan.order(order(minutes=1), "a")
    plan.order(order(minutes=3), "b")  # another visitor has minutes of their own
    assert [round(run.allowed) for run in plan.queue] == [120, 60, 180]
    plan.stop(first)
    until(lambda: not plan.queue)
    plan.spent.append([time.time(), first.visitor, 179])
    with pytest.raises(ValueError, match="used up or promised"):
        plan.resume(first, "a")
    plan.spent[-1][0] -= schedule.DAY
    plan.resume(first, "a")


@pytest.mark.parametrize("wrong, said", [
    (dict(domain="moon"), "Choose what to train on"),
    (dict(methods=()), "No method is chosen"),
    (dict(methods=("cut", "cyclegan")), "'cyclegan' is no method"),
    (dict(steps=2001), "steps must be a whole number from 1 to 2000, not 2001"),
    (dict(minutes=0), "minutes must be a whole number from 1 to 60, not 0"),
])  # fmt: skip
def test_orders_that_cannot_be_are_refused(make, wrong, said):
    plan = make()
    values = dict(domain="scenes", methods=("cut",), steps=5, minutes=1) | wrong
    with pytest.raises(ValueError, match=said):
        plan.order(Order(**values), "a")
    assert plan.queue == [] and not list(plan.folder.glob("*/"))


def test_an_app_that_ends_stops_its_runs_and_the_next_one_has_them(make):
    plan = make()
    secret, run = plan.order(LONG, "a")
    waiting, _ = plan.order(LONG, "a")
    until(lambda: run.step("cut") > 3)
    plan = make()  # closes the first
    with pytest.raises(OSError):
        os.kill(run.process, 0)
    found = plan.find(secret)
    assert found is not run and found.state == STOPPED and found.note.startswith("The app was stopped. Resume goes on")
    assert plan.find(waiting).state == STOPPED and plan.left(found.visitor) == pytest.approx(3600 - found.used, abs=2)
    plan.resume(found, "a")
    until(lambda: found.state == LEARNING)


@pytest.mark.parametrize("is_held", [False, True])
def test_a_training_that_outlived_its_app_is_stopped_by_the_next(make, is_held):
    plan = make()
    folder = plan.folder / folder_name("secret")
    folder.mkdir()
    run = Run(folder, LONG, state=LEARNING, allowed=600)
    process = subprocess.Popen([*plan.program, *run.next()[1]], start_new_session=True)  # its app was killed
    run.process = process.pid
    run.write()
    until(lambda: run.step("cut") > 3)
    if is_held:
        hold(process)
    found = make().find("secret")
    assert found.state == STOPPED and found.note.startswith("The app was started anew. Resume goes on with CUT")
    assert process.wait(10) == 128 + signal.SIGTERM
    found.process = os.getpid()  # another process by now
    stop_orphan(found.process, found.folder)


def test_only_one_app_works_in_a_folder(make):
    plan = make()
    with pytest.raises(ValueError, match="Another app trains in"):
        schedule.Schedule(plan.folder, Bounds())


def test_runs_go_when_their_time_is_over_and_damaged_ones_are_none(make):
    plan = make(hours=1)
    secret, run = plan.order(order(), "a")
    until(lambda: ended(run))
    assert plan.ends(run) == pytest.approx(time.time() + 3600, abs=5)
    run.changed -= 3601
    assert plan.find(secret) is None and not run.folder.exists()
    (plan.folder / "other").mkdir()
    for text in ("", "[]", json.dumps({"order": {"domain": "scenes"}})):
        (plan.folder / "other" / "run.json").write_text(text)
        with pytest.raises(ValueError, match="There is no run in"):
            Run.read(plan.folder / "other")
    assert make(hours=1).runs == {}


def test_room_is_made_by_those_that_ended_first(make):
    plan = make(room=schedule.NEEDED + 1_000_000)
    runs = [plan.order(order(), "a") for _ in range(3)]
    until(lambda: all(ended(run) for _, run in runs))
    for _, run in runs:
        (run.folder / "large").write_bytes(bytes(400_000))
    plan.order(LONG, "a")
    assert [plan.find(secret) is None for secret, _ in runs] == [True, False, False]
    plan.bounds = type(plan.bounds)(room=schedule.NEEDED)
    with pytest.raises(ValueError, match="no room for another run"):
        plan.order(order(), "a")
    assert len(plan.runs) == 1  # the one at work stays


def test_pictures_that_cannot_be_brought_leave_nothing(make):
    plan = make()

    def bring(given):
        given.mkdir()
        raise ValueError("no pictures")

    with pytest.raises(ValueError, match="no pictures"):
        plan.order(order(), "a", bring)
    assert plan.queue == [] and not list(plan.folder.glob("*/"))
