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
``faster_ros data``: look at data sets, judge and repair them, and make one out of others.

A data set is a LeRobotDataset (v2.1 or v3, written as v3); ``convert`` also reads the raw bags of
a robot, the HDF5 files of ALOHA and robomimic, and RLDS data sets.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # imported by the job itself, so that --help is quick
    from faster_ros.data.episode_evidence import JointFacts
    from faster_ros.data.lerobot_dataset import LeRobotDataset

_OF_FILES = ('robot', 'task', 'rate')
_OF_BAGS = ('namespace', 'led_by', 'joint_prefix', 'driver_namespace')


def main(arguments: Sequence[str]) -> int:
    """Run one of the jobs and return its exit code; 1 for a data set that is not whole."""
    options = _parser().parse_args(arguments)
    return int(options.job(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='faster_ros data', description=__doc__)
    jobs = parser.add_subparsers(required=True, metavar='JOB')

    info = jobs.add_parser('info', help='say what is in a data set')
    validate = jobs.add_parser('validate', help='say whether it is whole and what is dubious')
    validate.add_argument('--decode', action='store_true', help='decode every frame')
    repair = jobs.add_parser('repair', help='finish or set aside what a crash left, in place')
    view = jobs.add_parser('view', help='write a page with thumbnails, trajectories and findings')
    view.add_argument('--out', type=Path, metavar='FILE', help='the page (FOLDER/report.html)')
    for job, run in ((info, _info), (validate, _validate), (repair, _repair), (view, _view)):
        job.add_argument('folder', type=Path, help='folder of the data set')
        job.set_defaults(job=run)

    convert = jobs.add_parser('convert', help='write v2.1, bags, HDF5 or RLDS as v3')
    convert.add_argument('--task', help='what is done, in words; of HDF5 and RLDS where they '
                         'do not say')
    convert.add_argument('--rate', type=int, metavar='HZ',
                         help='rows a second: of bags (30); of HDF5 and RLDS, which do not say')
    convert.add_argument('--robot', help='bags need it; of HDF5 and RLDS it is the name alone')
    convert.add_argument('--namespace', default='', help='of control_node and teleop_node when '
                         'the bags were recorded')
    convert.add_argument('--led-by', choices=['human', 'policy'], help='who led the arm where a '
                         'bag does not say it')
    merge = jobs.add_parser('merge', help='write several data sets as one')
    for job, run in ((convert, _convert), (merge, _merge)):
        job.add_argument('sources', type=Path, nargs='+', help='data sets; of convert also bags, '
                         'folders of them, .hdf5 files, and RLDS folders, of one kind')
        job.add_argument('--out', type=Path, required=True, help='folder of the new data set')
        job.set_defaults(job=run)
    replay = jobs.add_parser('replay', help='send an episode to control_node, which starts it '
                             'when it is armed')
    replay.add_argument('folder', type=Path, help='folder of the data set')
    replay.add_argument('--episode', type=int, default=0, metavar='N', help='(%(default)s)')
    replay.add_argument('--speed', type=float, default=0.5,
                        help='share of the recorded speed (%(default)s)')
    replay.set_defaults(job=_replay)
    for job in (validate, view, replay):
        job.add_argument('--robot', help='its joint limits are checked, too')
    for job in (validate, view, replay, convert):
        job.add_argument('--joint-prefix', default='', help='what the driver puts before its '
                         'joint names, such as left_')
    for job in (replay, convert):
        job.add_argument('--driver-namespace', default='', help='namespace of the driver, before '
                         'the topics of arm and gripper')

    split = jobs.add_parser('split', help='write the parts of a data set, in order')
    split.add_argument('folder', type=Path, help='folder of the data set')
    split.add_argument('--out', type=Path, required=True, help='folder of the new data sets')
    split.add_argument('--parts', nargs='+', default=['train=0.9', 'test=0.1'],
                       metavar='NAME=SHARE', help='(train=0.9 test=0.1)')
    split.set_defaults(job=_split)

    corrections = jobs.add_parser('corrections', help='write what a person did who took over from '
                                  'a policy as episodes (DAgger)')
    corrections.add_argument('folder', type=Path, help='folder of the data set')
    corrections.add_argument('--out', type=Path, required=True, help='folder of the new data set')
    corrections.add_argument('--shortest', type=float, default=1.0, metavar='SECONDS',
                             help='shorter ones are left out (%(default)s)')
    corrections.set_defaults(job=_corrections)
    return parser


def _info(options: argparse.Namespace) -> int:
    from faster_ros.data.dataset_report import camera_names
    from faster_ros.data.lerobot_dataset import LeRobotDataset

    dataset = LeRobotDataset(options.folder)
    rows = sum(entry.length for entry in dataset.episodes)
    outcomes = Counter(entry.facts.outcome or 'not said' for entry in dataset.episodes)
    print(f"{options.folder}: LeRobotDataset {dataset.raw_info['codebase_version']} of "
          f"{dataset.info.robot or 'an unnamed robot'}\n"
          f'{len(dataset.episodes)} episodes, {rows} rows at {dataset.info.fps:g} Hz, '
          f'{rows / dataset.info.fps:.0f} s\ncameras: {camera_names(dataset)}')
    for name, item in dataset.spec().numbers.items():
        print(f"{name}: {item.dtype} {list(item.shape)} {', '.join(item.names)}".rstrip())
    for index, task in dataset.tasks.items():
        print(f'task {index}: {task}')
    print('outcome: ' + ', '.join(f'{count} {outcome}' for outcome, count in outcomes.items()))
    return 0


def _validate(options: argparse.Namespace) -> int:
    from faster_ros.data.dataset_report import examine
    from faster_ros.data.dataset_validation import problems
    from faster_ros.data.lerobot_dataset import LeRobotDataset

    dataset = LeRobotDataset(options.folder)
    joints = _limits(options, dataset)
    found = list(problems(dataset, options.decode))
    for line in found:
        print(line)
    verdicts: Counter[str] = Counter()
    for entry in dataset.episodes if not found else ():
        report = examine(dataset, entry, joints).report
        verdicts[report.verdict] += 1
        for finding in report.findings:
            print(f'episode {entry.number}: {report.verdict}: {finding.check}: '
                  f'{finding.message}')
    print(f'{len(found)} problems' if found else f'whole; {len(dataset.episodes)} episodes: '
          + (', '.join(f'{count} {verdict}' for verdict, count in verdicts.items()) or 'none'))
    return 1 if found else 0


def _repair(options: argparse.Namespace) -> int:
    from faster_ros.data.dataset_repair import repair
    from faster_ros.data.dataset_validation import problems
    from faster_ros.data.lerobot_dataset import LeRobotDataset
    from faster_ros.data.lerobot_reader import is_lerobot

    for line in repair(options.folder):
        print(line)
    if not is_lerobot(options.folder):
        print('no episode was ever saved: there is no data set yet')
        return 0
    left = list(problems(LeRobotDataset(options.folder)))
    for line in left:
        print(line)
    print('whole' if not left else f'{len(left)} problems are left; what is good of it can be '
          'written to a new folder with: faster_ros data convert')
    return 1 if left else 0


def _view(options: argparse.Namespace) -> int:
    from faster_ros.data.dataset_report import examine, write_page
    from faster_ros.data.dataset_validation import problems
    from faster_ros.data.lerobot_dataset import LeRobotDataset

    dataset = LeRobotDataset(options.folder)
    joints = _limits(options, dataset)
    found, examined = list(problems(dataset)), []
    for entry in dataset.episodes:
        try:
            examined.append(examine(dataset, entry, joints))
        except ValueError as error:
            found.append(f'episode {entry.number}: {error}')
    path = options.out or options.folder / 'report.html'
    write_page(path, dataset, examined, found)
    print(path)
    return 0


def _convert(options: argparse.Namespace) -> int:
    from faster_ros.data.bag_conversion import BagTopics
    from faster_ros.data.dataset_import import (
        BAGS,
        counted,
        Import,
        import_bags,
        import_files,
        kind_of,
        LEROBOT,
    )
    from faster_ros.data.dataset_spec import Source

    kind = kind_of(options.sources)
    if kind == LEROBOT:
        _refuse(options, 'a LeRobotDataset is copied as it is', *_OF_FILES, *_OF_BAGS)
        return _merge(options)
    if kind != BAGS:
        _refuse(options, f'{kind} files have no topics', *_OF_BAGS)
    root = f"/{options.namespace.strip('/')}".rstrip('/')
    wanted = Import(
        options.out, options.robot or '', (options.task or '').strip(), options.rate,
        options.joint_prefix, options.driver_namespace, BagTopics(
            f'{root}/control_node/command', f'{root}/teleop_node/lead',
            Source[(options.led_by or 'nobody').upper()]))
    lines = (import_bags if kind == BAGS else import_files)(wanted, options.sources)
    for line in counted(lines):
        print(line)
    return 0


def _refuse(options: argparse.Namespace, why: str, *names: str) -> None:
    """Refuse options that would change nothing."""
    given = [f"--{name.replace('_', '-')}" for name in names if getattr(options, name)]
    if given:
        raise ValueError(f"{why}, {', '.join(given)} would change nothing; leave it out")


def _merge(options: argparse.Namespace) -> int:
    from faster_ros.data.dataset_rewriting import common_spec, everything, write_dataset

    selections = [everything(path) for path in options.sources]
    for line in write_dataset(options.out, selections, common_spec(selections)):
        print(line)
    return 0


def _corrections(options: argparse.Namespace) -> int:
    from faster_ros.data.dataset_rewriting import common_spec, corrections, write_dataset

    selection = corrections(options.folder, options.shortest)
    for line in write_dataset(options.out, [selection], common_spec([selection])):
        print(line)
    return 0


def _split(options: argparse.Namespace) -> int:
    from faster_ros.data.dataset_rewriting import common_spec, parts, write_dataset
    from faster_ros.data.lerobot_dataset import LeRobotDataset

    shares = {}
    for word in options.parts:
        name, _, share = word.partition('=')
        try:
            shares[name] = float(share)
        except ValueError:
            raise ValueError(f"--parts: expected NAME=SHARE, got '{word}'") from None
    selections = parts(LeRobotDataset(options.folder), list(shares.values()))
    for name, selection in zip(shares, selections):
        for line in write_dataset(options.out / name, [selection], common_spec([selection])):
            print(f'{name}: {line}')
    return 0


def _replay(options: argparse.Namespace) -> int:
    from faster_ros.nodes.replay_node import main as replay

    parameters = {'robot': options.robot or 'fr3', 'dataset': options.folder.absolute(),
                  'episode': options.episode, 'speed': options.speed}
    named = {name: getattr(options, name) for name in ('joint_prefix', 'driver_namespace')}
    parameters |= {name: value for name, value in named.items() if value}
    words = [word for name, value in parameters.items() for word in ('-p', f'{name}:={value}')]
    replay(['replay_node', '--ros-args', *words])
    return 0


def _limits(options: argparse.Namespace, dataset: LeRobotDataset) -> JointFacts | None:
    from faster_ros.data.dataset_report import limits_of
    from faster_ros.robot_spec import load_robot_spec

    if not options.robot:
        return None
    return limits_of(load_robot_spec(options.robot, options.joint_prefix), dataset)
