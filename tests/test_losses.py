import math

import pytest
import torch

from training.losses import (
    classification_loss,
    identity_loss,
    info_nce,
    real_fake_contrastive,
    real_fake_info_nce,
    similarity,
    trait_loss,
)

HALF = math.sqrt(0.5)
TAU = 0.1


def test_similarity_is_eq_1_by_hand() -> None:
    voices = torch.tensor([[3.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    faces = torch.tensor([[0.0, 2.0], [5.0, 0.0], [1.0, 0.0]])
    expected = torch.tensor([0.0, HALF, 0.0])
    torch.testing.assert_close(similarity(voices, faces), expected)


def test_identity_loss_is_eq_6_by_hand() -> None:
    vector = torch.tensor([[1.0, 2.0]])
    weight = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])  # W f = 1, 2, 3
    expected = -math.log(math.exp(2) / (math.exp(1) + math.exp(2) + math.exp(3)))
    assert identity_loss(vector, weight, torch.tensor([1])).item() == pytest.approx(expected)


def test_info_nce_is_eq_7_with_tau_everywhere_by_hand() -> None:
    voices = torch.tensor([[2.0, 0.0], [0.0, 3.0]])
    faces = torch.tensor([[5.0, 0.0], [1.0, 1.0]])  # cosines: 1, half; 0, half
    first = -math.log(math.exp(1 / TAU) / (math.exp(1 / TAU) + math.exp(HALF / TAU)))
    second = -math.log(math.exp(HALF / TAU) / (math.exp(0) + math.exp(HALF / TAU)))
    numbers = torch.arange(2)
    loss = info_nce(voices, faces, numbers, numbers).item()
    assert loss == pytest.approx((first + second) / 2, rel=1e-5)


def test_info_nce_reads_its_first_argument_as_the_anchor() -> None:
    voices = torch.tensor([[1.0, 0.0], [1.0, 0.0]])  # two voices alike, faces apart
    faces = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    numbers = torch.arange(2)
    assert info_nce(voices, faces, numbers, numbers).item() == pytest.approx(5.0, abs=1e-3)
    assert info_nce(faces, voices, numbers, numbers).item() == pytest.approx(math.log(2), abs=1e-3)


def test_another_clip_of_the_same_identity_is_no_negative() -> None:
    voices = torch.tensor([[1.0, 0.0]])
    faces = torch.tensor([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0]])  # the second shows identity 7 too
    loss = info_nce(voices, faces, torch.tensor([7]), torch.tensor([7, 7, 8]))
    expected = -math.log(math.exp(HALF / TAU) / (math.exp(HALF / TAU) + 1))
    assert loss.item() == pytest.approx(expected, abs=1e-6)


def test_real_fake_contrastive_is_eq_9_by_hand() -> None:
    real, fake = torch.tensor([0.5]), torch.tensor([[0.1, -0.3]])
    terms = [math.exp(x / TAU) for x in (0.5, 0.1, -0.3)]
    expected = -math.log(terms[0] / sum(terms))
    assert real_fake_contrastive(real, fake).item() == pytest.approx(expected, rel=1e-5)


def test_without_tau_eq_9_could_not_fall_below_its_floor() -> None:
    real, fake = torch.tensor([1.0]), torch.full((1, 10), -1.0)
    floor = math.log(1 + 10 * math.exp(-2))  # 0.86
    assert real_fake_contrastive(real, fake, temperature=1.0).item() == pytest.approx(floor)
    assert real_fake_contrastive(real, fake).item() < 1e-6


def test_info_nce_for_fine_tuning_keeps_the_real_voice_as_anchor() -> None:
    voice, face = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 1.0]])
    fakes = torch.tensor([[[0.0, 1.0], [1.0, 0.0]]])  # cosines with the voice: 0, 1
    terms = [math.exp(x / TAU) for x in (HALF, 0.0, 1.0)]
    expected = -math.log(terms[0] / sum(terms))
    assert real_fake_info_nce(voice, face, fakes).item() == pytest.approx(expected, rel=1e-5)


def test_classification_weighs_real_and_fake_alike() -> None:
    logits = torch.tensor([2.0, 2.0, 2.0, 2.0])
    real = torch.tensor([True, False, False, False])
    expected = 0.5 * math.log(1 + math.exp(-2)) + 0.5 * math.log(1 + math.exp(2))
    assert classification_loss(logits, real).item() == pytest.approx(expected, rel=1e-5)


def test_trait_loss_is_the_mean_square() -> None:
    assert trait_loss(torch.tensor([[1.0, 3.0]]), torch.tensor([[0.0, 0.0]])).item() == 5.0
