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
A MuJoCo robot with cubes on a table: any robot of this package in a small world of primitives.

Of a robot with several arms, each has cubes in front of it.

The simulator runs without ROS; ``nodes/sim_node.py`` puts it behind the topics of a real arm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math

from faster_ros.interfaces import FloatArray, ImageArray
from faster_ros.rendering import load_before_mesa
from faster_ros.robot_spec import RobotSpec
from faster_ros.sim.scene import (
    BIN_HALF_WIDTH,
    BIN_HEIGHT,
    bin_place,
    build_model,
    CUBE_HALF_SIZE,
    DAMPING_RATIO,
    TIMESTEP_S,
)
from faster_ros.sim.sim_arm import arms_of, SimArm
from faster_ros.sim.tasks import CUBE_COLOURS, PICK, Task, TRAINED, Variant
from faster_ros.sim.workspace import CUBE_AREA
import mujoco
import numpy as np

TEST_SEED_START = 1_000_000  # seeds from here on are never used for training
_CUBE_SPACING = 0.10  # least distance between cube centres, m
_CUBE_YAW = 0.3  # rad to both sides
_NEAR = 0.07  # m between tool and cube, at which a drifting cube stays
_START_NOISE = 0.05  # rad, standard deviation around the home pose


@dataclass(frozen=True)
class Layout:
    """One seeded start: which cubes are told, in their order, and how the task is told."""

    seed: int
    colours: tuple[str, ...]
    instruction: str


class Simulator:
    """
    The arms, the cubes and a task.

    Set points and states are (D,) vectors in RobotSpec order. One thread may advance it.
    """

    timestep_s = TIMESTEP_S

    def __init__(self, spec: RobotSpec, task: Task = PICK, variant: Variant = TRAINED) -> None:
        self.spec, self.task, self.variant = spec, task, variant
        self.arms = arms_of(spec)
        if task.into_bin and len(self.arms) > 1:
            raise ValueError(f'task {task.name} needs a robot with one arm, got {spec.robot} with '
                             f'{len(self.arms)}')
        self.model = build_model(spec, self.arms, task.into_bin, variant)
        self.data = mujoco.MjData(self.model)
        leaders, seconds = zip(*(arm.hand.fingers for arm in self.arms))
        joints = [name for arm, leader in zip(self.arms, leaders)
                  for name in (*arm.spec.arm_joint_names, leader.joint)]
        self._qpos, self._qvel, self._control = self._addresses(joints)
        second_joints = [finger.joint for finger in seconds]
        self._second_qpos, _, self._second_control = self._addresses(second_joints)
        # A joint is told and tells ``offset + scale x`` what MuJoCo's joint does; all but the
        # grippers are themselves.
        self._grippers = np.array(spec.gripper_indices)
        self._scale, self._offset = np.ones(len(joints)), np.zeros(len(joints))
        self._scale[self._grippers] = [finger.scale for finger in leaders]
        self._offset[self._grippers] = [finger.offset for finger in leaders]
        self._table = float(self.arms[0].origin[2])
        self._shown = {arm.spec.state_topic: self._shown_joints(arm) for arm in self.arms}
        self._bin = bin_place(self.arms[0])
        self._cubes = {colour: self.model.body(f'cube_{colour}').id
                       for colour in (*CUBE_COLOURS, *variant.distractors)}
        self.layout = self.reset(0)

    def _addresses(self, names: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the places of joints in MuJoCo's positions, velocities and controls."""
        joints = [self.model.joint(name) for name in names]
        return (np.array([joint.qposadr[0] for joint in joints], dtype=int),
                np.array([joint.dofadr[0] for joint in joints], dtype=int),
                np.array([self.model.actuator(name).id for name in names], dtype=int))

    def _shown_joints(self, arm: SimArm) -> tuple[np.ndarray, ...]:
        """Return names, addresses, scale and offset of what an arm's driver tells."""
        spec, fingers = arm.spec, arm.hand.fingers
        rows = {name: (name, 1.0, 0.0) for name in spec.arm_joint_names}
        rows[spec.gripper.joint] = (fingers[0].joint, fingers[0].scale, fingers[0].offset)
        if fingers[0].joint == spec.gripper.joint:  # then the other finger is a joint as well
            rows |= {finger.joint: (finger.joint, 1.0, 0.0) for finger in fingers[1:]}
        # Broadcasters of ros2_control sort by name; Piper's node tells the gripper last.
        told = dict(zip(spec.joint_names, spec.driver_joint_names))
        rows = {told.get(name, name): row for name, row in rows.items()}
        names = list(rows) if spec.command_mode == 'joint_state' else sorted(rows)
        qpos, qvel, _ = self._addresses([rows[name][0] for name in names])
        return (np.array(names), qpos, qvel, np.array([rows[name][1] for name in names]),
                np.array([rows[name][2] for name in names]))

    @property
    def shown_joints(self) -> dict[str, tuple[str, ...]]:
        """Return the joints that each driver's joint states have, in its order, by topic."""
        return {topic: tuple(shown[0].tolist()) for topic, shown in self._shown.items()}

    def joint_states(self) -> dict[str, tuple[FloatArray, FloatArray]]:
        """Return positions and velocities of ``shown_joints``, by topic."""
        return {topic: ((self.data.qpos[qpos] - offset) / scale, self.data.qvel[qvel] / scale)
                for topic, (_, qpos, qvel, scale, offset) in self._shown.items()}

    def reset(self, seed: int) -> Layout:
        """Lay out the cubes, the start pose and the task that belong to ``seed``."""
        rng = np.random.default_rng(seed)
        arm, moves = self.spec.home_positions, self.spec.arm_mask
        arm[moves] += rng.normal(0.0, _START_NOISE, np.count_nonzero(moves))
        arm = np.clip(arm, self.spec.limit_array('lower'), self.spec.limit_array('upper'))
        mujoco.mj_resetData(self.model, self.data)
        self.place_arm(arm)
        places = _spread_points(rng, self.arms, self.variant.outside)
        for colour, place in zip(CUBE_COLOURS, places):
            self._place_cube(colour, place, rng)
        told = [str(rng.choice(list(CUBE_COLOURS)))]
        while len(told) < self.task.cubes:
            told.append(str(rng.choice([name for name in CUBE_COLOURS if name not in told])))
        for name in self.variant.distractors:
            places = np.vstack([places, _free_point(rng, self.arms[0], places)])
            self._place_cube(name, places[-1], rng)
        mujoco.mj_forward(self.model, self.data)
        self.layout = Layout(seed, tuple(told), self.task.instruction(told))
        return self.layout

    def _place_cube(self, name: str, place: FloatArray, rng: np.random.Generator) -> None:
        yaw = rng.uniform(-_CUBE_YAW, _CUBE_YAW)
        height = self._table + CUBE_HALF_SIZE
        pose = (*place, height, math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2))
        self.data.joint(f'cube_{name}').qpos[:] = pose

    def place_arm(self, positions: FloatArray) -> None:
        """Put the arm at rest at ``positions`` (D,) with the same set point."""
        told = self._offset + self._scale * positions
        self.data.qpos[self._qpos] = told
        self.data.qpos[self._second_qpos] = told[self._grippers]
        self.data.qvel[:] = 0.0
        self._set_points(positions, np.zeros_like(positions))
        mujoco.mj_forward(self.model, self.data)

    def advance(self, positions: FloatArray, velocities: FloatArray) -> None:
        """Advance one time step with set points in rad, rad/s (finger: m, m/s)."""
        self._set_points(positions, velocities)
        mujoco.mj_step(self.model, self.data)

    def _set_points(self, positions: FloatArray, velocities: FloatArray) -> None:
        control = self._offset + self._scale * (positions + DAMPING_RATIO * velocities)
        self.data.ctrl[self._control] = control
        self.data.ctrl[self._second_control] = control[self._grippers]

    def state(self) -> tuple[FloatArray, FloatArray]:
        """Return measured positions and velocities, each of shape (D,)."""
        return ((self.data.qpos[self._qpos] - self._offset) / self._scale,
                self.data.qvel[self._qvel] / self._scale)

    def cube_position(self, colour: str) -> FloatArray:
        """Return the centre of a cube in the base frame, shape (3,), in m."""
        return np.array(self.data.xpos[self._cubes[colour]])

    @property
    def target(self) -> str:
        """Return the colour of the told cube that is due: the first that is not in the bin."""
        left = [colour for colour in self.layout.colours if not self.in_bin(colour)]
        return left[0] if left else self.layout.colours[-1]

    def told_cubes(self) -> FloatArray:
        """Return the centres of the told cubes in their order, shape (cubes, 3), in m."""
        return np.stack([self.cube_position(colour) for colour in self.layout.colours])

    def in_bin(self, colour: str) -> bool:
        """Tell whether a cube lies in the bin, maybe on another; never without a bin."""
        gap = np.abs(self.cube_position(colour) - self._bin)
        inside = max(gap[:2]) < BIN_HALF_WIDTH and gap[2] < BIN_HEIGHT + CUBE_HALF_SIZE
        return self.task.into_bin and bool(inside)

    def drift_cube(self, speed: float) -> None:
        """Move the told cube at ``speed`` in m/s across the table until the hand is near it."""
        cube = self.cube_position(self.target)
        hands = [self.data.body(arm.spec.tool_frame).xpos for arm in self.arms]
        if min(np.linalg.norm(hand - cube) for hand in hands) > _NEAR:
            side = 1.0 if self.layout.seed % 2 else -1.0
            self.data.joint(f'cube_{self.target}').qvel[:] = (0, side * speed, 0, 0, 0, 0)

    def lifted_height(self) -> float:
        """Return how far the cube that is due is above the table, in m."""
        return self._height(self.target)

    def _height(self, colour: str) -> float:
        return float(self.cube_position(colour)[2] - CUBE_HALF_SIZE - self._table)

    def succeeded(self) -> bool:
        """Tell whether the told cube is lifted by 8 cm or more, or all told are in the bin."""
        if self.task.into_bin:
            return all(map(self.in_bin, self.layout.colours))
        return self.lifted_height() > 0.08

    def wrong_lifted(self) -> bool:
        """Tell whether a cube that is not due is off the table by 4 cm or more."""
        return any(self._height(colour) > 0.04 and not self.in_bin(colour)
                   for colour in self._cubes if colour != self.target)

    def camera_intrinsics(self, camera: str, width: int,
                          height: int) -> tuple[float, float, float, float]:
        """Return fx, fy, cx, cy of a pinhole camera of that size, in pixels."""
        fovy = math.radians(float(self.model.camera(camera).fovy[0]))
        focal = 0.5 * height / math.tan(0.5 * fovy)
        return focal, focal, 0.5 * width, 0.5 * height


class CameraRenderer:
    """Renders the simulator's cameras at one size; make and use it in one thread."""

    def __init__(self, simulator: Simulator, width: int, height: int) -> None:
        # A larger buffer costs: all of it is cleared for each image.
        buffer = simulator.model.vis.global_
        buffer.offwidth, buffer.offheight = width, height
        load_before_mesa()
        self._renderer = mujoco.Renderer(simulator.model, height, width)

    def render(self, camera: str, data: mujoco.MjData) -> ImageArray:
        """Return one uint8 RGB image of shape (height, width, 3)."""
        self._renderer.update_scene(data, camera)
        flags = self._renderer.scene.flags
        flags[mujoco.mjtRndFlag.mjRND_SHADOW] = False
        flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = False
        image: ImageArray = self._renderer.render()
        return image

    def close(self) -> None:
        """Free the rendering context."""
        self._renderer.close()


def _spread_points(rng: np.random.Generator, arms: Sequence[SimArm],
                   outside: float) -> FloatArray:
    """Return places on the table, each in front of an arm; shape (cubes, 2)."""
    count = len(CUBE_COLOURS)
    chosen = [arms[0]] * count
    if len(arms) > 1:
        chosen = [arms[index] for index in rng.integers(len(arms), size=count)]
    low, high = min(arm.workspace.scale for arm in arms) * np.array(CUBE_AREA).T
    while True:
        points = rng.uniform(low, high, (count, 2))
        if outside:
            share = 2.0 * (points[:, 0] - low[0]) / (high[0] - low[0]) - 1.0
            points[:, 0] = np.where(share < 0, low[0], high[0]) + outside * share
        points = np.array([arm.to_world(np.array([*point, 0.0]))[:2]
                           for arm, point in zip(chosen, points)])
        gaps = [np.linalg.norm(points[i] - points[j])
                for i in range(len(points)) for j in range(i)]
        if min(gaps) > _CUBE_SPACING:
            return points


def _free_point(rng: np.random.Generator, arm: SimArm, taken: FloatArray) -> FloatArray:
    """Return a place (2,) in front of an arm that is away from those that are ``taken``."""
    low, high = arm.workspace.scale * np.array(CUBE_AREA).T
    while True:
        point = arm.to_world(np.array([*rng.uniform(low, high), 0.0]))[:2]
        if min(np.linalg.norm(taken - point, axis=1)) > _CUBE_SPACING:
            return point
