"""Parameters and FLOP in closed form, against torch's own counts and known figures."""

import pytest
import torch
from checkpoints import FAMILIES
from torch.utils.flop_counter import FlopCounterMode

from vfd.cost import Cost, flops, parameters
from vfd.model import VfdModel
from vfd.model_config import PRESETS, ModelConfig

every_model = pytest.mark.parametrize(
    "config", [*FAMILIES, *PRESETS.values()], ids=lambda c: c.preset
)


def model_of(config: ModelConfig) -> VfdModel:
    with torch.device("meta"):  # counted, never computed
        return VfdModel(config).eval()


@every_model
def test_parameters_are_those_that_torch_counts(config: ModelConfig) -> None:
    model = model_of(config)
    face, voice = (sum(p.numel() for p in t.parameters()) for t in (model.face, model.voice))
    assert parameters(config) == Cost(face, voice)


@every_model
@torch.inference_mode()
def test_flops_are_those_that_torch_counts(config: ModelConfig) -> None:
    model = model_of(config)
    counts = []
    for tower, sizes in ((model.face, config.face), (model.voice, config.voice)):
        with FlopCounterMode(display=False) as counter:
            tower(torch.empty(1, sizes.channels, *sizes.image, device="meta"))
        counts.append(counter.get_total_flops())
    assert flops(config) == Cost(*counts)


@pytest.mark.parametrize(
    ("preset", "millions", "gflop"),
    [("base", 172, 152.5), ("small", 44, 42.0), ("tiny", 11, 12.5)],
)
def test_the_papers_sizes_cost_what_is_usually_quoted(
    preset: str, millions: float, gflop: float
) -> None:
    config = PRESETS[preset]
    assert parameters(config).total / 1e6 == pytest.approx(millions, rel=0.03)
    whole = flops(config, whole_last_block=True)
    assert whole.total / 1e9 == pytest.approx(gflop, rel=0.005)
    assert 0.765 <= whole.voice / whole.total <= 0.80
    assert 0.92 < flops(config).total / whole.total < 0.94


def test_the_face_tower_of_vgg_is_vgg_16() -> None:
    """Its convolutions: 14.7 million parameters and 15.35 billion multiply-adds."""
    config = PRESETS["vgg"]
    assert parameters(config).face - 512 * 512 == 14_714_688
    assert flops(config).face / 2 == pytest.approx(15.35e9, rel=0.001)
