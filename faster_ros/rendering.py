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
"""What has to be loaded before the first image is rendered in a process."""

from __future__ import annotations

import importlib


def load_before_mesa() -> None:
    """
    Load triton, which comes with torch for GPUs, if it is installed.

    Mesa's software renderer opens its LLVM to the whole process; triton's own, if it is loaded
    after that, takes those functions for its own and crashes the process.
    """
    try:
        importlib.import_module('triton')
    except ImportError:
        return
