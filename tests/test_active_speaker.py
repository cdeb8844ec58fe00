"""The mouth that moves with the voice is chosen; where none or two do, nobody is."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from clips import pictures, sound
from numpy.typing import NDArray

from tests.test_finder import face
from vfd.active_speaker import (
    KEPT_S,
    MAX_OFF_SCREEN_AGREEMENT,
    MAX_TRACKS,
    MIN_AGREEMENT,
    Speaker,
    SpeakerFinder,
    agreement,
    voice_envelope,
)
from vfd.faces import MtcnnDetector
from vfd.mouth import mouth_contrast
from vfd.types import WINDOW_S, Audio, Face, Reason, Rgb

FPS = 12
START_S = 100.0
TIMES_S = np.arange(0, WINDOW_S, 1 / FPS)
FACES = {track: face(100 + 150 * (track - 1), 100, 100) for track in (1, 2, 3)}
Curve = NDArray[np.float64]


def syllables(seed: int) -> Curve:
    """How far a mouth is open in one window, 100 times a second, in [0, 1]: four peaks a second."""
    rng = np.random.default_rng(seed)
    peaks = rng.uniform(0.1, 1.0, 14)
    at = (np.arange(14) + rng.uniform(-0.3, 0.3, 14)) * 25 - 25
    places = np.arange(300)[:, None]
    return np.asarray((peaks * np.exp(-(((places - at) / 7) ** 2))).max(axis=1))


def voice(curve: Curve, seed: int = 0) -> Audio:
    noise = np.random.default_rng(seed).standard_normal(len(curve) * 160)
    return np.asarray(0.1 * np.repeat(curve, 160) * noise, np.float32)


def picture(opened: dict[int, float]) -> Rgb:
    rgb = np.full((200, 520, 3), 160, np.uint8)
    for track, share in opened.items():
        left, right = FACES[track].points[3:].astype(int)
        half = 2 + round(8 * share)
        rgb[left[1] - half : left[1] + half, left[0] : right[0]] = 40
    return rgb


def watched(
    mouths: dict[int, Curve],
    times_s: NDArray[np.float64] = TIMES_S,
    every: Mapping[int, int] = MappingProxyType({}),
) -> SpeakerFinder:
    """What remains of a window of `mouths` by track, seen at `times_s`; some only in `every` so
    manieth picture."""
    finder = SpeakerFinder()
    for index, time_s in enumerate(times_s):
        opened = {track: float(c[int(time_s * 100)]) for track, c in mouths.items()}
        seen = {t: FACES[t] for t in mouths if index % every.get(t, 1) == 0}
        finder.see(seen, picture(opened), START_S + time_s)
    return finder


@pytest.mark.parametrize("speaker", [1, 2, 3])
@pytest.mark.parametrize("lag", [-8, 0, 8])
def test_the_mouth_that_moves_with_the_voice_is_chosen(speaker: int, lag: int) -> None:
    """Also when sound and picture are 80 ms apart, and when others move their mouths too."""
    mouths = {track: syllables(track) for track in FACES}
    found = watched(mouths).choose(voice(np.roll(mouths[speaker], lag)), START_S)
    assert isinstance(found, Speaker)
    assert found.track == speaker
    assert MIN_AGREEMENT < found.agreement <= 1
    assert 0 < found.lead <= found.agreement


def test_one_face_alone_may_be_the_speaker_or_not() -> None:
    finder = watched({1: syllables(1)})
    assert isinstance(finder.choose(voice(syllables(1)), START_S), Speaker)
    assert finder.choose(voice(syllables(2)), START_S) == Reason.SPEAKER_OFF_SCREEN


def test_two_mouths_that_move_alike_are_not_told_apart() -> None:
    finder = watched({1: syllables(1), 2: syllables(1), 3: syllables(3)})
    assert finder.choose(voice(syllables(1)), START_S) == Reason.SEVERAL_FACES


@pytest.mark.parametrize("rest", [0.0, 0.5])
def test_a_voice_with_which_no_mouth_moves_is_off_screen(rest: float) -> None:
    finder = watched({1: np.full(300, rest), 2: syllables(2)})
    assert finder.choose(voice(syllables(1)), START_S) == Reason.SPEAKER_OFF_SCREEN


def test_where_a_mouth_is_not_known_nobody_is_said_to_be_off_screen() -> None:
    """Somebody who came in late may be the speaker."""
    finder = watched({1: np.zeros(300), 2: syllables(2)}, every={2: 3})
    assert finder.choose(voice(syllables(2)), START_S) == Reason.SEVERAL_FACES


def test_a_window_that_two_share_is_of_neither() -> None:
    first, second = syllables(1), syllables(2)
    early = np.arange(300) < 190
    mouths = {1: np.where(early, first, 0.0), 2: np.where(early, 0.0, second)}
    finder = watched(mouths)
    assert finder.choose(voice(mouths[1] + mouths[2]), START_S) == Reason.SEVERAL_FACES


def test_a_pause_is_not_held_against_the_speaker() -> None:
    spoken = np.where(np.arange(300) < 190, syllables(1), 0.0)
    found = watched({1: spoken, 2: np.zeros(300)}).choose(voice(spoken), START_S)
    assert isinstance(found, Speaker)
    assert found.track == 1


def test_pictures_that_are_missing_leave_it_open() -> None:
    mouths = {1: syllables(1), 2: syllables(2)}
    for times_s in (TIMES_S[::2], TIMES_S[:26], TIMES_S[10:]):
        finder = watched(mouths, times_s)
        assert finder.choose(voice(mouths[1]), START_S) == Reason.SEVERAL_FACES
    assert SpeakerFinder().choose(voice(mouths[1]), START_S) == Reason.NO_FACE
    assert watched(mouths).choose(voice(mouths[1]), START_S + 60) == Reason.NO_FACE


def test_silence_and_flat_mouths_have_no_agreement() -> None:
    assert (
        agreement(TIMES_S, np.full(len(TIMES_S), 0.2), voice_envelope(voice(syllables(1)))) < 0.01
    )
    still = voice_envelope(np.zeros(48_000, np.float32))
    assert agreement(TIMES_S, syllables(1)[(TIMES_S * 100).astype(int)], still) == 0


def test_what_is_kept_is_bounded() -> None:
    finder = SpeakerFinder()
    for k in range(900):
        finder.see({k // 3: FACES[1], 10_000: FACES[2]}, picture({}), 0.01 * k)
    assert len(finder._mouths) <= MAX_TRACKS
    assert max(map(len, finder._mouths.values())) <= 256
    assert 10_000 in finder._mouths
    finder.see({}, picture({}), 9 + KEPT_S)
    assert not finder._mouths


def test_real_mouths_agree_with_their_own_voice(media: list[Path]) -> None:
    """And not with it when it is shifted by more than a syllable."""
    detector = MtcnnDetector()
    for clip in media[:3]:
        shown = pictures(clip, every=2)
        mouth = np.array([mouth_contrast(rgb, _largest(detector, rgb)) for rgb in shown])
        envelope, times_s = voice_envelope(sound(clip)), np.arange(len(mouth)) / 12.5
        shifted = [agreement(times_s, np.roll(mouth, k), envelope) for k in range(8, 30, 3)]
        assert agreement(times_s, mouth, envelope) > MIN_AGREEMENT
        assert np.median(shifted) < MAX_OFF_SCREEN_AGREEMENT


def _largest(detector: MtcnnDetector, rgb: Rgb) -> Face:
    return max(detector.detect(rgb), key=lambda found: found.box.width)
