"""Pairs are what their protocol says; every row tells whose it is and what it went through."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tests.shards import finished, written
from training.clips import Clip, Split
from training.evidence import Evidence
from training.pairs import SWAPPED, Pairs, clip_pairs, swapped_pairs, table_of
from training.shard_set import open_split

CLIPS = [
    Clip("set", "a1", "ann", sex="female", race="X"),
    Clip("set", "a2", "ann", sex="female", race="X"),
    Clip("set", "b1", "bob", sex="male", race="X"),
    Clip("set", "c1", "cy", sex="male", race="Y"),
    Clip("set", "f1", "ann", fake=True, donors=("bob",), manipulation="swap", sex="female"),
]


@pytest.fixture
def evidence(tmp_path: Path) -> Evidence:
    """Two windows and two crops of each clip, with random directions for vectors."""
    written(tmp_path, CLIPS, Split.TEST, ("recorded", "call"))
    clips = open_split(finished(tmp_path), Split.TEST)
    rng = np.random.default_rng(0)
    n = len(clips)
    rows = np.repeat(np.arange(n), 2)
    return Evidence(
        clips,
        clips.line("call"),
        voice=rng.standard_normal((2 * n, 8)).astype(np.float32),
        voice_clip=rows,
        end_s=np.tile([3.0, 4.0], n),
        speech=np.where(np.arange(2 * n) == 1, 0.1, 0.9),  # a1's second window is nearly silent
        pitch=np.zeros(2 * n),
        face=rng.standard_normal((2 * n, 8)).astype(np.float32),
        face_clip=rows,
        crop=np.tile([0, 1], n),
        colour=np.zeros((2 * n, 3)),
    )


def names(evidence: Evidence, pairs: Pairs) -> list[tuple[str, str, bool]]:
    clips = [record.clip.clip for record in evidence.clips.records]
    return [
        (clips[evidence.voice_clip[v]], clips[evidence.face_clip[f]], bool(real))
        for v, f, real in zip(pairs.voice, pairs.face, pairs.real, strict=True)
    ]


def test_a_deepfake_set_is_judged_clip_by_clip(evidence: Evidence) -> None:
    pairs = clip_pairs(evidence)
    assert names(evidence, pairs) == [(c.clip, c.clip, not c.fake) for c in CLIPS for _ in range(2)]
    assert evidence.crop[pairs.face].tolist() == [0, 1] * 5  # windows take crops in turn


def test_real_clips_are_put_with_faces_of_others_and_never_fakes(evidence: Evidence) -> None:
    found = names(evidence, swapped_pairs(evidence, swaps=4))
    assert {heard for heard, _, _ in found} == {"a1", "a2", "b1", "c1"}
    assert {seen for _, seen, _ in found} == {"a1", "a2", "b1", "c1"}
    own = [(heard, seen) for heard, seen, real in found if real]
    assert len(own) == 8  # one for each window
    assert {pair for pair in own if pair[0][0] == "a"} == {("a1", "a2"), ("a2", "a1")}
    assert ("b1", "b1") in own  # he has no other
    assert all(heard[0] != seen[0] for heard, seen, real in found if not real)
    swaps = [heard[0] for heard, _, real in found if not real]
    assert [swaps.count(name) for name in "abc"] == [4, 4, 4]  # over all windows of a person


def test_a_seed_repeats_the_pairs(evidence: Evidence) -> None:
    first, again, other = (swapped_pairs(evidence, 2, seed).face.tolist() for seed in (0, 0, 1))
    assert first == again != other


def test_swaps_want_two_people(tmp_path: Path, evidence: Evidence) -> None:
    written(tmp_path / "alone", CLIPS[:2], Split.TEST, ("recorded", "call"))
    alone = open_split(finished(tmp_path / "alone"), Split.TEST)
    few = {name: getattr(evidence, name)[:4] for name in ("voice_clip", "face_clip")}
    with pytest.raises(ValueError, match="two identities"):
        swapped_pairs(dataclasses.replace(evidence, clips=alone, **few))


def test_the_table_holds_cosines_and_who_is_who(evidence: Evidence) -> None:
    pairs = clip_pairs(evidence)
    table = table_of(evidence, pairs)
    voice, face = evidence.voice[3], evidence.face[pairs.face[3]]
    expected = voice @ face / np.linalg.norm(voice) / np.linalg.norm(face)
    assert table.score[3] == pytest.approx(expected, rel=1e-5)
    assert (table.voice_id[-1], table.face_id[-1]) == ("bob", "ann")
    columns = table.attributes
    assert columns["manipulation"].tolist() == [""] * 8 + ["swap"] * 2
    assert (columns["voice_sex"][-1], columns["face_sex"][-1]) == ("male", "female")
    assert columns["sex"][[0, -1]].tolist() == ["female", ""]
    assert set(columns["line"]) == {"call"}
    assert columns["height"][0] == "360"


def test_windows_without_speech_get_no_score_but_a_reason(evidence: Evidence) -> None:
    table = table_of(evidence, clip_pairs(evidence))
    assert np.flatnonzero(~table.scored).tolist() == [1]
    assert table.attributes["reason"].tolist() == ["", "no_speech"] + [""] * 8
    assert table.coverage == pytest.approx(0.9)


def test_the_table_says_what_was_forged(evidence: Evidence, tmp_path: Path) -> None:
    kinds = [(False, True), (True, False), (True, True), (None, None), (False, False)]
    clips = [
        Clip("set", str(k), f"p{k}", fake=k < 4, face_fake=face, voice_fake=voice)
        for k, (face, voice) in enumerate(kinds)
    ]
    written(tmp_path / "forged", clips, Split.TEST, ("recorded", "call"))
    forged = dataclasses.replace(evidence, clips=open_split(finished(tmp_path / "forged"), "test"))
    table = table_of(forged, clip_pairs(forged))
    assert table.attributes["forged"][::2].tolist() == ["voice alone", "face alone", "both", "", ""]
    swapped = table_of(forged, swapped_pairs(evidence, swaps=1))
    assert set(swapped.attributes.get("forged", [""])[swapped.voice_id != swapped.face_id]) == {""}


def test_swapped_rows_name_both_clips(evidence: Evidence) -> None:
    table = table_of(evidence, swapped_pairs(evidence, swaps=4))
    fake = ~table.real
    assert set(table.attributes["manipulation"][fake]) == {SWAPPED}
    assert set(table.attributes["manipulation"][~fake]) == {""}
    assert all(" + " in clip for clip in table.clip[fake])
    assert set(table.attributes["race"][table.voice_id == table.face_id]) == {"X", "Y"}
    assert len(np.unique(table.keys())) == len(table)
