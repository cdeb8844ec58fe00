"""Splits by identity: the paper's ratios, the same every time, and no leak."""

from pathlib import Path

import pytest

from training.clips import Clip, Split
from training.dataset import Dataset, Ratios
from training.drops import Drop
from training.media import FileMedia
from training.samples import Entry
from training.splits import (
    LeakError,
    apply_splits,
    check_leaks,
    draw_splits,
    read_splits,
    write_splits,
)

NOWHERE = FileMedia(Path("none"), Path("none"))


def dataset(*clips: Clip, donors_apart: bool = False) -> Dataset:
    entries = tuple(Entry(clip, NOWHERE) for clip in clips)
    return Dataset("set", entries, (), Ratios(8, 1, 1), donors_apart=donors_apart)


def people(count: int) -> Dataset:
    return dataset(*(Clip("set", f"{k}-{c}", f"id{k:03}") for k in range(count) for c in (0, 1)))


def test_ratios_are_those_of_the_identities() -> None:
    splits = draw_splits(people(500), Ratios(352, 39, 109), seed=1)
    counts = [list(splits.values()).count(split) for split in Split]
    assert counts == [352, 39, 109]


def test_splits_depend_on_seed_and_identities_alone() -> None:
    whole = people(40)
    turned = dataset(*(entry.clip for entry in reversed(whole.entries)))
    first = draw_splits(whole, whole.ratios, seed=1)
    assert draw_splits(turned, whole.ratios, seed=1) == first
    assert draw_splits(whole, whole.ratios, seed=2) != first


def test_few_people_still_fill_every_split() -> None:
    splits = draw_splits(people(3), Ratios(8, 1, 1), seed=1)
    assert sorted(splits.values()) == ["test", "train", "validation"]


def test_a_set_may_be_all_for_tests() -> None:
    splits = draw_splits(people(7), Ratios(0, 0, 1), seed=1)
    assert set(splits.values()) == {Split.TEST}


def test_people_joined_by_a_source_or_a_fake_stay_together() -> None:
    pairs = [Clip("set", f"fake{k}", f"a{k}", fake=True, donors=(f"b{k}",)) for k in range(20)] + [
        Clip("set", f"real{k}", f"b{k}", source=f"film{k % 10}") for k in range(20)
    ]
    splits = draw_splits(dataset(*pairs), Ratios(1, 1, 1), seed=3)
    assert len(set(splits.values())) == 3
    for k in range(10):
        assert len({splits[f"{letter}{n}"] for letter in "ab" for n in (k, k + 10)}) == 1


def test_fakes_across_splits_are_left_out_where_donors_are_apart() -> None:
    own, lent = Clip("set", "own", "a"), Clip("set", "lent", "b")
    fake = Clip("set", "fake", "a", fake=True, donors=("b",))
    splits = {"a": Split.TRAIN, "b": Split.TEST}
    apart = dataset(own, lent, fake, donors_apart=True)
    chosen, dropped = apply_splits(apart, splits)
    assert chosen[Split.TRAIN] == [0]
    assert [(d.clip, d.reason, d.detail) for d in dropped] == [
        ("fake", Drop.DONOR_IN_OTHER_SPLIT, "b")
    ]
    chosen, dropped = apply_splits(apart, splits, any_donor=True)
    assert chosen[Split.TRAIN] == [0, 2]
    assert not dropped
    with pytest.raises(LeakError, match=r"identity b \(test and train\)"):
        apply_splits(dataset(own, lent, fake), splits)


def test_donors_without_a_clip_are_split_as_well() -> None:
    fakes = [
        Clip("set", f"{p}-{d}", f"p{p:02}", fake=True, donors=(f"d{d}",))
        for p in range(20)
        for d in range(6)
    ]
    apart = dataset(*fakes, donors_apart=True)
    splits = draw_splits(apart, Ratios(1, 1, 1), seed=1)
    assert {splits[f"d{d}"] for d in range(6)} == set(Split)
    chosen, dropped = apply_splits(apart, splits)
    assert all(chosen.values())
    assert sum(map(len, chosen.values())) + len(dropped) == len(fakes)


def test_a_leak_stops_with_the_names() -> None:
    clips = [(Clip("set", "1", "anna", source="film"), Split.TRAIN)]
    check_leaks(clips)
    with pytest.raises(LeakError, match=r"source film \(test and train\)"):
        check_leaks([*clips, (Clip("set", "2", "bert", source="film"), Split.TEST)])
    with pytest.raises(LeakError, match=r"identity anna \(train and validation\)"):
        check_leaks([*clips, (Clip("set", "2", "anna"), Split.VALIDATION)])
    many = [(Clip("set", f"{k}-{s}", f"id{k:02}"), s) for k in range(15) for s in Split]
    with pytest.raises(LeakError, match=r"identity id09 .* and 5 more"):
        check_leaks(many)


def test_splits_are_written_and_read(tmp_path: Path) -> None:
    splits = draw_splits(people(30), Ratios(8, 1, 1), seed=1)
    write_splits(tmp_path / "split.csv", "set", splits)
    assert read_splits(tmp_path / "split.csv", "set") == splits


def test_splits_of_another_data_set_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "split.csv"
    write_splits(file, "other", {"a": Split.TRAIN})
    with pytest.raises(ValueError, match=r"line 2: splits of 'other', not of 'set'"):
        read_splits(file, "set")
    with pytest.raises(ValueError, match="not of set: they lack id000, id001"):
        apply_splits(people(2), {"a": Split.TRAIN})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,split\n", "columns are"),
        ("dataset,identity,split\nset,a,trial\n", "line 2"),
        ("dataset,identity,split\nset,a\n", "line 2"),
    ],
)
def test_a_file_that_holds_no_splits_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "split.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_splits(tmp_path / "split.csv", "set")
