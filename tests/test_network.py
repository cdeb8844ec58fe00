import pytest
import torch

from training.network import PretrainModel, embed_some, fold_batch_norm, some_patches
from vfd.model_config import ModelConfig

SMALL = ModelConfig("small", 16, 2, 2, 16, (32, 32), (64, 20))


@pytest.fixture
def model() -> PretrainModel:
    torch.manual_seed(0)
    return PretrainModel(SMALL, identities=5)


def test_all_patches_give_what_the_tower_gives(model: PretrainModel) -> None:
    tower = model.face.tower
    x = torch.randn(3, 3, 224, 224)
    torch.testing.assert_close(embed_some(tower, x), tower(x), rtol=1e-4, atol=1e-5)


def test_some_patches_give_something_else_and_gradients(model: PretrainModel) -> None:
    tower = model.voice.tower
    x = torch.randn(2, 1, 512, 300)
    some = embed_some(tower, x, some_patches(tower, 0.3))
    assert some.shape == (2, 16)
    assert not torch.allclose(some, tower(x))
    some.sum().backward()
    assert tower.patch.weight.grad is not None
    assert tower.positions.grad is not None


def test_a_share_of_the_patches_is_drawn_without_repetition(model: PretrainModel) -> None:
    kept = some_patches(model.face.tower, 0.5)
    assert kept is not None
    assert len(set(kept.tolist())) == len(kept) == 24
    assert some_patches(model.face.tower, 1.0) is None


def test_patches_that_do_not_divide_the_image_are_refused() -> None:
    config = ModelConfig("odd", 16, 1, 2, 16, (32, 32), (16, 16))  # 300 frames, 16 a patch
    tower = PretrainModel(config, identities=2).voice.tower
    with pytest.raises(ValueError, match=r"\(16, 16\)"):
        embed_some(tower, torch.zeros(1, 1, 512, 300))


@torch.no_grad()
def test_folding_the_batch_norm_changes_no_output(model: PretrainModel) -> None:
    tower, norm = model.face.tower, model.face.norm
    tower.norm.weight.uniform_(0.5, 1.5)
    tower.norm.bias.normal_()
    norm.weight.uniform_(0.5, 2)
    norm.bias.normal_()
    norm.running_mean = 3 * torch.randn(16)
    norm.running_var = torch.rand(16) + 0.5
    x = torch.randn(4, 3, 224, 224)
    expected = norm.eval()(tower(x))
    fold_batch_norm(tower, norm)
    torch.testing.assert_close(tower(x), expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_the_exported_model_embeds_as_the_trained_one(model: PretrainModel) -> None:
    voices, crops = torch.randn(3, 1, 512, 300), torch.randint(0, 256, (3, 224, 224, 3)).byte()
    model.voice(torch.randn(8, 1, 512, 300))  # moves the statistics of the batch norm
    model.eval()
    exported = model.exported()
    expected = torch.nn.functional.normalize(model.voice(voices), dim=-1)
    torch.testing.assert_close(exported.embed_voice(voices), expected, rtol=1e-4, atol=1e-5)
    assert exported.embed_faces(crops).shape == (3, 16)
