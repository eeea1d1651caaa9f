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
Runs a node graph of ``bringup`` without ``ros2 launch``, for machines with pip only.

Each node gets its own process group. When a required node ends, or on ctrl-C, all are stopped:
SIGINT, then SIGTERM, then SIGKILL, each with a bounded wait.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
import ctypes
from functools import partial
import os
from pathlib import Path
import signal
import subprocess
import sys
from threading import Thread
import time
from typing import TextIO

from faster_ros.bringup import environment
from faster_ros.cli.shared_memory import SharedMemoryJanitor
from faster_ros.graph_parts import command, Process

_POLL_S = 0.05
_PATIENCE_S = ((signal.SIGINT, 6.0), (signal.SIGTERM, 3.0), (signal.SIGKILL, 2.0))
_LAST_LINES = 20
_NOTABLE = ('[FATAL]',)
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


class Runner:
    """
    Starts processes, passes on what they say and ends them together.

    ``log_folder``: gets one file per node; then only what ends a node reaches the screen,
    besides the output of foreground processes. Without it every line is shown.
    """

    def __init__(
        self,
        processes: Sequence[Process],
        log_folder: Path | None = None,
        extra_environment: Mapping[str, str] | None = None,
        screen: TextIO | None = None,
    ) -> None:
        self._processes = processes
        self._log_folder = log_folder
        self._environment = node_environment(extra_environment or {})
        self._screen = screen or sys.stdout
        self._children: list[_Child] = []
        self._signal = 0  # not an Event, whose lock the interrupted thread may hold

    def run(self) -> int:
        """Run until a required process ends or a signal comes; returns the exit code."""
        previous = {
            number: signal.signal(number, self._on_signal)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        janitor = SharedMemoryJanitor()
        try:
            for process in self._processes:
                self._children.append(self._start(process))
            ended = self._wait()
        finally:
            self._stop_all()
            janitor.clean()
            for number, handler in previous.items():
                signal.signal(number, handler)
        if ended is None:
            return 128 + self._signal
        return self._report(ended)

    @property
    def pids(self) -> dict[str, int]:
        """Return the process id of each started node."""
        return {child.process.name: child.popen.pid for child in self._children}

    def _on_signal(self, number: int, _: object) -> None:
        self._signal = self._signal or number

    def _start(self, process: Process) -> _Child:
        log = None
        if self._log_folder is not None and not process.foreground:
            self._log_folder.mkdir(parents=True, exist_ok=True)
            log = (self._log_folder / f'{process.name}.log').open('w', encoding='utf-8')
        return _Child(process, self._environment, log, self._screen)

    def _wait(self) -> _Child | None:
        """Return the required process that ended first, or None after a signal."""
        while not self._signal:
            time.sleep(_POLL_S)
            for child in self._children:
                if child.process.required and child.popen.poll() is not None:
                    return child
        return None

    def _stop_all(self) -> None:
        for number, patience_s in _PATIENCE_S:
            running = [child for child in self._children if child.alive]
            for child in running:
                child.send(number)
            deadline = time.monotonic() + patience_s
            while time.monotonic() < deadline and any(child.alive for child in running):
                time.sleep(_POLL_S)
        for child in self._children:
            child.finish()

    def _report(self, ended: _Child) -> int:
        code = ended.popen.returncode
        if code == 0:
            return 0
        reason = f'code {code}' if code > 0 else f'signal {signal.Signals(-code).name}'
        print(
            f'{ended.process.name} ended with {reason}, so everything was stopped. '
            'Its last lines:',
            *ended.last_lines,
            sep='\n  ',
            file=sys.stderr,
        )
        return code if code > 0 else 128 - code


class _Child:
    """A started process and the thread that reads its output."""

    def __init__(
        self, process: Process, environment: Mapping[str, str], log: TextIO | None, screen: TextIO
    ) -> None:
        self.process = process
        self.last_lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._log = log
        self._screen = screen
        self.popen = subprocess.Popen(
            command(process),
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors='replace',
            preexec_fn=partial(_prepare_child, os.getpid()),
        )
        self._reader = Thread(target=self._read, name=f'output of {process.name}', daemon=True)
        self._reader.start()

    @property
    def alive(self) -> bool:
        """Whether the process, or one that it started, still runs."""
        if self.popen.poll() is None:
            return True
        try:
            os.killpg(self.popen.pid, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def send(self, number: signal.Signals) -> None:
        """Signal the whole process group, which the process leads."""
        try:
            os.killpg(self.popen.pid, number)
        except ProcessLookupError:
            pass

    def finish(self) -> None:
        """Read what is left and close the log."""
        self._reader.join(timeout=1.0)
        if self._log is not None and not self._reader.is_alive():
            self._log.close()

    def _read(self) -> None:
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            self.last_lines.append(line.rstrip('\n'))
            if self.process.foreground:
                self._show(line)
                continue
            if self._log is not None:
                self._log.write(line)
                self._log.flush()
            if self._log is None or any(word in line for word in _NOTABLE):
                self._show(f'[{self.process.name}] {line}')

    def _show(self, line: str) -> None:
        self._screen.write(line)
        self._screen.flush()


def node_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the nodes: the user's, completed for a machine with pip only."""
    variables = dict(os.environ)
    variables.setdefault('AMENT_PREFIX_PATH', sys.prefix)
    variables.setdefault('PYTHONUNBUFFERED', '1')
    package_parent = str(Path(__file__).resolve().parents[2])
    paths = variables.get('PYTHONPATH', '').split(os.pathsep)
    if package_parent not in paths:
        variables['PYTHONPATH'] = os.pathsep.join([*filter(None, paths), package_parent])
    variables.update(environment())
    variables.update(extra)
    return variables


def _prepare_child(parent: int) -> None:
    """
    Make the child lead a process group and end with the runner; runs in the child.

    A group and not a session of its own: Linux weighs the niceness of processes only within a
    session (autogroup), and control_node has to go before the others.
    """
    os.setpgid(0, 0)
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGINT)  # also when the runner is killed
    if os.getppid() != parent:
        os._exit(1)
