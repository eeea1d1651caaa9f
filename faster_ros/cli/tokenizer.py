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
"""The job `faster_ros tokenizer`: fit FASTerVQ to a recording, and compare it with others."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # imported by the job itself, so that --help is quick
    from faster_ros.data.recordings import Recording
    from faster_ros.training.compare_tokenizers import Maker, Measured

# The budget of a fit of FASTerVQ, which reading, measuring and reporting come on top of, and
# the chunks it is fitted to.
_SECONDS, _CHUNKS = 480.0, 12_000
_QUICK_SECONDS, _QUICK_CHUNKS = 30.0, 4000
_SIZES = {'tiny': (48, 1), '8m': (256, 4), '13m': (320, 4)}  # width, layers of either side
_QUICK_EFFORT = 0.05  # share of the training steps of the published networks


def main(argv: Sequence[str]) -> int:
    """Run one of the jobs on tokenizers."""
    options = _parser().parse_args(argv)
    if options.seeds is None:
        options.seeds = 1 if options.quick else 3
    if options.seeds < 1:
        raise ValueError(f'--seeds must be at least 1, got {options.seeds}')
    job: Callable[[argparse.Namespace], int] = options.run
    return job(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='faster_ros tokenizer')
    jobs = parser.add_subparsers(title='jobs', required=True, metavar='JOB')
    text = 'fit action tokenizers to a recording and measure them on episodes they have not seen'
    compare = jobs.add_parser('compare', help=text, description=text)
    text = 'fit FASTerVQ to 20 to 200 episodes, measure it on a fifth of them, and save it'
    fit = jobs.add_parser('fit', help=text, description=text)
    text = 'measure a fitted tokenizer on recordings it was not fitted to'
    apply = jobs.add_parser('apply', help=text, description=text)
    text = ("train FASTerVQ in the paper's form, for large recordings and GPUs; on several with "
            'torchrun or accelerate launch')
    train = jobs.add_parser('train', help=text, description=text)
    text = "run the paper's ablations of FASTerVQ: encoder, K, levels, DCT loss, grouping"
    ablate = jobs.add_parser('ablate', help=text, description=text)
    for job, run in ((compare, _compare), (fit, _fit), (apply, _apply), (ablate, _ablate),
                     (train, _train)):
        job.set_defaults(run=run, seeds=1)
        job.add_argument('data', nargs='+', type=Path,
                         help='recordings of one robot: LeRobotDatasets, rosbag2 or MCAP files of '
                              'JointState, folders of them, or .npz files')
        job.add_argument('--rate', type=float, metavar='HZ',
                         help='resample to this rate (that of the recording)')
        job.add_argument('--feature', default='action', metavar='NAME',
                         help='what to read of a LeRobotDataset (%(default)s)')
        job.add_argument('--topic', action='append', default=[], metavar='NAME',
                         help='JointState topic of bags; give it again for a second arm')
    for job in (compare, fit, ablate, train):
        job.add_argument('--horizon', type=float, default=1.0, metavar='S',
                         help='seconds of a chunk (%(default)s)')
    for job in (compare, fit):
        job.add_argument('--seconds', type=float, default=_SECONDS,
                         help='budget of a fit of FASTerVQ (%(default)g); it ends with the step '
                              'that is running then')
        job.add_argument('--quick', action='store_true',
                         help='about a minute: FASTerVQ without its conv-transformer')
    _add_reports(compare, ablate, apply, fit)
    _add_training(train)
    return parser


def _add_reports(compare: argparse.ArgumentParser, ablate: argparse.ArgumentParser,
                 apply: argparse.ArgumentParser, fit: argparse.ArgumentParser) -> None:
    compare.add_argument('--out', type=Path, default=Path('out/tokenizer_compare'),
                         help='folder of the report, CSV and JSON (%(default)s)')
    compare.add_argument('--seeds', type=int,
                         help='splits of the episodes, 80 %% to fit on (3, with --quick 1)')
    compare.add_argument('--fast-plus', type=Path, metavar='FILE',
                         help='tokenizer.json of FAST+, to measure it too')
    compare.add_argument('--methods', nargs='+', metavar='NAME',
                         help='only tokenizers whose name contains one of these')
    ablate.add_argument('--seeds', type=int, default=3,
                        help='splits of the episodes and initialisations (%(default)s)')
    ablate.add_argument('--small-data', action='store_true',
                        help='the form that `fit` makes: width of slots, augmentation')
    ablate.add_argument('--steps', type=int, default=1500,
                        help='training steps of each variant, of 128 chunks (%(default)s)')
    ablate.add_argument('--out', type=Path, default=Path('out/tokenizer_ablate'),
                        help='folder of the table as Markdown, CSV and JSON (%(default)s)')
    apply.add_argument('--tokenizer', type=Path, required=True, metavar='DIR',
                       help='folder that `fit` wrote')
    apply.add_argument('--zero-shot', action='store_true',
                       help='also to another robot of as many columns, or at another rate')
    apply.add_argument('--out', type=Path, default=Path('out/tokenizer_apply'),
                       help='folder of the report, CSV and JSON (%(default)s)')
    fit.add_argument('--out', type=Path, required=True,
                     help='folder of the tokenizer and its report')


def _add_training(train: argparse.ArgumentParser) -> None:
    train.add_argument('--out', type=Path, required=True,
                       help='folder of the tokenizer and its report')
    train.add_argument('--size', choices=list(_SIZES), default='8m',
                       help='parameters; the paper has 8m for one arm and 13m for a whole body, '
                            'tiny is for a CPU (%(default)s)')
    train.add_argument('--steps', type=int, default=300_000,
                       help="training steps (%(default)s, the paper's)")
    train.add_argument('--batch-size', type=int, default=512,
                       help='chunks of a step, over all processes (%(default)s)')
    train.add_argument('--learning-rate', type=float, default=1e-4,
                       help='peak, after 1000 steps of warm-up (%(default)g)')
    train.add_argument('--codes', type=int, default=4096, metavar='K',
                       help='codes of each level (%(default)s)')
    train.add_argument('--device', choices=('auto', 'cpu', 'cuda'), default='auto')


def _compare(options: argparse.Namespace) -> int:
    from faster_ros.training.compare_tokenizers import compare, summarise

    recording, remarks = _read(options)
    makers = _chosen([*_published(options.fast_plus), *_rebuilt(recording, options),
                      *_at_equal_size(recording, options)], options.methods)
    results = compare(recording, makers, options.horizon, options.seeds)
    _write_outcome(options, recording, [summarise(result) for result in results], results, remarks)
    return 0


def _fit(options: argparse.Namespace) -> int:
    from faster_ros.data.recordings import horizon_rows
    from faster_ros.training.compare_tokenizers import compare, split_episodes, summarise
    from faster_ros.training.small_data import SmallDataFasterVq
    from faster_ros.training.tokenizer_folder import FittedTokenizer, save_tokenizer

    recording, remarks = _read(options)
    pca, faster = _at_equal_size(recording, options)
    fitted = faster(0)
    assert isinstance(fitted, SmallDataFasterVq)
    results = compare(recording, [pca, lambda _: fitted], options.horizon, 1)
    assert fitted.model is not None
    split = split_episodes(recording, horizon_rows(recording.rate_hz, options.horizon), 0)
    save_tokenizer(options.out, FittedTokenizer(fitted.model, split.normaliser, recording.names,
                                                recording.rate_hz))
    remarks += fitted.log
    remarks.append(f'fitted to all episodes but {len(split.held_out)}, on which it was measured: '
                   f'{", ".join(map(str, split.held_out))}')
    _write_outcome(options, recording, [summarise(result) for result in results], results, remarks)
    print(f'The tokenizer is in {options.out}')
    return 0


def _train(options: argparse.Namespace) -> int:
    from faster_ros.data.recordings import horizon_rows
    from faster_ros.training.compare_tokenizers import measure, split_episodes, summarise
    from faster_ros.training.data_parallel import DataParallel
    from faster_ros.training.grid_tokenizer import GridFasterVq, paper_config
    from faster_ros.training.tokenizer_folder import FittedTokenizer, save_tokenizer
    from faster_ros.training.train_tokenizer import TokenizerTraining

    _check_positive(options, 'steps', 'batch_size', 'codes')
    recording, remarks = _read(options)
    processes = DataParallel.start(options.device)
    config = paper_config(recording, options.horizon, *_SIZES[options.size], options.codes)
    training = TokenizerTraining(options.steps, options.batch_size, options.learning_rate,
                                 weight_decay=0.1, warmup_steps=min(1000, options.steps))
    trained = GridFasterVq(f'FASTerVQ {options.size}', config, training, processes=processes)
    split = split_episodes(recording, horizon_rows(recording.rate_hz, options.horizon), 0)
    start = perf_counter()
    trained.fit(split.train)
    seconds = perf_counter() - start
    processes.stop()
    if processes.first:
        assert trained.model is not None
        save_tokenizer(options.out, FittedTokenizer(trained.model, split.normaliser,
                                                    recording.names, recording.rate_hz))
        result = measure(trained, split, recording, seconds)
        _write_outcome(options, recording, [summarise([result])], [[result]], remarks)
        print(f'The tokenizer is in {options.out}')
    return 0


def _check_positive(options: argparse.Namespace, *names: str) -> None:
    for name in names:
        if getattr(options, name) < 1:
            raise ValueError(f"--{name.replace('_', '-')} must be at least 1, got "
                             f'{getattr(options, name)}')


def _apply(options: argparse.Namespace) -> int:
    from faster_ros.training.apply_tokenizer import apply_tokenizer
    from faster_ros.training.compare_tokenizers import summarise
    from faster_ros.training.tokenizer_folder import load_tokenizer

    fitted = load_tokenizer(options.tokenizer)
    options.horizon = fitted.horizon_s
    recording, remarks = _read(options)
    result, warnings = apply_tokenizer(fitted, recording, options.zero_shot)
    for warning in warnings:
        print(warning)
    _write_outcome(options, recording, [summarise([result])], [[result]], remarks + warnings)
    return 0


def _ablate(options: argparse.Namespace) -> int:
    from faster_ros.evaluation import tokenizer_report
    from faster_ros.training.ablate_tokenizer import ablation_makers, small_data_makers
    from faster_ros.training.compare_tokenizers import compare, summarise

    _check_positive(options, 'steps')
    recording, _ = _read(options)
    makers = (small_data_makers(recording, options.horizon) if options.small_data
              else ablation_makers(recording, options.horizon, options.steps))
    results = compare(recording, makers, options.horizon, options.seeds)
    rows = [summarise(result) for result in results]
    budget = (f'the form for small data, {options.seeds} seeds' if options.small_data else
              f'{options.steps} steps of 128 chunks for each variant, {options.seeds} seeds')
    print(tokenizer_report.write_ablation(options.out, rows, budget))
    print(f'The table is in {options.out}')
    return 0


def _published(fast_plus: Path | None) -> list[Maker]:
    """Return the published tokenizers at their published sizes."""
    from faster_ros.tokenizer.baselines.binning import Binning
    from faster_ros.tokenizer.baselines.bspline import BSplines
    from faster_ros.tokenizer.baselines.fast import Fast, FastPlus
    from faster_ros.tokenizer.baselines.zonal_dct import ZonalDct

    makers: list[Maker] = [
        lambda _: Binning(), lambda _: ZonalDct(), lambda _: BSplines(5), lambda _: BSplines(10),
        lambda _: Fast(5.0), lambda _: Fast(10.0),
    ]
    if fast_plus is not None:
        makers.append(lambda _: FastPlus(fast_plus))
    return makers


def _rebuilt(recording: Recording, options: argparse.Namespace) -> list[Maker]:
    """Return the published tokenizers that are trained or fitted to as many tokens and codes."""
    from faster_ros.data.recordings import horizon_rows
    from faster_ros.tokenizer.baselines.at_equal_size import makers
    from faster_ros.training.compare_tokenizers import split_episodes
    from faster_ros.training.small_data import code_layout, codebook_size

    slots, levels = code_layout(len(recording.names))
    horizon = horizon_rows(recording.rate_hz, options.horizon)
    size = codebook_size(len(split_episodes(recording, horizon, 0).train))
    return makers(recording.groups, slots * levels, size,
                  _QUICK_EFFORT if options.quick else 1.0)


def _chosen(makers: list[Maker], names: Sequence[str] | None) -> list[Maker]:
    """Return the makers of tokenizers with one of the names in theirs; all without names."""
    if names is None:
        return makers
    known = [make(0).spec.name for make in makers]
    for name in names:
        if not any(name.lower() in other.lower() for other in known):
            raise ValueError(f'--methods: expected part of one of {", ".join(known)}; '
                             f'got {name}')
    return [make for make, other in zip(makers, known)
            if any(name.lower() in other.lower() for name in names)]


def _at_equal_size(recording: Recording, options: argparse.Namespace) -> tuple[Maker, Maker]:
    """Return PCA k-means, in its better layout, and FASTerVQ with equal tokens and codes."""
    from faster_ros.data.recordings import horizon_rows
    from faster_ros.tokenizer.baselines.pca_rvq import PcaResidualKMeans
    from faster_ros.training.compare_tokenizers import split_episodes
    from faster_ros.training.small_data import (
        code_layout,
        codebook_size,
        SmallDataFasterVq,
        SmallDataSettings,
    )

    slots, levels = code_layout(len(recording.names))
    pca_slots, pca_levels = {12: (6, 2)}.get(slots * levels, (slots, levels))
    horizon = horizon_rows(recording.rate_hz, options.horizon)
    size = codebook_size(len(split_episodes(recording, horizon, 0).train))
    seconds = min(options.seconds, _QUICK_SECONDS) if options.quick else options.seconds
    chunks = _QUICK_CHUNKS if options.quick else _CHUNKS
    groups = recording.groups
    return (
        lambda seed: PcaResidualKMeans(pca_slots, pca_levels, size, seed=seed),
        lambda seed: SmallDataFasterVq(
            SmallDataSettings(slots, levels, size, seconds, chunks, not options.quick, seed),
            groups),
    )


def _read(options: argparse.Namespace) -> tuple[Recording, list[str]]:
    """Read the recording; print what was left out of it, and return that too."""
    from faster_ros.data.recordings import read_recording, Reading

    recording = read_recording(
        options.data, options.horizon,
        Reading(options.rate, options.feature, tuple(options.topic)))
    print(f'{len(recording.episodes)} episodes, {recording.rows} rows of {len(recording.names)} '
          f'columns at {recording.rate_hz:g} Hz')
    remarks = [f'episode {item.episode} ({item.where}) is left out: {item.reason}'
               for item in recording.excluded]
    if remarks:
        remarks.insert(0, f'{len(remarks)} of {len(remarks) + len(recording.episodes)} episodes '
                          'are left out')
    remarks += recording.notes
    for remark in remarks:
        print(remark)
    return recording, remarks


def _write_outcome(options: argparse.Namespace, recording: Recording,
                   rows: list[dict[str, object]], results: list[list[Measured]],
                   remarks: list[str]) -> None:
    """Print the table and the recommendation and write the files."""
    from faster_ros.evaluation import tokenizer_report

    title = f'Tokenizers on {", ".join(path.stem for path in options.data)}'
    tokenizer_report.write_outcome(
        options.out,
        {'title': title, 'names': recording.names, 'rate_hz': recording.rate_hz,
         'remarks': remarks, 'excluded': len(recording.excluded),
         'subtitle': f'{len(recording.episodes)} episodes, {len(recording.names)} columns at '
                     f'{recording.rate_hz:g} Hz, chunks of {options.horizon:g} s, '
                     f'{rows[0]["seeds"]} splits by episode'},
        rows, {str(row['name']): result[-1].pictures for row, result in zip(rows, results)})
    print(tokenizer_report.table_text(rows))
    print(tokenizer_report.recommend(rows)[1])
    print(f'The report is {options.out / "report.html"}')
