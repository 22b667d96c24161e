"""What each method does in one training step.

    CUT          contrasts patches of the translation with patches of the source
    FastCUT      CUT without the identity term, λ = 10, mirrored inputs
    QS-Attn      CUT whose queries, at two layers, are selected and routed by attention
    NEGCUT       CUT whose negatives are generated, by a network trained against the encoder
    FastNEGCUT   NEGCUT with FastCUT's settings
    MoNCE        CUT whose negatives are weighed: hard pairs are pushed harder, by a plan of optimal transport
    hDCE         CUT whose negatives are weighed by their likeness in the source, the positive left out of them

A step computes losses and hands each to `update(name, loss)`, which takes the gradient and moves the
parameters of that name ("D", "N" or "G"; "G" means generator and heads). So the methods know nothing of
optimisers, and a test can look at gradients instead. Shapes: B batch, N queries, K projected width.

    method = create(ModelConfig(method="qs-attn", width=32))
    losses = method.step(x, y, update)
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from qsneg.attention import OVERSAMPLE, Selection, doubtful_positions, gather, select, select_at
from qsneg.bounds import check_seed
from qsneg.config import ModelConfig, trained_methods
from qsneg.layers import at_least_float32
from qsneg.losses import diversity, lsgan, patch_nce, relation_consistency, resemblance_weights, transport_weights
from qsneg.networks import Discriminator, Generator, NegativeGenerator, ProjectionHeads, tokens

Update = Callable[[str, Tensor], None]


class Draws:
    """Everything random in a step, from one generator whose state can be saved. Raises ValueError on an odd seed.

    What Python must know, a corner or the side of a coin, is drawn on the CPU, where the device is another by torch's
    own generator: a step waits for no device.
    """

    def __init__(self, seed: int = 0, device: str | torch.device = "cpu"):
        check_seed(seed)
        self.generator = torch.Generator(device).manual_seed(seed)
        self.choices = self.generator if self.generator.device.type == "cpu" else None

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


@dataclass
class Pass:
    """One domain's pass through the generator: queries and keys at every layer, each B×N×K."""

    queries: list[Tensor]  # from the translation, with gradient
    keys: list[Tensor]  # from the source at the same positions, detached
    means: list[Tensor] | None = None  # NEGCUT: B×K, mean projected source features, with gradient


class CUT(nn.Module):
    """Contrastive unpaired translation (Park et al., ECCV 2020, https://arxiv.org/abs/2007.15651).

    Generator loss: GAN + λ·NCE(x, G(x)), where the NCE is averaged with that of (y, G(y)), the identity
    term. FastCUT has no identity term and mirrors the input with probability ½.

    Args:
        config: shapes and losses.
        draws: everything random in its steps.
        autocast: makes the context in which the networks run, such as one of bfloat16.
        disc_noise: standard deviation of noise on what the discriminator sees, at the beginning of the training.
        disc_crop: side of the square that the discriminator sees of a picture, at a random place; 0: all of it.
    """

    def __init__(
        self,
        config: ModelConfig,
        draws: Draws | None = None,
        autocast: Callable[[], contextlib.AbstractContextManager] = contextlib.nullcontext,
        disc_noise: float = 0.0,
        disc_crop: int = 0,
    ):
        super().__init__()
        self.config = config
        self.generator = Generator(config.width, config.blocks, config.resampling, config.wide)
        self.heads = ProjectionHeads(self.generator.channels(config.layers), config.dim)
        self.discriminator = Discriminator(config.disc_width, config.wide)
        self.draws, self.autocast = draws or Draws(), autocast
        self.disc_noise, self.disc_crop, self.progress = disc_noise, disc_crop, 0.0

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """Parameters by the name under which `step` asks for their update."""
        return {
            "D": list(self.discriminator.parameters()),
            "G": [*self.generator.parameters(), *self.heads.parameters()],
        }

    def step(self, x: Tensor, y: Tensor, update: Update, progress: float = 0.0) -> dict[str, Tensor]:
        """One training step on source x and target y, each B×3×H×W in [-1, 1]. Returns detached losses.

        `progress` is the share of the training that lies behind: the discriminator's noise falls linearly to 0 with it.
        """
        self.progress = progress
        fake, passes = self.forward_passes(x, y)
        losses = self.update_discriminator(fake, y, update)
        losses |= self.update_negatives(passes, update)
        losses |= self.update_generator(fake, passes, update)
        self.finish_step()
        return {name: loss.detach() for name, loss in losses.items()}

    def forward_passes(self, x: Tensor, y: Tensor) -> tuple[Tensor, list[Pass]]:
        """Translate x (and y, for the identity term) in one batch; contrast against the generator's own features.

        The source features are those that the generator computes on its way: no separate encoder pass.
        """
        with self.autocast():
            traits = self.config.traits
            flip = traits.mirrored and self.draws.coin()
            real = torch.cat([x, y]) if traits.identity else x
            output, source = self.translate(real.flip(3) if flip else real)
            if flip:
                with torch.set_grad_enabled(traits.generates):  # where negatives are made of the source's means
                    source = self.generator.encode(real, self.config.layers)
            result = self.generator.encode(output, self.config.layers)
            verdict = self.doubt(output)
            if flip:
                result = [f.flip(3) for f in result]
                verdict = verdict and [v.flip(3) for v in verdict]
            return output[: len(x)], self.passes(source, result, verdict, len(real) // len(x))

    def translate(self, real: Tensor) -> tuple[Tensor, list[Tensor]]:
        """G(real) and the features of real."""
        return self.generator.translate_with_features(real, self.config.layers)

    @torch.no_grad()
    def doubt(self, output: Tensor) -> list[Tensor]:
        """How real the discriminator finds the translations, [B×1×h×w], where queries are chosen by it; else []."""
        return [self.discriminator(output)] if self.config.asking == "doubt" else []

    def passes(self, source: list[Tensor], result: list[Tensor], verdict: list[Tensor], domains: int) -> list[Pass]:
        """One pass per domain, from the layer features (and the verdict) of all domains in one batch."""
        parts = [[t.chunk(domains) for t in tensors] for tensors in (source, result, verdict)]
        return [self.contrast(*([t[d] for t in tensors] for tensors in parts)) for d in range(domains)]

    def contrast(self, source: list[Tensor], result: list[Tensor], verdict: list[Tensor]) -> Pass:
        """Read queries and keys at the same places of source and translation, and project them."""
        queries, keys = [], []
        for i, (s, r) in enumerate(zip(source, result)):
            read = self.reader(i, s, *verdict)
            queries.append(self.heads(read(r), i))
            with torch.no_grad():
                keys.append(self.heads(read(s), i))
        return Pass(queries, keys)

    def reader(self, i: int, source: Tensor, verdict: Tensor | None = None) -> Callable[[Tensor], Tensor]:
        """How patches are read from a feature map B×C×H×W of the i-th layer, as B×N×C: at the places that ask."""
        layer, length = self.config.layers[i], source.shape[2:].numel()
        if self.config.asking == "entropy" and layer in self.config.attention_layers:
            index = self.select(source).anchors  # B×N
        elif verdict is not None:
            index = self.doubtful(layer, source, verdict)
        else:
            index = self.draws.positions(layer, length, self.config.patches)  # N, the same in every picture
            return lambda features: tokens(features)[:, index]
        return lambda features: gather(tokens(features), index)

    def select(self, source: Tensor) -> Selection:
        """The positions of lowest entropy in source features B×C×H×W."""
        return select(at_least_float32(source), self.config.patches, self.config.attention, self.config.window)

    def doubtful(self, layer: int, source: Tensor, verdict: Tensor) -> Tensor:
        """B×N positions, half of them where the discriminator finds the translation least real."""
        counts = (OVERSAMPLE * self.config.patches, self.config.patches)
        draws = [self.draws.positions(layer, source.shape[2:].numel(), count) for count in counts]
        return doubtful_positions(verdict, tuple(source.shape[2:]), *draws)

    def nce(self, p: Pass, negatives: list[Tensor] | None = None) -> Tensor:
        """The contrastive loss of one pass, averaged over layers."""
        losses = [
            patch_nce(
                q,
                k,
                negatives and negatives[i],
                self.config.temperature,
                self.config.across_batch,
                **self.push(self.config, q, k, self.progress),
            )
            for i, (q, k) in enumerate(zip(p.queries, p.keys))
        ]
        return torch.stack(losses).mean()

    @classmethod
    def push(cls, config: ModelConfig, queries: Tensor, keys: Tensor, progress: float = 1.0) -> dict:
        """Who is pushed away, and how hard: what `patch_nce` is told of the negatives of B×N×K queries and keys, at a
        share of the training, 1 at its end."""
        return {}  # all alike

    def judge(self, images: Tensor) -> Tensor:
        """The discriminator's verdict, B×1×h×w, on pictures B×3×H×W (squares of them, noise on them, where set)."""
        if 0 < (side := self.disc_crop) < images.shape[3]:
            top, left = self.draws.corner(images.shape[3] - side)
            images = images[..., top : top + side, left : left + side]
        if (noise := self.disc_noise * (1 - self.progress)) > 0:
            images = images + noise * self.draws.noise(*images.shape).to(images.dtype)
        with self.autocast():
            return at_least_float32(self.discriminator(images))

    def update_discriminator(self, fake: Tensor, real: Tensor, update: Update) -> dict[str, Tensor]:
        on_fake, on_real = self.judge(torch.cat([fake.detach(), real])).split([len(fake), len(real)])
        losses = {"D_fake": lsgan(on_fake, False), "D_real": lsgan(on_real, True)}
        update("D", (losses["D_fake"] + losses["D_real"]) / 2)
        return losses

    def update_negatives(self, passes: list[Pass], update: Update) -> dict[str, Tensor]:
        return {}  # CUT's negatives are patches of the picture: nothing to train

    def update_generator(self, fake: Tensor, passes: list[Pass], update: Update) -> dict[str, Tensor]:
        losses = {"G_GAN": lsgan(self.judge(fake), True)}
        losses |= dict(zip(("NCE", "NCE_Y"), (self.nce(p, self.negatives(p)) for p in passes)))
        nce = torch.stack([losses[k] for k in ("NCE", "NCE_Y") if k in losses]).mean()
        losses["G"] = self.config.lambda_gan * losses["G_GAN"] + self.config.nce_weight * nce
        for name, (weight, loss) in self.further_terms(passes).items():
            losses[name] = loss
            losses["G"] = losses["G"] + weight * loss
        update("G", losses["G"])
        return losses

    def further_terms(self, passes: list[Pass]) -> dict[str, tuple[float, Tensor]]:
        return {}  # what else the generator's loss has, by name: weight and value

    def negatives(self, p: Pass) -> list[Tensor] | None:
        return None  # in-image negatives

    def finish_step(self) -> None:
        pass


class QSAttn(CUT):
    """Query-selected attention (Hu et al., CVPR 2022, https://arxiv.org/abs/2203.08483): CUT, but at
    `attention_layers` the queries are the positions whose attention has the lowest entropy, and their
    values are routed by the source's attention rows, in source and translation alike."""

    def reader(self, i: int, source: Tensor, verdict: Tensor | None = None) -> Callable[[Tensor], Tensor]:
        if (layer := self.config.layers[i]) not in self.config.attention_layers:
            return super().reader(i, source, verdict)
        if verdict is None:
            selection = self.select(source)
        else:  # asked where the discriminator doubts, and routed all the same
            places = self.doubtful(layer, source, verdict)
            selection = select_at(at_least_float32(source), places, self.config.attention, self.config.window)
        return lambda features: selection.route(at_least_float32(features))


class NEGCUT(CUT):
    """Instance-wise hard negatives (Wang et al., ICCV 2021, https://arxiv.org/abs/2108.04547): CUT, but the
    negatives come from a generator that is trained to make the contrast hard (and diverse). Its input
    is the mean of the source's features as projected by a slow copy of the heads."""

    def __init__(self, config: ModelConfig, *args, **kwargs):
        super().__init__(config, *args, **kwargs)
        self.negative_generator = NegativeGenerator(len(config.layers), config.dim, config.noise_dim)
        self.slow_heads = ProjectionHeads(self.generator.channels(config.layers), config.dim)
        self.slow_heads.load_state_dict(self.heads.state_dict())
        self.slow_heads.requires_grad_(False)

    def groups(self) -> dict[str, list[nn.Parameter]]:
        return super().groups() | {"N": list(self.negative_generator.parameters())}

    def contrast(self, source: list[Tensor], result: list[Tensor], verdict: list[Tensor]) -> Pass:
        p = super().contrast(source, result, verdict)
        p.means = [self.slow_heads.mean(tokens(f), i) for i, f in enumerate(source)]
        return p

    def negatives(self, p: Pass) -> list[Tensor]:
        """Fresh negatives, B×N×K at every layer, hard for the queries of this pass's source."""
        shape = (len(p.queries[0]), self.config.patches, self.config.noise_dim)
        noise = [self.draws.noise(*shape).to(m.dtype) for m in p.means]
        with self.autocast():
            return [self.negative_generator(m, z, i) for i, (m, z) in enumerate(zip(p.means, noise))]

    def update_negatives(self, passes: list[Pass], update: Update) -> dict[str, Tensor]:
        """N against the encoder: maximise λ·NCE, as the generator minimises it, and stay diverse (on the last pass,
        the identity)."""
        fixed = [Pass([q.detach() for q in p.queries], p.keys, [m.detach() for m in p.means]) for p in passes]
        generated = [self.negatives(p) for p in fixed]
        nce = [self.nce(p, n) for p, n in zip(fixed, generated)]
        diverse = torch.stack([diversity(n) for n in generated[-1]]).mean()
        losses = dict(zip(("NCE_for_N", "NCE_Y_for_N"), nce))
        losses["N"] = -self.config.nce_weight * torch.stack(nce).mean() + self.config.lambda_diversity * diverse
        update("N", losses["N"])
        return losses

    @torch.no_grad()
    def finish_step(self) -> None:
        for slow, fast in zip(self.slow_heads.parameters(), self.heads.parameters()):
            slow.lerp_(fast, 1 - self.config.slow_decay)


class MoNCE(CUT):
    """Modulated contrast (Zhan et al., CVPR 2022, https://arxiv.org/abs/2203.09333): CUT, but a negative weighs as
    much as a plan of optimal transport between queries and keys gives it, hard pairs more. No gradient
    goes through the plan."""

    @classmethod
    def push(cls, config: ModelConfig, queries: Tensor, keys: Tensor, progress: float = 1.0) -> dict:
        return {"weights": transport_weights(at_least_float32(queries.detach()), keys, config.transport)}


class HDCE(CUT):
    """Hard decoupled contrast with semantic relation consistency (Jung et al., CVPR 2022,
    https://arxiv.org/abs/2203.01532): CUT, but the positive is not in the denominator, a negative weighs more where the
    source's patch is like the query's own, ever more so in time, and patches of the translation should
    resemble each other as those of the source do (on x only)."""

    @classmethod
    def push(cls, config: ModelConfig, queries: Tensor, keys: Tensor, progress: float = 1.0) -> dict:
        """γ of the weights falls linearly from `gamma` to `gamma_end` over the training."""
        gamma = config.gamma + (config.gamma_end - config.gamma) * progress
        return {"weights": resemblance_weights(keys, gamma), "decoupled": True}

    def further_terms(self, passes: list[Pass]) -> dict[str, tuple[float, Tensor]]:
        terms = [relation_consistency(q, k) for q, k in zip(passes[0].queries, passes[0].keys)]
        return {"SRC": (self.config.lambda_src, torch.stack(terms).mean())}


CLASSES = {
    "cut": CUT, "fastcut": CUT, "qs-attn": QSAttn, "negcut": NEGCUT, "fastnegcut": NEGCUT, "monce": MoNCE, "hdce": HDCE,
}  # fmt: skip
# by the names of `config.METHODS`, which has their settings


def create(config: ModelConfig, *args, **kwargs) -> CUT:
    """The method that `config.method` names, with fresh weights; arguments as of `CUT`.

    Raises:
        ValueError: if it is one that is only imported.
    """
    if not config.traits.trained:
        choose = ", ".join(trained_methods())
        raise ValueError(f"{config.traits.title} is not trained here, only imported: choose one of {choose}.")
    return CLASSES[config.method](config, *args, **kwargs)
