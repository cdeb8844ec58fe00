"""Pictures show the numbers that they are made of, and the page needs nothing but itself."""

import re
from pathlib import Path

import numpy as np
import pytest

from training import plots
from training.cli import main
from training.evaluate import evaluate_scores
from training.html_report import SWEEPS, sweep_curves, to_html, write_html
from training.score_files import ScoreTable, write_scores
from training.sweep_file import read_sweep
from training.voice_map import drawn, positions
from vfd.checkpoint import Calibration

CALIBRATION = Calibration(0.25, 0.5, 0.12, 0.16, 0.0, 0.12, 0.16)  # deviations of 0.2 in all
PNG = b"\x89PNG\r\n"


def table(count: int = 4000, seed: int = 0) -> ScoreTable:
    rng = np.random.default_rng(seed)
    real = np.arange(count) < count // 4
    ids = np.arange(count).astype(str)
    score = rng.normal(np.where(real, 0.5, 0.0), 0.2)
    return ScoreTable(ids, ids, np.where(real, ids, np.roll(ids, 1)), real, score, 0 * score, {})


@pytest.fixture(scope="module", autouse=True)
def fonts(tmp_path_factory: pytest.TempPathFactory) -> None:
    """matplotlib keeps font files open for good, those of exponents too: opened before anybody
    counts."""
    plots.save(plots.roc_curves({"x": table(40)}, "λ"), tmp_path_factory.mktemp("fonts") / "x.png")


def test_each_kind_of_the_histogram_adds_up_to_all() -> None:
    figure = plots.histogram(table(), 0.25, "title")
    bars = list(figure.axes[0].containers)
    heights = [sum(bar.get_height() for bar in container) for container in bars]
    assert heights == pytest.approx([100, 100])
    assert "λ = 0.25" in figure.axes[0].texts[0].get_text()


def test_roc_and_det_run_through_the_known_errors() -> None:
    """Two normals 2.5 deviations apart: at 0.25 both err in 10.6 % (Phi(-1.25))."""
    curve = plots.roc_curves({"x": table(40_000)}, "title").axes[0].lines[0]
    at = int(np.argmin(np.abs(np.asarray(curve.get_xdata()) - 0.1056)))
    assert np.asarray(curve.get_ydata())[at] == pytest.approx(1 - 0.1056, abs=0.01)
    line = plots.det_curves({"x": table(40_000)}, "title").axes[0].lines[0]
    x, y = (np.asarray(data) for data in (line.get_xdata(), line.get_ydata()))
    middle = (np.abs(x) < 2) & (np.abs(y) < 2)
    np.testing.assert_allclose(x[middle] + y[middle], -2.5, atol=0.15)  # a straight line


def test_scorers_without_both_kinds_are_left_out() -> None:
    whole = table(100)
    figure = plots.roc_curves({"all": whole, "real alone": whole.rows(whole.real)}, "title")
    assert [line.get_label() for line in figure.axes[0].lines] == ["all", "chance"]


def test_stated_probabilities_hold_for_scores_that_the_calibration_describes() -> None:
    assert plots.probability_real(np.array([0.25]), CALIBRATION)[0] == pytest.approx(0.5)
    extremes = plots.probability_real(np.array([-9.0, 9.0]), CALIBRATION)
    assert extremes.tolist() == pytest.approx([0, 1])
    title = plots.reliability(table(40_000), CALIBRATION, "r").axes[0].get_title(loc="left")
    error = float(re.findall(r"error ([\d.]+) %", title)[0])
    assert error < 1.5


def test_a_sweep_is_drawn_through_the_means_of_its_seeds(tmp_path: Path) -> None:
    path = tmp_path / "sweep.csv"
    path.write_text("data.real_clips,seed,dfdc\n100,1,0.6\n100,2,0.7\n1000,1,0.8\n5000,1,0.9\n")
    axes = plots.sweep_curve(read_sweep(path), "few shots").axes[0]
    assert np.asarray(axes.lines[0].get_xdata()).tolist() == [100, 1000, 5000]
    assert np.asarray(axes.lines[0].get_ydata()).tolist() == pytest.approx([0.65, 0.8, 0.9])
    assert axes.get_xscale() == "log"


@pytest.mark.parametrize(
    ("text", "message"),
    [("q,seed\n1,1\n", "wants a column"), ("q,auc\n1,x\n", "line 2: auc is 'x'"), ("", "no row")],
)
def test_a_sweep_that_cannot_be_drawn_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "sweep.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        plots.sweep_curve(read_sweep(path), "title")


def test_people_lie_together_on_the_map() -> None:
    rng = np.random.default_rng(0)
    own = np.repeat(rng.standard_normal((6, 16)), 8, axis=0)
    vectors = own + 0.1 * rng.standard_normal(own.shape)
    identity = np.repeat(np.arange(6), 8)
    places = positions(vectors.astype(np.float32))
    within = np.linalg.norm(places - np.repeat(places.reshape(6, 8, 2).mean(axis=1), 8, 0), axis=1)
    centres = places.reshape(6, 8, 2).mean(axis=1)
    apart = np.linalg.norm(centres[:, None] - centres, axis=2)[np.triu_indices(6, 1)]
    assert within.mean() < apart.min() / 2
    figure = drawn(places, identity, np.where(identity < 3, "female", "male"), "title")
    assert len(figure.axes[0].collections) == 3  # spokes, and one cloud for each sex


def test_the_page_stands_alone(tmp_path: Path) -> None:
    evaluation = evaluate_scores({"<other> & co": table(400)}, 0.25, resamples=10)
    written = write_html([evaluation], tmp_path, "vfd-train evaluate --scores x")
    page = (tmp_path / "accuracy.html").read_text()
    assert page.count("data:image/png;base64,") == 3
    assert "http" not in page.replace("https://arxiv.org", "")
    assert "&lt;other&gt; &amp; co" in page
    assert "<other>" not in page
    files = sorted(path.name for path in tmp_path.glob("*.png"))
    assert files == ["det-1.png", "roc-1.png", "similarity-1.png"]
    assert sorted(path.name for path in written["<other> & co"]) == files
    assert all(path.read_bytes().startswith(PNG) for path in tmp_path.glob("*.png"))


def test_curves_of_sweeps_stand_in_the_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Fig. 11: two files of one name, as two sweeps leave them, and one with a title of its own."""
    few, negatives, scores = (tmp_path / name for name in ("few", "q", "scores.csv"))
    for folder, rows in (
        (few, "data.real_clips,seed,dfdc,dfdc accuracy\n100,1,0.6,0.5\n900,1,0.8,0.7\n"),
        (negatives, "loss.negatives,seed,dfdc\n1,1,0.7\n10,1,0.8\n"),
    ):
        folder.mkdir()
        (folder / "sweep.csv").write_text(rows)
    write_scores(scores, table(200))
    out = tmp_path / "report"
    sweeps = ["--sweep", f"{few}/sweep.csv", "--sweep", f"Fakes & co={negatives}/sweep.csv"]
    words = ["evaluate", "--scores", str(scores), "--resamples", "5", *sweeps]
    assert main([*words, "--report", str(out)]) == 0
    page = (out / "accuracy.html").read_text()
    assert page.count("data:image/png;base64,") == 5
    assert 'alt="few-shot: ' in page
    assert {path.name for path in out.glob("*.png")} > {"few-shot-1.png", "negatives-2.png"}
    said = (out / "accuracy.md").read_text()
    assert f"{SWEEPS}: [few-shot](few-shot-1.png), [negatives](negatives-2.png)" in said
    ours, titled = (figure.axes[0] for _, figure in sweep_curves(sweeps[1::2]))
    assert ours.get_title(loc="left") == "Real clips to fine-tune on, as in Fig. 11a"
    assert ours.get_ylabel() == "AUC, accuracy"
    assert titled.get_title(loc="left") == "Fakes & co"
    capsys.readouterr()
    assert main(words) == 2
    assert "name its folder with --report" in capsys.readouterr().err


def test_a_sweep_that_cannot_be_drawn_is_named_before_anything_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "sweep.csv"
    path.write_text("loss.negatives,seed\n1,1\n")
    words = ["evaluate", "--scores", str(tmp_path / "absent.csv"), "--sweep", str(path)]
    assert main([*words, "--report", str(tmp_path / "report")]) == 2
    assert f"{path}: a sweep wants a column" in capsys.readouterr().err
    assert not (tmp_path / "report").exists()


def test_markdown_becomes_html() -> None:
    text = "## A <b>\n\n**so** `x|y`\nit goes\n\n| a | b |\n|-|-|\n| 1 | 2 |"
    assert to_html(text) == (
        "<h2>A &lt;b&gt;</h2>\n<p><strong>so</strong> <code>x|y</code> it goes</p>\n"
        "<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>"
    )
