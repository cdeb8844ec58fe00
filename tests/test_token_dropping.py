import pytest
import torch

from tests.checkpoints import TINY_VGG
from tests.toy_clips import SMALL
from training.token_dropping import TrainedTower, some_patches
from vfd.model import VfdModel
from vfd.model_config import ModelConfig

PADDED = ModelConfig("padded", 16, 2, 2, 16, (32, 32), (128, 64))  # 300 frames, 64 a patch


@pytest.fixture(autouse=True)
def repeatable() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("config", [SMALL, PADDED, TINY_VGG])
@pytest.mark.parametrize("recompute", [False, True])
def test_all_patches_give_what_the_tower_gives(config: ModelConfig, recompute: bool) -> None:
    tower = VfdModel(config).voice
    x = torch.randn(2, 1, *config.voice.image)
    found = TrainedTower(tower, recompute=recompute)(x)
    torch.testing.assert_close(found, tower(x), rtol=1e-4, atol=1e-5)


def test_some_patches_give_something_else_and_gradients() -> None:
    tower = VfdModel(SMALL).voice
    x = torch.randn(2, 1, 512, 300)
    some = TrainedTower(tower)(x, some_patches(tower, 0.3, torch.Generator()))
    assert some.shape == (2, 16)
    assert not torch.allclose(some, tower(x))
    some.sum().backward()
    assert tower.patch.weight.grad is not None
    assert tower.positions.grad is not None


def test_what_is_left_out_does_not_matter() -> None:
    tower = VfdModel(SMALL).face
    kept = torch.tensor([0, 5])
    x = torch.randn(1, 3, 224, 224)
    changed = x.clone()
    changed[:, :, 56:112] = 0  # patches 4 to 7, of four a row
    found = TrainedTower(tower)(x, kept)
    assert not torch.equal(TrainedTower(tower)(changed, kept), found)
    changed = x.clone()
    changed[:, :, 112:] = 0
    torch.testing.assert_close(TrainedTower(tower)(changed, kept), found)


def test_computing_again_gives_the_same_gradients() -> None:
    tower = VfdModel(SMALL).voice
    x = torch.randn(2, 1, 512, 300)
    gradients = []
    for recompute in (False, True):
        tower.zero_grad()
        TrainedTower(tower, recompute=recompute)(x).square().sum().backward()
        gradients.append([p.grad.clone() for p in tower.parameters() if p.grad is not None])
    torch.testing.assert_close(gradients[0], gradients[1])


def test_a_share_of_the_patches_is_drawn_without_repetition() -> None:
    tower = VfdModel(SMALL).face
    first, again = (some_patches(tower, 0.5, torch.Generator().manual_seed(1)) for _ in range(2))
    assert first is not None
    assert again is not None
    assert len(set(first.tolist())) == len(first) == 8
    assert torch.equal(first, again)
    assert some_patches(tower, 1.0, torch.Generator()) is None


def test_a_vgg_leaves_out_nothing() -> None:
    tower = VfdModel(TINY_VGG).face
    assert some_patches(tower, 0.5, torch.Generator()) is None
    with pytest.raises(ValueError, match="cannot leave out patches"):
        TrainedTower(tower)(torch.zeros(1, 3, 224, 224), torch.tensor([0]))
