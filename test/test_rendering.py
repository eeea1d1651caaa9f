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
"""Rendering and torch for GPUs live in one process."""

import importlib.util
import subprocess
import sys

import pytest

RENDER_AND_IMPORT = """
from faster_ros.robot_spec import load_robot_spec
from faster_ros.sim.simulator import CameraRenderer, Simulator
simulator = Simulator(load_robot_spec('fr3'))
simulator.reset(0)
CameraRenderer(simulator, 64, 48).render('front', simulator.data)
import triton
"""


@pytest.mark.skipif(importlib.util.find_spec('triton') is None,
                    reason='torch for CPUs comes without triton')
def test_triton_can_be_loaded_after_an_image_was_rendered():
    done = subprocess.run([sys.executable, '-c', RENDER_AND_IMPORT], capture_output=True,
                          text=True, timeout=100)
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:])
