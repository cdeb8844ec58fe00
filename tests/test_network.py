import pytest
import torch

from tests.toy_clips import SMALL, recipe
from training.heads import BatchNorm
from training.network import TrainedModel, fold_batch_norm, neutral_batch_norm
from training.recipe import LossRecipe, ModelRecipe
from vfd.model import Tower
from vfd.model_config import PRESETS


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> TrainedModel:
    monkeypatch.setitem(PRESETS, "nano", SMALL)  # type: ignore[attr-defined]
    torch.manual_seed(0)
    chosen = recipe(
        ModelRecipe("nano", initial="xavier", batch_norm=True),
        LossRecipe(identity_weight=0.1, trait_weight=1.0),
    )
    return TrainedModel(chosen, identities=5, traits=3)


@torch.no_grad()
def test_folding_the_batch_norm_changes_no_output(model: TrainedModel) -> None:
    tower, norm = model.face.tower, BatchNorm(16)
    assert isinstance(tower, Tower)
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
def test_the_exported_model_embeds_as_the_trained_one(model: TrainedModel) -> None:
    voices, crops = torch.randn(3, 1, 512, 300), torch.randint(0, 256, (3, 224, 224, 3)).byte()
    assert model.heads.voice is not None
    assert model.heads.face is not None
    model.heads.voice(model.voice(torch.randn(8, 1, 512, 300)))  # moves the statistics of the norm
    model.eval()
    exported = model.exported()
    voice = model.heads.voice(model.voice(model.inputs("voice", voices)))
    face = model.heads.face(model.face(model.inputs("face", crops)))
    unit = torch.nn.functional.normalize
    torch.testing.assert_close(exported.embed_voice(voices), unit(voice), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(exported.embed_faces(crops), unit(face), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_neutral_norm_lets_training_go_on_from_folded_weights() -> None:
    torch.manual_seed(0)
    vectors = 2 * torch.randn(200, 16) + torch.arange(16.0)
    norm = BatchNorm(16)
    neutral_batch_norm(norm, vectors)
    torch.testing.assert_close(norm.eval()(vectors), vectors, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(norm.train()(vectors), vectors, rtol=0.01, atol=0.1)


def test_only_what_a_recipe_weighs_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRESETS, "nano", SMALL)  # type: ignore[attr-defined]
    plain = TrainedModel(recipe(), identities=5, traits=3)
    assert not list(plain.heads.parameters())
    one = recipe(loss=LossRecipe("classify", towers=("face",)))
    model = TrainedModel(one, identities=5, traits=3)
    assert {n for n, p in model.named_parameters() if n.startswith("heads")} == {
        "heads.classifier.weight",
        "heads.classifier.bias",
    }
    assert not any(p.requires_grad for p in model.voice.parameters())
    assert all(p.requires_grad for p in model.face.parameters())


def test_weights_begin_as_the_paper_says_or_after_xavier(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRESETS, "nano", SMALL)  # type: ignore[attr-defined]
    torch.manual_seed(0)
    stds = {}
    for initial in ("paper", "xavier"):
        tower = TrainedModel(recipe(ModelRecipe("nano", initial)), 1, 0).voice.tower
        assert isinstance(tower, Tower)
        stds[initial] = (tower.positions.std().item(), tower.patch.weight.std().item())
    assert stds["paper"] == pytest.approx((0.02, 0.02), rel=0.15)
    assert stds["xavier"][0] == pytest.approx(0.4, rel=0.15)
