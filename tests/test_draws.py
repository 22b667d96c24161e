"""What is drawn at random: it goes on where its state says, on one generator and on two."""

import torch

from qsneg.draws import Draws


def drawn(draws: Draws) -> list:
    return [draws.positions(0, 50, 5).tolist(), draws.noise(2).tolist(), draws.corner(9), draws.coin()]


def apart(seed: int) -> Draws:
    """As on another device: what Python must know comes from a generator of its own."""
    draws = Draws(seed)
    draws.choices = torch.Generator().manual_seed(seed)
    return draws


def test_the_state_is_all_there_is():
    for make in (Draws, apart):
        one, other = make(3), make(4)
        drawn(one)
        other.set_state(one.state())
        assert [drawn(one) for _ in range(5)] == [drawn(other) for _ in range(5)]
        one.begin_anew(7)
        assert drawn(one) == drawn(make(7)) != drawn(make(8))


def test_on_the_cpu_all_comes_from_one_generator():
    """So checkpoints and seeds of earlier versions mean what they meant."""
    draws, generator = Draws(5), torch.Generator().manual_seed(5)
    assert draws.coin() == bool(torch.rand((), generator=generator) < 0.5)
    assert draws.corner(9) == tuple(torch.randint(10, (2,), generator=generator).tolist())
    assert torch.equal(draws.noise(3), torch.randn(3, generator=generator))
    assert torch.equal(draws.state(), generator.get_state())
