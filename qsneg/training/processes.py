"""Several processes that train one model, as torchrun starts them, each with pictures and draws of its own.

    torchrun --nproc-per-node 8 -m qsneg train data/horse2zebra --out runs/cut

All begin with the same parameters and take the same steps, those of the averaged gradients, so that their replicas stay
equal bit for bit. The gradients of an update are laid side by side and summed by one all-reduce (NCCL on GPUs, gloo on
CPUs); torch's DistributedDataParallel would not see them, since they come from `torch.autograd.grad`.
"""

import contextlib
import datetime
import os
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")
PATIENCE = datetime.timedelta(hours=1)  # that the others wait for one, as while the first evaluates


class Lost(ValueError):
    """Another process has ended, or cannot be reached any more."""


class Processes:
    """The processes of a training, seen from one of them. A process alone exchanges nothing.

    Attributes: `rank`, from 0, and `size`, their number.
    """

    def __init__(self):
        if not dist.is_initialized() and int(os.environ.get("WORLD_SIZE", 1)) > 1 and "RANK" in os.environ:
            with exchange():
                dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", timeout=PATIENCE)
        self.rank, self.size = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
        self.flat: dict[str, tuple[Tensor, list[Tensor]]] = {}

    @property
    def first(self) -> bool:
        """Whether this is the one that evaluates, writes and shows."""
        return self.rank == 0

    def device(self, device: torch.device) -> torch.device:
        """The device of this process: of several GPUs of a machine, one each.

        Raises:
            ValueError: if there are not enough, or processes cannot train on such a device.
        """
        if self.size == 1 or device.type == "cpu":
            return device
        if device.type != "cuda" or device.index is not None:
            raise ValueError(f"Several processes train on cuda or on cpu, not on {device}: choose another --device.")
        here, gpus = int(os.environ.get("LOCAL_RANK", 0)), torch.cuda.device_count()
        if here >= gpus:
            raise ValueError(f"This machine has {gpus} GPU(s) for more processes: start at most {gpus} on it.")
        torch.cuda.set_device(here)
        return torch.device("cuda", here)

    def seed(self, seed: int) -> int:
        """The seed of this process's draws; of a process alone, and of the first, `seed` itself."""
        return int(np.random.SeedSequence([seed, self.rank]).generate_state(1)[0]) if self.rank else seed

    def average(self, name: str, grads: Sequence[Tensor], parameters: Sequence[Tensor]) -> Sequence[Tensor]:
        """The mean over processes of the gradients of the parameters called `name`, in the layouts of these."""
        if self.size == 1:
            return grads
        if name not in self.flat:
            self.flat[name] = side_by_side(parameters)
        flat, parts = self.flat[name]
        torch._foreach_copy_(parts, grads)
        with exchange():
            dist.all_reduce(flat)
        flat /= self.size
        return parts

    def largest(self, *numbers: int) -> list[int]:
        """The largest that any process has, of each."""
        if self.size == 1:
            return list(numbers)
        found = torch.tensor(numbers)
        with exchange():
            dist.all_reduce(found, dist.ReduceOp.MAX)
        return found.tolist()

    def wait(self) -> None:
        """Until all are here."""
        self.largest(0)

    def gather(self, value: T) -> list[T]:
        """What every process has, in the order of ranks."""
        if self.size == 1:
            return [value]
        found = [None] * self.size
        with exchange():
            dist.all_gather_object(found, value)
        return found

    def stack(self, state: Tensor) -> Tensor:
        """The states of all processes' generators of random numbers, a row each; of a process alone, its state."""
        return state if self.size == 1 else torch.stack(self.gather(state))

    def own(self, states: Tensor) -> Tensor:
        """This process's row of `stack`."""
        return states.reshape(self.size, -1)[self.rank].clone()  # torch's generators do not take a part of a tensor

    def as_one(self, make: Callable[[], T]) -> T:
        """What `make` makes in each process; where it fails in one of them, all end.

        Raises:
            ValueError, OSError: in the first process, its own or in the words of the first that failed.
            SystemExit: in the others.
        """
        made, error = None, None
        try:
            made = make()
        except (ValueError, OSError) as found:
            error = found
        failed = [words for words in self.gather(error and str(error)) if words is not None]
        if failed and not self.first:
            raise SystemExit(2)
        if failed:
            raise error or ValueError(failed[0])
        return made


def side_by_side(like: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """One vector, and its parts as tensors of the shapes and layouts of others."""
    flat = torch.zeros(sum(t.numel() for t in like), dtype=like[0].dtype, device=like[0].device)
    starts = np.cumsum([0, *(t.numel() for t in like)]).tolist()
    return flat, [flat.as_strided(t.shape, t.stride(), start) for t, start in zip(like, starts)]


@contextlib.contextmanager
def exchange() -> Iterator[None]:
    """Raises Lost where processes do not find each other any more."""
    try:
        yield
    except RuntimeError as error:  # torch.distributed's errors are such
        reason = str(error).strip().split("\n")[0]
        raise Lost(f"The processes that torchrun started cannot reach each other (any more): {reason}") from None


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Of several processes, the first alone prints."""
    with contextlib.ExitStack() as stack:
        if os.environ.get("RANK", "0") != "0":
            nowhere = stack.enter_context(open(os.devnull, "w"))
            stack.enter_context(contextlib.redirect_stdout(nowhere))
            stack.enter_context(contextlib.redirect_stderr(nowhere))
        yield


def leave() -> None:
    """Part with the other processes, after the last exchange."""
    if dist.is_initialized():
        dist.destroy_process_group()
