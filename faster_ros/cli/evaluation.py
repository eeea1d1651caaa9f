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
``faster_ros eval``: plan and run an evaluation, write its report, find how many trials it takes.

``plan`` fixes and seals the random, blinded order; ``run`` does so too if that is still to be
done, runs the trials and goes on where it was interrupted; ``report`` may be called at any time
and names the policies when the evaluation is over.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from faster_ros.bringup import DEVICE, evaluate_graph
from faster_ros.evaluation.comparison import required_trials
from faster_ros.evaluation.trial_plan import load_plan, make_order


def main(arguments: list[str]) -> int:
    """Run one of the jobs and return its exit code."""
    parser = argparse.ArgumentParser(prog='faster_ros eval', description=__doc__)
    jobs = parser.add_subparsers(required=True, metavar='JOB')

    plan = jobs.add_parser('plan', help='make the blinded order of a plan')
    plan.add_argument('plan', type=Path, help='YAML file, such as config/eval/example.yaml')
    plan.add_argument('--out', type=Path, required=True, help='new folder of the evaluation')
    plan.set_defaults(job=_plan)

    run = jobs.add_parser('run', help='run the trials of a plan, or go on with them')
    run.add_argument('plan', type=Path, help='YAML file, such as config/eval/sim_ab.yaml')
    run.add_argument('--out', type=Path, required=True, help='folder of the evaluation')
    run.add_argument('--simulated', action='store_true', help='in the simulator')
    run.add_argument('--unattended', action='store_true',
                     help='the simulator starts and judges; without it a person does')
    run.add_argument('--port', type=int, default=8808,
                     help="of the operator's page on this machine (8808)")
    run.add_argument('--record', type=int, default=-1, metavar='ROWS',
                     help='rows per second of the recording of every trial, 0 for none (30, '
                     'simulated 10)')
    run.add_argument('--device', choices=DEVICE.choices, default='auto',
                     help='where the policies run (auto)')
    run.set_defaults(job=_run)

    operate = jobs.add_parser('operate', help='start, stop and judge trials in a terminal')
    operate.add_argument('--url', default='http://127.0.0.1:8808/',
                         help='address that evaluation_node printed')
    operate.set_defaults(job=_operate)

    report = jobs.add_parser('report', help='write results.json, report.html and trials.csv')
    report.add_argument('folder', type=Path, help='folder of the evaluation')
    report.add_argument('--unblind', action='store_true',
                        help='name the policies before the evaluation is over; the report says so')
    report.set_defaults(job=_report)

    offline = jobs.add_parser('offline', help='compare the chunks of a checkpoint with recorded '
                              'ones')
    offline.add_argument('checkpoint', type=Path, help='folder of the trained policy')
    offline.add_argument('recording', type=Path, help='LeRobotDataset with images')
    offline.add_argument('--episodes', type=int, nargs='+', default=[],
                         help='numbers of the episodes that were held out (all)')
    offline.add_argument('--every', type=float, default=0.5,
                         help='time between two points of an episode in s (0.5)')
    offline.add_argument('--out', type=Path, default=Path('out/offline'),
                         help='folder of report.html and summary.json (out/offline)')
    offline.set_defaults(job=_offline)

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


def _run(options: argparse.Namespace) -> int:
    from faster_ros.cli.runner import Runner

    plan = load_plan(options.plan)
    if not (options.out / 'order.json').exists():
        make_order(plan, options.out, options.plan)
    elif (options.out / 'plan.yaml').read_bytes() != options.plan.read_bytes():
        raise ValueError(f'{options.out} holds the evaluation of another plan; choose another '
                         'folder')
    if options.simulated:
        os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    processes = evaluate_graph(
        plan.robot, str(options.out), options.simulated, not options.unattended, options.port,
        options.record, options.device)
    return Runner(processes, options.out.absolute() / 'log').run()


def _operate(options: argparse.Namespace) -> int:
    from faster_ros.cli.evaluation_terminal import operate

    return operate(options.url)


def _report(options: argparse.Namespace) -> int:
    from faster_ros.evaluation.plan_page import write_results  # matplotlib is slow to load

    figures = write_results(options.folder, options.unblind)
    print(f"{figures['done']} of {figures['planned']} trials")
    print(figures.get('verdict', 'the policies are named when the evaluation is over'))
    print(options.folder / 'report.html')
    return 0


def _offline(options: argparse.Namespace) -> int:
    from faster_ros.training.evaluate_offline import evaluate_offline, PREDICTED, write

    figures, answers = evaluate_offline(options.checkpoint, options.recording, options.episodes,
                                        options.every)
    for group, error in figures['error'][PREDICTED].items():
        print(f"{group}: mean error {error['l1']:.4f}, p99 {error['p99']:.4f}")
    print('right tokens by block: '
          + ', '.join(f'{share:.0%}' for share in figures['block_accuracy']))
    print(write(options.out, figures, answers))
    return 0


def _required(options: argparse.Namespace) -> int:
    first, second = options.rates
    count = required_trials(first, second, options.error, options.power)
    print(f'{count} trials of each policy tell {first:g} from {second:g} '
          f'(two-sided error {options.error:g}, power {options.power:g})')
    return 0
