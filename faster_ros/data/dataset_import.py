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
"""Episodes of bags and HDF5 files, written as a new data set, or appended to one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from faster_ros.data.bag_conversion import bag_frames
from faster_ros.data.dataset_spec import (
    DatasetFrame,
    DatasetSpec,
    EpisodeFacts,
    robot_dataset,
)
from faster_ros.data.episode_checks import joint_facts, JointFacts
from faster_ros.data.hdf5_reader import open_hdf5
from faster_ros.data.lerobot_writer import LeRobotWriter
from faster_ros.robot_spec import load_robot_spec

_BAG_HZ = 30


@dataclass(frozen=True)
class Import:
    """Where to, and what the files do not say; ``rate_hz`` in rows a second."""

    out: Path
    robot: str
    task: str
    rate_hz: int | None


def import_bags(wanted: Import, bags: Sequence[Path]) -> Iterator[str]:
    """Write every bag as an episode; say what becomes of each."""
    if not wanted.robot:
        raise ValueError('bags need --robot, whose file says what their topics are')
    robot = load_robot_spec(wanted.robot)
    spec = robot_dataset(robot, wanted.rate_hz or _BAG_HZ)
    writer = _writer(wanted, spec, joint_facts(robot))
    try:
        for bag in bags:
            yield _write(writer, wanted, bag.name, bag_frames(bag, robot, spec))
    finally:
        writer.close()


def import_hdf5(wanted: Import, paths: Sequence[Path]) -> Iterator[str]:
    """Write every episode of the files; say what becomes of each."""
    if not wanted.rate_hz:
        raise ValueError('HDF5 files need --rate: they do not say how many rows a second have')
    writer: LeRobotWriter | None = None
    try:
        for path in paths:
            with open_hdf5(path) as episodes:
                for episode in episodes:
                    told = replace(wanted, task=wanted.task or episode.task)
                    spec = episode.spec(wanted.rate_hz, wanted.robot or 'unknown')
                    writer = writer or _writer(told, spec)
                    if spec != writer.spec:
                        raise ValueError(f'{path}: {episode.name} has other features than the '
                                         'episodes before it')
                    yield _write(writer, told, f'{path.name} {episode.name}', episode.frames())
    finally:
        if writer is not None:
            writer.close()


def _writer(wanted: Import, spec: DatasetSpec, joints: JointFacts | None = None) -> LeRobotWriter:
    if not wanted.task:
        raise ValueError('bags and most HDF5 files need --task: they do not say what is done')
    return LeRobotWriter(wanted.out, spec, live=False, joints=joints)


def _write(writer: LeRobotWriter, wanted: Import, where: str,
           frames: Iterable[DatasetFrame]) -> str:
    """Write an episode and say so; one that cannot be written is left out with its reason."""
    writer.begin_episode(EpisodeFacts(wanted.task, facts={'source': where}))
    try:
        for frame in frames:
            writer.add_frame(frame)
        report = writer.check_episode()
        number = writer.save_episode()
    except ValueError as error:
        writer.discard_episode()
        return f'{where}: left out: {error}'
    findings = '; '.join(finding.message for finding in report.findings)
    return f"{where} -> {number}: {report.verdict}{f' ({findings})' if findings else ''}"
