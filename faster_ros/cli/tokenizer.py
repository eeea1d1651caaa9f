# Copyright 2026 the faster_ros authors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
"""The job `faster_ros tokenizer`: compare action tokenizers on a recording."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # imported by the job itself, so that --help is quick
    from faster_ros.data.recordings import Recording
    from faster_ros.training.compare_tokenizers import Maker, Measured

_QUICK_SEEDS = 1
_FEW_COLUMNS = 9  # up to here a chunk of 1 s is given 12 tokens, above it up to 36


def main(argv: Sequence[str]) -> int:
    """Run one of the jobs on tokenizers."""
    options = _parser().parse_args(argv)
    if options.seeds < 1:
        raise ValueError(f'--seeds must be at least 1, got {options.seeds}')
    return _compare(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='faster_ros tokenizer')
    jobs = parser.add_subparsers(title='jobs', required=True, metavar='JOB', dest='job')
    text = 'fit action tokenizers to a recording and measure them on episodes they have not seen'
    compare = jobs.add_parser('compare', help=text, description=text)
    compare.add_argument('data', nargs='+', type=Path, help='.npz files of one robot')
    compare.add_argument('--out', type=Path, default=Path('out/tokenizer_compare'),
                         help='folder of the report, CSV and JSON (%(default)s)')
    compare.add_argument('--horizon', type=float, default=1.0, metavar='S',
                         help='seconds of a chunk (%(default)s)')
    compare.add_argument('--seeds', type=int, default=3,
                         help='splits of the episodes, 80 %% to fit on (%(default)s)')
    compare.add_argument('--fast-plus', type=Path, metavar='FILE',
                         help='tokenizer.json of FAST+, to measure it too')
    compare.add_argument('--quick', action='store_true', help='one split only')
    return parser


def _compare(options: argparse.Namespace) -> int:
    from faster_ros.data.recordings import read_recording
    from faster_ros.training.compare_tokenizers import compare, summarise

    recording = read_recording(options.data, options.horizon)
    title = f'Tokenizers on {", ".join(path.stem for path in options.data)}'
    remarks = _print_recording(recording)
    makers = baselines(len(recording.names), options.fast_plus)
    seeds = _QUICK_SEEDS if options.quick else options.seeds
    results = compare(recording, makers, options.horizon, seeds)
    write_outcome(options.out, recording, title, [summarise(result) for result in results],
                  results, remarks, options.horizon)
    return 0


def baselines(columns: int, fast_plus: Path | None) -> list[Maker]:
    """Return the tokenizers to compare with, at sizes that suit the number of columns."""
    from faster_ros.tokenizer.baselines.binning import Binning
    from faster_ros.tokenizer.baselines.bspline import BSplines
    from faster_ros.tokenizer.baselines.fast import Fast, FastPlus
    from faster_ros.tokenizer.baselines.pca_rvq import PcaResidualKMeans
    from faster_ros.tokenizer.baselines.zonal_dct import ZonalDct

    slots, levels = (6, 2) if columns <= _FEW_COLUMNS else (12, 3)
    makers: list[Maker] = [
        lambda _: Binning(), lambda _: ZonalDct(), lambda _: BSplines(5), lambda _: BSplines(10),
        lambda _: Fast(5.0), lambda _: Fast(10.0),
        lambda seed: PcaResidualKMeans(slots, levels, seed=seed),
    ]
    if fast_plus is not None:
        makers.append(lambda _: FastPlus(fast_plus))
    return makers


def _print_recording(recording: Recording) -> list[str]:
    """Print what was read and what was left out; return the remarks."""
    print(f'{len(recording.episodes)} episodes, {recording.rows} rows of {len(recording.names)} '
          f'columns at {recording.rate_hz:g} Hz')
    remarks = [f'episode {item.episode} is left out: {item.reason}' for item in recording.excluded]
    remarks += recording.notes
    for remark in remarks:
        print(remark)
    return remarks


def write_outcome(folder: Path, recording: Recording, title: str,
                  rows: list[dict[str, object]], results: list[list[Measured]],
                  remarks: list[str], horizon_s: float) -> None:
    """Print the table and the recommendation and write the files."""
    from faster_ros.evaluation import tokenizer_report

    tokenizer_report.write_outcome(
        folder,
        {'title': title, 'names': recording.names, 'rate_hz': recording.rate_hz,
         'remarks': remarks, 'excluded': len(recording.excluded),
         'subtitle': f'{len(recording.episodes)} episodes, {len(recording.names)} columns at '
                     f'{recording.rate_hz:g} Hz, chunks of {horizon_s:g} s, '
                     f'{rows[0]["seeds"]} splits by episode'},
        rows, {str(row['name']): result[-1].pictures for row, result in zip(rows, results)})
    print(tokenizer_report.table_text(rows))
    print(tokenizer_report.recommend(rows)[1])
    print(f'The report is {folder / "report.html"}')
