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
    from faster_ros.tokenizer.faster_vq import FASTerVQ
    from faster_ros.training.compare_tokenizers import Comparison, Split

_SECONDS = 480.0  # of a fit of FASTerVQ; reading, measuring and reporting come on top
_SIZES = {'tiny': (48, 1), '8m': (256, 4), '13m': (320, 4)}  # width, layers of either side
_DEVICES = ('auto', 'cpu', 'cuda')


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
                        help='the form that `fit --quick` makes: slots, augmentation, ...')
    ablate.add_argument('--steps', type=int, default=1500,
                        help='training steps of each variant, of 128 chunks (%(default)s)')
    ablate.add_argument('--device', choices=_DEVICES, default='auto',
                        help='where variants are trained; with --small-data always the CPU')
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
    from faster_ros.tokenizer.config import ENCODERS, TokenizerConfig

    train.add_argument('--out', type=Path, required=True,
                       help='folder of the tokenizer, its report and the state for --resume')
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
    train.add_argument('--levels', type=int, default=TokenizerConfig.levels, metavar='N',
                       help='residual levels (%(default)s)')
    train.add_argument('--code-dim', type=int, default=TokenizerConfig.code_dim, metavar='N',
                       help='numbers that a code is looked up by (%(default)s)')
    train.add_argument('--encoder', choices=ENCODERS, default=TokenizerConfig.encoder,
                       help='of the encoder and of its mirror (%(default)s)')
    train.add_argument('--dropout', type=float, default=TokenizerConfig.quantizer_dropout,
                       metavar='SHARE',
                       help='share of chunks that learn with fewer levels (%(default)g)')
    train.add_argument('--device', choices=_DEVICES, default='auto')
    train.add_argument('--save-every', type=int, default=1000, metavar='STEPS',
                       help='how often the held-out error is measured and the state saved '
                            '(%(default)s)')
    train.add_argument('--resume', action='store_true',
                       help='go on with an interrupted training in --out')


def _compare(options: argparse.Namespace) -> int:
    from faster_ros.training.compare_tokenizers import compare
    from faster_ros.training.compared_tokenizers import (
        chosen,
        pca_and_faster,
        published,
        rebuilt,
        sizes,
    )

    makers = published(options.fast_plus)  # first: a wrong file is told before data are read
    recording, remarks = _read(options)
    filled = sizes(recording, options.horizon)
    makers += [*rebuilt(recording, filled, options.quick),
               *pca_and_faster(recording, filled, options.seconds, options.quick)]
    comparison = compare(recording, chosen(makers, options.methods), options.horizon,
                         options.seeds)
    _write_outcome(options, recording, comparison, remarks)
    return 0


def _fit(options: argparse.Namespace) -> int:
    from faster_ros.data.recordings import horizon_rows
    from faster_ros.training.compare_tokenizers import compare, split_episodes
    from faster_ros.training.compared_tokenizers import pca_and_faster, sizes
    from faster_ros.training.small_data import SmallDataFasterVq

    recording, remarks = _read(options)
    pca, faster = pca_and_faster(recording, sizes(recording, options.horizon), options.seconds,
                                 options.quick)
    fitted = faster(0)
    assert isinstance(fitted, SmallDataFasterVq)
    name = fitted.spec.name
    comparison = compare(recording, [pca, lambda _: fitted], options.horizon, 1)
    if fitted.model is None:
        raise ValueError(f'{name} could not be fitted: {comparison.failed[name]}')
    split = split_episodes(recording, horizon_rows(recording.rate_hz, options.horizon), 0)
    _save(options.out, fitted.model, split, recording)
    remarks += fitted.log
    held_out = ', '.join(str(recording.numbers[place]) for place in split.held_out)
    remarks.append(f'fitted to all episodes but {len(split.held_out)}, on which it was measured: '
                   f'{held_out}')
    _write_outcome(options, recording, comparison, remarks, name)
    print(f'The tokenizer is in {options.out}')
    return 0


def _save(folder: Path, model: FASTerVQ, split: Split, recording: Recording) -> None:
    from faster_ros.training.tokenizer_folder import FittedTokenizer, save_tokenizer

    save_tokenizer(folder, FittedTokenizer(model, split.normaliser, recording.names,
                                           recording.rate_hz, recording.source, recording.robot))


def _train(options: argparse.Namespace) -> int:
    from dataclasses import replace

    from faster_ros.data.recordings import horizon_rows
    from faster_ros.training.compare_tokenizers import Comparison, measure, split_episodes
    from faster_ros.training.data_parallel import DataParallel
    from faster_ros.training.grid_tokenizer import GridFasterVq, paper_config, too_many_codes
    from faster_ros.training.train_tokenizer import Saving, TokenizerTraining

    _check_positive(options, 'steps', 'batch_size', 'codes', 'levels', 'code_dim', 'save_every')
    recording, remarks = _read(options)
    config = replace(
        paper_config(recording, options.horizon, *_SIZES[options.size], options.codes),
        levels=options.levels, code_dim=options.code_dim, encoder=options.encoder,
        quantizer_dropout=options.dropout)
    training = TokenizerTraining(options.steps, options.batch_size, options.learning_rate,
                                 weight_decay=0.1, warmup_steps=min(1000, options.steps))
    split = split_episodes(recording, horizon_rows(recording.rate_hz, options.horizon), 0)
    warnings = too_many_codes(config.codebook_size, len(split.train))
    for warning in warnings:
        print(warning)
    processes = DataParallel.start(options.device)
    trained = GridFasterVq(f'FASTerVQ {options.size}', config, training, processes=processes,
                           saving=Saving(options.out, options.save_every, options.resume))
    start = perf_counter()
    try:
        trained.fit(split.train)
    finally:
        processes.stop()
    seconds = perf_counter() - start
    if processes.first:
        assert trained.model is not None
        _save(options.out, trained.model, split, recording)
        result = measure(trained, split, recording, seconds)
        _write_outcome(options, recording, Comparison([[result]]), remarks + warnings)
        print(f'The tokenizer is in {options.out}')
    return 0


def _check_positive(options: argparse.Namespace, *names: str) -> None:
    for name in names:
        if getattr(options, name) < 1:
            raise ValueError(f"--{name.replace('_', '-')} must be at least 1, got "
                             f'{getattr(options, name)}')


def _apply(options: argparse.Namespace) -> int:
    from faster_ros.training.apply_tokenizer import apply_tokenizer
    from faster_ros.training.compare_tokenizers import Comparison
    from faster_ros.training.tokenizer_folder import load_tokenizer

    fitted = load_tokenizer(options.tokenizer)
    rows = fitted.model.config.action_horizon
    options.horizon = fitted.horizon_s
    recording, remarks = _read(options, rows)
    options.horizon = rows / recording.rate_hz  # longer than fitted where the rate is lower
    result, warnings = apply_tokenizer(fitted, recording, options.zero_shot)
    for warning in warnings:
        print(warning)
    _write_outcome(options, recording, Comparison([[result]]), remarks + warnings)
    return 0


def _ablate(options: argparse.Namespace) -> int:
    from faster_ros.evaluation import tokenizer_report
    from faster_ros.training.ablate_tokenizer import ablation_makers, small_data_makers
    from faster_ros.training.compare_tokenizers import compare, summarise
    from faster_ros.training.data_parallel import DataParallel

    _check_positive(options, 'steps')
    recording, _ = _read(options)
    makers = (small_data_makers(recording, options.horizon) if options.small_data
              else ablation_makers(recording, options.horizon, options.steps,
                                   DataParallel.start(options.device)))
    comparison = compare(recording, makers, options.horizon, options.seeds)
    rows = [summarise(result) for result in comparison.results]
    budget = (f'the form for small data, {options.seeds} seeds' if options.small_data else
              f'{options.steps} steps of 128 chunks for each variant, {options.seeds} seeds')
    print(tokenizer_report.write_ablation(options.out, rows, budget))
    print(*comparison.failures, f'The table is in {options.out}', sep='\n')
    return 0


def _read(options: argparse.Namespace, rows: int | None = None) -> tuple[Recording, list[str]]:
    """
    Read the recording; print what was left out of it, and return that too.

    ``rows``: those of a chunk of a fitted tokenizer, for which an episode is enough.
    """
    from faster_ros.data.recordings import read_recording, Reading

    reading = Reading(options.rate, options.feature, tuple(options.topic), rows,
                      2 if rows is None else 1)
    recording = read_recording(options.data, options.horizon, reading)
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


def _write_outcome(options: argparse.Namespace, recording: Recording, comparison: Comparison,
                   remarks: list[str], saved: str = '') -> None:
    """Print the table and the recommendation and write the files."""
    from faster_ros.evaluation import tokenizer_report
    from faster_ros.training.compare_tokenizers import summarise

    rows = [summarise(result) for result in comparison.results]
    title = f'Tokenizers on {", ".join(path.stem for path in options.data)}'
    advice = tokenizer_report.write_outcome(
        options.out,
        {'title': title, 'names': recording.names, 'rate_hz': recording.rate_hz,
         'remarks': comparison.failures + remarks, 'excluded': len(recording.excluded),
         'failed': comparison.failed,
         'subtitle': f'{len(recording.episodes)} episodes, {len(recording.names)} columns at '
                     f'{recording.rate_hz:g} Hz, chunks of {options.horizon:g} s, '
                     f'{rows[0]["seeds"]} splits by episode'},
        rows, {str(row['name']): result[-1].pictures
               for row, result in zip(rows, comparison.results)}, saved)
    print(tokenizer_report.table_text(rows))
    print(*comparison.failures, advice, f'The report is {options.out / "report.html"}', sep='\n')
