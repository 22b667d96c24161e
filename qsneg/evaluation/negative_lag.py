"""Why are generated negatives not harder? A reason that can be tested: their generator lags behind the encoder.

While NEGCUT trains, encoder and negative generator move together, and the encoder makes its way as hard as it can.
Here everything but the negative generator is frozen, and a copy of it trains on, by its own loss and optimiser. Where
its negatives become as hard as patches, it can do that with what it sees, one mean vector of the picture, and a moving
encoder is one reason why it did not in training; where they do so only without the diversity term, that term stands
against it. More does not follow from some hundred steps of one run: those that stay easier might need more of them.

    from qsneg.evaluation.negative_lag import catch_up
    print(catch_up(qsneg.load("horse2zebra-drawn/negcut")))
"""

import copy
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from qsneg.config import TrainConfig
from qsneg.data import drawn_scenes
from qsneg.inspect import observe
from qsneg.losses import diversity, patch_nce
from qsneg.methods import Draws
from qsneg.networks import NegativeGenerator, tokens
from qsneg.translate import Translator

FIRST = 5000  # scenes apart from those that `study` measures on


@dataclass
class Contrast:
    """One layer of one scene: what the contrastive loss needs, frozen."""

    queries: Tensor  # 1×N×K from the translation
    keys: Tensor  # 1×N×K from the source at the same places
    mean: Tensor  # 1×K, what the negative generator sees


@torch.no_grad()
def contrasts(translator: Translator, indices: range, size: int) -> list[list[Contrast]]:
    """For each scene, for each layer, the queries and keys at random places."""
    config, found = translator.config, []
    for index in indices:
        scene = Image.fromarray(drawn_scenes.draw(drawn_scenes.scene_seed("test", "A", index), size, "A"))
        view, draws, layers = observe(translator, scene), Draws(index), []
        for i, layer in enumerate(config.layers):
            rows, columns = view.grid(layer).shape
            at = draws.positions(layer, rows * columns, config.patches).to(view.device)
            queries, keys = (view.projected(layer, which, at)[None].clone() for which in ("result", "source"))
            layers.append(Contrast(queries, keys, view.weights.slow_heads.mean(tokens(view.map(layer)), i).clone()))
        found.append(layers)
    return found


@torch.no_grad()
def hardness(
    made: NegativeGenerator | None, scenes: list[list[Contrast]], patches: int, temperature: float
) -> list[dict]:
    """For each layer the mean cosine of negatives to queries, and the contrastive loss under them in nats; in-image
    negatives where `made` is None."""
    draws, layers = Draws(1), []
    for i in range(len(scenes[0])):
        cosines, losses = [], []
        for scene in scenes:
            c = scene[i]
            if made is None:
                similar = c.queries[0] @ c.keys[0].T  # N×N, own position on the diagonal
                cosines.append((similar.sum() - similar.trace()) / (similar.numel() - len(similar)))
                losses.append(patch_nce(c.queries, c.keys, None, temperature))
            else:
                negatives = made(c.mean, draws.noise(1, patches, made.noise_dim).to(c.mean), i)
                cosines.append((c.queries[0] @ negatives[0].T).mean())
                losses.append(patch_nce(c.queries, c.keys, negatives, temperature))
        layers.append({"cosine": float(torch.stack(cosines).mean()), "loss": float(torch.stack(losses).mean())})
    return layers


def train_on(
    made: NegativeGenerator, scenes: list[list[Contrast]], patches: int, temperature: float, weight: float, steps: int
) -> NegativeGenerator:
    """A copy of `made` after `steps` steps against frozen contrasts, with the diversity loss weighted by `weight`."""
    made, c = copy.deepcopy(made).requires_grad_(True), TrainConfig  # whose defaults are training's optimiser
    optimiser, draws = torch.optim.Adam(made.parameters(), c.lr, (c.beta1, c.beta2)), Draws(2)
    for step in range(steps):
        loss = 0
        for i, seen in enumerate(scenes[step % len(scenes)]):
            negatives = made(seen.mean, draws.noise(1, patches, made.noise_dim).to(seen.mean), i)
            loss = loss - patch_nce(seen.queries, seen.keys, negatives, temperature) + weight * diversity(negatives)
        optimiser.zero_grad()
        (loss / len(scenes[0])).backward()
        optimiser.step()
    return made


def catch_up(translator: Translator, steps: int = 500, train: int = 32, test: int = 16, size: int = 256) -> list[dict]:
    """Train a copy of the negative generator on, everything else frozen, and measure on other scenes.

    Args:
        translator: a model with a negative generator.
        steps: further steps of batch 1. train, test: scenes to train and to measure on. size: of scenes, in pixels.

    Returns: a row for each layer: "layer", and for each of "in_image" (negatives of the picture), "shipped" (the
        negative generator as it is), "trained_on" and "without_diversity" (its copies) the "cosine" to the queries and
        the "loss".

    Raises:
        ValueError: if the model has no negative generator.
    """
    config, made = translator.config, translator.weights.negative_generator
    if made is None:
        raise ValueError(f"{translator.title} has no negative generator.")
    scenes = contrasts(translator, range(FIRST, FIRST + train + test), size)
    seen, unseen = scenes[:train], scenes[train:]
    rest = (config.patches, config.temperature)
    columns = {
        "in_image": hardness(None, unseen, *rest),
        "shipped": hardness(made, unseen, *rest),
        "trained_on": hardness(train_on(made, seen, *rest, config.lambda_diversity, steps), unseen, *rest),
        "without_diversity": hardness(train_on(made, seen, *rest, 0.0, steps), unseen, *rest),
    }
    return [{"layer": layer, **{k: v[i] for k, v in columns.items()}} for i, layer in enumerate(config.layers)]
