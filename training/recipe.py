"""Everything that decides a training, in sections; `training.recipe_file` reads it from TOML."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Final

from vfd.model_config import PRESETS, TOWERS

OBJECTIVES: Final = ("match", "real-fake", "info-nce", "classify")


def _limited(default: Any = dataclasses.MISSING, **limits: Any) -> Any:  # noqa: ANN401
    """A field with `low`, `high` (both allowed values) or `choices`."""
    return field(default=default, metadata=limits)


@dataclass(frozen=True, slots=True)
class ModelRecipe:
    """`initial`: weights from N(0, 0.02) as in paper section 4.2, or Xavier's with large positions.
    `batch_norm` of embeddings, folded into the towers afterwards. `start`: the recipe whose result
    this one starts from, given with `--start`. `keep_voice`, `keep_face`: share of the patches that
    are read until the last `whole` share of the steps, which reads all. `recompute`: gradient
    checkpointing."""

    preset: str = _limited(choices=tuple(PRESETS))
    initial: str = _limited("paper", choices=("paper", "xavier"))
    batch_norm: bool = False
    start: str = ""
    keep_voice: float = _limited(1.0, low=0.01, high=1.0)
    keep_face: float = _limited(1.0, low=0.01, high=1.0)
    whole: float = _limited(0.0, low=0.0, high=1.0)
    recompute: bool = False


@dataclass(frozen=True, slots=True)
class DataRecipe:
    """Names of prepared sets; the command line says where each lies. The validation split is that
    of `train`; `test` sets are measured at the end. `faces_each`: crops for every voice.
    `real_clips`: so many real clips with the fakes made of them (0: all). `fakes_of`: fakes drawn
    from all, or, with "source", from those made of the real clip's source where there are any."""

    train: str
    test: tuple[str, ...] = ()
    faces_each: int = _limited(1, low=1, high=16)
    real_clips: int = _limited(0, low=0)
    fakes_of: str = _limited("any", choices=("any", "source"))


@dataclass(frozen=True, slots=True)
class LossRecipe:
    """`objective`: pre-training ("match"), or fine-tuning by eq. 9 ("real-fake"), by InfoNCE or by
    a classifier. Weights of InfoNCE, of eq. 6 on each tower, and of known traits; the latter two
    count in the first `guided` share of the steps. `negatives`: Q of eq. 9. `towers`: those that
    are trained."""

    objective: str = _limited("match", choices=OBJECTIVES)
    match_weight: float = _limited(1.0, low=0.0)
    identity_weight: float = _limited(0.0, low=0.0)
    trait_weight: float = _limited(0.0, low=0.0)
    guided: float = _limited(1.0, low=0.0, high=1.0)
    both_directions: bool = False
    temperature: float = _limited(0.1, low=0.001, high=10.0)
    negatives: int = _limited(10, low=1, high=1000)
    towers: tuple[str, ...] = _limited(TOWERS, choices=TOWERS)


@dataclass(frozen=True, slots=True)
class OptimiserRecipe:
    """AdamW with a linear warm-up and a cosine down to 0 (the paper: "decays gradually"). `batch`
    counts real clips over all processes and accumulated parts."""

    steps: int = _limited(low=1)
    batch: int = _limited(128, low=2)
    learning_rate: float = _limited(1e-4, low=1e-9, high=1.0)
    weight_decay: float = _limited(0.2, low=0.0)
    beta1: float = _limited(0.9, low=0.0, high=0.9999)
    beta2: float = _limited(0.999, low=0.0, high=0.999999)
    warm_up_steps: int = _limited(0, low=0)
    max_gradient_norm: float = _limited(1.0, low=1e-6)
    accumulate: int = _limited(1, low=1)
    precision: str = _limited("f32", choices=("f32", "bf16"))


@dataclass(frozen=True, slots=True)
class AugmentRecipe:
    """Chances in [0, 1] that a sample is changed in a way; see `training.augment`. `variant`: a
    re-encoded variant is read in place of the recording."""

    variant: float = _limited(0.0, low=0.0, high=1.0)
    short_speech: float = _limited(0.0, low=0.0, high=1.0)
    packet_loss: float = _limited(0.0, low=0.0, high=1.0)
    flip: float = _limited(0.0, low=0.0, high=1.0)
    shift_px: int = _limited(0, low=0, high=32)
    zoom: float = _limited(0.0, low=0.0, high=0.5)
    colour: float = _limited(0.0, low=0.0, high=1.0)


@dataclass(frozen=True, slots=True)
class RunRecipe:
    """Counted in steps. `patience`: validations without a better AUC before it stops early (0:
    never). `validation_clips`: at most so many are embedded each time, from the variant that went
    through `line`."""

    seed: int = _limited(1, low=0)
    validate_every: int = _limited(1000, low=1)
    validation_clips: int = _limited(4000, low=2)
    line: str = "recorded"
    patience: int = _limited(0, low=0)
    save_every: int = _limited(500, low=1)
    report_every: int = _limited(20, low=1)


@dataclass(frozen=True, slots=True)
class SweepRecipe:
    """One training for every value of one field ("section.key") and every seed."""

    field: str = ""
    values: tuple[float, ...] = ()
    seeds: tuple[int, ...] = (1,)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything about one training but where its files lie."""

    name: str
    about: str
    model: ModelRecipe
    data: DataRecipe
    loss: LossRecipe
    optimiser: OptimiserRecipe
    augment: AugmentRecipe = AugmentRecipe()
    run: RunRecipe = RunRecipe()
    sweep: SweepRecipe = SweepRecipe()

    def __post_init__(self) -> None:
        """What two fields together must hold. Raises ValueError."""
        if self.optimiser.batch % self.optimiser.accumulate:
            raise ValueError("optimiser.batch must be a multiple of optimiser.accumulate")
        if not self.loss.towers:
            raise ValueError("loss.towers must name a tower")
        classified = self.loss.objective == "classify" or not self.loss.match_weight
        if len(self.loss.towers) == 1 and not classified:
            raise ValueError("loss.towers must be both where voices and faces are compared")
        if PRESETS[self.model.preset].family == "vgg":
            plain = self.model.keep_voice == self.model.keep_face == 1.0
            if self.model.batch_norm or not plain or self.model.initial != "paper":
                raise ValueError(
                    "model.preset vgg trains whole, without batch_norm, from initial = 'paper'"
                )

    def is_guided(self, step: int) -> bool:
        """Whether identity and traits count in `step`, counted from 1."""
        return step <= self.optimiser.steps * self.loss.guided

    def keeps(self, step: int) -> tuple[float, float]:
        """Share of the patches of voice and face that `step`, counted from 1, reads."""
        if step > self.optimiser.steps * (1 - self.model.whole):
            return 1.0, 1.0
        return self.model.keep_voice, self.model.keep_face
