"""A whole evaluation of a random model on a few synthetic people: every part of the report is
there, and each command prints what it should. Nothing here is accurate, and nothing needs to be."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

import vfd.operating_fit
from tests import shards
from tests.checkpoints import write_checkpoint
from training.baseline import Baseline, mean_colour, median_pitch
from training.classifier import heads_path
from training.cli import main
from training.clips import Clip, Split
from training.evaluate import (
    BEST,
    MODEL,
    PATIENT,
    TRIVIAL,
    Evaluation,
    Protocol,
    evaluate,
    gather_pairs,
    score_checkpoint,
)
from training.html_report import pictures
from training.measures import as_dict
from training.people import TRAITS, draw_person
from training.readers.synthetic import NAMES
from training.score_files import read_scores
from training.voice_synthesis import speak
from vfd.checkpoint import load_checkpoint
from vfd.model import VfdModel, scale_faces

SEEDS = list(range(2_000_000_000, 2_000_000_008))
PROTOCOL = Protocol(windows=1, crops=1, resamples=20)


def clip_of(seed: int, number: int, fake: bool = False) -> Clip:
    donor = SEEDS[(SEEDS.index(seed) + 1) % len(SEEDS)]
    return Clip(
        NAMES["source-filter"],
        f"{seed}-{number}",
        str(seed),
        fake=fake,
        donors=(str(donor),) if fake else (),
        manipulation="face swap" if fake else "",
        sex="male" if draw_person(seed).face.male else "female",
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight people with two real clips and a fake each, speaking; faces are shades."""
    out = tmp_path_factory.mktemp("people")

    def said(number: int, variant: int) -> np.ndarray:  # type: ignore[type-arg]
        rng = np.random.default_rng((number, variant))
        return speak(draw_person(SEEDS[number % 8]).voice, 3.1, rng).audio

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "tone", said)
        patch.setattr(shards, "shade", lambda n, k, v: np.full((224, 224, 3), 10 * n + k, np.uint8))
        clips = [clip_of(s, n, fake=n == 2) for n in range(3) for s in SEEDS]
        lines = ("recorded", "call", "low-rate")
        for split, some in ((Split.TRAIN, clips[:8]), (Split.TEST, clips)):
            shards.written(out, some, split, lines)
    return shards.finished(out)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("weights") / "random.safetensors")


@pytest.fixture(scope="module")
def evaluation(checkpoint: Path, folder: Path) -> Evaluation:
    return evaluate(checkpoint, folder, PROTOCOL)


def test_every_scorer_judges_the_same_pairs(evaluation: Evaluation) -> None:
    assert list(evaluation.tables) == [MODEL, BEST, TRIVIAL, PATIENT]
    assert evaluation.result.n_real == 16
    assert evaluation.result.n_fake == 8 * 2 * 7  # fewer others than SWAPS
    assert evaluation.result.n_identities == 8
    for name in (BEST, TRIVIAL):
        assert evaluation.tables[name].keys().tolist() == evaluation.table.keys().tolist()
    assert evaluation.results[BEST].measured["auc"].value > 0.95


def test_differences_are_of_the_same_pairs(evaluation: Evaluation) -> None:
    for name in (BEST, TRIVIAL):
        for part, value in evaluation.differences[name].items():
            ours, theirs = (as_dict(evaluation.results[scorer])[part] for scorer in (MODEL, name))
            assert value.value == pytest.approx(ours - theirs)
    assert evaluation.differences[BEST]["auc_same_sex"].high < 0


def test_every_shared_trait_is_neutralised(evaluation: Evaluation) -> None:
    assert [n.trait for n in evaluation.neutral] == ["sex", *TRAITS]
    sexless = next(n for n in evaluation.neutral if n.trait == "sex")
    assert sexless.model.n_fake < evaluation.result.n_fake
    assert sexless.model.n_real == evaluation.result.n_real


def test_a_classifier_beside_a_checkpoint_is_what_judges(folder: Path, tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "face.safetensors")
    model = VfdModel.from_checkpoint(checkpoint).eval()
    weight = torch.randn(1, model.config.embedding, generator=torch.manual_seed(0))
    judging = {"classifier.towers": ["face"], "classifier.threshold": 0.7}
    layer = {"classifier.weight": weight, "classifier.bias": torch.tensor([0.5])}
    torch.save(layer | judging, heads_path(checkpoint))
    protocol = dataclasses.replace(PROTOCOL, pairs="clips")
    found = evaluate(checkpoint, folder, protocol)
    evidence, pairs, table = gather_pairs(checkpoint, folder, protocol)
    crops = [evidence.clips.crop(int(c), 0, 1) for c in evidence.face_clip]
    with torch.inference_mode():
        vectors = model.face(scale_faces(torch.from_numpy(np.stack(crops))))
    logits = (vectors @ weight[0] + 0.5).numpy()[pairs.face]
    np.testing.assert_allclose(table.score[table.scored], logits[table.scored], rtol=1e-4)
    right = ((logits >= 0.7) == pairs.real)[table.scored]
    assert found.result.measured["accuracy"].value == pytest.approx(right.mean())
    assert found.calibration is None
    assert found.provenance["judged by"] == "a classifier over the vector of face"
    assert "reliability" not in dict(pictures(found))
    assert "voices" not in dict(pictures(found))


def test_a_deepfake_protocol_on_the_same_clips(checkpoint: Path, folder: Path) -> None:
    protocol = Protocol(line="low-rate", pairs="clips", windows=1, crops=1, resamples=20)
    found = evaluate(checkpoint, folder, protocol)
    assert (found.result.n_real, found.result.n_fake) == (16, 8)
    assert found.results[PATIENT].n_real == 16  # clips are judged, not people
    assert {(s.attribute, s.condition) for s in found.slices} >= {("manipulation", "face swap")}


def test_json_has_the_promised_keys(
    checkpoint: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", "--checkpoint", str(checkpoint), "--data", str(folder)]
    assert main([*arguments, "--resamples", "10", "--windows", "1", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    promised = "auc auc_low auc_high auc_same_sex eer ap tpr_at_fpr lambda accuracy n_pairs"
    assert values.keys() >= {*promised.split(), "n_identities", "coverage"}
    assert values["lambda"] == pytest.approx(0.2)
    assert len(values["evaluations"][0]["scorers"]) == 4


def test_scores_go_out_come_back_and_calibrate(
    checkpoint: Path,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(vfd.operating_fit, "PEOPLE", 500)
    monkeypatch.setattr(vfd.operating_fit, "SCORED_SHARE", 75 / 3_600)
    scores, out = tmp_path / "scores.csv", tmp_path / "calibrated.safetensors"
    arguments = ["evaluate", "--checkpoint", str(checkpoint), "--data", str(folder)]
    assert main([*arguments, "--resamples", "10", "--scores-out", str(scores)]) == 0
    report = capsys.readouterr().out
    assert "says nothing about" in report
    table = read_scores(scores)
    assert len(table) > 100
    assert main(["calibrate", str(checkpoint), str(scores), "--out", str(out)]) == 0
    assert "| threshold | 0.2000 |" in capsys.readouterr().out
    fitted, decision = load_checkpoint(out).info.calibration, load_checkpoint(out).info.decision
    assert decision is not None
    assert 3 <= decision.people < 100
    real = table.score[table.real & table.scored]
    assert fitted.real_mean == pytest.approx(real.mean(), abs=0.05)
    assert fitted != load_checkpoint(checkpoint).info.calibration
    assert (
        main(["evaluate", "--scores", str(scores), "--threshold", "0.1", "--resamples", "9"]) == 0
    )
    again = capsys.readouterr().out
    assert "At lambda 0.1000 the accuracy is " in again
    model = next(line for line in report.splitlines() if line.startswith("| model | "))
    assert f"| scores | {model.split(' | ')[1].split()[0]} (" in again  # the same AUC


def test_other_detectors_stand_in_the_papers_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [f"c{k},p{k},p{k},{'fake' if k % 2 else 'real'},{-(k % 2)}" for k in range(40)]
    scores = tmp_path / "perfect.csv"
    scores.write_text("\n".join(["clip,voice_id,face_id,label,score", *rows]) + "\n")
    arguments = ["evaluate", "--scores", f"perfect={scores}", "--validation-scores", str(scores)]
    assert main([*arguments, "--table", "dfdc", "--resamples", "10"]) == 0
    text = capsys.readouterr().out
    assert "| VFD | yes | yes | fine-tuning | paper | 80.96 | 85.13 |" in text
    assert "| perfect * (coverage 100 %) | yes | yes |  | ours | 100.00 | 100.00 | - |" in text
    assert text.count("\n|") == 1 + 26 + 1


def test_the_papers_table_4_has_a_row_for_ours(
    checkpoint: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", "--pretraining", "--windows", "1", "--crops", "1"]
    assert main([*arguments, "--checkpoint", f"x={checkpoint}", "--data", str(folder)]) == 0
    assert "| x, 8 people by enrolment | " in capsys.readouterr().out


def test_models_are_compared_in_pairs_and_crosswise(
    checkpoint: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write_checkpoint(tmp_path / "other.safetensors", seed=1)
    common = ["--data", f"here={folder}", "--resamples", "10", "--windows", "1"]
    pair = ["--checkpoint", f"a={checkpoint}", "--checkpoint", f"b={other}"]
    assert main(["evaluate", "--cross", *pair, "--data", f"again={folder}", *common]) == 0
    matrix = capsys.readouterr().out.splitlines()
    assert matrix[0] == "| AUC (coverage) | again | here |"
    assert [line.split(" | ")[0] for line in matrix[2:]] == ["| a", "| b"]
    one = ["evaluate", "--checkpoint", str(checkpoint), "--against", str(checkpoint), *common]
    assert main(one) == 0
    text = capsys.readouterr().out
    assert "random less random, 128 pairs scored by both" in text
    assert "| auc | 0.0000 (0.0000 to 0.0000) | no |" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "x"], "give either --checkpoint"),
        (["--checkpoint", "x"], "wants --data"),
        (["--checkpoint", "a.x", "--checkpoint", "b/a.x", "--data", "y"], "given twice"),
        (["--cross", "--checkpoint", "a=x"], "--cross wants"),
        (["--checkpoint", "x", "--data", "y", "--threshold", "0"], "has its own lambda"),
    ],
)
def test_what_is_missing_is_said(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason="is about a machine without a GPU")
def test_a_gpu_that_is_not_there_is_named(
    checkpoint: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", "--checkpoint", str(checkpoint), "--data", str(folder)]
    assert main([*arguments, "--device", "cuda"]) == 2
    assert "--device cuda: there is no GPU" in capsys.readouterr().err


def test_a_model_is_moved_to_its_device(
    checkpoint: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def device_of(name: str) -> torch.device:
        asked.append(name)
        return torch.device("cpu")

    monkeypatch.setattr("training.evaluate.device_of", device_of)
    score_checkpoint(checkpoint, folder, Protocol(windows=1, crops=1, device="cuda"))
    assert asked == ["cuda"]


def test_a_line_that_was_not_made_is_named(
    checkpoint: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", "--checkpoint", str(checkpoint), "--data", str(folder)]
    assert main([*arguments, "--line", "satellite"]) == 2
    assert "no line 'satellite'; there are recorded, call, low-rate" in capsys.readouterr().err


def test_scores_that_are_no_cosines_do_not_calibrate(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = tmp_path / "logits.csv"
    scores.write_text("clip,voice_id,face_id,label,score\na,p,p,real,7\nb,p,q,fake,-3\n")
    assert main(["calibrate", str(checkpoint), str(scores), "--out", str(tmp_path / "no")]) == 2
    assert "cosines" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize("pitch_hz", [90.0, 120.0, 220.0])
def test_the_baseline_hears_pitch(pitch_hz: float) -> None:
    time_s = np.arange(48_000) / 16_000
    buzz = sum(np.sin(2 * np.pi * k * pitch_hz * time_s) / k for k in range(1, 6))
    audio = (0.1 * np.asarray(buzz)).astype(np.float32)
    assert np.exp(median_pitch(audio)) == pytest.approx(pitch_hz, rel=0.03)


def test_the_baseline_answers_for_noise_and_silence() -> None:
    noise = np.random.default_rng(0).standard_normal(48_000).astype(np.float32)
    for audio in (noise, np.zeros(48_000, np.float32)):
        assert 60 <= np.exp(median_pitch(audio)) <= 400


def test_the_baseline_sees_colour_and_learns_what_goes_with_it() -> None:
    crop = np.zeros((224, 224, 3), np.uint8)
    crop[..., 0] = 255
    np.testing.assert_allclose(mean_colour(crop), [1, 0, 0])
    rng = np.random.default_rng(0)
    pitch, colour = rng.normal(5, 0.3, 400), rng.random((400, 3))
    colour[:, 1] = 0.5 + 0.4 * (pitch - 5)  # high voices have green faces
    baseline = Baseline(pitch, colour)
    own, others = baseline.scores(pitch, colour), baseline.scores(pitch, np.roll(colour, 1, axis=0))
    assert (own > others).mean() > 0.8
    with pytest.raises(ValueError, match="two people"):
        Baseline(pitch[:1], colour[:1])
