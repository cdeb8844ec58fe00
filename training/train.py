"""From a recipe to a checkpoint: pre-training (paper section 3.2.3) and fine-tuning (3.3).

It reads top to bottom. After a kill the same call goes on from the last save and computes exactly
what it would have computed without (on a GPU, but for the order of its additions). Several
processes: `torchrun --nproc-per-node N -m training.cli train ...`.
"""

import dataclasses
import hashlib
import os
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from training.batches import Batches, Clips, load
from training.classifier import heads_path, threshold_in
from training.distributed import Processes, gather, wait
from training.heads import BatchNorm
from training.initialise import TensorMapping, begin_from
from training.network import TrainedModel, neutral_batch_norm
from training.progress import Progress
from training.recipe import Recipe
from training.trainer import Trainer
from training.validate import Validation, validate
from vfd.calibration import fit_calibration, scored_windows
from vfd.checkpoint import (
    FORMAT_VERSION,
    UNCALIBRATED,
    Calibration,
    CheckpointInfo,
    save_checkpoint,
)

STATE_SUFFIX: Final = ".state.pt"
SETTLING_BATCHES: Final = 8  # to learn the statistics of a normalisation that was folded in


@dataclass(frozen=True, slots=True)
class Origin:
    """What a checkpoint says about where it comes from: what was typed, the commit of the code, and
    the file that training began from, if any."""

    command: str
    commit: str
    start: Path | None = None
    mapping: TensorMapping | None = None


@dataclass(slots=True)
class Standing:
    """How far a training has come: steps done, the best validation so far, how many validations
    since, and whether it has ended."""

    step: int = 0
    best: float = -1.0
    stale: int = 0
    ended: bool = False

    def judge(self, found: float, recipe: Recipe) -> bool:
        """Takes note of a validation's AUC; whether it is the best so far."""
        better = found > self.best
        self.best, self.stale = max(self.best, found), 0 if better else self.stale + 1
        patient = not recipe.run.patience or self.stale < recipe.run.patience
        self.ended = self.step == recipe.optimiser.steps or not patient
        return better


class TrainingError(ValueError):
    """A training cannot start or go on; the message names the file and what to do."""


def train(
    recipe: Recipe,
    clips: Clips,
    held_out: Clips,
    out: Path,
    origin: Origin,
    *,
    group: Processes,
    workers: int = 0,
) -> float:
    """Learns from `clips`, writes the checkpoint that does best on `held_out` to `out`, and returns
    its AUC there.

    Beside it: `<out>.state.pt` to go on from, `<out>.heads.pt`, and the folder `<out>.log` for
    TensorBoard.
    `group`: this process and those that train with it, of which the first writes; all return when
    it has. `workers`: processes that read ahead. Raises TrainingError for a state of another
    recipe, other data or another start, CheckpointError for a start that does not fit, ValueError
    for data that do not.
    """
    torch.manual_seed(recipe.run.seed)
    batches = Batches(clips, recipe, group.rank, group.count)
    model = TrainedModel(recipe, clips.identities, batches.traits)
    sources = _sources(recipe, clips, held_out, origin)
    with closing(Trainer(model, recipe, group)) as trainer, ExitStack() as stack:
        standing = _resume(trainer, sources, state_path(out))
        if standing.step == 0 and origin.start is not None:
            begin_from(model, origin.start, origin.mapping)
            _settle(model, batches, group)
        if standing.ended:
            return standing.best
        log = out.with_name(f"{out.name}.log")
        progress = None
        if group.first:
            progress = Progress(recipe, log, standing.step, group.device)
            stack.callback(progress.close)
        steps = load(batches, range(standing.step + 1, recipe.optimiser.steps + 1), workers)
        for batch in steps:
            standing.step += 1
            parts = trainer.step(batch, standing.step)
            if progress:
                progress.step(standing.step, parts)
            if _is_due(standing.step, recipe):
                found = validate(model, held_out, recipe, group)
                better = standing.judge(found.figures["AUC"], recipe)
                if progress:
                    progress.validated(standing.step, found.figures, best=better)
                    if better:
                        _write(model, found, clips.trained_on, out, origin)
            if progress and (standing.ended or standing.step % recipe.run.save_every == 0):
                save_state(trainer, sources, standing, state_path(out))
            if standing.ended:
                break
        if progress:
            progress.ended(standing.step)
        wait()
        return standing.best


def measure(recipe: Recipe, clips: Clips, checkpoint: Path, group: Processes) -> dict[str, float]:
    """A trained model on other clips: "AUC" as validation takes it, and "accuracy" at the threshold
    that was chosen on validation, where there is one."""
    settled = dataclasses.replace(
        recipe, model=dataclasses.replace(recipe.model, batch_norm=False)
    )  # it is folded into the towers
    torch.manual_seed(0)
    model = TrainedModel(settled, 1, 1)
    begin_from(model, checkpoint)
    heads = torch.load(heads_path(checkpoint), map_location="cpu", weights_only=True)
    if model.heads.classifier is not None:
        model.heads.classifier.weight.data.copy_(heads["classifier.weight"])
        model.heads.classifier.bias.data.copy_(heads["classifier.bias"])
    found = validate(model.to(group.device), clips, settled, group)
    figures = {"AUC": found.figures["AUC"]}
    if len(found.score):
        figures["accuracy"] = found.accuracy(threshold_in(checkpoint))
    return figures


def state_path(out: Path) -> Path:
    """Where the training of checkpoint `out` can be continued from."""
    return out.with_name(out.name + STATE_SUFFIX)


def _is_due(step: int, recipe: Recipe) -> bool:
    return step % recipe.run.validate_every == 0 or step == recipe.optimiser.steps


def save_state(
    trainer: Trainer, sources: Mapping[str, Any], standing: Standing, path: Path
) -> None:
    """`sources`: all that decides the training. Replaces the file at once or not at all. Raises
    TrainingError when it cannot be written; the one before stays."""
    state = {
        "sources": sources,
        "standing": dataclasses.asdict(standing),
        "model": trainer.model.state_dict(),
        "optimiser": trainer.optimiser.state_dict(),
    }
    _save(state, path)


def _save(value: object, path: Path) -> None:
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            torch.save(value, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except (OSError, RuntimeError) as error:  # torch.save wraps a full disk in a RuntimeError
        partial.unlink(missing_ok=True)
        raise TrainingError(f"{path}: cannot be written ({error}); the last save stays") from error


def _sources(recipe: Recipe, clips: Clips, held_out: Clips, origin: Origin) -> dict[str, Any]:
    """All that decides a training, to tell its state from that of another: names and amounts of the
    data stand for the data. Raises OSError for a start that cannot be read."""
    begun = None
    if origin.start is not None:
        with origin.start.open("rb") as file:
            begun = hashlib.file_digest(file, "sha256").hexdigest()
    mapping = None
    if origin.mapping is not None:
        mapping = repr((dict(origin.mapping.tensors), sorted(origin.mapping.transposed)))
    return {
        "recipe": dataclasses.asdict(recipe),
        "data": {"train": _facts(clips), "validation": _facts(held_out)},
        "start": {"sha256": begun, "mapping": mapping},
    }


def _facts(clips: Clips) -> dict[str, Any]:
    names = hashlib.sha256("\n".join(clips.names).encode()).hexdigest()
    return {
        "sets": clips.trained_on,
        "clips": len(clips),
        "identities": clips.identities,
        "sha256_of_names": names,
    }


def _resume(trainer: Trainer, sources: Mapping[str, Any], path: Path) -> Standing:
    """Where the state of an earlier call left off; the beginning if there is none."""
    if not path.exists():
        return Standing()
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        before = state["sources"]
    except Exception as error:  # a broken pickle may raise anything
        raise TrainingError(f"{path}: is no state of a training ({error}); remove it") from error
    if changed := _changed(before, sources, ""):
        raise TrainingError(
            f"{path}: belongs to another training ({', '.join(changed)}); choose another --out, or "
            "remove it to begin again"
        )
    trainer.model.load_state_dict(state["model"])
    trainer.optimiser.load_state_dict(state["optimiser"])
    return Standing(**state["standing"])


def _changed(before: Any, now: Any, where: str) -> list[str]:  # noqa: ANN401 (tables of any depth)
    if isinstance(before, dict) and isinstance(now, dict):
        keys = sorted(before.keys() | now.keys())
        return [
            line
            for key in keys
            for line in _changed(before.get(key), now.get(key), f"{where}.{key}".lstrip("."))
        ]
    return [] if before == now else [f"{where} was {before!r}, is {now!r}"]


@torch.no_grad()
def _settle(model: TrainedModel, batches: Batches, group: Processes) -> None:
    """Makes new normalisations neutral for weights that had theirs folded in."""
    norms = [("voice", model.heads.voice), ("face", model.heads.face)]
    for name, head in norms:
        if head is None or not isinstance(head.norm, BatchNorm):
            continue
        tower = getattr(model, name).eval()
        vectors = []
        for step in range(1, SETTLING_BATCHES + 1):
            batch = batches[step].to(group.device)
            samples = batch.voices if name == "voice" else batch.faces
            vectors.append(tower(model.inputs(name, samples)))
        neutral_batch_norm(head.norm, gather(torch.cat(vectors)))


def _write(
    model: TrainedModel, found: Validation, trained_on: str, out: Path, origin: Origin
) -> None:
    info = CheckpointInfo(
        format_version=FORMAT_VERSION,
        config=model.config,
        calibration=_calibration(found),
        trained_on=trained_on,
        command=origin.command,
        commit=origin.commit,
    )
    exported = model.exported()
    save_checkpoint(out, info, {n: t.cpu().numpy() for n, t in exported.state_dict().items()})
    kept = ("modulator", "classifier.weight", "classifier.bias")
    heads = {n: t.cpu() for n, t in model.heads.state_dict().items() if n.endswith(kept)}
    judging: dict[str, Any] = {}
    if model.heads.classifier is not None:
        judging["classifier.towers"] = list(model.heads.recipe.towers)
        judging["classifier.threshold"] = found.threshold
    _save(heads | judging, heads_path(out))


def _calibration(found: Validation) -> Calibration:
    """Of the cosines seen; none where other things than cosines were compared."""
    if not found.cosines or not len(found.score):
        return UNCALIBRATED
    windows = scored_windows(found.score, found.voice_identity, found.face_identity, found.real)
    return fit_calibration(windows)
