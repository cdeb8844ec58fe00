"""Score files survive the trip, and what is wrong with one is named by line and column."""

from pathlib import Path

import numpy as np
import pytest

from training.score_files import ScoreFileError, common_rows, read_scores, write_scores

GOOD = """\
clip,voice_id,face_id,label,score,time_s,manipulation
a/1.mp4,id1,id1,real,0.75,3,
"b, part (2).mp4",id1,id2,fake,-0.5,3,face swap
c.mp4,id3,id3,real,,4,
"""


def written(folder: Path, text: str, name: str = "scores.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_is_read_and_written_again(tmp_path: Path) -> None:
    table = read_scores(written(tmp_path, GOOD))
    assert table.clip.tolist() == ["a/1.mp4", "b, part (2).mp4", "c.mp4"]
    assert table.real.tolist() == [True, False, True]
    assert table.score[:2].tolist() == [0.75, -0.5]
    assert table.scored.tolist() == [True, True, False]
    assert table.coverage == pytest.approx(2 / 3)
    assert table.identities == 3
    assert table.attributes["manipulation"].tolist() == ["", "face swap", ""]
    write_scores(tmp_path / "again.csv", table)
    assert (tmp_path / "again.csv").read_text() == GOOD
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again.csv", "scores.csv"]


def test_order_of_columns_blanks_and_a_byte_order_mark_do_not_matter(tmp_path: Path) -> None:
    text = "\ufeff score , label,clip,face_id,voice_id\n 1e-1 , fake,x,p,q\n\n"
    table = read_scores(written(tmp_path, text))
    assert (table.score[0], table.clip[0], table.voice_id[0]) == (0.1, "x", "q")
    assert np.isnan(table.time_s[0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: no column clip"),
        ("clip,voice_id,face_id,score\n", "line 1: no column label"),
        ("clip,voice_id,face_id,label,score,score\n", "twice"),
        ("clip,voice_id,face_id,label,score\n", "no row"),
        ("clip,voice_id,face_id,label,score\na,1,1,real\n", "line 2: 4 values for 5"),
        ("clip,voice_id,face_id,label,score\na,1,1,real,1\nb,1,1,Real,1\n", "line 3: label"),
        ("clip,voice_id,face_id,label,score\na,1,1,real,high\n", "line 2: score is 'high'"),
        ("clip,voice_id,face_id,label,score\na,1,1,real,nan\n", "line 2: score is 'nan'"),
        ("clip,voice_id,face_id,label,score\na,,1,real,1\n", "line 2: voice_id is empty"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ScoreFileError, match=message) as caught:
        read_scores(written(tmp_path, text))
    assert "scores.csv" in str(caught.value)


def test_rows_that_both_scored_are_put_side_by_side(tmp_path: Path) -> None:
    first = read_scores(written(tmp_path, GOOD))
    lines = GOOD.splitlines()
    other = "\n".join([lines[0], lines[3].replace(",,4", ",0.1,4"), lines[2].replace("-0.5", "9")])
    second = read_scores(written(tmp_path, other + "\n", "other.csv"))
    ours, theirs = common_rows(first, second)
    assert ours.clip.tolist() == theirs.clip.tolist() == ["b, part (2).mp4"]
    assert (ours.score[0], theirs.score[0]) == (-0.5, 9)


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    first = read_scores(written(tmp_path, GOOD))
    relabelled = read_scores(written(tmp_path, GOOD.replace("id2,fake", "id2,real"), "b.csv"))
    with pytest.raises(ScoreFileError, match="label of clip 'b, part"):
        common_rows(first, relabelled)
    others = read_scores(written(tmp_path, GOOD.replace("mp4", "avi"), "c.csv"))
    with pytest.raises(ScoreFileError, match="no row in common"):
        common_rows(first, others)
    twice = read_scores(written(tmp_path, GOOD + GOOD.splitlines()[1] + "\n", "d.csv"))
    with pytest.raises(ScoreFileError, match="several rows"):
        common_rows(first, twice)
