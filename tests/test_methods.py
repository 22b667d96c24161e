"""What each method does in a step, beyond the fixtures."""

import pytest
import torch

from qsneg.config import ModelConfig, trained_methods
from qsneg.evaluation.speed import plain
from qsneg.methods import Draws, create
from tests.conftest import lively

SMALL = dict(width=4, disc_width=4, dim=16, patches=12)


def step(method, seed=3, size=32, batch=1):
    """Losses of one step and the gradients of every group; nothing is moved."""
    torch.manual_seed(seed)
    dtype = next(method.parameters()).dtype
    x, y = torch.rand(2, batch, 3, size, size).to(dtype) * 2 - 1
    method.draws = Draws(seed)
    grads, groups = {}, method.groups()

    def update(name, loss):
        grads[name] = torch.autograd.grad(loss, groups[name], retain_graph=True)

    return method.step(x, y, update), grads


def make(name, **values):
    torch.manual_seed(0)
    return lively(create(ModelConfig(method=name, **(SMALL | values))))


@pytest.mark.parametrize("name, losses", [
    ("cut", {"D_fake", "D_real", "G_GAN", "NCE", "NCE_Y", "G"}),
    ("fastcut", {"D_fake", "D_real", "G_GAN", "NCE", "G"}),
    ("qs-attn", {"D_fake", "D_real", "G_GAN", "NCE", "NCE_Y", "G"}),
    ("negcut", {"D_fake", "D_real", "NCE_for_N", "NCE_Y_for_N", "N", "G_GAN", "NCE", "NCE_Y", "G"}),
    ("fastnegcut", {"D_fake", "D_real", "NCE_for_N", "N", "G_GAN", "NCE", "G"}),
])  # fmt: skip
def test_losses_of_a_step(name, losses):
    got, grads = step(make(name))
    assert set(got) == losses
    assert set(grads) == {"D", "G"} | ({"N"} if "neg" in name else set())
    assert all(torch.isfinite(v) for v in got.values())
    weight = 10 if name.startswith("fast") else 1
    nce = got["NCE"] if name.startswith("fast") else (got["NCE"] + got["NCE_Y"]) / 2
    torch.testing.assert_close(got["G"], got["G_GAN"] + weight * nce)


def assert_same(a, ga, b, gb):
    """Equal losses and gradients of two steps."""
    for key in a:
        torch.testing.assert_close(a[key], b[key], rtol=1e-9, atol=1e-12)
    for group in ga:
        for p, q in zip(ga[group], gb[group]):
            torch.testing.assert_close(p, q, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", ["cut", "qs-attn", "negcut"])  # those that the bench times
def test_same_losses_as_the_plain_version(name):
    """Every speed-up leaves losses and gradients: shared features against anew, group against instance norm."""
    fast, slow = make(name).double(), plain(make(name).double())
    (a, ga), (b, gb) = step(fast, batch=2), step(slow, batch=2)
    assert_same(a, ga, b, gb)


def test_channels_last_gives_the_same_losses_and_gradients():
    for name in ("cut", "qs-attn", "negcut"):
        a, ga = step(make(name).double())
        b, gb = step(make(name).double().to(memory_format=torch.channels_last))
        assert_same(a, ga, b, gb)


@pytest.mark.parametrize("resampling", ["blur", "strided"])
@pytest.mark.parametrize("name", trained_methods())
def test_checkpointed_gradients_are_the_same(name, resampling):
    """A step whose inner maps are computed anew has the losses and gradients of one that keeps them, bit for bit."""
    layers = {} if resampling == "blur" else dict(layers=(0, 4, 7, 10, 14), attention_layers=(10, 14))
    kept, anew = (make(name, resampling=resampling, **layers) for _ in range(2))
    anew.generator.checkpointing = True
    (a, ga), (b, gb) = step(kept), step(anew)
    assert a == b and all(torch.equal(p, q) for group in ga for p, q in zip(ga[group], gb[group]))


def test_checkpointing_keeps_less():
    """What autograd is given to keep of a translation: less than a third; of one without gradients nothing."""
    generator, x, kept = make("cut").generator, torch.rand(1, 3, 64, 64), {}
    for generator.checkpointing in (False, True):
        sizes = {}  # by address: what is kept twice counts once

        def keep(t, sizes=sizes):
            sizes[t.data_ptr()] = t.numel()
            return t

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
            generator.translate_with_features(x, (0, 4, 8, 12, 16))
        kept[generator.checkpointing] = sum(sizes.values())
    assert kept[True] < kept[False] / 3
    with torch.no_grad():
        assert not generator.encode(x, (16,))[0].requires_grad


def test_the_discriminator_sees_squares_anywhere_in_the_crop():
    method, seen = make("cut"), []
    method.discriminator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    method.disc_crop = 24
    rows = torch.arange(32.0)[:, None].expand(2, 3, 32, 32)
    picture = torch.stack([rows, rows.mT])[:, 0]  # the first shows its rows, the second its columns
    for _ in range(100):
        method.judge(picture)
    assert {tuple(s.shape) for s in seen} == {(2, 3, 24, 24)}
    assert {float(s[0, 0, 0, 0]) for s in seen} == {float(s[1, 0, 0, 0]) for s in seen} == set(range(9))
    method.disc_crop = 0
    method.judge(picture)
    assert seen[-1].shape == picture.shape


def test_noise_reaches_the_discriminator_alone():
    clean, noisy = make("cut").double(), make("cut").double()
    noisy.disc_noise = 0.1
    (a, _), (b, _) = step(clean), step(noisy)
    differ = {name for name in a if not torch.equal(a[name], b[name])}
    assert differ == {"D_fake", "D_real", "G_GAN", "G"}
    x = torch.zeros(1, 3, 32, 32).double()
    noisy.discriminator = torch.nn.Identity()
    assert noisy.judge(x).std().item() == pytest.approx(0.1, rel=0.1)
    noisy.progress = 0.75  # of a training that is three quarters done
    assert noisy.judge(x).std().item() == pytest.approx(0.025, rel=0.1)


def test_fastcut_mirrors_input_and_features():
    """Mirrored or not, an untrained symmetric view: the contrast compares equal places."""
    method = make("fastcut", layers=(0,), patches=10**6).double()
    losses = {}
    for flip in (False, True):
        method.draws = Draws(0)
        method.draws.coin = lambda flip=flip: flip
        torch.manual_seed(1)
        x = torch.rand(1, 3, 32, 32).double() * 2 - 1
        method.generator.forward = None
        # with a generator that returns its input, layer 0 of result and source agree exactly where places agree
        method.translate = lambda real: (real, method.generator.encode(real, (0,)))
        _, passes = method.forward_passes(x, x)
        losses[flip] = (passes[0].queries[0] - passes[0].keys[0]).abs().max().item()
    assert losses[False] < 1e-12 and losses[True] < 1e-12


def test_the_negative_generator_opposes_the_contrast_with_its_weight():
    """Its gradient is that of −λ_NCE·NCE, λ_NCE = 10 in FastNEGCUT, and of the diversity, whose weight stays."""

    def gradients(**weights):
        return step(make("fastnegcut", **weights).double())[1]["N"]

    contrast, diverse = gradients(lambda_nce=1, lambda_diversity=0), gradients(lambda_nce=0)
    for g, c, d in zip(gradients(), contrast, diverse):
        torch.testing.assert_close(g, 10 * c + d, rtol=1e-6, atol=1e-12)
        assert c.norm() > 0 and d.norm() > 0


def test_mirrored_or_not_the_generator_learns_through_the_means():
    """Means are of the source as it is, so that their gradients are the same on mirrored steps."""
    method, grads = make("fastnegcut").double(), []
    torch.manual_seed(1)
    x = torch.rand(1, 3, 32, 32).double() * 2 - 1
    for flip in (False, True):
        method.draws.coin = lambda flip=flip: flip
        _, passes = method.forward_passes(x, x)
        early = list(method.generator.parameters())[:16]  # of the encoder
        means = torch.stack(passes[0].means).square().sum()
        grads.append(torch.autograd.grad(means, early, allow_unused=True, materialize_grads=True))
    for straight, mirrored in zip(*grads):
        torch.testing.assert_close(straight, mirrored, rtol=1e-9, atol=1e-15)
    assert sum(g.norm() for g in grads[1]) > 0


def test_qs_attention_adds_no_parameters():
    count = lambda name: sum(p.numel() for p in make(name).parameters())  # noqa: E731
    assert count("qs-attn") == count("cut") < count("negcut")


def test_positions_are_drawn_without_replacement():
    index = Draws(0).positions(12, 100, 40)
    assert len(set(index.tolist())) == 40 and index.max() < 100
    assert not torch.equal(index, Draws(1).positions(12, 100, 40))


@pytest.mark.parametrize("values, message", [
    (dict(method="pix2pix"), "Unknown method"), (dict(attention="near"), "Unknown attention mode"),
    (dict(window=6), "must be odd"), (dict(layers=(0, 30)), "from 0 to 20"), (dict(layers=()), "from 0 to 20"),
])  # fmt: skip
def test_bad_configurations(values, message):
    with pytest.raises(ValueError, match=message):
        ModelConfig(**values)


def test_what_python_must_know_is_drawn_on_the_cpu():
    """On the CPU from the one generator, so that seeds and checkpoints of earlier versions mean what they meant; for
    another device from torch's own, whose state is in every checkpoint, too."""
    draws, generator = Draws(5), torch.Generator().manual_seed(5)
    assert draws.coin() == bool(torch.rand((), generator=generator) < 0.5)
    assert draws.corner(9) == tuple(torch.randint(10, (2,), generator=generator).tolist())
    assert torch.equal(draws.noise(3), torch.randn(3, generator=generator))
    draws.choices, state = None, torch.get_rng_state()
    before = [(draws.coin(), draws.corner(9)) for _ in range(5)]
    assert torch.equal(draws.generator.get_state(), generator.get_state())
    torch.set_rng_state(state)
    assert [(draws.coin(), draws.corner(9)) for _ in range(5)] == before
