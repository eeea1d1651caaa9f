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
"""
``faster_ros benchmark tasks``: how chunks are told, on one trunk, by success at simulated tasks.

FASTerVLA with and without expert and blocks, FAST, binning and B-spline tokens, a regression and a
flow-matching head learn the same demonstrations in the same number of steps; rows in other worlds
show what carries over. A row that is done stays on disk: the same command goes on where it was
ended, and adds rows. Writes table.md, table.csv, results.json and table.png.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
import json
from pathlib import Path

from faster_ros.evaluation.task_table import cells, markdown, plot, write_csv
from faster_ros.robot_spec import load_robot_spec
from faster_ros.sim.tasks import TASKS, VARIANTS
from faster_ros.training.benchmark_data import BenchmarkPlan
from faster_ros.training.benchmark_rows import row_named, ROWS
from faster_ros.training.task_benchmark import TaskBenchmark
import torch
from torch import set_num_threads

_FULL = BenchmarkPlan()
_QUICK = BenchmarkPlan(episodes=6, tokenizer_steps=20, steps=4, batch_size=8, trials=2)
_CALLS = 100


def main(arguments: list[str]) -> int:
    """Run ``faster_ros benchmark tasks`` and return its exit code."""
    options = _parser().parse_args(arguments)
    plan = _QUICK if options.quick else _FULL
    given = {name: value for name in ('episodes', 'steps', 'trials', 'batch_size', 'seed',
                                      'tokenizer_steps')
             if (value := getattr(options, name)) is not None}
    wrong = [name for name, value in given.items() if value < (name != 'seed')]
    if wrong:
        raise ValueError(f"--{wrong[0].replace('_', '-')} must be at least 1, got "
                         f'{given[wrong[0]]}')
    plan = replace(plan, tasks=tuple(options.tasks),
                   trunk=str(options.trunk or ''), **given)
    rows = [row_named(name) for name in options.rows]
    unknown = [row.variant for row in rows if row.variant not in VARIANTS]
    if unknown:
        raise ValueError(f"variant '{unknown[0]}' is unknown; expected one of "
                         f"{', '.join(VARIANTS)}")
    set_num_threads(options.threads)
    benchmark = TaskBenchmark(plan, load_robot_spec('fr3'), options.out)
    results = {}
    for row in rows:
        results[row.name] = benchmark.row(row)
        rates = ', '.join(f"{task} {cell['successes']} of {cell['trials']}"
                          for task, cell in results[row.name]['tasks'].items())
        print(f'{row.name}: {rates}', flush=True)
    latencies = benchmark.latencies(rows, 3 if options.quick else _CALLS)
    table = [cells(name, row, latencies) for name, row in results.items()]
    text = markdown(table)
    (options.out / 'table.md').write_text(text + '\n', encoding='utf-8')
    write_csv(table, options.out / 'table.csv')
    (options.out / 'results.json').write_text(json.dumps(
        {'latencies': latencies, 'threads': torch.get_num_threads(), 'rows': results},
        indent=2) + '\n')
    plot(results, latencies, options.out / 'table.png')
    print(f'{text}\n\nwritten to {options.out}')
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='faster_ros benchmark tasks', description=__doc__)
    add = parser.add_argument
    add('--rows', nargs='+', default=list(ROWS), metavar='ROW', help='; '.join(
        f'{row.name}: {row.text}' for row in ROWS.values())
        + f'. row@variant is a row in another world: {", ".join(VARIANTS)} (all rows)')
    add('--tasks', nargs='+', default=list(TASKS), choices=list(TASKS), metavar='TASK',
        help=f"what one policy learns: {', '.join(TASKS)} (all)")
    add('--episodes', type=int, help=f'demonstrations of each task ({_FULL.episodes})')
    add('--tokenizer-steps', type=int,
        help=f'training steps of FASTerVQ ({_FULL.tokenizer_steps})')
    add('--steps', type=int, help=f'training steps of each row ({_FULL.steps})')
    add('--batch-size', type=int, help=f'steps of demonstrations in each ({_FULL.batch_size})')
    add('--trials', type=int, help=f'of each row and task ({_FULL.trials})')
    add('--seed', type=int, help=f'of weights and batches ({_FULL.seed})')
    add('--trunk', type=Path, metavar='CHECKPOINT', help='start from the trunk of a checkpoint, '
        'its vision frozen, with its tokenizer, words and ranges: cheaper, and a start that may '
        'favour rows that are told as its policy is')
    add('--threads', type=int, default=1, help='torch threads (%(default)s)')
    add('--quick', action='store_true', help='a run that only shows that the command works')
    add('--out', type=Path, default=Path('out/benchmark_tasks'), help='folder (%(default)s)')
    return parser
