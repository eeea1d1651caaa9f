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
"""A Piper on a python-can bus: speaks the frames that the vendor's piper_sdk encodes and reads."""

import struct
from threading import Thread
import time

import can

PERIOD_S = 0.005
FULL_SPEED = 180_000  # 0.001 degree per s
ENABLED = 0x40  # bit of the drivers' status


class FakePiper:
    """Goes where it is told at the speed it is told, if its motors are on and CAN rules."""

    def __init__(self, bus: str, port: str, joints=(0, 0, 0, 0, 0, 0)) -> None:
        self._bus = can.Bus(interface=bus, channel=port, receive_own_messages=False)
        self.joints, self.target = list(joints), list(joints)  # 0.001 degree
        self.gripper = 35_000  # 0.001 mm
        self.effort = self.percent = self.ctrl_mode = self.arm_status = 0
        self.enabled = False
        self.silent = False
        self.frames = []  # (time, id, data)
        self._closing = False
        self._threads = [Thread(target=run, daemon=True) for run in (self._listen, self._talk)]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._closing = True
        for thread in self._threads:
            thread.join(2.0)
        self._bus.shutdown()

    def seen(self, identifier: int) -> list:
        return [frame for frame in list(self.frames) if frame[1] == identifier]

    @property
    def power_cuts(self) -> list:
        """Return the frames that take the power from the motors: the arm would drop."""
        return self.seen(0x150) + [frame for frame in self.seen(0x471) if frame[2][1] == 0x01]

    def _listen(self) -> None:
        while not self._closing:
            message = self._bus.recv(0.1)
            if message is None:
                continue
            identifier, data = message.arbitration_id, bytes(message.data)
            self.frames.append((time.monotonic(), identifier, data))
            if identifier == 0x471 and data[0] in (7, 0xFF):
                self.enabled = data[1] == 0x02
            elif identifier == 0x151:
                self.ctrl_mode, self.percent = data[0], data[2]
            elif identifier in (0x155, 0x156, 0x157):
                first = 2 * (identifier - 0x155)
                self.target[first:first + 2] = struct.unpack('>ii', data)
            elif identifier == 0x159:
                self.gripper, self.effort = struct.unpack('>ih', data[:6])

    def _talk(self) -> None:
        while not self._closing:
            self._advance()
            if not self.silent:
                self._report()
            time.sleep(PERIOD_S)

    def _advance(self) -> None:
        if not self.enabled or self.ctrl_mode != 1 or self.arm_status:
            return
        step = round(FULL_SPEED * self.percent / 100 * PERIOD_S)
        self.joints = [value + max(-step, min(step, target - value))
                       for value, target in zip(self.joints, self.target)]

    def _report(self) -> None:
        self._send(0x2A1, bytes([self.ctrl_mode, self.arm_status, 1, 0, 0, 0, 0, 0]))
        for pair in range(3):
            self._send(0x2A5 + pair, struct.pack('>ii', *self.joints[2 * pair:2 * pair + 2]))
        self._send(0x2A8, struct.pack('>ih', self.gripper, 0) + bytes([ENABLED, 0]))
        for motor in range(6):
            status = ENABLED if self.enabled else 0
            self._send(0x261 + motor, struct.pack('>Hh', 240, 30) + bytes([30, status])
                       + struct.pack('>H', 100))

    def _send(self, identifier: int, data: bytes) -> None:
        self._bus.send(can.Message(arbitration_id=identifier, data=data, is_extended_id=False))
