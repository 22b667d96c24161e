"""A training step recorded once on a CUDA device and replayed: hundreds of small kernels without a word from Python.

    python -m qsneg train … --graph

What is computed stays the same, the draws too; only who asks for it changes. Steps that look at a number on the way
cannot be recorded: `recordable` says which.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from qsneg.config import ModelConfig, TrainConfig

WARM_UP = 3  # steps before the recording, in which libraries choose their algorithms and optimisers make their moments

Step = Callable[[Tensor, Tensor], dict[str, Tensor]]


def why_not(model: ModelConfig, config: TrainConfig, device: torch.device, processes: int = 1) -> str:
    """Why the steps of a training cannot be recorded, in a sentence; empty where they can."""
    if device.type != "cuda":
        return f"Steps are recorded on a CUDA device, not on {device.type}: leave out --graph."
    if processes > 1:
        return "Steps of several processes meet in the middle and are not recorded: leave out --graph."
    if config.gradient_checkpointing:
        return "Steps that compute maps anew are not recorded: leave out --graph or --gradient-checkpointing."
    if model.traits.mirrored or config.disc_crop or config.disc_noise or model.gamma_changes:
        return (
            f"Steps of {model.traits.title} with these settings differ from one to the next (mirrored at random, cut "
            "out at random, with a number that changes) and cannot be recorded: leave out --graph."
        )
    return ""


class RecordedStep:
    """`step(x, y)`, recorded after `WARM_UP` ordinary calls and replayed from then on.

    Args:
        step: works on tensors of one shape, in place, and asks the device for no number.
        optimisers: Adam; their learning rates become tensors, which a replay reads.
        generator: what the step draws from.

    The returned tensors are the same at each call: read them before the next.
    """

    def __init__(self, step: Step, optimisers: list[torch.optim.Adam], generator: torch.Generator):
        self.step, self.generator, self.calls, self.graph = step, generator, 0, None
        self.groups = [group for optimiser in optimisers for group in optimiser.param_groups]
        for group in self.groups:
            group["capturable"] = True
            group["lr"] = torch.as_tensor(group["lr"], dtype=torch.float32, device=generator.device)
        self.stream = torch.cuda.Stream(generator.device)

    def set_rates(self, rates: list[float]) -> None:
        """The learning rate of every group, in their order."""
        for group, rate in zip(self.groups, rates, strict=True):
            group["lr"].fill_(rate)

    def __call__(self, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        self.calls += 1
        if self.graph is None:
            self.x, self.y = x.clone(), y.clone()
            self.stream.wait_stream(torch.cuda.current_stream())
            if self.calls <= WARM_UP:
                with torch.cuda.stream(self.stream):
                    losses = self.step(self.x, self.y)
                torch.cuda.current_stream().wait_stream(self.stream)
                return losses
            self.record()
        self.x.copy_(x)
        self.y.copy_(y)
        self.graph.replay()
        return self.losses

    def record(self) -> None:
        """Record the step on the tensors x and y: nothing is computed yet."""
        self.graph = torch.cuda.CUDAGraph()
        self.graph.register_generator_state(self.generator)
        torch.cuda.synchronize()
        with torch.cuda.graph(self.graph, stream=self.stream):
            self.losses = self.step(self.x, self.y)
