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
How much of the machine was there while something was measured.

A virtual machine's host may give its processors to others; latencies then tell of the host.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

_STAT = Path('/proc/stat')  # cpu user nice system idle iowait irq softirq steal ..., in ticks
_STEAL = 7


class MachineLoad:
    """Counts from when it is made."""

    def __init__(self, stat: Path = _STAT) -> None:
        """``stat``: the kernel's counters."""
        self._stat = stat
        self._before = self._ticks()

    def figures(self) -> dict[str, Any]:
        """Return the processors and the share of their time that the host took; None: unknown."""
        spent = [now - before for now, before in zip(self._ticks(), self._before)]
        share = round(spent[_STEAL] / sum(spent), 4) if sum(spent) > 0 else None
        return {'processors': os.cpu_count(), 'taken_by_host': share}

    def _ticks(self) -> list[int]:
        if not self._stat.exists():
            return []
        return [int(field) for field in self._stat.read_text().split('\n', 1)[0].split()[1:9]]
