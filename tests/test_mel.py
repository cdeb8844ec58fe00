"""mel128 against a plain computation and against torch's transform with torchaudio's formulas."""

import math

import numpy as np
import pytest
import torch

from vfd.mel import mel128


def noise(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal(48_000)).astype(np.float32)


def triangles() -> torch.Tensor:
    """torchaudio.functional.melscale_fbanks(257, 0, 8000, 128, 16000, None, "htk"), from its
    documentation: (257, 128)."""
    bins = torch.linspace(0, 8000, 257, dtype=torch.float64)
    mel_of_8k = 2595.0 * math.log10(1.0 + 8000 / 700.0)
    mels = torch.linspace(0, mel_of_8k, 130, dtype=torch.float64)
    points = 700.0 * (10.0 ** (mels / 2595.0) - 1.0)
    widths = points[1:] - points[:-1]
    slopes = points[None] - bins[:, None]
    down = -slopes[:, :-2] / widths[:-1]
    up = slopes[:, 2:] / widths[1:]
    return torch.clamp(torch.minimum(down, up), min=0)


def test_as_torchaudio_computes_it() -> None:
    latest = torch.from_numpy(noise()[-40_960:]).double()
    spectrum = torch.stft(
        latest,
        n_fft=512,
        hop_length=160,
        win_length=480,
        window=torch.hann_window(480, dtype=torch.float64),
        center=True,
        pad_mode="reflect",
        return_complex=True,
    )
    expected = triangles().T @ spectrum.abs() ** 2
    assert expected.shape == (128, 257)
    picture = mel128(noise())
    assert picture.shape == (1, 128, 256)
    np.testing.assert_allclose(picture[0], expected[:, :256].numpy(), rtol=1e-3, atol=1e-4)


def test_one_frame_and_one_band_by_hand() -> None:
    audio = noise(1)
    latest = audio[-40_960:].astype(np.float64)
    frame, band = 100, 90
    part = latest[frame * 160 - 240 : frame * 160 + 240]
    hann = np.sin(np.pi * np.arange(480) / 480) ** 2
    bins = np.arange(257)[:, None]
    wave = np.exp(-2j * np.pi * bins * np.arange(480) / 512)
    power = np.abs(wave @ (part * hann)) ** 2
    top = 2595 * np.log10(1 + 8000 / 700)
    low, peak, high = (700 * (10 ** (top * (band + i) / 129 / 2595) - 1) for i in range(3))
    hertz = bins[:, 0] * 31.25
    triangle = np.interp(hertz, [low, peak, high], [0, 1, 0])
    assert mel128(audio)[0, band, frame] == pytest.approx(power @ triangle, rel=1e-4)


def test_only_the_latest_sound_is_read() -> None:
    audio = noise()
    changed = audio.copy()
    changed[: 48_000 - 40_960] = 0.9
    np.testing.assert_array_equal(mel128(changed), mel128(audio))


def test_a_tone_lies_in_its_band_and_power_grows_with_the_square() -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(48_000) / 16_000).astype(np.float32)
    bands = mel128(0.1 * tone)[0, :, 10:-10].mean(axis=1)
    hertz = 700 * (10 ** (2595 * np.log10(1 + 8000 / 700) * np.arange(1, 129) / 129 / 2595) - 1)
    assert hertz[bands.argmax()] == pytest.approx(1000, abs=40)
    np.testing.assert_allclose(mel128(0.2 * tone), 4 * mel128(0.1 * tone), rtol=1e-3, atol=1e-3)


def test_silence_is_zero_and_nothing_is_negative() -> None:
    assert not mel128(np.zeros(48_000, np.float32)).any()
    assert mel128(noise()).min() >= 0


@pytest.mark.parametrize("samples", [0, 40_960, 48_001])
def test_another_length_is_refused(samples: int) -> None:
    with pytest.raises(ValueError, match=r"not \(48000,\)"):
        mel128(np.zeros(samples, np.float32))
