"""Configuration: typed dataclasses, one comment under each field. Everything can be set by flag.

python -m qsneg train --help
"""

import dataclasses
import math
from dataclasses import dataclass

from qsneg.bounds import LARGEST, Channels, check_mode, check_seed

DRAWN = "horse2zebra-drawn"  # the data set that draws itself
LOSS_WEIGHTS = ("lambda_gan", "lambda_nce", "lambda_diversity", "lambda_src")  # which a run may change on its way


@dataclass(frozen=True)
class Paper:
    """Where a method comes from."""

    name: str
    title: str
    authors: str  # with venue and year
    arxiv: str

    @property
    def url(self) -> str:
        return f"https://arxiv.org/abs/{self.arxiv}"


@dataclass(frozen=True)
class Method:
    """What the rest of the program knows of a method; what it computes is in `qsneg.methods`."""

    title: str
    paper: Paper
    colour: str  # a key of `qsneg.rendering.colormaps.COLOURS`; variants share one
    idea: str  # in one or two sentences, for the app's page About
    selects: bool = False  # its queries are selected by attention, at `attention_layers`
    generates: bool = False  # its negatives are generated, by a network of its own
    weighs: bool = False  # its negatives are weighed, each picture's among themselves
    identity: bool = True  # the contrastive loss is also taken of the target domain's pictures
    mirrored: bool = False  # half of the steps see mirrored input, and mirror the features back
    lambda_nce: float = 1.0
    epochs: int = 400
    decay: float = 0.5  # share of the steps over which the learning rate falls
    trained: bool = True  # False: trained elsewhere by other means, only imported


CUT = Paper(
    "CUT", "Contrastive Learning for Unpaired Image-to-Image Translation",
    "Park, Efros, Zhang and Zhu, ECCV 2020", "2007.15651",
)  # fmt: skip
QS_ATTN = Paper(
    "QS-Attn", "QS-Attn: Query-Selected Attention for Contrastive Learning in I2I Translation",
    "Hu, Zhou, Huang, Shi, Sun and Li, CVPR 2022", "2203.08483",
)  # fmt: skip
NEGCUT = Paper(
    "NEGCUT",
    "Instance-wise Hard Negative Example Generation for Contrastive Learning in Unpaired Image-to-Image Translation",
    "Wang, Zhou, Yu, Dai, Li, Zhao and Chen, ICCV 2021", "2108.04547",
)  # fmt: skip
CYCLEGAN = Paper(
    "CycleGAN", "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks",
    "Zhu, Park, Isola and Efros, ICCV 2017", "1703.10593",
)  # fmt: skip
MONCE = Paper(
    "MoNCE", "Modulated Contrast for Versatile Image Synthesis",
    "Zhan, Zhang, Yu, Wu and Lu, CVPR 2022", "2203.09333",
)  # fmt: skip
HDCE = Paper(
    "hDCE", "Exploring Patch-wise Semantic Relation for Contrastive Learning in Image-to-Image Translation Tasks",
    "Jung, Kwon and Ye, CVPR 2022", "2203.01532",
)  # fmt: skip
ENCO = Paper(
    "EnCo", "Rethinking the Paradigm of Content Constraints in Unpaired Image-to-Image Translation",
    "Cai, Zhu, Miao, Fu and Yao, AAAI 2024", "2211.10867",
)  # fmt: skip
FAST = dict(identity=False, mirrored=True, lambda_nce=10.0, epochs=200, decay=0.25)  # FastCUT's settings
FAST_IDEA = "with ten times the weight on the contrast, without the identity term, on pictures mirrored at random."

METHODS = {  # in the order in which they are shown
    "cut": Method("CUT", CUT, "cut",
        "A patch of the translation should resemble the patch at the same place of the source more than other patches "
        "of that picture. The places are drawn at random."),
    "fastcut": Method("FastCUT", CUT, "cut", f"CUT {FAST_IDEA}", **FAST),
    "qs-attn": Method("QS-Attn", QS_ATTN, "qs-attn",
        "The same loss, with the places chosen: those whose attention over the picture has the lowest entropy. What is "
        "compared there is gathered along the attention of the source. It adds no parameters.",
        selects=True),
    "negcut": Method("NEGCUT", NEGCUT, "negcut",
        "The other patches are replaced by generated ones: a small network learns negatives that are hard to tell from "
        "the right patch, against the translator.",
        generates=True),
    "fastnegcut": Method("FastNEGCUT", NEGCUT, "negcut", f"NEGCUT {FAST_IDEA}", generates=True, **FAST),
    "monce": Method("MoNCE", MONCE, "monce",
        "The same loss, the other patches weighed: a plan of optimal transport pushes harder where they are alike.",
        weighs=True),
    "hdce": Method("hDCE", HDCE, "hdce",
        "The other patches are weighed by how alike they are in the source, the right one is not among them, and "
        "patches of the translation should resemble each other as those of the source do.",
        weighs=True, lambda_nce=0.1),
    "cyclegan": Method("CycleGAN", CYCLEGAN, "cyclegan", "What is translated there and back returns.", trained=False),
}  # fmt: skip


def trained_methods() -> list[str]:
    """The methods that can be trained here; the others are only imported."""
    return [name for name, method in METHODS.items() if method.trained]


def main_methods() -> list[str]:
    """Those of them that are their paper's own, not a variant under a name of its own."""
    return [name for name in trained_methods() if METHODS[name].title == METHODS[name].paper.name]


@dataclass(frozen=True)
class ModelConfig(Channels):
    """Everything that the shapes and the losses of a model depend on."""

    method: str = "cut"
    # a name of METHODS
    width: int = 64
    # channels of the generator's first convolution (ngf)
    disc_width: int = 64
    # channels of the discriminator's first convolution (ndf)
    blocks: int = 9
    # residual blocks of the generator
    resampling: str = "blur"
    # how the generator changes resolution: blur (anti-aliased), or strided (convolutions, as in CycleGAN)
    channels: int = 3
    # channels of the pictures of both domains: 3 is RGB, others as in `qsneg.data.arrays`
    channels_a: int = 0
    # channels of domain A, where it has others; the generator works on the larger number
    channels_b: int = 0
    # channels of domain B, where it has others
    layers: tuple[int, ...] = (0, 4, 8, 12, 16)
    # generator layers whose features are contrasted
    dim: int = 256
    # width K of the projected features
    patches: int = 256
    # queries (and negatives) per layer and picture
    temperature: float = 0.07
    # τ of the contrastive loss
    attention: str = "global"
    # QS-Attn: global, local or local+global
    attention_layers: tuple[int, ...] = (12, 16)
    # QS-Attn: layers whose queries are selected by entropy; the others stay random
    queries: str | None = None
    # which places ask: random, entropy or doubt (of the discriminator); None: entropy for QS-Attn, random for others
    transport: float = 0.1
    # MoNCE: ε of the transport plan, smaller is harder
    gamma: float = 50.0
    # hDCE: γ of the weights at the first step, smaller is harder
    gamma_end: float = 10.0
    # hDCE: γ at the last step, falling linearly
    lambda_src: float = 0.05
    # hDCE: weight of the semantic relation consistency
    window: int = 7
    # QS-Attn: side of the local attention's window, odd
    noise_dim: int = 64
    # NEGCUT: noise joined to each negative
    slow_decay: float = 0.9
    # NEGCUT: decay per step of the slow heads
    lambda_diversity: float = 1.0
    # NEGCUT: weight of the diversity loss
    lambda_gan: float = 1.0
    # weight of the GAN loss
    lambda_nce: float | None = None
    # weight of the contrastive loss; None: 1, and 10 for the Fast methods
    across_batch: bool = False
    # take in-image negatives from the whole batch (single-image training)

    def __post_init__(self):
        if self.method not in METHODS:
            raise ValueError(f"Unknown method '{self.method}': choose one of {', '.join(trained_methods())}.")
        for name in ("width", "disc_width", "blocks", "dim", "patches", "noise_dim"):
            if not isinstance(value := getattr(self, name), int) or not 1 <= value <= LARGEST[name]:
                raise ValueError(f"{name} must be a whole number from 1 to {LARGEST[name]}, not {value}.")
        self.check_channels()
        check_mode(self.attention)
        if not 0 <= self.slow_decay <= 1:
            raise ValueError(f"slow_decay must lie from 0 to 1, not {self.slow_decay}.")
        if self.window % 2 == 0 or not 1 <= self.window <= 255:
            raise ValueError(f"The attention window must be odd, from 1 to 255, not {self.window}.")
        if self.resampling not in ("blur", "strided"):
            raise ValueError(f"Unknown resampling '{self.resampling}': choose blur or strided.")
        if self.queries not in (None, "random", "entropy", "doubt"):
            raise ValueError(f"Queries are chosen at random, by entropy or by doubt, not by '{self.queries}'.")
        if self.queries == "random" and self.traits.selects:
            raise ValueError(f"{self.traits.title} with random queries would be CUT: choose entropy or doubt.")
        if self.traits.weighs and self.across_batch:
            raise ValueError(f"{self.traits.title} weighs the negatives of one picture: leave out --across-batch.")
        for name in ("temperature", "transport", "gamma", "gamma_end", *LOSS_WEIGHTS):
            value, zero = getattr(self, name), name in LOSS_WEIGHTS  # which may be 0, or None
            if not (zero and value is None) and not (0 <= value < math.inf and (value or zero)):
                raise ValueError(f"{name} must be a number {'from' if zero else 'above'} 0, not {value}.")
        last = self.last_layer
        if len(set(self.layers)) < len(self.layers):
            raise ValueError(f"Each feature layer can be named once; got {self.layers}.")
        if not self.layers or min(self.layers) < 0 or max(self.layers) > last:
            raise ValueError(f"Feature layers must lie from 0 to {last}, the last residual block; got {self.layers}.")

    @property
    def last_layer(self) -> int:
        """Index of the last residual block: the deepest layer whose features are read."""
        return (12 if self.resampling == "blur" else 10) + self.blocks - 1

    @property
    def traits(self) -> Method:
        """The method's row of METHODS."""
        return METHODS[self.method]

    @property
    def gamma_changes(self) -> bool:
        """Whether a number in the loss changes from step to step (hDCE's γ)."""
        return self.method == "hdce" and self.gamma != self.gamma_end

    @property
    def asking(self) -> str:
        """Which places ask: random, entropy or doubt."""
        return self.queries or ("entropy" if self.traits.selects else "random")

    @property
    def nce_weight(self) -> float:
        return self.traits.lambda_nce if self.lambda_nce is None else self.lambda_nce


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained."""

    data: str = DRAWN
    # horse2zebra-drawn, or a folder with trainA and trainB
    steps: int = 0
    # training steps (preset small: 8000); 0: the papers' 400 epochs of the larger domain (Fast methods: 200)
    decay: float | None = None
    # share of the steps over which the learning rate falls at the end; None: 0.5 (Fast methods: 0.25)
    lr_end: float = 0.0
    # share of the learning rate that it falls to: 0 as in the papers, more where results soften as it nears 0
    batch: int = 1
    # pictures per step and domain
    resize: int = 286
    # short side that pictures are resized to before cropping
    resize_max: int = 0
    # where above 0, each picture's short side is drawn at random between resize and this
    crop: int = 256
    # side of the square crop
    squash: bool = False
    # squash pictures to a square before cropping, as the papers' code does, where else the aspect ratio is kept
    unscaled_end: bool = False
    # bring pictures to the crop's own size while the learning rate falls, as the papers' code does from that epoch on
    skip_small: bool = False
    # leave out the pictures that are smaller than the crop, and count them (they are never enlarged to it)
    flip: bool = True
    # mirror at random
    degrade: float = 0.0
    # share of domain A's crops that are shrunk, compressed as JPEG and enlarged: their blocks are then not carried over
    scenes: int = 2000
    # horse2zebra-drawn: scenes per domain
    lr: float = 2e-4
    # learning rate of every Adam
    lr_disc: float | None = None
    # learning rate of the discriminator's, where it differs: lower where it wins too easily (D losses near 0)
    disc_noise: float = 0.0
    # standard deviation of noise on the discriminator's input, falling linearly to 0 (https://arxiv.org/abs/1610.04490)
    disc_crop: int = 0
    # where above 0, the discriminator sees a square of this side, at random in the crop, not the picture's border
    disc_reset: int = 0
    # where above 0, the discriminator begins anew at this step: against patterns that it has ceased to mind
    beta1: float = 0.5
    # Adam's first momentum
    beta2: float = 0.999
    # Adam's second momentum
    average: float = 0.999
    # decay per step of the moving average of generator, heads and NEGCUT's negative generator
    seed: int = 0
    # seed of everything random
    device: str = "auto"
    # auto, cuda, mps or cpu
    autocast: str = "auto"
    # precision: auto (bfloat16 where it is faster), float32 (older name: off) or bfloat16
    graph: bool = False
    # on CUDA: record the step once and replay it, without Python between its kernels
    gradient_checkpointing: bool = False
    # compute the generator's inner maps anew in the backward pass: less memory, more time
    workers: int = 0
    # processes that prepare pictures; 0: the training process itself
    log_every: int = 50
    # steps between lines of metrics.jsonl
    sample_every: int = 500
    # steps between sample grids
    save_every: int = 500
    # steps between checkpoints
    keep: int = 0
    # weights kept on the way, kept/<step>.safetensors, at as many evenly spaced steps (0: the last alone)
    evaluate_every: int = 1000
    # steps between figures on validation pictures, by which the best step is chosen (0: never)
    film: bool = True
    # record the training film
    track: str | None = None
    # project of trackio or wandb, where one is installed, that the metrics go to, too; wandb/NAME chooses between them

    def __post_init__(self):
        if self.crop % 4 or self.crop < 32:
            raise ValueError(f"The crop must be divisible by 4 and at least 32, not {self.crop}.")
        if self.resize < self.crop:
            raise ValueError(f"Pictures resized to {self.resize} are smaller than the crop of {self.crop}.")
        if self.resize_max and self.resize_max < self.resize:
            raise ValueError(f"resize_max must be 0 or at least resize, {self.resize}, not {self.resize_max}.")
        if self.disc_crop and not 32 <= self.disc_crop <= self.crop:
            raise ValueError(f"disc_crop must be 0, or from 32 to the crop of {self.crop}, not {self.disc_crop}.")
        check_seed(self.seed)
        zero = dict.fromkeys("steps resize_max disc_noise disc_reset workers keep evaluate_every".split(), 0)
        one = dict.fromkeys("batch scenes log_every sample_every save_every".split(), 1)
        for name, least in (zero | one).items():
            value, most = getattr(self, name), LARGEST.get(name, math.inf)
            if not least <= value <= most:
                bounds = f"at least {least}" if most == math.inf else f"from {least} to {most}"
                raise ValueError(f"{name} must be {bounds}, not {value}.")
        for name in ("decay", "lr_end", "degrade", "beta1", "beta2", "average"):
            most = 0.999999 if name.startswith("beta") else 1
            if (value := getattr(self, name)) is not None and not 0 <= value <= most:
                raise ValueError(f"{name} must lie from 0 to {most}, not {value}.")
        if not all(0 < rate < math.inf for rate in (self.lr, self.lr_disc or self.lr)):
            raise ValueError("The learning rates lr and lr_disc must be numbers above 0.")


SMALL = dict(width=32, disc_width=32, patches=128, crop=128, resize=160, steps=8000)
OFTEN = dict(log_every=1, sample_every=5, save_every=5)

PRESETS: dict[str, dict] = {
    "paper": {},  # the papers' settings
    "small": SMALL,  # two CPU cores: about an hour
    "drawn": SMALL | dict(resize=128, resize_max=256, decay=1.0),  # several sizes; rates fall from the first step
    "debug": dict(width=8, disc_width=8, patches=16, dim=32, crop=64, resize=72, steps=10, scenes=8, **OFTEN),
    # ten steps in seconds, to see that everything runs
}

FLAGS = {"autocast": ("--precision", "--autocast")}  # of settings whose flag is not their name, older ones last


def preset_settings(name: str) -> dict:
    """What a preset sets. Raises ValueError if there is none of that name."""
    if name not in PRESETS:
        raise ValueError(f"Unknown preset '{name}': choose one of {', '.join(PRESETS)}.")
    return PRESETS[name]


def build(method: str, preset: str = "paper", **overrides) -> tuple[ModelConfig, TrainConfig]:
    """The two configurations of a method: defaults, then the preset, then whatever is set explicitly.

    Raises:
        ValueError: on an unknown method, preset or field, or a value out of range.
    """
    values = {"method": method, **preset_settings(preset), **{k: v for k, v in overrides.items() if v is not None}}
    fields = {c: {f.name for f in dataclasses.fields(c)} for c in (ModelConfig, TrainConfig)}
    if unknown := set(values) - fields[ModelConfig] - fields[TrainConfig]:
        raise ValueError(f"Unknown setting {', '.join(sorted(unknown))}.")
    model, train = ({k: v for k, v in values.items() if k in fields[c]} for c in (ModelConfig, TrainConfig))
    return ModelConfig(**model), TrainConfig(**train)
