"""The torch model: names and shapes, unit length, what each part depends on."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoints import TINY, random_tensors, write_checkpoint

from vfd.model import VfdModel, scale_faces
from vfd.model_config import PRESETS, ModelConfig, tensor_shapes


def tiny_model() -> VfdModel:
    model = VfdModel(TINY)
    model.load_state_dict(
        {name: torch.from_numpy(t).float() for name, t in random_tensors(TINY).items()}
    )
    return model.eval()


def inputs(rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    voices = torch.randn(rows, 1, 512, 300, generator=generator)
    faces = torch.randint(0, 256, (rows, 224, 224, 3), generator=generator, dtype=torch.uint8)
    return voices, faces


@pytest.mark.parametrize("config", [TINY, PRESETS["nano"]], ids=lambda c: c.preset)
def test_tensor_shapes_are_those_of_the_model(config: ModelConfig) -> None:
    state = VfdModel(config).state_dict()
    assert {name: tuple(t.shape) for name, t in state.items()} == tensor_shapes(config)


def test_nano_has_the_documented_patches() -> None:
    nano = PRESETS["nano"]
    assert (nano.face.grid, nano.voice.grid) == ((7, 7), (8, 15))
    assert (nano.face.tokens, nano.voice.tokens) == (50, 121)
    assert nano.voice.padded == (512, 300)
    assert dataclasses.replace(nano, voice_patch=(16, 16)).voice.padded == (512, 304)


@pytest.mark.parametrize(
    ("field", "value"),
    [("width", 0), ("heads", 5), ("voice_patch", (0, 4)), ("front_end", "mel9000")],
)
def test_impossible_sizes_name_the_field(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        dataclasses.replace(PRESETS["nano"], **{field: value})


@torch.inference_mode()
def test_embeddings_are_of_unit_length_and_rows_independent() -> None:
    model = tiny_model()
    voices, faces = inputs(3)
    for embed, batch in ((model.embed_voice, voices), (model.embed_faces, faces)):
        together = embed(batch)
        assert together.shape == (3, TINY.embedding)
        torch.testing.assert_close(together.norm(dim=1), torch.ones(3))
        torch.testing.assert_close(torch.cat([embed(row[None]) for row in batch]), together)
        assert embed(batch[:0]).shape == (0, TINY.embedding)


@torch.inference_mode()
def test_every_tensor_of_a_tower_matters_to_it_alone() -> None:
    model = tiny_model()
    voices, faces = inputs(1)
    before = {"voice": model.embed_voice(voices), "face": model.embed_faces(faces)}
    for name, tensor in model.state_dict().items():
        kept = tensor.clone()
        tensor += torch.linspace(-1, 1, tensor.numel()).view(tensor.shape)
        after = {"voice": model.embed_voice(voices), "face": model.embed_faces(faces)}
        tensor.copy_(kept)
        own = name.split(".")[0]
        other = "face" if own == "voice" else "voice"
        assert not torch.allclose(after[own], before[own], atol=1e-5), name
        assert torch.equal(after[other], before[other]), name


@torch.inference_mode()
def test_attention_is_equation_5_with_the_width_of_a_head() -> None:
    attention = tiny_model().voice.blocks[0].attention
    x = torch.randn(7, 24, generator=torch.Generator().manual_seed(2))
    q, k, v = (x @ attention.qkv.weight.T + attention.qkv.bias).split(24, dim=1)
    heads = [
        torch.softmax(q[:, h] @ k[:, h].T / 8**0.5, dim=1) @ v[:, h]
        for h in (slice(0, 8), slice(8, 16), slice(16, 24))
    ]
    expected = torch.cat(heads, dim=1) @ attention.out.weight.T + attention.out.bias
    torch.testing.assert_close(attention(x[None])[0], expected)
    torch.testing.assert_close(attention(x[None], slice(0, 1))[0], expected[:1])


def test_faces_are_scaled_to_plus_minus_one() -> None:
    crop = torch.tensor([0, 51, 255], dtype=torch.uint8).expand(1, 2, 2, 3)
    scaled = scale_faces(crop)
    assert scaled.shape == (1, 3, 2, 2)
    torch.testing.assert_close(scaled[0, :, 0, 0], torch.tensor([-1.0, -0.6, 1.0]))


def test_initialisation_is_the_papers() -> None:
    torch.manual_seed(0)
    for name, tensor in VfdModel(PRESETS["nano"]).state_dict().items():
        if "norm" in name:
            assert (tensor == float(name.endswith("weight"))).all(), name
        elif name.endswith("bias"):
            assert not tensor.any(), name
        else:
            assert tensor.std().item() == pytest.approx(0.02, rel=0.2), name


def test_gradients_reach_every_parameter() -> None:
    model = VfdModel(TINY)
    voices, faces = inputs(2)
    (model.embed_voice(voices) * model.embed_faces(faces)).sum().backward()
    without = [name for name, p in model.named_parameters() if p.grad is None]
    assert not without


def test_from_checkpoint_holds_the_files_weights(tmp_path: Path) -> None:
    model = VfdModel.from_checkpoint(write_checkpoint(tmp_path / "tiny.safetensors"))
    assert not model.training
    state = model.state_dict()
    for name, tensor in random_tensors(TINY).items():
        np.testing.assert_array_equal(state[name].numpy(), tensor.astype(np.float32))
