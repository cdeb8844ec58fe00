"""One step of training: forward, losses, backward, update; the same for every recipe."""

import math
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.parallel import DistributedDataParallel

from training.batches import Batch
from training.distributed import Processes, averaged
from training.network import TrainedModel
from training.recipe import OptimiserRecipe, Recipe
from training.token_dropping import some_patches

STEP_SEEDS: Final = 1_000_003  # apart from one another for every seed of a recipe that is used


class Trainer:
    """The model and its optimiser.

    The towers meet at the losses only, so a step is: vectors of both towers, the losses and their
    gradients on the vectors, and these back through each tower. With `accumulate` the vectors are
    computed once without a graph, part by part, and again with one when their gradients are known
    (GradCache, Gao et al. 2021): every voice is still compared with all faces of the batch.

    Alone on a CPU each tower has a thread: that costs far less on a busy machine than threads that
    share every operation.
    """

    def __init__(self, model: TrainedModel, recipe: Recipe, processes: Processes) -> None:
        self.model = model.to(processes.device)
        self._recipe, self._device = recipe, processes.device
        self._towers = {n: averaged(getattr(model, n), processes) for n in recipe.loss.towers}
        self._heads = averaged(model.heads, processes)
        self.optimiser = _optimiser(model, recipe.optimiser)
        self._threads = None
        if processes.count == 1 and processes.device.type == "cpu":
            each = max(1, torch.get_num_threads() // len(self._towers))
            self._threads = ThreadPoolExecutor(
                len(self._towers), initializer=torch.set_num_threads, initargs=(each,)
            )

    def step(self, batch: Batch, number: int) -> dict[str, float]:
        """One update, counted from 1; the parts of this process's loss before it, by name."""
        for group in self.optimiser.param_groups:
            group["lr"] = self._recipe.optimiser.learning_rate * schedule(
                number, self._recipe.optimiser
            )
        self.model.train()
        self.optimiser.zero_grad(set_to_none=True)
        parts = self.backward(batch.to(self._device), number)
        trained = [p for p in self.model.parameters() if p.requires_grad]
        nn.utils.clip_grad_norm_(trained, self._recipe.optimiser.max_gradient_norm)
        self.optimiser.step()
        return {name: float(part.detach()) for name, part in parts.items()}

    def backward(self, batch: Batch, number: int) -> dict[str, Tensor]:
        """Leaves the gradients of the whole batch in the parameters; returns the parts."""
        with self._attention():
            return self._backward(batch, number)

    def close(self) -> None:
        if self._threads is not None:
            self._threads.shutdown()

    def _backward(self, batch: Batch, number: int) -> dict[str, Tensor]:
        inputs = {"voice": batch.voices, "face": batch.faces}
        kept = self._kept_patches(number)
        chunks = {n: inputs[n].chunk(self._recipe.optimiser.accumulate) for n in self._towers}
        whole = self._recipe.optimiser.accumulate == 1

        def forward(name: str) -> Tensor:
            module = self._towers[name] if whole else getattr(self.model, name)
            with torch.set_grad_enabled(whole):
                return torch.cat([self._run(name, module, x, kept[name]) for x in chunks[name]])

        outputs = dict(zip(self._towers, self._map(forward, self._towers), strict=True))
        leaves = {name: y_BV.detach().requires_grad_() for name, y_BV in outputs.items()}
        parts: dict[str, Tensor] = self._heads(leaves, batch)
        loss = self.model.heads.total(parts, self._recipe.is_guided(number))
        loss.backward()  # type: ignore[no-untyped-call]

        def backward(name: str) -> None:
            gradient = leaves[name].grad
            assert gradient is not None
            if whole:
                outputs[name].backward(gradient)
                return
            pieces = list(zip(chunks[name], gradient.split([len(x) for x in chunks[name]])))  # noqa: B905
            for place, (x, piece) in enumerate(pieces, start=1):
                with _unsynced(self._towers[name], last=place == len(pieces)):
                    y_BV = self._run(name, self._towers[name], x, kept[name])
                    y_BV.backward(piece)  # type: ignore[no-untyped-call]

        list(self._map(backward, self._towers))
        return parts

    def _run(self, name: str, tower: nn.Module, samples: Tensor, kept_T: Tensor | None) -> Tensor:
        """`tower`: that of `name`, bare or wrapped. Float32 comes out, whatever it computes in."""
        bf16 = self._recipe.optimiser.precision == "bf16"
        with torch.autocast(self._device.type, torch.bfloat16, enabled=bf16):
            y_BV: Tensor = tower(self.model.inputs(name, samples), kept_T)
        return y_BV.float()

    def _attention(self) -> AbstractContextManager[None]:
        """On a CPU torch's fused kernel takes four times as long as plain products to go back
        through bf16. The choice is the process's, so it holds for the towers' threads as well."""
        if self._device.type == "cpu" and self._recipe.optimiser.precision == "bf16":
            return sdpa_kernel(SDPBackend.MATH)
        return nullcontext()

    def _kept_patches(self, number: int) -> dict[str, Tensor | None]:
        """Drawn from the seed and the step alone, the same in all processes."""
        generator = torch.Generator().manual_seed(self._recipe.run.seed * STEP_SEEDS + number)
        keep_voice, keep_face = self._recipe.keeps(number)
        return {
            "voice": some_patches(self.model.voice.tower, keep_voice, generator),
            "face": some_patches(self.model.face.tower, keep_face, generator),
        }

    def _map(self, function: Callable[[str], Any], names: Iterable[str]) -> Iterator[Any]:
        return (self._threads.map if self._threads else map)(function, names)


def schedule(step: int, recipe: OptimiserRecipe) -> float:
    """Share of the learning rate: a linear warm-up, then half a cosine down to 0."""
    if step <= recipe.warm_up_steps:
        return step / recipe.warm_up_steps
    passed = (step - recipe.warm_up_steps) / max(1, recipe.steps - recipe.warm_up_steps)
    return 0.5 * (1 + math.cos(math.pi * passed))


def _optimiser(model: TrainedModel, recipe: OptimiserRecipe) -> torch.optim.AdamW:
    """Weight decay for matrices only: decayed gains of normalisations help nobody (our reading)."""
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(recipe.beta1, recipe.beta2))


def _unsynced(tower: nn.Module, *, last: bool) -> AbstractContextManager[None]:
    """Processes exchange gradients once, with the last part."""
    if isinstance(tower, DistributedDataParallel) and not last:
        return tower.no_sync()
    return nullcontext()
