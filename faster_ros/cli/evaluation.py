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
``faster_ros eval``: plan an evaluation, write its report, and find how many trials it takes.

``plan`` fixes and seals the random, blinded order; ``report`` may be called at any time and names
the policies when the evaluation is over.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from faster_ros.evaluation.comparison import required_trials
from faster_ros.evaluation.trial_plan import load_plan, make_order


def main(arguments: list[str]) -> int:
    """Run one of the jobs and return its exit code."""
    parser = argparse.ArgumentParser(prog='faster_ros eval', description=__doc__)
    jobs = parser.add_subparsers(required=True, metavar='JOB')

    plan = jobs.add_parser('plan', help='make the blinded order of a plan')
    plan.add_argument('plan', type=Path, help='YAML file, such as config/eval/pick_ab.yaml')
    plan.add_argument('--out', type=Path, required=True, help='new folder of the evaluation')
    plan.set_defaults(job=_plan)

    report = jobs.add_parser('report', help='write results.json, report.html and trials.csv')
    report.add_argument('folder', type=Path, help='folder of the evaluation')
    report.add_argument('--unblind', action='store_true',
                        help='name the policies before the evaluation is over; the report says so')
    report.set_defaults(job=_report)

    required = jobs.add_parser('required-trials', help='how many trials a difference takes')
    required.add_argument('rates', type=float, nargs=2, metavar='RATE',
                          help='the two success rates that shall be told apart')
    required.add_argument('--error', type=float, default=0.05, help='of the test (0.05)')
    required.add_argument('--power', type=float, default=0.8, help='of the test (0.8)')
    required.set_defaults(job=_required)

    options = parser.parse_args(arguments)
    return int(options.job(options))


def _plan(options: argparse.Namespace) -> int:
    plan = load_plan(options.plan)
    order = make_order(plan, options.out, options.plan)
    print(f'{len(order.trials)} trials of {len(plan.policies)} policies in {options.out}\n'
          f'plan sha256 {order.plan_sha256}\nkey  sha256 {order.key_sha256}\n'
          f'key.json says which policy runs in which trial: leave it closed until the report')
    return 0


def _report(options: argparse.Namespace) -> int:
    from faster_ros.evaluation.plan_page import write_results  # matplotlib is slow to load

    figures = write_results(options.folder, options.unblind)
    print(f"{figures['done']} of {figures['planned']} trials")
    print(figures.get('verdict', 'the policies are named when the evaluation is over'))
    print(options.folder / 'report.html')
    return 0


def _required(options: argparse.Namespace) -> int:
    first, second = options.rates
    count = required_trials(first, second, options.error, options.power)
    print(f'{count} trials of each policy tell {first:g} from {second:g} '
          f'(two-sided error {options.error:g}, power {options.power:g})')
    return 0
