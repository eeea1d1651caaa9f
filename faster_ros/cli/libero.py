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
``faster_ros libero``: a policy on the suites of LIBERO, in an environment of its own.

``run`` runs the trials of a suite that are not done yet and writes the success rates with their
intervals; ``untrained`` makes a policy of random weights, to try that out. See docs/libero.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from faster_ros.libero.libero_task import instructions, STEPS
from faster_ros.libero.suite_run import INITIAL_STATES, run_suite, Settings, table


def main(arguments: list[str]) -> int:
    """Run one of the jobs and return its exit code."""
    parser = argparse.ArgumentParser(prog='faster_ros libero', description=__doc__)
    jobs = parser.add_subparsers(required=True, metavar='JOB')
    run = jobs.add_parser('run', help='run a suite, or go on with it')
    run.add_argument('checkpoint', help='folder of a policy that was trained for libero')
    run.add_argument('--suite', choices=sorted(STEPS), required=True)
    run.add_argument('--out', type=Path, required=True,
                     help='folder of journal.jsonl and results.json')
    run.add_argument('--tasks', type=int, nargs='+', default=[], help='numbers of tasks (all)')
    run.add_argument('--initial-states', type=int, default=INITIAL_STATES,
                     help=f'of each task ({INITIAL_STATES}, all of them)')
    run.add_argument('--execute', type=int, default=8,
                     help='rows of a chunk before the policy is asked again (8)')
    run.add_argument('--steps', type=int, default=0,
                     help="longest trial, in steps of 1/20 s (the suite's)")
    run.add_argument('--pixels', type=int, default=128,
                     help='height and width of images, as the policy was trained on (128)')
    run.add_argument('--workers', type=int, default=1, help='processes (1)')
    run.add_argument('--device', choices=['auto', 'cpu', 'cuda'], default='auto')
    run.set_defaults(job=_run)
    untrained = jobs.add_parser('untrained', help='make a policy of random weights')
    untrained.add_argument('--suite', choices=sorted(STEPS), required=True,
                           help='whose words it knows')
    untrained.add_argument('--out', type=Path, required=True, help='folder of the checkpoint')
    untrained.set_defaults(job=_untrained)
    options = parser.parse_args(arguments)
    return int(options.job(options))


def _run(options: argparse.Namespace) -> int:
    results = run_suite(
        Settings(options.checkpoint, options.suite, tuple(options.tasks), options.initial_states,
                 options.execute, options.steps, options.pixels, options.device),
        options.out, options.workers)
    print(f"\n{table(results)}\n{options.out / 'results.json'}")
    return 0


def _untrained(options: argparse.Namespace) -> int:
    from faster_ros.libero.untrained import make_untrained

    make_untrained(options.out, instructions(options.suite))
    print(f'{options.out}: random weights, which have learned nothing')
    return 0
