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
An AgileX Piper driven by the vendor's piper_sdk over CAN, free of ROS.

The arm follows a stream of whole poses and holds the last one. What is dangerous about it is
avoided here: a joint is never missing (it would go to 0 rad), nothing is sent before the motors
are on and the pose to hold is measured, and nothing is ever sent that cuts the motors' power,
which would drop the arm. piper_sdk is imported when it is used. Called by
``nodes/piper_sdk_node.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import degrees, isfinite, radians
import time

from faster_ros.robot_spec import RobotSpec
from faster_ros.robots.optional_messages import load_sdk

_PER_DEGREE = 1000  # the SDK counts 0.001 degree ...
_PER_METRE = 1_000_000  # ... 0.001 mm ...
_PER_NEWTON_METRE = 1000  # ... and 0.001 N m
_CAN_CONTROL, _MOVE_J, _POSITION_VELOCITY = 0x01, 0x01, 0x00
_GRIPPER_ON = 0x01
_OLDEST_S = 0.2  # of a state that is told to anybody
_LONGEST_ENABLE_S = 5.0
_ENABLE_PERIOD_S = 0.02
_LARGEST_STEP = 0.1  # rad from one pose to the next; the arm would go there at once
_BEYOND_LIMITS = 0.05  # rad; at home two joints stand at their limits


@dataclass(frozen=True)
class PiperPose:
    """A whole command: joints and gripper (rad, m) by name, percent of speed, N m of gripper."""

    positions: Mapping[str, float]
    speed_percent: int
    effort: float


@dataclass(frozen=True)
class PiperState:
    """Measured joints and gripper in RobotSpec order (rad, m) at a time of the system clock."""

    stamp_ns: int
    positions: tuple[float, ...]


class PiperArm:
    """
    One arm on one CAN bus; ``stream`` once a period, ``command`` and ``take_over`` in between.

    Not thread-safe.
    """

    def __init__(self, spec: RobotSpec, port: str, bus: str = 'socketcan') -> None:
        """``port``: can0, or a channel of another ``bus`` of python-can."""
        sdk = load_sdk('piper_sdk', 'piper_sdk', 'driving a Piper without piper_ros')
        self._spec = spec
        self._pose: PiperPose | None = None
        self._interface = sdk.C_PiperInterface_V2(
            can_name=port, judge_flag=False, can_auto_init=False)
        try:
            self._interface.CreateCanBus(port, bustype=bus, judge_flag=bus == 'socketcan')
        except (ConnectionError, OSError, ValueError) as error:
            raise OSError(f'expected a CAN bus {port} ({bus}) that is up, got: {error}; bring it '
                          'up with: ip link set can0 up type can bitrate 1000000') from error
        self._interface.ConnectPort(piper_init=False)

    def close(self) -> None:
        """Leave the bus; the motors stay on and the arm holds its last pose."""
        self._interface.DisconnectPort()

    def state(self) -> PiperState | None:
        """Return the measured state, or None while there is none of the last 0.2 s."""
        joints, gripper = self._interface.GetArmJointMsgs(), self._interface.GetArmGripperMsgs()
        stamp_s = min(joints.time_stamp, gripper.time_stamp)
        if time.time() - stamp_s > _OLDEST_S:
            return None
        values = [getattr(joints.joint_state, f'joint_{index}') for index in range(1, 7)]
        arm = [radians(value / _PER_DEGREE) for value in values]
        width = gripper.gripper_state.grippers_angle / _PER_METRE
        return PiperState(round(stamp_s * 1e9), (*arm, width))

    @property
    def problem(self) -> str:
        """Return '' or why the arm does not follow commands."""
        status = self._interface.GetArmStatus()
        if self.state() is None or time.time() - status.time_stamp > _OLDEST_S:
            return 'no feedback of the last 0.2 s on the CAN bus; is the arm on and connected?'
        arm = status.arm_status
        if arm.arm_status != 0:
            return (f'the arm reports {arm.arm_status.name} ({int(arm.arm_status)}); support it, '
                    "clear the fault with the vendor's tools, then call ~/recover")
        off = [index + 1 for index, on in enumerate(self._interface.GetArmEnableStatus())
               if not on]
        if off:
            return (f"motors {', '.join(map(str, off))} are off; call ~/recover to switch them "
                    'on and hold the pose')
        if self._pose is None or arm.ctrl_mode != _CAN_CONTROL:
            return 'the arm is not under control; call ~/recover to hold its pose'
        return ''

    def take_over(self, sleep: Callable[[float], None] = time.sleep) -> str:
        """Switch the motors on and hold the measured pose; returns '' or why not."""
        self._pose = None
        status = self._interface.GetArmStatus().arm_status
        if self.state() is None or status.arm_status != 0:
            return self.problem
        deadline = time.monotonic() + _LONGEST_ENABLE_S
        while not self._interface.EnablePiper():
            if time.monotonic() > deadline:
                return self.problem
            sleep(_ENABLE_PERIOD_S)
        state = self.state()
        if state is None:
            return self.problem
        spec = self._spec
        self._pose = PiperPose(dict(zip(spec.joint_names, state.positions)),
                               spec.command_speed_percent, spec.gripper.effort)
        while self.problem:
            if time.monotonic() > deadline:
                refusal, self._pose = self.problem, None
                return refusal
            self._send(self._pose)
            sleep(_ENABLE_PERIOD_S)
        return ''

    def command(self, pose: PiperPose) -> str:
        """Take a new pose to stream; returns '' or why it is refused."""
        refusal = self.problem or self._refusal(pose)
        if not refusal:
            speed = min(max(pose.speed_percent, 1), 100)
            self._pose = replace(pose, speed_percent=speed)
        return refusal

    def stream(self) -> None:
        """Send the pose again; nothing while the arm has a problem, which ends its control."""
        if self._pose is None:
            return
        if self.problem:
            self._pose = None  # it may be moved by hand now: only take_over goes on from there
            return
        self._send(self._pose)

    def _refusal(self, pose: PiperPose) -> str:
        spec, held = self._spec, self._pose
        assert held is not None
        if set(pose.positions) != set(spec.joint_names):
            return (f"expected exactly {', '.join(spec.joint_names)}, got "
                    f"{', '.join(pose.positions) or 'no joints'}; a joint that is missing would "
                    'be sent to 0 rad')
        if not isfinite(pose.effort) or not all(map(isfinite, pose.positions.values())):
            return f'expected finite numbers, got {pose}'
        for name in spec.arm_joint_names:
            limits, value = spec.joints[name], pose.positions[name]
            if not limits.lower - _BEYOND_LIMITS <= value <= limits.upper + _BEYOND_LIMITS:
                return f'{name} at {value:.3f} rad is outside [{limits.lower}, {limits.upper}]'
            if abs(value - held.positions[name]) > _LARGEST_STEP:
                return (f'{name} would step from {held.positions[name]:.3f} to {value:.3f} rad; '
                        f'expected at most {_LARGEST_STEP:g} rad from one command to the next')
        return ''

    def _send(self, pose: PiperPose) -> None:
        spec = self._spec
        arm = [round(degrees(pose.positions[name]) * _PER_DEGREE) for name in spec.arm_joint_names]
        gripper = spec.gripper
        width = min(max(pose.positions[gripper.joint], gripper.closed), gripper.open)
        self._interface.MotionCtrl_2(_CAN_CONTROL, _MOVE_J, pose.speed_percent,
                                     _POSITION_VELOCITY)
        self._interface.JointCtrl(*arm)
        self._interface.GripperCtrl(round(width * _PER_METRE),
                                    round(pose.effort * _PER_NEWTON_METRE), _GRIPPER_ON, 0)
