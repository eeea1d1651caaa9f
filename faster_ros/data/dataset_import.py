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
"""Episodes of bags, HDF5 and TFRecord files, written as a new data set, or appended to one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
import json
from pathlib import Path

from faster_ros.data.bag_conversion import BagEpisode, BagTopics
from faster_ros.data.bag_reader import bags_in
from faster_ros.data.dataset_folder import FACTS, RAW
from faster_ros.data.dataset_spec import (
    DatasetFrame,
    DatasetSpec,
    EpisodeFacts,
    robot_dataset,
)
from faster_ros.data.episode_evidence import joint_facts, JointFacts
from faster_ros.data.hdf5_reader import is_hdf5, open_hdf5
from faster_ros.data.lerobot_reader import is_lerobot
from faster_ros.data.lerobot_writer import LeRobotWriter
from faster_ros.data.rlds_reader import open_rlds, rlds_files
from faster_ros.robot_spec import load_robot_spec

_BAG_HZ = 30
_LEFT_OUT = ': left out: '
_NO_TASK = 'it does not say what is done; --task says it'
LEROBOT, BAGS = 'LeRobotDataset', 'bags'
_KINDS: dict[str, Callable[[Path], object]] = {
    LEROBOT: is_lerobot, BAGS: bags_in, 'RLDS': rlds_files, 'HDF5': is_hdf5}


@dataclass(frozen=True)
class Import:
    """
    Where to, and what the files do not say; ``rate_hz`` in rows a second.

    ``joint_prefix``, ``driver_namespace`` and ``topics`` are of bags.
    """

    out: Path
    robot: str
    task: str
    rate_hz: int | None
    joint_prefix: str = ''
    driver_namespace: str = ''
    topics: BagTopics = field(default_factory=BagTopics)


def kind_of(sources: Sequence[Path]) -> str:
    """Return what all sources are; what cannot be used, or not together, is an error."""
    kinds = {path: next((kind for kind, known in _KINDS.items() if path.exists() and known(path)),
                        'none of these' if path.exists() else 'not there') for path in sources}
    if set(kinds.values()) - _KINDS.keys() or len(set(kinds.values())) > 1:
        found = ', '.join(f'{path} is {kind}' for path, kind in kinds.items())
        raise ValueError('expected only LeRobotDatasets (meta/info.json), only bags (.mcap, .db3, '
                         'or metadata.yaml), only RLDS folders (.tfrecord) or only HDF5 files, '
                         f'but {found}')
    return kinds[sources[0]]


def import_bags(wanted: Import, paths: Sequence[Path]) -> Iterator[str]:
    """Write every bag that paths are or hold as an episode; say what becomes of each."""
    if not wanted.robot:
        raise ValueError('bags need --robot, whose file says what their topics are')
    robot = load_robot_spec(wanted.robot, wanted.joint_prefix, wanted.driver_namespace)
    spec = robot_dataset(robot, wanted.rate_hz or _BAG_HZ)
    writer: LeRobotWriter | None = None
    try:
        for bag in [bag for path in paths for bag in bags_in(path)]:
            facts = _facts(bag)
            task = facts.pop('task', '')
            told = replace(wanted, task=wanted.task or task)
            if not told.task:
                yield f'{_bag_name(bag)}{_LEFT_OUT}{_NO_TASK}'
                continue
            writer = writer or _writer(told, spec, joint_facts(robot))
            episode = BagEpisode(bag, robot, spec, wanted.topics)
            line = _write(writer, told, _bag_name(bag), episode.frames(), facts)
            yield line if _LEFT_OUT in line else '; '.join([line, *episode.remarks])
        if writer is None:
            raise ValueError('the bags do not say what is done: they need --task')
    finally:
        if writer is not None:
            writer.close()


def import_files(wanted: Import, paths: Sequence[Path]) -> Iterator[str]:
    """Write every episode of HDF5 and TFRecord files; say what becomes of each."""
    if not wanted.rate_hz:
        raise ValueError('HDF5 and TFRecord files need --rate: they do not say how many rows a '
                         'second have')
    writer: LeRobotWriter | None = None
    try:
        for path in [file for given in paths for file in rlds_files(given) or [given]]:
            with open_rlds(path) if rlds_files(path) else open_hdf5(path) as episodes:
                for episode in episodes:
                    where = f'{path.name} {episode.name}'
                    told = replace(wanted, task=wanted.task or episode.task.strip())
                    if not told.task:
                        yield f'{where}{_LEFT_OUT}{_NO_TASK}'
                        continue
                    spec = episode.spec(wanted.rate_hz, wanted.robot or 'unknown')
                    writer = writer or _writer(told, spec)
                    if spec != writer.spec:
                        raise ValueError(f'{path}: {episode.name} has other features than the '
                                         'episodes before it')
                    yield _write(writer, told, where, episode.frames())
        if writer is None:
            raise ValueError('the files hold no episodes' if wanted.task else
                             'the files do not say what is done: they need --task')
    finally:
        if writer is not None:
            writer.close()


def counted(lines: Iterable[str]) -> Iterator[str]:
    """Return what became of each episode, and at last how many were left out."""
    episodes = left_out = 0
    for line in lines:
        episodes += 1
        left_out += _LEFT_OUT in line
        yield line
    if left_out:
        yield f'{left_out} of {episodes} episodes are left out'


def _bag_name(bag: Path) -> str:
    """Return what tells a bag from others; those of interrupted episodes are all called raw."""
    return '/'.join(bag.parts[-3:]) if RAW in bag.parts[-2:] else bag.name


def _facts(bag: Path) -> dict[str, str]:
    """Return what is known of an interrupted episode, its task among it; nothing of others."""
    raw = bag if bag.name == RAW else bag.parent
    path = raw.parent / FACTS
    if raw.name != RAW or not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text()))
    except ValueError:  # the recorder was killed before it was on the disk
        return {}


def _writer(wanted: Import, spec: DatasetSpec, joints: JointFacts | None = None) -> LeRobotWriter:
    return LeRobotWriter(wanted.out, spec, live=False, joints=joints)


def _write(writer: LeRobotWriter, wanted: Import, where: str, frames: Iterable[DatasetFrame],
           facts: Mapping[str, str] | None = None) -> str:
    """Write an episode and say so; one that cannot be written is left out with its reason."""
    writer.begin_episode(EpisodeFacts(wanted.task, facts={**(facts or {}), 'source': where}))
    try:
        for frame in frames:
            writer.add_frame(frame)
        report = writer.check_episode()
        number = writer.save_episode()
    except ValueError as error:
        writer.discard_episode()
        return f'{where}{_LEFT_OUT}{error}'
    findings = '; '.join(finding.message for finding in report.findings)
    return f"{where} -> {number}: {report.verdict}{f' ({findings})' if findings else ''}"
