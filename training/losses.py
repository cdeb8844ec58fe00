"""The losses of the paper: eq. 1, 6, 7 (pre-training, section 3.2.3) and 9 (fine-tuning, 3.3).

Shapes: N anchors, M candidates, B rows, V embedding, C identities, Q fakes a real clip, A traits.
Every loss is a mean over its rows, so that the mean over processes is the loss of the whole batch.
"""

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

from vfd.model_config import COSINE_EPS

TEMPERATURE: Final = 0.1  # tau of paper eq. 7, section 4.2


def similarity(voice_BV: Tensor, face_BV: Tensor) -> Tensor:
    """Paper eq. 1 row by row, (B,) in [-1, 1].

    Eq. 1 bounds the product of both lengths by epsilon from below, we bound each length, as the
    engines do; the two differ only for vectors shorter than 1e-8.
    """
    return F.cosine_similarity(voice_BV, face_BV, dim=-1, eps=COSINE_EPS)


def identity_loss(vector_BV: Tensor, weight_CV: Tensor, identity_B: Tensor) -> Tensor:
    """Paper eq. 6: cross-entropy over C identities of a linear modulator without bias.

    `vector_BV` voice or face vectors, `identity_B` int64 in [0, C). The paper never defines its
    modulators; we read them as this classifier, one for each tower, dropped after pre-training.
    """
    return F.cross_entropy(vector_BV @ weight_CV.t(), identity_B)


def info_nce(
    anchor_NV: Tensor,
    candidate_MV: Tensor,
    anchor_identity_N: Tensor,
    candidate_identity_M: Tensor,
    temperature: float = TEMPERATURE,
) -> Tensor:
    """Paper eq. 7: candidate k is the match of anchor k, the other candidates are negatives unless
    they show the anchor's own identity; M >= N. With voices as anchors and faces as candidates this
    is the paper's loss, the other way round its footnote 2.

    The paper divides by tau in the numerator alone. Then the terms are no probabilities and the
    loss falls without bound as the numerator grows; we divide every cosine (van den Oord, 2018).
    How many negatives U there are it does not say: all of the batch, over all processes.
    """
    anchors = F.normalize(anchor_NV, dim=-1, eps=COSINE_EPS)
    candidates = F.normalize(candidate_MV, dim=-1, eps=COSINE_EPS)
    logits_NM = anchors @ candidates.t() / temperature
    own_N = torch.arange(len(anchors), device=anchors.device)
    same_NM = anchor_identity_N[:, None] == candidate_identity_M[None, :]
    same_NM[own_N, own_N] = False
    return F.cross_entropy(logits_NM.masked_fill(same_NM, -torch.inf), own_N)


def real_fake_contrastive(
    real_B: Tensor, fake_BQ: Tensor, temperature: float = TEMPERATURE
) -> Tensor:
    """Paper eq. 8 and 9: cross-entropy that picks the real clip's similarity out of 1 + Q.

    `real_B`, `fake_BQ` cosines of whole clips: of the voice and the face of a real one, of those of
    Q fake ones. Eq. 9 has no tau. Without it the loss cannot fall below ln(1 + Q e^-2), 0.86 at
    Q = 10, and hardly pulls; the published code divides by tau, and so do we.
    """
    logits = torch.cat([real_B[:, None], fake_BQ], dim=1) / temperature
    return F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long, device=logits.device))


def real_fake_info_nce(
    voice_BV: Tensor, face_BV: Tensor, fake_face_BQV: Tensor, temperature: float = TEMPERATURE
) -> Tensor:
    """InfoNCE in the place of eq. 9 (Table 2, "InfoNCE-based"): a real clip's voice is the anchor,
    its face the match, the faces of Q fake clips the negatives."""
    real_B = similarity(voice_BV, face_BV)
    fake_BQ = similarity(voice_BV[:, None], fake_face_BQV)
    return real_fake_contrastive(real_B, fake_BQ, temperature)


def classification_loss(logit_B: Tensor, real_B: Tensor) -> Tensor:
    """Cross-entropy of "real" (`real_B` bool) for the variants of Table 2 that classify instead of
    comparing; the logit rises with the probability of being real. Real and fake weigh the same,
    however many of each there are: the paper is silent, and its sets hold 5 to 40 fakes a real."""
    real = real_B.to(logit_B.dtype)
    weight = torch.where(real_B, 0.5 / real.mean(), 0.5 / (1 - real).mean())
    return F.binary_cross_entropy_with_logits(logit_B, real, weight=weight)


def trait_loss(predicted_BA: Tensor, traits_BA: Tensor) -> Tensor:
    """Mean squared error of the traits that synthetic people are made from (not in the paper)."""
    return F.mse_loss(predicted_BA, traits_BA)
