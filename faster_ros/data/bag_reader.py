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
Reads sensor_msgs/JointState from rosbag2 folders, .mcap and .db3 files, without ROS.

Every bag is an episode, and so is every stretch between pauses of a bag: what happened in a pause
is not known. Stamps come from the headers, or from the recorder where those are not set.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faster_ros.data.dataset_folder import RAW
from faster_ros.data.recorded_episodes import (
    continuous_parts,
    Episode,
    RecordedEpisodes,
    sampled,
    ticks,
)
from faster_ros.interfaces import FloatArray
import numpy as np

_TYPE = 'sensor_msgs/msg/JointState'
_STORAGE = ('.mcap', '.db3')
_SAME_RATE = 0.05


@dataclass(frozen=True)
class _Series:
    """Positions (N, D) of the joints ``names`` at ``times`` (N,) in s; one topic of one bag."""

    names: list[str]
    times: FloatArray
    rows: FloatArray

    @property
    def rate_hz(self) -> float:
        """Return the rate that most messages keep."""
        steps = np.diff(self.times)
        return 1 / float(np.median(steps)) if len(steps) else 0.0


def bags_in(path: Path) -> list[Path]:
    """Return the bags that ``path`` is or holds, in the order of their names."""
    if _is_bag(path):
        return [path]
    inside = sorted(path.iterdir()) if path.is_dir() else []
    return [bag for inner in inside for bag in ([inner] if _is_bag(inner) else _set_aside(inner))]


def _is_bag(path: Path) -> bool:
    return path.suffix in _STORAGE or (path / 'metadata.yaml').is_file()


def _set_aside(path: Path) -> list[Path]:
    """Return the bag of an interrupted episode or its folder ``raw``, which may lack metadata."""
    raw = path if path.name == RAW else path / RAW
    return [raw] if _is_bag(raw) else sorted(raw.glob('*.mcap'))


def read_bags(paths: Sequence[Path], topics: Sequence[str] = (),
              rate_hz: float | None = None) -> RecordedEpisodes:
    """
    Read the JointState topics of bags, side by side, at one rate.

    Without ``topics`` the bags must have a single JointState topic; without ``rate_hz`` all of
    them must have about the same, which is taken to the nearest whole number.
    """
    recorded = {path: _read_bag(path, topics) for path in paths}
    if rate_hz is None:
        rate_hz = _common_rate(recorded)
    names: list[str] | None = None
    episodes, notes = [], []
    for path, series in recorded.items():
        found = _joined_names(series)
        if names is not None and found != names:
            raise ValueError(f'{path}: expected the joints {names} of {paths[0]}, got {found}')
        names = found
        part, remarks = _episodes_of(path, list(series.values()), names, rate_hz)
        episodes += part
        notes += remarks
    return RecordedEpisodes(names or [], episodes, tuple(notes))


def _read_bag(path: Path, topics: Sequence[str]) -> dict[str, _Series]:
    with open_bag(path) as reader:
        offered = sorted({item.topic for item in reader.connections if item.msgtype == _TYPE})
        wanted = list(topics) or offered
        absent = [topic for topic in wanted if topic not in offered]
        if absent or not offered or (not topics and len(offered) > 1):
            raise ValueError(
                f"{path}: expected {', '.join(absent) or 'one topic'} of {_TYPE}, got "
                f"{', '.join(offered) or 'none'}; choose with --topic")
        return {topic: _read_topic(path, reader, topic) for topic in wanted}


@contextmanager
def open_bag(path: Path) -> Iterator[Any]:
    """Open a bag as a reader of rosbags; a file that is none is an error that names it."""
    highlevel, store = _rosbags()
    try:
        with highlevel.AnyReader([path], default_typestore=store) as reader:
            yield reader
    except (highlevel.AnyReaderError, OSError, KeyError) as error:
        raise ValueError(f'{path}: expected a rosbag2 or MCAP file, {error}') from error


def _read_topic(path: Path, reader: Any, topic: str) -> _Series:
    """Return one topic; every message must hold the joints of the first."""
    names: list[str] = []
    stamps: list[int] = []
    arrivals: list[int] = []
    rows: list[list[float]] = []
    connections = [item for item in reader.connections if item.topic == topic]
    for connection, arrival, raw in reader.messages(connections=connections):
        message = reader.deserialize(raw, connection.msgtype)
        names = names or list(message.name)
        position = dict(zip(message.name, message.position))
        missing = [name for name in names if name not in position]
        if missing or not names:
            raise ValueError(f'{path}: message {len(rows)} of {topic} has no position of '
                             f"{', '.join(missing) or 'any joint'}")
        rows.append([position[name] for name in names])
        stamps.append(message.header.stamp.sec * 10**9 + message.header.stamp.nanosec)
        arrivals.append(arrival)
    if not rows:
        raise ValueError(f'{path}: {topic} has no messages')
    times = np.array(stamps if all(stamps) else arrivals, dtype=np.int64)
    # Seconds since 1970 are exact to less than a microsecond in float64.
    return _Series(names, times / 1e9, np.array(rows, dtype=float))


def _episodes_of(path: Path, series: Sequence[_Series], names: Sequence[str],
                 rate_hz: float) -> tuple[list[Episode], list[str]]:
    """Return the stretches of a bag in which all topics speak, and what lies between them."""
    back = next((one for one in series if (np.diff(one.times) < 0).any()), None)
    if back is not None:
        fault = f'stamps of {back.names[0]} go back by {-np.diff(back.times).min():g} s'
        return [Episode(np.zeros((0, len(names))), rate_hz, path.name, fault=fault)], []
    spans = [_spans(one.times) for one in series]
    common = spans[0]
    for other in spans[1:]:
        common = [(max(a, c), min(b, d)) for a, b in common for c, d in other
                  if max(a, c) < min(b, d)]
    episodes = [
        Episode(np.concatenate([_between(one, first, last, rate_hz) for one in series], 1),
                rate_hz, path.name if len(common) == 1 else f'{path.name} part {part}')
        for part, (first, last) in enumerate(common)]
    notes = [f'{path.name}: {after - before:.3g} s without messages, {before - spans[0][0][0]:.3g}'
             ' s after its beginning, separate two episodes'
             for (_, before), (after, _) in zip(common, common[1:])]
    if not common:
        fault = 'its topics never speak at the same time'
        episodes = [Episode(np.zeros((0, len(names))), rate_hz, path.name, fault=fault)]
    return episodes, notes


def _spans(times: FloatArray) -> list[tuple[float, float]]:
    return [(float(times[part][0]), float(times[part][-1])) for part in continuous_parts(times)]


def _between(series: _Series, first: float, last: float, rate_hz: float) -> FloatArray:
    """Return a series from ``first`` to ``last`` at the rate; of equal stamps the last counts."""
    keep = np.append(np.diff(series.times) > 0, True)
    return sampled(series.times[keep], series.rows[keep], series.names,
                   ticks(first, last, rate_hz))


def _joined_names(series: dict[str, _Series]) -> list[str]:
    """Return the joints, with their topic in front where there are several topics."""
    if len(series) == 1:
        return next(iter(series.values())).names
    return [f'{topic}/{name}' for topic, one in series.items() for name in one.names]


def _common_rate(recorded: dict[Path, dict[str, _Series]]) -> float:
    """Return the rate of the first topic, which must be about the same in all bags."""
    rates = {path: next(iter(series.values())).rate_hz for path, series in recorded.items()}
    rates = {path: rate for path, rate in rates.items() if rate > 0}
    if not rates:
        raise ValueError('expected at least two messages in a bag, got fewer in each')
    low, high = min(rates, key=lambda path: rates[path]), max(rates, key=lambda path: rates[path])
    if rates[high] > rates[low] * (1 + _SAME_RATE):
        raise ValueError(f'expected bags of one rate, got {rates[low]:.3g} Hz in {low.name}, '
                         f'{rates[high]:.3g} Hz in {high.name}; choose one with --rate')
    typical = float(np.median(list(rates.values())))
    return float(round(typical)) if typical >= 5 else typical


def _rosbags() -> tuple[Any, Any]:
    try:
        from rosbags import highlevel, typesys
    except ImportError as error:
        raise ValueError('reading a bag needs rosbags: pip install "faster_ros[data]"') from error
    return highlevel, typesys.get_typestore(typesys.Stores.ROS2_HUMBLE)
