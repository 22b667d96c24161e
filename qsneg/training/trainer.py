"""Training, resumable at any moment.

    python -m qsneg train horse2zebra-drawn --method qs-attn --preset small --out runs/qs-attn
    python -m qsneg train horse2zebra-drawn --method cut --preset debug --out runs/debug     # ten steps
    python -m qsneg train --resume --out runs/qs-attn
    python -m qsneg train --resume --out runs/qs-attn --steps 10000 --crop 192 --resize 224     # a further stage

A run is a folder: `checkpoint.pt` (everything that a run consists of, written atomically), `metrics.jsonl`,
`samples/`, `film/`, `model.safetensors` (exported weights with their card), and TensorBoard's files where
tensorboard is installed. On one device, a run that was killed and resumed ends with the same weights as
an uninterrupted one. Settings given on resuming hold from there on, a further stage of the run, which its card names.
"""

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import torch
from torch.optim.swa_utils import AveragedModel
from torchvision.utils import make_grid
from tqdm import tqdm

from qsneg import device as devices
from qsneg import methods
from qsneg.config import DRAWN, LOSS_WEIGHTS, ModelConfig, TrainConfig
from qsneg.data.unpaired import Unpaired, check_folder
from qsneg.filesystem import output_folder
from qsneg.image_io import readable, resize_short, to_image, to_tensor
from qsneg.metrics.score import Recorder, figures
from qsneg.metrics.structure import agreements
from qsneg.rendering.sample_pictures import for_film
from qsneg.training.film import SIZE, Film, gather
from qsneg.translate import Translator
from qsneg.weights import PARTS, Weights, save

STALLED = 25  # updates skipped in a row, for gradients that are not finite, that end a run
NETWORKS = {"D": "the discriminator", "G": "generator and heads", "N": "the negative generator"}


class Trainer:
    """One run: the method, its optimisers, the average, and where it stands.

    Raises:
        ValueError: one sentence, if the data, the device or the settings cannot be used.
    """

    def __init__(self, model: ModelConfig, config: TrainConfig, out: Path | str):
        self.model, self.config, self.out = model, config, output_folder(out)
        if config.data != DRAWN:
            check_folder(config.data, config.crop)
        self.data = Unpaired(config)
        self.steps = config.steps or self.data.epoch() * model.traits.epochs
        self.decay = config.decay if config.decay is not None else model.traits.decay
        self.device = devices.pick(config.device)
        torch.manual_seed(config.seed)
        self.layout = devices.layout(self.device)
        draws, autocast = methods.Draws(config.seed, self.device), devices.autocast(self.device, config.autocast)
        method = methods.create(model, draws, autocast, config.disc_noise, config.disc_crop)
        self.method = method.to(self.device, memory_format=self.layout)
        exported = {name: getattr(self.method, name) for name in PARTS if hasattr(self.method, name)}
        self.exported = torch.nn.ModuleDict(exported)
        self.average = AveragedModel(self.exported, avg_fn=self.mix)
        self.groups = self.method.groups()
        fused = self.device.type in ("cuda", "cpu")
        self.optimisers = {
            name: torch.optim.Adam(parameters, config.lr, (config.beta1, config.beta2), fused=fused)
            for name, parameters in self.groups.items()
        }
        self.skipped = {name: torch.zeros((), device=self.device) for name in self.groups}
        self.in_a_row = {name: torch.zeros((), device=self.device) for name in self.groups}
        self.step, self.seconds, self.broken, self.history = 0, 0.0, [], []
        self.stages: list[
            dict
        ] = []  # where settings changed on resuming: {"steps", "train_config", "loss_weights"} before

    def mix(self, average, value, count):
        """The moving average; its decay grows to the configured one, so that early averages follow."""
        decay = min(self.config.average, (1 + float(count)) / (10 + float(count)))
        return torch.lerp(value, average, decay)

    def learning_rate(self, step: int, name: str = "G") -> float:
        """Constant, then linear to `lr_end` of itself over the last `decay` share of the steps."""
        left = (self.steps - step) / max(1, self.decay * self.steps)
        full = self.config.lr_disc if name == "D" and self.config.lr_disc is not None else self.config.lr
        end = self.config.lr_end
        return full * (end + (1 - end) * min(1.0, left))

    def update(self, name: str, loss: torch.Tensor) -> None:
        """One optimiser step of the parameters called `name`; skipped and counted if the gradient is not finite."""
        grads = torch.autograd.grad(loss, self.groups[name])
        bad = (
            ~torch.stack(torch._foreach_norm(grads)).isfinite().all()
        ).float()  # stays on the device: no synchronisation
        self.skipped[name] += bad
        self.in_a_row[name] = (self.in_a_row[name] + 1) * bad
        for parameter, grad in zip(self.groups[name], grads):
            parameter.grad = grad
        self.optimisers[name].found_inf = bad  # fused Adam leaves parameters and moments alone where it is 1
        self.optimisers[name].step()

    def train_step(self, x: torch.Tensor, y: torch.Tensor) -> dict[str, torch.Tensor]:
        for name, optimiser in self.optimisers.items():
            for group in optimiser.param_groups:
                group["lr"] = self.learning_rate(self.step, name)
        x, y = (t.to(self.device, memory_format=self.layout) for t in (x, y))
        losses = self.method.step(x, y, self.update, self.step / self.steps)
        self.average.update_parameters(self.exported)
        self.step += 1
        return losses

    def refuse_to_stall(self) -> None:
        """Raises ValueError, with advice, where the last `STALLED` updates of some network all had to be skipped."""
        for name, count in self.in_a_row.items():
            if count >= STALLED:
                advice = "start again with a smaller --lr"
                if self.method.autocast is not contextlib.nullcontext:
                    command = f"train --resume --out {self.out} --autocast off"
                    advice = f"go on from the last checkpoint in full precision, `{command}`"
                found = f"The last {int(count)} gradients of {NETWORKS[name]} were not finite, at step {self.step}"
                raise ValueError(f"{found}: {advice}.")

    def state(self) -> dict:
        return {
            "model": dataclasses.asdict(self.model),
            "train": dataclasses.asdict(self.config),
            "step": self.step,
            "seconds": self.seconds,
            "broken": self.broken,
            "history": self.history,
            "stages": self.stages,
            "skipped": {name: int(count) for name, count in self.skipped.items()},
            "method": self.method.state_dict(),
            "average": self.average.state_dict(),
            "optimisers": {k: o.state_dict() for k, o in self.optimisers.items()},
            "draws": self.method.draws.generator.get_state(),
            "random": torch.get_rng_state(),
        }

    def save(self) -> None:
        """Write the checkpoint (atomically) and the exported weights."""
        part = self.out / "checkpoint.pt.part"
        with part.open("wb") as file:
            torch.save(self.state(), file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, self.out / "checkpoint.pt")
        save(self.weights(), self.out / "model.safetensors")

    def restore(self) -> None:
        """Continue from the checkpoint in the run's folder.

        Raises:
            ValueError: if there is none, or it does not fit.
        """
        state = read_checkpoint(self.out)
        self.step, self.seconds, self.broken, self.history = (
            state[k] for k in ("step", "seconds", "broken", "history")
        )
        self.stages = state.get("stages", [])
        self.method.load_state_dict(state["method"])
        self.average.load_state_dict(averages(state["average"], self.exported))
        for name, count in state.get("skipped", {}).items():
            self.skipped[name].fill_(count)
        for name, optimiser in self.optimisers.items():
            optimiser.load_state_dict(state["optimisers"][name])
        self.method.draws.generator.set_state(state["draws"])
        torch.set_rng_state(state["random"])
        metrics = self.out / "metrics.jsonl"
        if metrics.exists():  # drop what was written after the checkpoint, the last line perhaps in part
            lines = [
                l for l in metrics.read_text().splitlines() if l.endswith("}") and json.loads(l)["step"] <= self.step
            ]
            metrics.write_text("".join(l + "\n" for l in lines))

    def weights(self) -> Weights:
        """The model as it would be shipped now: the averages of its networks."""
        return Weights(self.model, **{"heads": None, **self.average.module}, card=self.card())

    def card(self) -> dict:
        """Data, steps, seed, time, machine and figures of the run so far."""
        config = portable(self.config)
        card = {
            "method": self.model.traits.title,
            "data": config["data"],
            "steps": self.step,
            "of_steps": self.steps,
            "seed": self.config.seed,
            "crop": self.config.crop,
            "resize": self.config.resize,
            "batch": self.config.batch,
            "minutes": round(self.seconds / 60, 1),
            "machine": devices.machine(self.device),
            "torch": torch.__version__,
            "train_config": config,
        }
        if self.stages:
            card["stages"] = self.stages
        since = max((s["steps"] for s in self.stages if s["train_config"]["data"] != config["data"]), default=0)
        if history := [h for h in self.history if h["step"] > since]:  # figures of other data do not compare
            card["last"] = history[-1]
            first = next(k for k in history[-1] if k != "step")
            card["best"] = min(history, key=lambda h: h[first])
        return card

    def translate(self, x: torch.Tensor) -> torch.Tensor:
        """B×3×H×W as people see it: by the averaged generator, with a mirrored margin, in float32."""
        return Translator(Weights(self.model, self.average.module["generator"], None), self.device).as_shown(x)

    def evaluate(self) -> dict[str, float]:
        """The figures now, kept for the card."""
        recorder = Recorder(self.translate)
        result = figures(recorder, self.config.data, 64 if self.step < self.steps else None)
        if result:
            result |= agreements(*recorder.pictures())  # after the figures, the first of which decides what is best
            self.history.append({"step": self.step} | {k: round(v, 4) for k, v in result.items()})
        return result

    def run(self, progress: bool = True, stop_at: int | None = None) -> None:
        """Train to the end (or to `stop_at`), writing everything on the way.

        Raises:
            KeyboardInterrupt: after Ctrl-C, when the step is finished and saved.
        """
        c, out = self.config, self.out
        if self.step == 0:  # of a run that stopped before its first checkpoint
            (out / "metrics.jsonl").unlink(missing_ok=True)
            shutil.rmtree(out / "film", ignore_errors=True)
        (out / "samples").mkdir(parents=True, exist_ok=True)
        film = Film(out / "film", partial(for_film, c.data, SIZE), self.steps, self.model.layers) if c.film else None
        samples = sample_inputs(c, film)
        board = tensorboard(out)
        total: dict[str, torch.Tensor] = {}
        counted, said, last = 0, sum(int(s) for s in self.skipped.values()), time.monotonic()
        kept = {round(self.steps * (i + 1) / c.keep) for i in range(c.keep)}
        end = min(self.steps, stop_at or self.steps)
        loader = torch.utils.data.DataLoader(
            self.data,
            batch_size=None,
            sampler=range(self.step, end),
            num_workers=c.workers,
            generator=torch.Generator(),
            worker_init_fn=leave_interrupts,
        )
        if film and self.step == 0 and film.due(0):
            film.record(0, self.average.module["generator"], self.device)
        bar = tqdm(loader, self.model.traits.title, end, initial=self.step, unit="step", disable=not progress)
        for x, y, broken in until_interrupt(bar):
            for name in set(broken) - set(self.broken):
                self.broken.append(name)
                bar.write(f"Skipped, cannot be read: {name}", file=sys.stderr)
            losses = self.train_step(x, y)
            total = {k: total.get(k, 0) + v.nan_to_num(0, 0, 0) for k, v in losses.items()}
            counted += 1
            now = time.monotonic()
            self.seconds, last = self.seconds + now - last, now
            final = self.step == end
            line = {}
            if c.evaluate_every and (self.step % c.evaluate_every == 0 or self.step == self.steps):
                line = self.evaluate()
            if self.step % c.log_every == 0 or final or line:
                means = {k: float(v) / counted for k, v in total.items()}
                self.refuse_to_stall()
                if (skipped := sum(int(s) for s in self.skipped.values())) > said:
                    bar.write(f"Skipped {skipped - said} update(s) whose gradient was not finite.", file=sys.stderr)
                    said = skipped
                write_metrics(
                    out,
                    board,
                    self.step,
                    means | line,
                    self.learning_rate(self.step),
                    self.seconds,
                    len(self.broken),
                    said,
                )
                bar.set_postfix(
                    {k: f"{v:.2f}" for k, v in means.items() if k in ("G_GAN", "NCE", "D_real", "D_fake", "N")}
                )
                total, counted = {}, 0
            if film and film.due(self.step):
                film.record(self.step, self.average.module["generator"], self.device)
            if samples and (self.step % c.sample_every == 0 or final):
                sample_grid(samples, self.translate).save(out / "samples" / f"{self.step:07d}.jpg", quality=90)
            if self.step in kept:
                save(self.weights(), out / "kept" / f"{self.step:07d}.safetensors")
            if self.step % c.save_every == 0 or final:
                self.save()
            last = time.monotonic()  # evaluation, film and saving are not training time
        bar.close()
        if self.step < end:
            self.save()
            print(f"Saved at step {self.step} in '{out}': resumed, it goes on from there.", file=sys.stderr)
            raise KeyboardInterrupt
        if film and self.step == self.steps:
            gather(film.folder)
        if self.broken:
            print(
                f"{len(self.broken)} picture(s) could not be read and were skipped: {', '.join(self.broken[:5])}",
                file=sys.stderr,
            )


def until_interrupt(items: Iterable) -> Iterator:
    """The items until Ctrl-C, which lets the one at work finish; pressed again, it stops at once. A process that was
    started to ignore it, as shells do in the background, goes on ignoring it."""
    pressed = []

    def note(*_):
        if pressed:
            raise KeyboardInterrupt
        pressed.append(True)

    catch = threading.current_thread() is threading.main_thread()  # elsewhere signals cannot be caught
    catch = catch and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
    before = signal.signal(signal.SIGINT, note) if catch else None
    try:
        for item in items:
            yield item
            if pressed:
                return
    finally:
        if catch:
            signal.signal(signal.SIGINT, before or signal.SIG_DFL)


def leave_interrupts(worker: int) -> None:
    """Worker processes leave Ctrl-C to the one that trains."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def averages(state: dict, exported: torch.nn.ModuleDict) -> dict:
    """The averages' state in a checkpoint; where an older version averaged the generator alone, the others begin as
    they are."""
    if not any(key.startswith("module.model.") for key in state):
        return state
    raw = {f"module.{name}": tensor for name, tensor in exported.state_dict().items()}
    return raw | {key.replace("module.", "module.generator.", 1): tensor for key, tensor in state.items()}


def read_checkpoint(out: Path | str) -> dict:
    path = Path(out) / "checkpoint.pt"
    if not path.is_file():
        raise ValueError(f"There is nothing to resume in '{out}': no checkpoint.pt. Start the run without --resume.")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file: zipfile's, pickle's and torch's errors
        raise ValueError(
            f"'{path}' cannot be read ({type(error).__name__}): remove it and start the run again."
        ) from None


def portable(config: TrainConfig) -> dict:
    """The configuration as a dict for cards: of a data folder's path, only the name."""
    return dataclasses.asdict(config) | {"data": config.data if config.data == DRAWN else Path(config.data).name}


def resume(out: Path | str, **overrides) -> Trainer:
    """The trainer of a run, as its checkpoint describes it; `overrides` are settings of `TrainConfig`, and weights of
    losses, that hold from here on: a further stage of the run, of which its card tells.

    Raises:
        ValueError: if there is no run, a setting cannot be changed or used, or the run is past `steps` already.
    """
    changeable = {f.name for f in dataclasses.fields(TrainConfig)} - {"seed"} | set(LOSS_WEIGHTS)
    if fixed := set(overrides) - changeable:
        raise ValueError(
            f"A run keeps its {' and '.join(sorted(fixed))}: leave that out on resuming, or start a new run."
        )
    state = read_checkpoint(out)
    model, train = (
        {k: tuple(v) if isinstance(v, list) else v for k, v in state[part].items()} for part in ("model", "train")
    )
    weights = {name: model[name] for name in LOSS_WEIGHTS}
    model |= {name: overrides.pop(name) for name in LOSS_WEIGHTS if name in overrides}
    before, after = TrainConfig(**train), TrainConfig(**(train | overrides))
    trainer = Trainer(ModelConfig(**model), after, out)
    trainer.restore()
    if trainer.steps < trainer.step:
        raise ValueError(f"The run stands at step {trainer.step}, past {trainer.steps}: give it more --steps.")
    incidental = {"device": "", "workers": 0}  # and of the data's path all but the name
    changed = any(model[name] != weight for name, weight in weights.items())
    if changed or portable(dataclasses.replace(before, **incidental)) != portable(
        dataclasses.replace(after, **incidental)
    ):
        trainer.stages.append({"steps": trainer.step, "train_config": portable(before), "loss_weights": weights})
    return trainer


def sample_inputs(config: TrainConfig, film: Film | None) -> list[torch.Tensor]:
    """The sources of the sample grid: the film's pictures, then up to four of testA."""
    images = list(film.images) if film else []
    if config.data != DRAWN and (Path(config.data) / "testA").is_dir():
        images += [resize_short(picture, config.crop) for picture in islice(readable(Path(config.data) / "testA"), 4)]
    side = film.images[0].width if images and film else config.crop
    return [to_tensor(i.resize((side // 4 * 4,) * 2)) for i in images]


def sample_grid(samples: list[torch.Tensor], translate):
    """Sources above, translations below."""
    pictures = torch.cat(samples + [translate(x).cpu() for x in samples])
    return to_image(make_grid(pictures, nrow=len(samples), padding=4, pad_value=1.0))


def tensorboard(out: Path):
    """A TensorBoard writer, or None where tensorboard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(out / "tensorboard")


def write_metrics(
    out: Path, board, step: int, values: dict, lr: float, seconds: float, broken: int, skipped: int
) -> None:
    line = {"step": step, **{k: round(v, 6) for k, v in values.items()}, "lr": lr, "seconds": round(seconds, 1)}
    line |= {"broken": broken, "skipped": skipped}
    with (out / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")
    if board:
        for name, value in values.items():
            board.add_scalar(name, value, step)
        board.flush()
