"""What each of several processes does in tests/training/test_processes.py, which starts them by torchrun: all that is
to be seen from inside, for every method, in the folder that is given."""

import signal
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from qsneg import methods
from qsneg.config import trained_methods
from qsneg.training.processes import Processes
from qsneg.training.resuming import resume
from qsneg.training.trainer import Trainer
from tests.training.runs import final, same, tiny

STEP = dict(steps=4, patches=8, dim=16, blocks=2, layers=(0, 8, 12), attention_layers=(12,), crop=32, resize=36,
            save_every=2, disc_noise=0.2, disc_reset=1, degrade=0.5)  # fmt: skip
QUERIES = {"fastcut": "doubt"}  # one method asks where the discriminator doubts


class Slices(methods.Draws):
    """Draws that all processes share, of noise each its slice: those of one process with a batch of all."""

    def __init__(self, rank: int, size: int):
        super().__init__(7)
        self.rank, self.size = rank, size

    def noise(self, *shape: int) -> torch.Tensor:
        whole = super().noise(shape[0] * self.size, *shape[1:])  # of one picture, or of translations and then targets
        return whole.unflatten(0, (shape[0], self.size))[:, self.rank]


def in_double(trainer: Trainer, draws: methods.Draws) -> Trainer:
    """The trainer in float64, with other draws."""
    trainer.method.double(), trainer.average.double()
    trainer.method.draws = draws
    return trainer


def one_step(trainer: Trainer) -> torch.Tensor:
    """All gradients of the first step, in one vector."""
    x, y, _ = trainer.data[0]
    trainer.train_step(x.double(), y.double())
    return torch.cat([p.grad.reshape(-1) for group in trainer.groups.values() for p in group])


def settings(method: str) -> dict:
    return STEP | dict(method=method, queries=QUERIES.get(method))


def all_alike(trainer: Trainer) -> bool:
    """Whether what is trained is the same in all processes."""
    return same(trainer.processes.gather(final(trainer))[0], final(trainer))


def replicas_stay_equal(trainer: Trainer) -> None:
    """After each step, though losses differ; a gradient that is not finite in the last process is skipped by all."""
    last = trainer.processes.rank == trainer.processes.size - 1
    for step in range(3):
        x, y, _ = trainer.data[step]
        before = {name: value.clone() for name, value in final(trainer).items()}
        losses = trainer.train_step(x * torch.nan if step == 1 and last else x, y)
        assert all_alike(trainer)
        found = trainer.processes.gather(float(losses["G"]))
        assert len(set(found)) == len(found)  # pictures and draws of their own
        moved = [name for name, value in final(trainer).items() if not torch.equal(before[name], value)]
        assert (step == 1) != any(name.startswith("method.generator") for name in moved)
    assert all(int(count) == 1 for count in trainer.skipped.values())


def resumed_bit_for_bit(out: Path, method: str) -> None:
    whole = tiny(out / "whole", **settings(method))
    whole.run(progress=False)
    tiny(out / "part", **settings(method)).run(progress=False, stop_at=3)
    again = resume(out / "part")
    assert again.step == 3 and again.state()["draws"].shape[0] == again.processes.size
    again.run(progress=False)
    assert same(final(whole), final(again)) and all_alike(again)
    states = whole.state(), again.state()
    assert all(torch.equal(states[0][key], states[1][key]) for key in ("draws", "random"))
    assert len({tuple(row.tolist()) for row in states[0]["draws"]}) == whole.processes.size


def stopped_together(out: Path) -> None:
    """A signal that reaches the last process alone ends all, after the same step."""
    trainer = tiny(out, **settings("cut"))
    step = trainer.train_step
    alone = trainer.processes.rank == trainer.processes.size - 1

    def signalled(x, y):
        if alone and trainer.step == 1:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)  # torchrun and the cluster, both
        return step(x, y)

    trainer.train_step = signalled
    with pytest.raises(SystemExit) as end:
        trainer.run(progress=False)
    assert trainer.step == 2 and end.value.code == 128 + signal.SIGTERM


def refused_together(processes: Processes) -> None:
    """What fails in the last process alone is said by the first, and ends all."""

    def make():
        if processes.rank == processes.size - 1:
            raise ValueError("No such folder here.")

    with pytest.raises(
        ValueError if processes.first else SystemExit, match="No such folder" if processes.first else "2"
    ):
        processes.as_one(make)


def main(out: Path) -> None:
    torch.set_num_threads(1)
    processes = Processes()
    refused_together(processes)
    for method in trained_methods():
        trainer = in_double(tiny(out / method, **settings(method)), Slices(processes.rank, processes.size))
        gradients = one_step(trainer)
        if processes.first:
            torch.save(gradients, out / f"{method}.pt")
        replicas_stay_equal(tiny(out / method, **settings(method)))
        resumed_bit_for_bit(out / method, method)
    stopped_together(out / "stopped")
    dist.barrier()
    (out / f"seen-{processes.rank}").touch()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
