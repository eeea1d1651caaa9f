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
The scripted expert of the tasks: a chunk of actions from any state of the simulator.

The expert keeps no memory: what it does next follows from the measured joints and the cubes'
places alone, so that any state, also one that a policy or a disturbance led to, gets a clean
label. Of several arms, the one in front of which the cube lies picks; the others hold.
"""

from __future__ import annotations

import math

from faster_ros.interfaces import FloatArray
from faster_ros.kinematics import Kinematics
from faster_ros.robot_spec import RobotSpec
from faster_ros.sim.scene import (
    BIN_HALF_WIDTH,
    BIN_HEIGHT,
    bin_place,
    build_model,
    CUBE_HALF_SIZE,
    fingertip_depth,
)
from faster_ros.sim.sim_arm import arms_of, SimArm
from faster_ros.sim.simulator import Simulator
from faster_ros.sim.tasks import PICK, Task
from faster_ros.sim.workspace import CUBE_AREA, tool_place
import numpy as np

_CLEARANCE = 0.015  # m between the fingertips and the table when they close
_LEANING_CLEARANCE = 0.005  # m, of fingers that lean: only their lowest edge comes so close
_HOVER_HEIGHT = 0.10  # m, travel height above the table
_LIFT_HEIGHT = 0.17  # m
_CARRY_HEIGHT = 0.14  # m, over the walls of the bin
_CARRY_FROM = 0.10  # m, lower than that a held cube only goes up
_OVER_BIN = 0.04  # m from its middle, along x and along y, at which a cube is let go
_LET_GO = 0.012  # m between a finger and a cube that is no longer held
_FUNNEL_SLOPE = 4.0  # m of height per m of horizontal distance, around the cube
_FUNNEL_RADIUS = 0.005  # m, horizontal error at which the descent goes to the bottom
_ALIGNED = 0.012  # m, largest horizontal error at which the fingers close
_SPEED = 0.32  # m/s
_JOINT_SPEED = 1.0  # rad/s, largest in a plan
_SLOW_GAIN = 4.0  # 1/s, speed per distance near the target
_TURN_SPEED = 1.0  # rad/s, back to the downward attitude
_ACCELERATION = 5.0  # rad/s^2 that these speeds need; a weaker arm goes slower, brakes as far
_FINGER_SPEED = 0.08  # m/s that the plan expects of a closing finger at most
_GRASP_S = 0.04  # a hold is believed when the fingers are this long away from it
_GRASP_GAP = (0.001, 0.004)  # m, but at least and at most
_EMPTY = 0.014  # m, finger position below which nothing is held
_MIDDLE = np.mean(CUBE_AREA, axis=1)  # m, of the cubes' area at scale 1
_UPRIGHT = 0.6  # cosine; a tool that leans more is first brought over the table


class PickExpert:
    """Plans the next chunk for the present state of a simulator; a row has ``action_names``."""

    def __init__(self, spec: RobotSpec, step_s: float, task: Task = PICK) -> None:
        self._arms = arms_of(spec)
        model = build_model(spec, self._arms)
        self._experts = [_ArmExpert(arm, step_s, fingertip_depth(model, arm), task.into_bin)
                         for arm in self._arms]
        self._columns = len(spec.action_names)
        self._lower, self._upper = spec.limit_array('lower'), spec.limit_array('upper')

    def plan(self, simulator: Simulator, horizon: int) -> FloatArray:
        """Return joint targets (horizon, C) for the simulator's state; row 0 is that pose."""
        positions, _ = simulator.state()
        return self.plan_from(positions, simulator.told_cubes(), horizon)

    def plan_from(self, positions: FloatArray, cubes: FloatArray, horizon: int) -> FloatArray:
        """
        Return joint targets (horizon, C) from measured joints (D,) and the told cubes (K, 3).

        C is D, and two columns more for a mobile base, which stands still.
        """
        actions = np.zeros((horizon, self._columns))
        actions[:, :len(positions)] = np.clip(positions, self._lower, self._upper)
        gaps = [np.linalg.norm(arm.from_world(cubes[0])[:2] - arm.workspace.scale * _MIDDLE)
                for arm in self._arms]
        chosen = int(np.argmin(gaps))
        arm = self._arms[chosen]
        actions[:, arm.part] = self._experts[chosen].plan(
            positions[arm.part], [arm.from_world(cube) for cube in cubes], horizon)
        return actions

    def carried(self, positions: FloatArray, there: FloatArray, cube: FloatArray) -> FloatArray:
        """
        Return where the told cube (3,) would be were the first arm ``there`` (D,).

        A cube that its hand holds at ``positions`` (D,) goes with it; another one stays.
        """
        arm, expert = self._arms[0], self._experts[0]
        place = arm.from_world(cube)
        if not expert.holds(positions[arm.part], place):
            return cube
        moved = expert.grip(there[arm.part][:-1])[0] - expert.grip(positions[arm.part][:-1])[0]
        return arm.to_world(place + moved)


class _ArmExpert:
    """Plans for one arm; all places are in its base frame."""

    def __init__(self, arm: SimArm, step_s: float, fingertip_depth: float,
                 into_bin: bool) -> None:
        spec = self._spec = arm.spec
        self._kinematics = Kinematics(spec)
        self._step_s = step_s
        self._hand, self._workspace = arm.hand, arm.workspace
        weakest = float(spec.limit_array('acceleration')[:-1].min()) * spec.acceleration_scale
        self._pace = min(1.0, math.sqrt(weakest / _ACCELERATION))
        limits = spec.joints[spec.gripper.joint]
        speed = abs(self._hand.fingers[0].scale) * limits.velocity * spec.velocity_scale
        self._finger_speed = min(_FINGER_SPEED, speed)
        self._gap = float(np.clip(_GRASP_S * speed, *_GRASP_GAP))
        clearance = _LEANING_CLEARANCE if self._workspace.lean else _CLEARANCE
        self._grasp_height = clearance + fingertip_depth
        self._bin = arm.from_world(bin_place(arm)) if into_bin else None

    def plan(self, positions: FloatArray, cubes: list[FloatArray], horizon: int) -> FloatArray:
        """Return joint targets (horizon, D) from measured joints (D,) and the told cubes."""
        gripper = self._spec.gripper
        joints, finger = positions[:-1], self._hand.half_opening(float(positions[-1]))
        grip, rotation = self.grip(joints)
        due = [cube for cube in cubes if not self._over_bin(cube)]
        held = [cube for cube in cubes if _holds(grip, finger, cube, self._gap)]
        letting_go = any(self._over_bin(cube) for cube in held)
        holding = bool(due) and any(cube is due[0] for cube in held)
        actions = np.empty((horizon, len(positions)))
        closing = holding
        for row in range(horizon):
            actions[row, :-1] = joints
            actions[row, -1] = gripper.closed if closing else gripper.open
            if holding and self._over_bin(grip):
                due, holding, letting_go, closing = due[1:], False, True, False
                actions[row, -1] = gripper.open
            if letting_go:
                finger += self._finger_speed * self._step_s
                letting_go = finger < CUBE_HALF_SIZE + _LET_GO
                continue
            if holding or not due:
                goal = self._carry(grip)
            else:
                goal, closing = self._approach(grip, finger, due[0])
                if closing:
                    actions[row, -1] = gripper.closed
                    finger -= self._finger_speed * self._step_s
                    holding = finger < CUBE_HALF_SIZE - 0.002
                    continue
                finger = self._hand.half_opening(gripper.open)
            joints = self._step(joints, grip, rotation, goal)
            grip, rotation = self.grip(joints)
        return actions

    def holds(self, positions: FloatArray, cube: FloatArray) -> bool:
        """Tell whether the hand of the measured arm (D,) holds a cube (3,)."""
        finger = self._hand.half_opening(float(positions[-1]))
        return _holds(self.grip(positions[:-1])[0], finger, cube, self._gap)

    def _over_bin(self, place: FloatArray) -> bool:
        """Tell whether what is let go at ``place`` falls into the bin, or lies there."""
        if self._bin is None:
            return False
        gap = np.abs(place - self._bin)
        low = gap[2] < BIN_HEIGHT + CUBE_HALF_SIZE
        return bool(gap[:2].max() < (BIN_HALF_WIDTH if low else _OVER_BIN))

    def _carry(self, grip: FloatArray) -> FloatArray:
        """Return where to go with a cube: up, and then over the bin if there is one."""
        if self._bin is None or grip[2] < _CARRY_FROM:
            return np.array([grip[0], grip[1], max(_LIFT_HEIGHT, grip[2])])
        return np.array([*self._bin[:2], _CARRY_HEIGHT])

    def grip(self, joints: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the middle of what the fingers would hold (3,), and the tool's attitude."""
        tool, rotation = self._kinematics.forward(joints)
        return tool + self._hand.grip_length * rotation[:, 2], rotation

    def _step(self, joints: FloatArray, grip: FloatArray, rotation: FloatArray,
              goal: FloatArray) -> FloatArray:
        """Return the joints one step nearer to the goal."""
        place, step_s = self._workspace, self._pace * self._step_s
        attitude = place.attitude(grip)
        if rotation[:, 2] @ attitude[:, 2] < _UPRIGHT:
            goal_joints = place.ready
        else:
            grip = _advance(grip, goal, step_s)
            rotation = _turn(rotation, attitude, _TURN_SPEED * step_s)
            goal_joints = self._kinematics.step_towards(
                joints, tool_place(grip, rotation, self._hand), rotation, place.ready,
                iterations=2)
        step = goal_joints - joints
        share = _JOINT_SPEED * step_s / max(float(np.abs(step).max()), 1e-9)
        return joints + step * min(1.0, share)

    def _approach(self, grip: FloatArray, finger: float,
                  cube: FloatArray) -> tuple[FloatArray, bool]:
        """Return the next goal of the grip and whether the fingers shall close here."""
        distance = float(np.linalg.norm(grip[:2] - cube[:2]))
        height = self._grasp_height + cube[2] - CUBE_HALF_SIZE
        at_bottom = grip[2] < height + 0.006
        if distance < _ALIGNED and at_bottom and finger > _EMPTY:
            return grip, True
        rise = min(_HOVER_HEIGHT, _FUNNEL_SLOPE * max(0.0, distance - _FUNNEL_RADIUS))
        return np.array([cube[0], cube[1], height + rise]), False


def _holds(tool: FloatArray, finger: float, cube: FloatArray, gap: float) -> bool:
    near = np.linalg.norm(tool[:2] - cube[:2]) < 0.02 and abs(tool[2] - cube[2]) < 0.025
    return bool(near and _EMPTY < finger < CUBE_HALF_SIZE + gap)


def _advance(tool: FloatArray, goal: FloatArray, step_s: float) -> FloatArray:
    """Move at the travel speed, slower near the goal, upwards first when below it."""
    move = goal - tool
    if move[2] > 0.03:
        move = np.array([0.3 * move[0], 0.3 * move[1], move[2]])
    distance = float(np.linalg.norm(move))
    reach = min(_SPEED * step_s, _SLOW_GAIN * step_s * distance + 0.003)
    return tool + move * min(1.0, reach / max(distance, 1e-9))


def _turn(rotation: FloatArray, goal: FloatArray, angle: float) -> FloatArray:
    """Turn ``rotation`` by at most ``angle`` rad towards ``goal``."""
    import pinocchio as pin  # kept local: only the expert turns attitudes

    error = pin.log3(goal @ rotation.T)
    size = float(np.linalg.norm(error))
    turned: FloatArray = pin.exp3(error * min(1.0, angle / max(size, 1e-9))) @ rotation
    return turned
