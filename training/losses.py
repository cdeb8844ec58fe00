"""The losses of pre-training, paper section 3.2.3."""

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

TEMPERATURE: Final = 0.1  # tau of paper eq. 7, section 4.2


def identity_loss(vector_BV: Tensor, weight_CV: Tensor, identity_B: Tensor) -> Tensor:
    """Paper eq. 6: cross-entropy over C identities of a linear modulator without bias.

    `vector_BV` voice or face vectors, `identity_B` int64 in [0, C). Mean over the batch.
    """
    return F.cross_entropy(vector_BV @ weight_CV.t(), identity_B)


def info_nce(voice_BV: Tensor, face_BV: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """Paper eq. 7: the voice is the anchor, row k of `face_BV` its own face, the other rows are
    faces of other identities. Cosines, mean over the batch.

    The paper divides by tau in the numerator alone. Then the terms are no probabilities and the
    loss falls without bound as the numerator grows; we divide every cosine (van den Oord, 2018).
    """
    voices = F.normalize(voice_BV, dim=-1)
    faces = F.normalize(face_BV, dim=-1)
    own_B = torch.arange(len(voices), device=voices.device)
    return F.cross_entropy(voices @ faces.t() / temperature, own_B)


def trait_loss(predicted_BA: Tensor, traits_BA: Tensor) -> Tensor:
    """Mean squared error of the traits that synthetic people are made from (not in the paper)."""
    return F.mse_loss(predicted_BA, traits_BA)
