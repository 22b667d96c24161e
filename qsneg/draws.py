"""What is drawn at random in a training step: positions, noise, corners, the side of a coin.

draws = Draws(seed=0)
draws.positions(layer=12, size=4096, num=256)  # 256 of 4096 positions
"""

import torch
from torch import Tensor

from qsneg.bounds import check_seed


class Draws:
    """Everything random in a step, from generators whose state can be saved. Raises ValueError on an odd seed.

    What Python must know, a corner or the side of a coin, is drawn on the CPU: a step waits for no device.
    """

    def __init__(self, seed: int = 0, device: str | torch.device = "cpu"):
        check_seed(seed)
        self.generator = self.choices = torch.Generator(device).manual_seed(seed)
        if self.generator.device.type != "cpu":
            self.choices = torch.Generator().manual_seed(seed)

    def state(self) -> Tensor:
        """Bytes from which `set_state` goes on."""
        return torch.cat([generator.get_state() for generator in self.generators()])

    def set_state(self, state: Tensor) -> None:
        sizes = [len(generator.get_state()) for generator in self.generators()]
        for generator, part in zip(self.generators(), state.split(sizes)):
            generator.set_state(part.clone())  # a part of a tensor would crash it

    def begin_anew(self, seed: int) -> None:
        for generator in self.generators():
            generator.manual_seed(seed)

    def generators(self) -> list[torch.Generator]:
        return [self.generator] if self.choices is self.generator else [self.generator, self.choices]

    def positions(self, layer: int, size: int, num: int) -> Tensor:
        """`num` of `size` positions, without replacement."""
        return torch.randperm(size, generator=self.generator, device=self.generator.device)[:num]

    def noise(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator, device=self.generator.device)

    def corner(self, free: int) -> tuple[int, int]:
        """Top and left, each from 0 to `free`."""
        return tuple(torch.randint(free + 1, (2,), generator=self.choices).tolist())

    def coin(self) -> bool:
        return bool(torch.rand((), generator=self.choices) < 0.5)
