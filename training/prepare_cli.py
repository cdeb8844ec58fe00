"""`vfd-train prepare` and `vfd-train export-validation`."""

import argparse
import json
from pathlib import Path
from typing import get_args

from training.clips import Split
from training.dataset import Dataset, Ratios
from training.export_validation import export_validation
from training.prepare import Options, prepare
from training.prepare_report import as_text
from training.prepare_workers import Runner, in_processes
from training.readers import deepfake_timit, dfdc, fakeavceleb, lists, voxceleb2
from training.readers.synthetic import Amounts, VoiceFamily, read_synthetic
from training.samples import Effort
from training.splits import Assignment, draw_splits, read_splits


def add_commands(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> None:
    """Adds the parsers of both commands to the subparsers of `vfd-train`."""
    _add_prepare(commands.add_parser("prepare", help="turn a data set into shards"))
    _add_export(commands.add_parser("export-validation", help="people to judge an engine by"))


def _add_prepare(parser: argparse.ArgumentParser) -> None:
    sets = parser.add_subparsers(required=True, metavar="DATASET")
    for name, add, about in (
        ("voxceleb2", _add_voxceleb2, "VoxCeleb2, mp4 or mp4 and aac trees"),
        ("dfdc", _add_dfdc, "DFDC, dfdc_train_part_* folders"),
        ("fakeavceleb", _add_fakeavceleb, "FakeAVCeleb v1.2"),
        ("timit", _add_timit, "DeepfakeTIMIT with the real clips of VidTIMIT"),
        ("folder", _add_folder, "a folder IDENTITY/clips, real; or LABEL/IDENTITY/clips"),
        ("csv", _add_csv, "a CSV file with columns path, identity, label and more"),
        ("list", _add_list, "a text file with `path label` a line, 1 for fake"),
        ("synthetic", _add_synthetic, "synthetic people, drawn and spoken"),
    ):
        dataset = sets.add_parser(name, help=about)
        add(dataset)
        _add_common(dataset)
        dataset.set_defaults(run=_prepare)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, help="folder to fill with shards")
    parser.add_argument("--faces", type=int, default=None, help="crops of a clip (default: 3)")
    parser.add_argument("--max-s", type=float, default=10.0, help="seconds of voice of a clip")
    parser.add_argument(
        "--variants", type=int, default=2, help="renderings of training clips after codecs"
    )
    parser.add_argument("--seed", type=int, default=1, help="of splits and of all that is drawn")
    parser.add_argument("--shard-clips", type=int, default=256, help="clips in a shard")
    parser.add_argument("--workers", type=int, default=2, help="processes, one core each")
    parser.add_argument("--ray", metavar="ADDRESS", help="work on this Ray cluster instead")
    parser.add_argument("--split-file", type=Path, help="who is in which split (default: drawn)")
    parser.add_argument(
        "--ratios",
        type=_ratios,
        metavar="A:B:C",
        help="identities in train, validation, test (default: the paper's)",
    )
    parser.add_argument(
        "--any-donor",
        action="store_true",
        help="keep fakes whose donor is of another split, as the paper does: a leak",
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def _place(text: str) -> Path:
    """Whole: workers may run elsewhere."""
    return Path(text).resolve()


def _ratios(text: str) -> Ratios:
    try:
        train, validation, test = (float(part) for part in text.split(":"))
        return Ratios(train, validation, test)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not like 8:1:1 ({error})") from error


def _add_voxceleb2(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("root", type=_place, help="the folder with dev/ and test/, or mp4/")
    parser.add_argument("--meta", type=Path, help="vox2_meta.csv, for the sex of the speakers")
    parser.add_argument(
        "--leave-out",
        type=Path,
        help="meta_data.csv of FakeAVCeleb, or one identity a line: not to be trained on",
    )
    parser.add_argument(
        "--keep-fakeavceleb", action="store_true", help="leave nobody out; test on it no more"
    )
    parser.set_defaults(
        read=lambda o: voxceleb2.read_voxceleb2(
            o.root, o.meta, voxceleb2.left_out(o.leave_out, o.keep_fakeavceleb)
        )
    )


def _add_dfdc(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("root", type=_place, help="the folder with dfdc_train_part_*/")
    parser.add_argument(
        "--allow-list", type=Path, help="clips to keep, a file name a line: no camera's voice"
    )
    parser.set_defaults(read=lambda o: dfdc.read_dfdc(o.root, o.allow_list))


def _add_fakeavceleb(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("root", type=_place, help="the folder with meta_data.csv")
    parser.set_defaults(read=lambda o: fakeavceleb.read_fakeavceleb(o.root))


def _add_timit(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("root", type=_place, help="DeepfakeTIMIT, with lower_quality/ inside")
    parser.add_argument("--vidtimit", type=_place, required=True, help="VidTIMIT, its real clips")
    parser.add_argument("--quality", choices=deepfake_timit.QUALITIES, required=True)
    parser.set_defaults(
        read=lambda o: deepfake_timit.read_deepfake_timit(o.root, o.vidtimit, o.quality)
    )


def _add_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("root", type=_place)
    parser.set_defaults(read=lambda o: lists.read_folder(o.root))


def _add_csv(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("root", type=_place, help="the CSV file; paths are relative to it")
    parser.set_defaults(read=lambda o: lists.read_csv(o.root))


def _add_list(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("root", type=_place, help="the list; paths are relative to it")
    parser.add_argument(
        "--labels", choices=("fake", "identity"), default="fake", help="what the labels say"
    )
    parser.set_defaults(read=lambda o: lists.read_list(o.root, o.labels))


def _add_synthetic(parser: argparse.ArgumentParser) -> None:
    usual = Amounts()
    parser.add_argument("--identities", type=int, default=usual.train, help="to train on")
    parser.add_argument("--validation", type=int, default=usual.validation)
    parser.add_argument("--test", type=int, default=usual.test)
    parser.add_argument("--clips", type=int, default=usual.clips, help="of each identity, real")
    parser.add_argument("--fakes", type=int, default=usual.fakes, help="of each, swapped faces")
    parser.add_argument("--clip-s", type=float, default=usual.clip_s)
    parser.add_argument(
        "--voice-family",
        choices=get_args(VoiceFamily),
        default=usual.family,
        help="accents: one of its own a clip; additive: another machine, to test on",
    )
    parser.set_defaults(read=_read_synthetic, usual_faces=1)


def _read_synthetic(options: argparse.Namespace) -> Dataset:
    amounts = Amounts(
        options.identities,
        options.validation,
        options.test,
        options.clips,
        options.fakes,
        options.clip_s,
        options.voice_family,
    )
    return read_synthetic(amounts, options.seed)


def _prepare(options: argparse.Namespace) -> None:
    dataset: Dataset = options.read(options)
    effort = Effort(
        faces=options.faces or getattr(options, "usual_faces", Effort().faces),
        max_s=options.max_s,
        variants=options.variants,
        seed=options.seed,
    )
    report = prepare(
        dataset,
        _splits(dataset, options),
        options.out,
        Options(effort, options.shard_clips, options.any_donor),
        _runner(options),
    )
    print(json.dumps(report, indent=1) if options.json else as_text(report))


def _splits(dataset: Dataset, options: argparse.Namespace) -> Assignment:
    if options.split_file is not None:
        return read_splits(options.split_file, dataset.name)
    return draw_splits(dataset, options.ratios or dataset.ratios, options.seed)


def _runner(options: argparse.Namespace) -> Runner:
    if options.ray is None:
        return in_processes(options.workers)
    from training.prepare_ray import on_ray  # an extra

    return on_ray(options.ray)


def _add_export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", type=Path, help="folder that prepare filled")
    parser.add_argument("--out", type=Path, required=True, help="file to write (.npz)")
    parser.add_argument("--split", type=Split, choices=list(Split), default=Split.VALIDATION)
    parser.add_argument("--people", type=int, help="at most so many; all if not given")
    parser.set_defaults(run=_export)


def _export(options: argparse.Namespace) -> None:
    people = export_validation(options.data, options.out, options.split, options.people)
    print(f"{options.out}: {people} people")
