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
The command ``faster_ros``: one sub-command per job, each with ``--help``.

Heavy packages are imported by the job that needs them, so that ``--help`` is quick.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
import os
from pathlib import Path
import sys
from typing import TYPE_CHECKING

from faster_ros.bringup import default_checkpoint, DEMO_ARGUMENTS, DOCTOR_ARGUMENTS, GRAPHS
from faster_ros.graph_parts import Argument, describe, Process, read_arguments
from faster_ros.policy.hub import local_folder
from faster_ros.policy_server.settings import is_server, server_settings

Job = Callable[[argparse.Namespace, list[str]], int]
if TYPE_CHECKING:
    _Jobs = argparse._SubParsersAction[argparse.ArgumentParser]
# Jobs with arguments of their own: the module whose main() takes them, and what it is for.
MODULES = {
    'calibrate': ('faster_ros.cli.calibrate',
                  'measure the latencies of cameras, arm and gripper; moves one joint gently'),
    'benchmark': ('faster_ros.cli.benchmark',
                  "measure where the time of a policy's call goes, or tokenizers and heads by "
                  'their success at simulated tasks'),
    'evaluate-demo': ('faster_ros.training.evaluate_demo',
                      'measure the policy of the demo in process'),
    'data': ('faster_ros.cli.data',
             'look at recorded data sets, judge, repair, convert, merge and split them'),
    'eval': ('faster_ros.cli.evaluation',
             'plan, run and report blinded trials of policies, with intervals and tests'),
    'libero': ('faster_ros.cli.libero',
               'measure a policy on the suites of LIBERO, in an environment of its own'),
    'keys': ('faster_ros.nodes.keys_node',
             'a terminal that records and leads by keys, beside bringup record'),
    'lab': ('faster_ros.cli.lab',
            'measure what delay does to each rule of joining chunks, with or without a policy'),
    'latency-report': ('faster_ros.cli.latency_report',
                       'draw where the time goes between a camera and the arm, from a bag'),
    'stop-benchmark': ('faster_ros.nodes.stop_benchmark',
                       'measure how soon the arm brakes after ~/stop, and after a lost stream'),
    'policy': ('faster_ros.cli.policy',
               'serve a policy to other machines; check and measure a policy server'),
    'recorder-benchmark': ('faster_ros.nodes.recorder_benchmark',
                           'measure what recorder_node loses at full rates'),
    'tokenizer': ('faster_ros.cli.tokenizer',
                  'fit FASTerVQ to your own recordings, and compare action tokenizers on them'),
}
WITH_CHECKPOINT = ('evaluate-demo', 'lab')  # these are told which one the package has


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command; returns its exit code."""
    parser = _parser()
    options, rest = parser.parse_known_args(argv)
    if rest and not options.takes_rest:
        parser.error(f'unknown argument {" ".join(rest)}; see faster_ros {options.name} --help')
    job: Job = options.job
    try:
        return job(options, rest)
    except KeyboardInterrupt:
        return 130
    except (ValueError, OSError) as error:  # a user's mistake: one line, no trace
        print(f'faster_ros {options.name}: {error}', file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='faster_ros', description=('Run, train and evaluate FASTer policies on robot arms.')
    )
    jobs = parser.add_subparsers(title='jobs', required=True, metavar='JOB')
    _add_graphs(jobs)
    _add_doctor(jobs)
    train = _add(jobs, 'train', _train, 'train a policy; further arguments go to the training',
                 takes_rest=True)
    train.add_argument('what', choices=['demo', 'policy'],
                       help='demo: that of the demo, from nothing; policy: on your LeRobotDataset')
    inverse = _add(jobs, 'ik-benchmark', _ik_benchmark,
                   'measure the inverse kinematics of robots')
    inverse.add_argument('robots', nargs='+', metavar='ROBOT', help='fr3, ur5e, ... or a file')
    inverse.add_argument('--poses', type=int, default=1000, help='random reachable poses (1000)')
    for name, (_, text) in MODULES.items():
        _add(jobs, name, _module, text, takes_rest=True)
    return parser


def _add_graphs(jobs: _Jobs) -> None:
    demo = _add(jobs, 'demo', _demo, 'watch a policy pick cubes with a simulated arm, over ROS 2')
    for argument in DEMO_ARGUMENTS:
        demo.add_argument(
            f'--{argument.name.replace("_", "-")}',
            default=str(argument.default),
            choices=argument.choices or None,
            help=_help(argument),
        )

    bringup = _add(jobs, 'bringup', _bringup, 'start the nodes of a graph without ros2 launch')
    bringup.add_argument(
        'graph',
        choices=sorted(GRAPHS),
        help='; '.join(f'{name}: {graph.description}' for name, graph in sorted(GRAPHS.items())),
    )
    bringup.add_argument(
        'arguments',
        nargs='*',
        metavar='NAME:=VALUE',
        help='; '.join(
            f'{name} takes {", ".join(argument.name for argument in graph.arguments)}'
            for name, graph in sorted(GRAPHS.items())
        ),
    )

    bringup.add_argument(
        '--show-args', action='store_true', help='print the arguments of the graph and end'
    )


def _add_doctor(jobs: _Jobs) -> None:
    doctor = _add(
        jobs, 'doctor', _doctor, 'examine a robot before its first motion; moves nothing'
    )
    doctor.add_argument(
        'arguments',
        nargs='*',
        metavar='NAME:=VALUE',
        help=', '.join(f'{argument.name}: {_help(argument)}' for argument in DOCTOR_ARGUMENTS),
    )
    doctor.add_argument('--robot', help='the same as robot:=...')
    doctor.add_argument('--seconds', type=float, default=3.0, help='how long to watch (3)')
    doctor.add_argument('--json', type=Path, metavar='FILE', help='write the report there, too')


def _add(
    jobs: _Jobs,
    name: str,
    job: Job,
    text: str,
    takes_rest: bool = False,
) -> argparse.ArgumentParser:
    # With further arguments of its own, a job answers --help itself.
    parser: argparse.ArgumentParser = jobs.add_parser(
        name, help=text, description=text, add_help=not takes_rest
    )
    parser.set_defaults(job=job, name=name, takes_rest=takes_rest)
    return parser


def _help(argument: Argument) -> str:
    return f'{argument.description}{f" ({argument.default})" if argument.default != "" else ""}'


def _demo(options: argparse.Namespace, _: list[str]) -> int:
    texts = {argument.name: str(getattr(options, argument.name)) for argument in DEMO_ARGUMENTS}
    processes = _with_local_checkpoints(GRAPHS['demo'].processes(texts))
    _prepare_simulation()
    folder = Path(texts['out']).absolute()
    print(f'The nodes start; their logs are in {folder / "log"}', flush=True)
    return _run(processes, folder / 'log')


def _bringup(options: argparse.Namespace, _: list[str]) -> int:
    if options.show_args:
        print(describe(GRAPHS[options.graph].arguments))
        return 0
    processes = _with_local_checkpoints(
        GRAPHS[options.graph].processes(_typed(options.arguments)))
    if options.graph == 'demo' or 'simulated:=true' in options.arguments:
        _prepare_simulation()
    return _run(processes, None)


def _typed(words: Sequence[str]) -> dict[str, str]:
    """Return the arguments that were typed as launch takes them."""
    texts = {}
    for word in words:
        name, separator, value = word.partition(':=')
        if not separator:
            raise ValueError(f"expected NAME:=VALUE, got '{word}'")
        texts[name] = value
    return texts


def _doctor(options: argparse.Namespace, _: list[str]) -> int:
    from faster_ros.cli.doctor import doctor, NOT_EXAMINED

    try:
        texts = _typed(options.arguments)
        if options.robot:
            texts['robot'] = options.robot
        return doctor(read_arguments(DOCTOR_ARGUMENTS, texts), options.seconds, options.json)
    except (ValueError, OSError) as error:
        print(f'faster_ros doctor: {error}', file=sys.stderr)
        return NOT_EXAMINED


def _run(processes: Sequence[Process], log_folder: Path | None) -> int:
    from faster_ros.cli.runner import Runner

    return Runner(processes, log_folder).run()


def _prepare_simulation() -> None:
    """Keep the simulated arm on this machine unless the user decided otherwise."""
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')


def _with_local_checkpoints(processes: Sequence[Process]) -> list[Process]:
    """
    Return the processes with the folders of their policies, downloaded where they are on a hub.

    That there is no policy to run is said before the nodes start.
    """
    return [replace(process, parameters={**process.parameters,
                                         'checkpoint': _local_checkpoint(str(checkpoint))})
            if (checkpoint := process.parameters.get('checkpoint')) else process
            for process in processes]


def _local_checkpoint(checkpoint: str) -> str:
    if is_server(checkpoint):
        server_settings(checkpoint)  # a wrong file is said before anything starts
        return checkpoint
    folder = local_folder(checkpoint)
    if not folder.is_dir():
        ours = checkpoint == default_checkpoint()
        hint = '; make it with: faster_ros train demo' if ours else ''
        raise ValueError(
            f'expected a trained policy in the folder {folder}, which does not exist{hint}')
    return str(folder)


def _train(options: argparse.Namespace, rest: list[str]) -> int:
    if options.what == 'policy':
        from faster_ros.training.finetune_policy import main as train_policy

        return train_policy(rest)
    from faster_ros.training.train_demo import main as train_demo

    return train_demo(rest)


def _ik_benchmark(options: argparse.Namespace, _: list[str]) -> int:
    from faster_ros.cli.ik_benchmark import benchmark

    for robot in options.robots:
        print(benchmark(robot, options.poses), flush=True)
    return 0


def _module(options: argparse.Namespace, rest: list[str]) -> int:
    module = import_module(MODULES[options.name][0])
    extra = [Path(default_checkpoint())] if options.name in WITH_CHECKPOINT else []
    return int(module.main(rest, *extra))


if __name__ == '__main__':
    sys.exit(main())
