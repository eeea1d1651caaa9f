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
"""Reads what the doctor wants to know of this machine: kernel, cores, shared memory profile."""

from __future__ import annotations

from collections.abc import Mapping
import importlib.util
import os
from pathlib import Path
import re

from faster_ros.doctor.facts import MissingPackage, SystemFacts

_GOVERNOR = Path('/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor')
_REAL_TIME = Path('/sys/kernel/realtime')
_OF_POLICY = ('torch', 'safetensors')


def machine_facts(environment: Mapping[str, str], profile_variable: str, middleware: str,
                  real_time: bool, missing: tuple[MissingPackage, ...]) -> SystemFacts:
    """Return the facts; ``environment`` is that of the shell that starts the drivers."""
    profile = environment.get(profile_variable, '')
    return SystemFacts(
        real_time=real_time, real_time_kernel=_text(_REAL_TIME) == '1' or 'PREEMPT_RT' in
        os.uname().version, governor=_text(_GOVERNOR), cores=len(os.sched_getaffinity(0)),
        middleware=middleware, profile_variable=profile_variable, profile=profile,
        segment_bytes=segment_bytes(_text(Path(profile)) if profile else ''), missing=missing)


def segment_bytes(profile: str) -> int:
    """Return the shared memory that the text of a Fast DDS profile gives, 0 if none."""
    found = re.search(r'<segment_size>\s*(\d+)\s*</segment_size>', profile)
    return int(found[1]) if found else 0


def missing_modules() -> tuple[MissingPackage, ...]:
    """Return the Python packages that a policy needs and that are not installed."""
    return tuple(MissingPackage(name, 'the policy', f'pip install {name}') for name in _OF_POLICY
                 if importlib.util.find_spec(name) is None)


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ''
