"""Training, resumable at any moment.

    python -m qsneg train horse2zebra-drawn --method qs-attn --preset small --out runs/qs-attn
    python -m qsneg train horse2zebra-drawn --method cut --preset debug --out runs/debug     # ten steps
    python -m qsneg train --resume --out runs/qs-attn
    python -m qsneg train --resume --out runs/qs-attn --steps 10000 --crop 192 --resize 224   # a further stage

A run is a folder: `checkpoint.pt` (everything that it consists of), `model.safetensors` (exported weights with their
card), what `qsneg.training.records` writes on the way, and TensorBoard's files where tensorboard is installed. On one
device, a run that was killed and resumed ends with the same weights as an uninterrupted one. Settings given on
resuming hold from there on, a further stage of the run, which its card names.
"""

import contextlib
import dataclasses
import functools
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from qsneg import device as devices
from qsneg import methods
from qsneg.config import DRAWN, ModelConfig, TrainConfig
from qsneg.data.unpaired import Unpaired
from qsneg.data.unpaired_arrays import UnpairedArrays
from qsneg.filesystem import Unwritable, output_folder
from qsneg.metrics.score import Translate
from qsneg.networks import Discriminator
from qsneg.training import checkpoint, cuda_graph
from qsneg.training.lock import alone
from qsneg.training.processes import Lost, Processes
from qsneg.training.records import Metrics, Records, recording
from qsneg.training.signals import Stop, leave_signals
from qsneg.training.validation import HINT, Validation, best
from qsneg.translate import Translator
from qsneg.weights import PARTS, Weights, save

STALLED = 25  # updates skipped in a row, for gradients that are not finite, that end a run
LARGEST = 1e18  # norm of a gradient whose squares float32 holds
NETWORKS = {"D": "the discriminator", "G": "generator and heads", "N": "the negative generator"}


class Trainer:
    """One run: the method, its optimisers, the average, and where it stands.

    Raises:
        ValueError: one sentence, if the data, the device or the settings cannot be used.
    """

    def __init__(self, model: ModelConfig, config: TrainConfig, out: Path | str):
        self.model, self.config, self.out = model, config, output_folder(out)
        self.processes = Processes()
        part = self.processes.rank, self.processes.size
        self.data = Unpaired(config, *part) if model.rgb else UnpairedArrays(config, model, *part)
        self.steps = config.steps or self.data.epoch() * model.traits.epochs
        if config.disc_reset >= self.steps:
            raise ValueError(f"disc_reset must be a step of the training's {self.steps}, not {config.disc_reset}.")
        self.decay = config.decay if config.decay is not None else model.traits.decay
        if config.unscaled_end:
            self.data.unscaled_from = math.ceil(self.steps * (1 - self.decay) - 1e-9)
        self.device = self.processes.device(devices.pick(config.device))
        if config.graph and (reason := cuda_graph.why_not(model, config, self.device, self.processes.size)):
            raise ValueError(reason)
        torch.manual_seed(config.seed)
        self.machine, self.layout = devices.machine(self.device), devices.layout(self.device)
        draws = methods.Draws(self.processes.seed(config.seed), self.device)
        autocast = devices.autocast(self.device, config.autocast)
        method = methods.create(model, draws, autocast, config.disc_noise, config.disc_crop)
        method.generator.checkpointing = config.gradient_checkpointing
        self.method = method.to(self.device, memory_format=self.layout)
        if self.processes.rank:
            torch.manual_seed(self.processes.seed(config.seed))  # networks are alike, what is drawn is each one's own
        exported = {name: getattr(self.method, name) for name in PARTS if hasattr(self.method, name)}
        self.exported = torch.nn.ModuleDict(exported)
        self.average = AveragedModel(self.exported)
        self.groups = self.method.groups()
        self.fused = self.device.type in ("cuda", "cpu")
        self.optimisers = {
            name: torch.optim.Adam(parameters, config.lr, (config.beta1, config.beta2), fused=self.fused)
            for name, parameters in self.groups.items()
        }
        self.skipped = {name: torch.zeros((), device=self.device) for name in self.groups}
        self.in_a_row = {name: torch.zeros((), device=self.device) for name in self.groups}
        self.recorded: cuda_graph.RecordedStep | None = None
        self.step, self.seconds, self.broken, self.history = 0, 0.0, [], []
        self.metrics, self.validation = Metrics(self.out / "metrics.jsonl"), None
        self.stages: list[dict] = []  # before settings changed on resuming: {"steps", "train_config", "loss_weights"}

    @torch.no_grad()
    def follow(self) -> None:
        """Move the average towards the networks; its decay grows to the configured one, so that early averages follow.
        No number is read from the device."""
        count = self.step  # averaged so far
        decay = min(self.config.average, (1 + count) / (10 + count)) if count else 0.0
        averages, values = (list(networks.parameters()) for networks in (self.average.module, self.exported))
        torch._foreach_copy_(averages, torch._foreach_lerp(values, averages, decay))
        self.average.n_averaged += 1

    def learning_rate(self, step: int, name: str = "G") -> float:
        """Constant, then linear to `lr_end` of itself over the last `decay` share of the steps."""
        left = (self.steps - step) / max(1, self.decay * self.steps)
        full = self.config.lr_disc if name == "D" and self.config.lr_disc is not None else self.config.lr
        end = self.config.lr_end
        return full * (end + (1 - end) * min(1.0, left))

    def update(self, name: str, loss: torch.Tensor) -> None:
        """One optimiser step of the parameters called `name`, on the gradient averaged over processes; skipped (by all)
        and counted if that is not finite."""
        grads = torch.autograd.grad(loss, self.groups[name])
        grads = self.processes.average(name, grads, self.groups[name])
        norms = torch.stack(torch._foreach_norm(grads))
        bad = (~(norms < LARGEST).all()).float()  # stays on the device: no synchronisation
        self.skipped[name] += bad
        self.in_a_row[name].add_(1).mul_(bad)
        for parameter, grad in zip(self.groups[name], grads):
            parameter.grad = grad
        if self.fused:  # leaves parameters and moments alone where `found_inf` is 1
            self.optimisers[name].found_inf = bad
        if self.fused or not bad:
            self.optimisers[name].step()

    def train_step(self, x: torch.Tensor, y: torch.Tensor) -> dict[str, torch.Tensor]:
        if self.step and self.step == self.config.disc_reset:
            self.reset_discriminator()
        x, y = (t.to(self.device, memory_format=self.layout) for t in (x, y))
        rates = {name: self.learning_rate(self.step, name) for name in self.optimisers}
        if self.config.graph:
            losses = self.recorded_step(x, y, rates)
        else:
            for name, optimiser in self.optimisers.items():
                optimiser.param_groups[0]["lr"] = rates[name]
            losses = self.method.step(x, y, self.update, self.step / self.steps)
        self.follow()
        self.step += 1
        return losses

    @torch.no_grad()
    def reset_discriminator(self) -> None:
        """A discriminator as at a training's beginning, alike in all processes; what its optimiser kept becomes 0."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self.config.seed + self.step)  # of the CPU alone
            fresh = Discriminator(self.model.disc_width, self.model.wide).state_dict()
        for network in (self.method.discriminator, self.average.module["discriminator"]):
            network.load_state_dict(fresh)
        for moments in self.optimisers["D"].state.values():
            for value in moments.values():  # in place: a recorded step reads them where they are
                value.zero_()

    def recorded_step(self, x: torch.Tensor, y: torch.Tensor, rates: dict[str, float]) -> dict[str, torch.Tensor]:
        """The step as a recorded one (`qsneg.training.cuda_graph`)."""
        if self.recorded is None:
            generator = self.method.draws.generator
            step = functools.partial(self.method.step, update=self.update)
            self.recorded = cuda_graph.RecordedStep(step, list(self.optimisers.values()), generator)
        self.recorded.set_rates(list(rates.values()))
        return self.recorded(x, y)

    def refuse_to_stall(self) -> None:
        """Raises ValueError, with advice, where the last `STALLED` updates of some network all had to be skipped."""
        for name, count in self.in_a_row.items():
            if count >= STALLED:
                low = self.method.autocast is not contextlib.nullcontext
                advice = "in full precision, with --autocast off" if low else "with a smaller --lr"
                raise ValueError(
                    f"The last {int(count)} gradients of {NETWORKS[name]} were not finite, at step {self.step}: "
                    f"{self.goes_on()}, {advice}."
                )

    def goes_on(self) -> str:
        """How to go on with the run after it has ended here, for sentences of advice."""
        there = (self.out / checkpoint.NAME).is_file()
        return f"go on from the last checkpoint, {self.resumed()}" if there else "start again"

    def resumed(self, more: str = "") -> str:
        """The command that goes on with the run, in its own marks; `more`: flags."""
        return f"`train --resume --out {self.out}{more}`"

    def state(self) -> dict:
        return {
            "model": dataclasses.asdict(self.model),
            "train": dataclasses.asdict(self.config),
            "step": self.step,
            "seconds": self.seconds,
            "broken": self.broken,
            "history": self.history,
            "stages": self.stages,
            "machine": self.machine,
            "skipped": {name: int(count) for name, count in self.skipped.items()},
            "metrics": self.metrics.mark(),
            "method": self.method.state_dict(),
            "average": self.average.state_dict(),
            "optimisers": {k: o.state_dict() for k, o in self.optimisers.items()},
            "processes": self.processes.size,
            "draws": self.processes.stack(self.method.draws.generator.get_state()),
            "random": self.processes.stack(torch.get_rng_state()),
        }

    def save(self) -> None:
        """Write checkpoint and exported weights, each whole or not at all; all processes call it, and wait for it."""
        state = self.state()
        if self.processes.first:  # weights before the rest: a run whose checkpoint is at the end is finished
            save(self.weights(), self.out / "model.safetensors")
            checkpoint.write(state, self.out)
        self.processes.wait()

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
            "processes": self.processes.size,
            "minutes": round(self.seconds / 60, 1),
            "machine": self.machine,
            "torch": torch.__version__,
            "averaged": list(self.exported),
            "train_config": config,
        }
        if not self.model.rgb:
            card["channels"] = self.model.channels_in_words
        if self.stages:
            card["stages"] = self.stages
        if self.data.left_out:
            card["left_out"] = self.data.left_out
        if history := self.comparable():
            card["last"] = history[-1]
            if self.best():
                card["best"] = self.best()
        if self.validation and self.validation.words:
            card["validation"] = self.validation.words
        return card

    def comparable(self) -> list[dict]:
        """The figures so far on the data that the run has now: those of other data do not compare."""
        data = portable(self.config)["data"]
        since = max((s["steps"] for s in self.stages if s["train_config"]["data"] != data), default=0)
        return [h for h in self.history if h["step"] > since]

    def best(self) -> dict | None:
        """The best of the figures on validation pictures, with its step."""
        return best(self.comparable())

    def translate(self, x: torch.Tensor) -> torch.Tensor:
        """B×3×H×W as people see it: by the averaged generator, with a mirrored margin, in float32."""
        return Translator(Weights(self.model, self.average.module["generator"], None), self.device).as_shown(x)

    def evaluate(self, step: int | None = None, translate: Translate | None = None) -> dict[str, float]:
        """The figures on validation pictures now, or of another step's translations; kept for the card."""
        if not self.model.rgb:
            return {}  # the figures are those of RGB pictures
        self.validation = self.validation or Validation(self.config.data)
        result = self.validation.measure(translate or self.translate)
        if result:
            self.history.append({"step": step or self.step} | {k: round(v, 4) for k, v in result.items()})
        return result

    def run(self, progress: bool = True, stop_at: int | None = None) -> None:
        """Train to the end (or to `stop_at`), writing everything on the way.

        Raises:
            ValueError: one sentence, if another training holds the folder, nothing can be written, or gradients stay
                not finite.
            KeyboardInterrupt, SystemExit: after Ctrl-C, or another signal to end, when the step is finished and saved.
        """
        end = min(self.steps, stop_at or self.steps)
        with contextlib.ExitStack() as stack:
            if self.processes.first:
                self.out.mkdir(parents=True, exist_ok=True)
                stack.enter_context(alone(self.out))
            stop = stack.enter_context(Stop(patient=self.processes.size > 1))
            try:
                self.train_until(end, progress and self.processes.first, stop)
            except Unwritable as error:
                raise ValueError(f"{error.what}: make room there, then {self.goes_on()}.") from None
            except Lost:
                if not self.processes.first:
                    raise SystemExit(1) from None
                raise ValueError(
                    f"Another process of this training has ended, at step {self.step} or after: "
                    f"{self.goes_on()}, with {self.processes.size} processes again."
                ) from None
        if self.broken and self.processes.first:
            names = ", ".join(self.broken[:5])
            print(f"{len(self.broken)} picture(s) could not be read and were skipped: {names}", file=sys.stderr)

    def train_until(self, end: int, progress: bool, stop: Stop) -> None:
        """Train to the step `end`, or until a signal."""
        if self.config.evaluate_every and self.processes.first and self.model.rgb:
            self.validation = Validation(self.config.data)
            if not self.validation.words:
                print(HINT, file=sys.stderr)
        bar = tqdm(None, self.model.traits.title, end, initial=self.step, unit="step", disable=not progress)
        with bar, contextlib.closing(self.batches(end)) as batches, recording(self, bar) as records:
            last = time.monotonic()
            for x, y, broken in batches:
                losses = self.train_step(x, y)
                now = time.monotonic()
                self.seconds += now - last
                asked = self.agree(stop, broken, records)
                due = bool(records and records.after_step(losses, self.step == end))
                if any(self.processes.largest(int(due))):
                    self.save()
                bar.update()
                if asked:
                    break
                last = time.monotonic()  # evaluation, film and saving are not training time
            if stop.asked and self.step < end:
                self.save()
                if records:
                    records.say(f"Saved at step {self.step}: {self.resumed()} goes on from there.")
                stop.leave()

    def agree(self, stop: Stop, broken: list[str], records: Records | None) -> bool:
        """Note what any process met: a signal to stop, pictures that cannot be read. Returns whether to stop."""
        stop.asked, found = self.processes.largest(stop.asked or 0, len(set(broken) - set(self.broken)))
        if found:
            for name in dict.fromkeys(n for names in self.processes.gather(broken) for n in names):
                if name not in self.broken:
                    self.broken.append(name)
                    if records:
                        records.say(f"Skipped, cannot be read: {name}")
        return bool(stop.asked)

    def batches(self, end: int) -> Iterator[tuple[torch.Tensor, torch.Tensor, list[str]]]:
        """The batches from here to the step `end`; closed, it ends its worker processes."""
        yield from torch.utils.data.DataLoader(
            self.data,
            batch_size=None,
            sampler=range(self.step, end),
            num_workers=self.config.workers,
            generator=torch.Generator(),
            worker_init_fn=leave_signals,
        )


def portable(config: TrainConfig) -> dict:
    """The configuration as a dict for cards: of a data folder's path, only the name; not where it was tracked."""
    data = config.data if config.data == DRAWN else Path(config.data).name
    return dataclasses.asdict(config) | {"data": data, "track": None}
