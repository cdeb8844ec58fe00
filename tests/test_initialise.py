from pathlib import Path

import pytest
import torch

from tests.checkpoints import write_checkpoint
from tests.toy_clips import SMALL, recipe
from training.initialise import begin_from, read_mapping
from training.network import TrainedModel
from vfd.checkpoint import CheckpointError
from vfd.model import VfdModel
from vfd.model_config import PRESETS


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> TrainedModel:
    monkeypatch.setitem(PRESETS, "nano", SMALL)  # type: ignore[attr-defined]
    torch.manual_seed(0)
    return TrainedModel(recipe(), identities=2, traits=0)


@pytest.fixture
def other() -> dict[str, torch.Tensor]:
    torch.manual_seed(9)
    return VfdModel(SMALL).state_dict()


def same(model: TrainedModel, name: str, expected: torch.Tensor) -> bool:
    return torch.equal(model.exported().state_dict()[name], expected)


def test_a_state_dict_with_our_names_is_taken_whole(
    model: TrainedModel, other: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "other.pt"
    torch.save({f"module.{name}": tensor for name, tensor in other.items()}, path)
    assert begin_from(model, path) == []
    assert all(same(model, name, tensor) for name, tensor in other.items())


def test_a_mapping_renames_turns_and_may_leave_out(
    model: TrainedModel, other: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    before = model.exported().state_dict()
    theirs = {
        "image": {f"layer.{k}.gain": other[f"face.blocks.{k}.norm1.weight"] + k for k in (0, 1)},
        "image.proj": other["face.projection.weight"].t().contiguous(),
        "steps": torch.tensor(3),
        "unrelated": torch.ones(2),
    }
    torch.save(theirs, tmp_path / "theirs.pt")
    (tmp_path / "names.toml").write_text(
        'transposed = ["image.proj"]\n[tensors]\n'
        '"image.layer.*.gain" = "face.blocks.*.norm1.weight"\n'
        '"image.proj" = "face.projection.weight"\n'
    )
    missing = begin_from(model, tmp_path / "theirs.pt", read_mapping(tmp_path / "names.toml"))
    assert same(model, "face.blocks.1.norm1.weight", other["face.blocks.1.norm1.weight"] + 1)
    assert same(model, "face.projection.weight", other["face.projection.weight"])
    assert "voice.positions" in missing
    assert "face.projection.weight" not in missing
    assert same(model, "voice.positions", before["voice.positions"])


def test_a_checkpoint_of_another_size_is_refused(model: TrainedModel, tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "tiny.safetensors")
    with pytest.raises(CheckpointError, match=r"tiny.safetensors: holds a .*, not a toy with"):
        begin_from(model, path)


def test_what_does_not_fit_is_named(
    model: TrainedModel, other: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "other.pt"
    other["face.positions"] = torch.zeros(3, 16)
    other["head"] = torch.zeros(1)
    del other["voice.class_vector"]
    torch.save(other, path)
    with pytest.raises(CheckpointError) as raised:
        begin_from(model, path)
    for line in (
        "face.positions has shape (3, 16), not (17, 16)",
        "head is no tensor of this model",
        "voice.class_vector is missing",
    ):
        assert line in str(raised.value)


def test_files_that_are_no_weights(model: TrainedModel, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no such file"):
        begin_from(model, tmp_path / "absent.pt")
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(CheckpointError, match="is no file of tensors"):
        begin_from(model, tmp_path / "text.pt")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[names]", "names is unknown"),
        ("transposed = []", r"\[tensors\] must map"),
        ("[tensors]\na = 3", r"\[tensors\] must map"),
        ('[tensors]\n"a.*.b.*" = "c"', "one . at most"),
        ("[tensors", "names.toml"),
    ],
)
def test_a_mapping_that_is_none_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "names.toml"
    path.write_text(text)
    with pytest.raises(CheckpointError, match=message):
        read_mapping(path)
