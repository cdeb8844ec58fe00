"""The torch model: names and shapes, unit length, what each part depends on."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoints import FAMILIES, TINY, TINY_RELEASED, random_tensors, write_checkpoint

from vfd.model import VfdModel, scale_faces
from vfd.model_config import FACE_NORMALISATIONS, PRESETS, ModelConfig, tensor_shapes


def tiny_model(config: ModelConfig = TINY) -> VfdModel:
    model = VfdModel(config)
    model.load_state_dict(
        {name: torch.from_numpy(t).float() for name, t in random_tensors(config).items()}
    )
    return model.eval()


def inputs(rows: int, config: ModelConfig = TINY) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    voices = torch.randn(rows, 1, *config.voice.image, generator=generator)
    faces = torch.randint(0, 256, (rows, 224, 224, 3), generator=generator, dtype=torch.uint8)
    return voices, faces


each_family = pytest.mark.parametrize("config", FAMILIES, ids=lambda c: c.preset)


@pytest.mark.parametrize("config", [*FAMILIES, *PRESETS.values()], ids=lambda c: c.preset)
def test_tensor_shapes_are_those_of_the_model(config: ModelConfig) -> None:
    with torch.device("meta"):  # shapes without numbers
        state = VfdModel(config).state_dict()
    assert {name: tuple(t.shape) for name, t in state.items()} == tensor_shapes(config)


def test_the_papers_presets_have_its_sizes() -> None:
    for name, width, heads in (("tiny", 192, 3), ("small", 384, 6), ("base", 768, 12)):
        config = PRESETS[name]
        assert (config.width, config.blocks, config.heads) == (width, 12, heads)
        assert config.embedding == 512
        assert (config.face.grid, config.voice.grid) == ((14, 14), (32, 19))
        assert config.voice.padded == (512, 304)
    released = PRESETS["released"]
    assert (released.voice.image, released.face.tokens, released.voice.tokens) == (
        (128, 256),
        50,
        33,
    )


def test_nano_has_the_documented_patches() -> None:
    nano = PRESETS["nano"]
    assert (nano.face.grid, nano.voice.grid) == ((7, 7), (8, 15))
    assert (nano.face.tokens, nano.voice.tokens) == (50, 121)
    assert nano.voice.padded == (512, 300)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("width", 0),
        ("heads", 5),
        ("voice_patch", (0, 4)),
        ("front_end", "mel9000"),
        ("family", "convnet"),
        ("activation", "tanh"),
        ("face_normalisation", "none"),
    ],
)
def test_impossible_sizes_name_the_field(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        dataclasses.replace(PRESETS["nano"], **{field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [("width", 60), ("blocks", 4), ("heads", 2), ("face_patch", (16, 16)), ("activation", "gelu")],
)
def test_a_vgg_has_one_build(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{field}.* of a vgg"):
        dataclasses.replace(PRESETS["vgg"], **{field: value})


@each_family
@torch.inference_mode()
def test_embeddings_are_of_unit_length_and_rows_independent(config: ModelConfig) -> None:
    model = tiny_model(config)
    voices, faces = inputs(3, config)
    for embed, batch in ((model.embed_voice, voices), (model.embed_faces, faces)):
        together = embed(batch)
        assert together.shape == (3, TINY.embedding)
        torch.testing.assert_close(together.norm(dim=1), torch.ones(3))
        torch.testing.assert_close(torch.cat([embed(row[None]) for row in batch]), together)
        assert embed(batch[:0]).shape == (0, TINY.embedding)


@each_family
@torch.inference_mode()
def test_every_tensor_of_a_tower_matters_to_it_alone(config: ModelConfig) -> None:
    model = tiny_model(config)
    voices, faces = inputs(1, config)
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


@torch.inference_mode()
def test_what_the_published_code_does_differently() -> None:
    tower = tiny_model(TINY_RELEASED).voice
    assert tower.patch.bias is None
    x = torch.randn(5, 24, generator=torch.Generator().manual_seed(3))
    mlp = tower.blocks[0].mlp
    hidden = mlp.expand(x)
    torch.testing.assert_close(mlp(x), mlp.contract(hidden * torch.sigmoid(1.702 * hidden)))
    seen = []
    tower.blocks[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    tower(inputs(2, TINY_RELEASED)[0])
    bias, weight = tower.ln_pre.bias, tower.ln_pre.weight
    plain = (seen[0] - bias) / weight  # normalised before the first block
    torch.testing.assert_close(plain.mean(-1), torch.zeros(2, 33), atol=1e-3, rtol=0)
    torch.testing.assert_close(plain.var(-1, correction=0), torch.ones(2, 33), atol=1e-2, rtol=0)


def test_faces_may_be_normalised_as_for_clip() -> None:
    crop = torch.tensor([[[[0, 128, 255]]]], dtype=torch.uint8)
    scaled = scale_faces(crop, FACE_NORMALISATIONS["clip"])
    mean, std = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    expected = [(v / 255 - m) / s for v, m, s in zip((0, 128, 255), mean, std, strict=True)]
    torch.testing.assert_close(scaled.flatten(), torch.tensor(expected))


@pytest.mark.parametrize(
    "config",
    [PRESETS["nano"], PRESETS["tiny"], TINY_RELEASED, PRESETS["vgg"]],
    ids=lambda c: c.preset,
)
def test_initialisation_is_the_papers(config: ModelConfig) -> None:
    torch.manual_seed(0)
    for name, tensor in VfdModel(config).state_dict().items():
        if "norm" in name or "ln_pre" in name:
            assert (tensor == float(name.endswith("weight"))).all(), name
        elif name.endswith("bias"):
            assert not tensor.any(), name
        else:
            assert tensor.std().item() == pytest.approx(0.02, rel=0.45), name


@each_family
def test_gradients_reach_every_parameter(config: ModelConfig) -> None:
    model = VfdModel(config)
    voices, faces = inputs(2, config)
    (model.embed_voice(voices) * model.embed_faces(faces)).sum().backward()
    without = [name for name, p in model.named_parameters() if p.grad is None]
    assert not without


def test_from_checkpoint_holds_the_files_weights(tmp_path: Path) -> None:
    model = VfdModel.from_checkpoint(write_checkpoint(tmp_path / "tiny.safetensors"))
    assert not model.training
    state = model.state_dict()
    for name, tensor in random_tensors(TINY).items():
        np.testing.assert_array_equal(state[name].numpy(), tensor.astype(np.float32))
