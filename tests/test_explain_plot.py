"""The picture of explanations: it is drawn for one window and for several, and heat is seen."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from engines.explain import FACE_GRID, VOICE_GRID, Explanation
from monitor.exemplars import Exemplar
from monitor.explain_plot import Explained, explained, plot_explanations
from tests.fakes import ALICE, FakeEngine, face, voice
from vfd.front_ends import FRONT_ENDS
from vfd.types import Score, Window


def exemplar(name: str = "highest") -> Exemplar:
    window = Window(ALICE, 1.0, 4.0, voice(3.0), (face(3.5, 130),), 1.0, 1.0)
    return Exemplar(name, window, Score(ALICE, 4.0, 0.3, 1))


def row(heat: float, front_end: str = "stft512") -> Explained:
    maps = np.zeros(FACE_GRID, np.float32), np.zeros(VOICE_GRID, np.float32)
    for one in maps:
        one[4:7, 4:7] = heat
    one = exemplar()
    picture = FRONT_ENDS[front_end].compute(one.window.audio)
    return Explained(one, Explanation(0.3, *maps), picture)


def drawn(path: Path, *rows: Explained) -> NDArray[np.int16]:
    """Red, green, blue."""
    plot_explanations(path, rows, title="call.mp4: why?", note="a note")
    image = cv2.imread(str(path))
    assert image is not None
    return image[..., ::-1].astype(np.int16)


@pytest.fixture(scope="module", autouse=True)
def fonts(tmp_path_factory: pytest.TempPathFactory) -> None:
    """matplotlib keeps the font files open for good: let it open them before anybody counts."""
    drawn(tmp_path_factory.mktemp("fonts") / "t.png", row(0.1))


def reddish(image: NDArray[np.int16]) -> int:
    return int(np.sum((image[..., 0] - image[..., 2] > 100) & (image[..., 0] > 150)))


def bluish(image: NDArray[np.int16]) -> int:
    return int(np.sum((image[..., 2] - image[..., 0] > 100) & (image[..., 2] > 150)))


def test_what_speaks_for_and_against_is_red_and_blue(tmp_path: Path) -> None:
    cold = drawn(tmp_path / "none.png", row(0.0))
    speaks_for = drawn(tmp_path / "for.png", row(0.2))
    against = drawn(tmp_path / "against.png", row(-0.2))
    assert speaks_for.shape == cold.shape
    assert reddish(speaks_for) > reddish(cold) + 3_000
    assert bluish(against) > bluish(cold) + 3_000
    assert abs(bluish(speaks_for) - bluish(cold)) < 500


def test_every_window_has_a_row(tmp_path: Path) -> None:
    one, three = (drawn(tmp_path / f"{n}.png", *[row(0.1)] * n) for n in (1, 3))
    assert one.shape[1] == three.shape[1] == 1300
    assert three.shape[0] - one.shape[0] == pytest.approx(540, abs=2)


def test_power_spectrograms_are_drawn_too(tmp_path: Path) -> None:
    image = drawn(tmp_path / "mel.png", row(0.1, "mel128"))
    grey = image[150:300, 600:850].mean(axis=2)
    assert grey.std() > 30  # not one loud spot on white


def test_an_exemplar_is_explained_with_its_best_face() -> None:
    one = explained(exemplar(), FakeEngine(), "stft512")
    assert one.explanation.similarity == pytest.approx(0.3)  # grey 130
    assert one.spectrogram.shape == (1, 512, 300)
    assert not one.explanation.voice.any()  # every voice is the same to this engine
