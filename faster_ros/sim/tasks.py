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
The tasks of the simulated arm, and what may differ from the layouts that training sees.

A task is what is asked of the arm and when that is done; the layout of a seed is the same in all
tasks but for what is told. A variant keeps the seeds and changes the world.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Rgba = tuple[float, float, float, float]

CUBE_COLOURS: Mapping[str, Rgba] = {
    'red': (0.80, 0.10, 0.08, 1.0),
    'green': (0.10, 0.55, 0.16, 1.0),
    'blue': (0.10, 0.22, 0.80, 1.0),
}


@dataclass(frozen=True)
class Task:
    """
    What is asked: to lift a cube, or to put ``cubes`` of them into the bin one after the other.

    ``longest_steps``: of a demonstration, at most, of 0.1 s.
    """

    name: str
    cubes: int
    into_bin: bool
    time_limit_s: float
    longest_steps: int

    def instruction(self, colours: Sequence[str]) -> str:
        """Return the task in words, for the cubes of these colours in this order."""
        cubes = ' and then '.join(f'the {colour} cube' for colour in colours)
        return f'put {cubes} into the bin' if self.into_bin else f'pick up {cubes}'


PICK = Task('pick', 1, False, 12.0, 34)
TASKS = {task.name: task for task in (
    PICK, Task('bin', 1, True, 16.0, 64), Task('bin_two', 2, True, 32.0, 124))}


def task_named(name: str) -> Task:
    """Return a task; raises ValueError where there is none of that name."""
    if name not in TASKS:
        raise ValueError(f"task '{name}' is unknown; expected one of {', '.join(TASKS)}")
    return TASKS[name]


@dataclass(frozen=True)
class Variant:
    """
    A world for the layouts.

    ``colours``: of the cubes that may be told, by the name they are told by; ``distractors``: more
    cubes, which are never told. Cubes lie up to ``outside`` m nearer or farther than the area of
    training, and never in it, unless that is 0; the camera in front moves by ``camera_shift`` m.
    """

    name: str
    text: str
    colours: Mapping[str, Rgba] = field(default_factory=lambda: CUBE_COLOURS)
    distractors: Mapping[str, Rgba] = field(default_factory=dict)
    outside: float = 0.0
    camera_shift: tuple[float, float, float] = (0.0, 0.0, 0.0)


TRAINED = Variant('trained', 'as in training')
VARIANTS = {variant.name: variant for variant in (
    TRAINED,
    Variant('shades', 'red, green and blue of other shades', colours={
        'red': (0.85, 0.32, 0.22, 1.0), 'green': (0.36, 0.66, 0.14, 1.0),
        'blue': (0.16, 0.45, 0.85, 1.0)}),
    Variant('positions', 'cubes up to 5 cm nearer or farther than in training', outside=0.05),
    Variant('distractors', 'a yellow and a purple cube beside the three', distractors={
        'yellow': (0.85, 0.75, 0.10, 1.0), 'purple': (0.45, 0.15, 0.55, 1.0)}),
    Variant('camera', 'the camera in front 8 cm to the side and 5 cm up',
            camera_shift=(0.0, 0.08, 0.05)),
)}
