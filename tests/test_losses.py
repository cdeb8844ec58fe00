import math

import pytest
import torch

from training.losses import identity_loss, info_nce, trait_loss


def test_identity_loss_is_eq_6_by_hand() -> None:
    vector = torch.tensor([[1.0, 2.0]])
    weight = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])  # W f = 1, 2, 3
    expected = -math.log(math.exp(2) / (math.exp(1) + math.exp(2) + math.exp(3)))
    assert identity_loss(vector, weight, torch.tensor([1])).item() == pytest.approx(expected)


def test_info_nce_is_eq_7_with_tau_everywhere_by_hand() -> None:
    voices = torch.tensor([[2.0, 0.0], [0.0, 3.0]])
    faces = torch.tensor([[5.0, 0.0], [1.0, 1.0]])
    half = math.sqrt(0.5)  # cosines: voice 0 with 1, half; voice 1 with 0, half
    tau = 0.1
    first = -math.log(math.exp(1 / tau) / (math.exp(1 / tau) + math.exp(half / tau)))
    second = -math.log(math.exp(half / tau) / (math.exp(0) + math.exp(half / tau)))
    assert info_nce(voices, faces).item() == pytest.approx((first + second) / 2, rel=1e-5)


def test_info_nce_has_the_voice_as_anchor() -> None:
    voices = torch.tensor([[1.0, 0.0], [1.0, 0.0]])  # two voices alike, faces apart
    faces = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert info_nce(voices, faces).item() == pytest.approx(5.0, abs=1e-3)
    assert info_nce(faces, voices).item() == pytest.approx(math.log(2), abs=1e-3)


def test_trait_loss_is_the_mean_square() -> None:
    assert trait_loss(torch.tensor([[1.0, 3.0]]), torch.tensor([[0.0, 0.0]])).item() == 5.0
