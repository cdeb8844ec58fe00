"""Writes the scores of embedded callers, which `vfd-train calibrate` fits decisions to.

python -m tests.caller_table FOLDER scores.csv
"""

import argparse
from pathlib import Path

from training.caller_scores import score_table
from training.callers import load_callers
from training.score_files import write_scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="what tests.embed_callers filled")
    parser.add_argument("out", type=Path, help="CSV to write")
    options = parser.parse_args()
    callers = load_callers(options.folder, "calibration")
    write_scores(options.out, score_table(callers))
    print(f"{options.out}: {len(callers)} people")


if __name__ == "__main__":
    main()
