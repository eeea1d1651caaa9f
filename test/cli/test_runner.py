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
"""The runner: with small programs in place of the nodes, and with real ones."""

from dataclasses import replace
import fcntl
import os
from pathlib import Path
import re
import signal
import subprocess
import sys
import time

from faster_ros.cli import runner
from faster_ros.cli.runner import Runner
from faster_ros.cli.shared_memory import SharedMemoryJanitor
from faster_ros.graph_parts import Process
import pytest

ROOT = Path(__file__).resolve().parents[2]

SLEEP = 'import time\nprint("up", flush=True)\ntime.sleep(60)'
DEAF = 'import signal\nfor n in (2, 15): signal.signal(n, signal.SIG_IGN)\n' + SLEEP
PARENT = ('import subprocess, sys\n'
          'child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])\n'
          'print("child", child.pid, flush=True)\nchild.wait()')
FAIL = 'import time, sys\ntime.sleep(0.5)\nprint("no such camera")\nsys.exit(3)'


@pytest.fixture
def programs(monkeypatch):
    """Let the executable of a Process be the text of a program."""
    monkeypatch.setattr(runner, 'command',
                        lambda process: [sys.executable, '-c', process.executable])


def alive(pid):
    try:
        return Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()[0] != 'Z'
    except FileNotFoundError:
        return False


def test_when_a_required_node_dies_all_end_and_it_is_named(programs, capfd):
    graph = Runner([Process(SLEEP), Process(FAIL), Process(SLEEP, required=False)])
    start = time.monotonic()
    assert graph.run() == 3
    assert time.monotonic() - start < 30.0  # the others sleep for 60 s
    assert not any(alive(pid) for pid in graph.pids.values())
    message = capfd.readouterr().err
    assert 'ended with code 3, so everything was stopped' in message
    assert 'no such camera' in message


def test_a_node_that_is_not_required_may_end(programs):
    graph = Runner([Process('print(1)', required=False), Process('import time; time.sleep(1)')])
    start = time.monotonic()
    assert graph.run() == 0
    assert time.monotonic() - start > 0.9


def test_a_node_that_ignores_signals_is_killed(programs, monkeypatch):
    monkeypatch.setattr(runner, '_PATIENCE_S', tuple(
        (number, 0.4) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)))
    graph = Runner([Process(DEAF), Process(FAIL)])
    assert graph.run() == 3
    assert not any(alive(pid) for pid in graph.pids.values())


def test_a_deaf_program_that_a_node_started_is_killed_after_the_node(programs, monkeypatch, capfd):
    monkeypatch.setattr(runner, '_PATIENCE_S', tuple(
        (number, 0.4) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)))
    deaf = PARENT.replace('import time;', 'import signal, time; signal.signal(2, signal.SIG_IGN); '
                          'signal.signal(15, signal.SIG_IGN);')
    assert Runner([Process(deaf), Process(FAIL)]).run() == 3
    (pid,) = re.findall(r'\] child (\d+)', capfd.readouterr().out)
    assert not alive(int(pid))


def test_what_a_node_started_ends_with_it(programs, capfd):
    graph = Runner([Process(PARENT), Process(FAIL)])
    assert graph.run() == 3
    (pid,) = re.findall(r'\] child (\d+)', capfd.readouterr().out)
    assert not alive(int(pid))


def test_with_a_log_folder_only_the_fatal_and_the_foreground_reach_the_screen(
        programs, capsys, tmp_path):
    talk = 'print("[INFO] fine")\nprint("[FATAL] bad")'
    loud = replace(Process('import time\ntime.sleep(0.5)\nprint("trial 1")'), foreground=True)

    class Named(Process):
        name = 'talker'

    assert Runner([Named(talk, required=False), loud], tmp_path, screen=sys.stdout).run() == 0
    shown = capsys.readouterr().out
    assert shown == '[talker] [FATAL] bad\ntrial 1\n'
    assert (tmp_path / 'talker.log').read_text() == '[INFO] fine\n[FATAL] bad\n'


GRAPH = """
import sys
from faster_ros.graph_parts import Process
from faster_ros.cli.runner import Runner
graph = Runner([Process('sim_node', {'robot': 'fr3'}), Process('control_node', {'robot': 'fr3'})])
sys.exit(graph.run())
"""


class RealGraph:
    """sim_node and control_node under a runner in a process of its own."""

    def __init__(self, log):
        domain = 101 + (os.getpid() + time.monotonic_ns() // 1000) % 100
        self.log = log
        with log.open('w') as output:
            self.popen = subprocess.Popen(
                [sys.executable, '-c', GRAPH], stdout=output, stderr=subprocess.STDOUT, cwd=ROOT,
                env=os.environ | {'ROS_DOMAIN_ID': str(domain), 'PYTHONPATH': str(ROOT),
                                  'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
                                  'PYTHONUNBUFFERED': '1'})
        self.wait_for('physics 250 Hz')
        self.wait_for('disarmed')
        children = Path(f'/proc/{self.popen.pid}/task/{self.popen.pid}/children')
        self.pids = [int(pid) for pid in children.read_text().split()]
        assert len(self.pids) == 2
        self.shared = {name for pid in self.pids for name in mapped(pid)}
        assert self.shared

    def wait_for(self, text, seconds=120.0):
        deadline = time.monotonic() + seconds
        while text not in self.log.read_text():
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def wait_until_gone(self, seconds=60.0):
        deadline = time.monotonic() + seconds
        while any(alive(pid) for pid in self.pids):
            assert time.monotonic() < deadline, 'a node is left over'
            time.sleep(0.05)

    def left_in_shared_memory(self):
        """Return the segments of these nodes (not the ports, which domains may share)."""
        return {name for name in self.shared if Path('/dev/shm', name).exists()
                and 'port' not in name}


def mapped(pid):
    """Return the names of the Fast DDS files that a process has mapped."""
    lines = Path(f'/proc/{pid}/maps').read_text().splitlines()
    return {line.rsplit('/', 1)[1] for line in lines if '/dev/shm/fastdds' in line}


def test_ctrl_c_leaves_no_process_and_no_shared_memory(tmp_path):
    graph = RealGraph(tmp_path / 'log')
    graph.popen.send_signal(signal.SIGINT)
    assert graph.popen.wait(60.0) == 128 + signal.SIGINT
    graph.wait_until_gone()
    assert graph.left_in_shared_memory() == set()
    assert 'Traceback' not in graph.log.read_text()


def test_a_killed_node_takes_the_others_and_its_shared_memory_with_it(tmp_path):
    graph = RealGraph(tmp_path / 'log')
    os.kill(graph.pids[0], signal.SIGKILL)
    assert graph.popen.wait(60.0) == 128 + signal.SIGKILL
    graph.wait_until_gone()
    assert graph.left_in_shared_memory() == set()
    assert 'sim_node ended with signal SIGKILL' in graph.log.read_text()


def test_a_killed_runner_takes_its_nodes_with_it(tmp_path):
    graph = RealGraph(tmp_path / 'log')
    graph.popen.kill()
    graph.popen.wait(5.0)
    graph.wait_until_gone()
    assert graph.left_in_shared_memory() == set()


# What is removed from /dev/shm.

def test_only_new_and_unused_files_are_removed(tmp_path):
    (tmp_path / 'fastdds_0123').touch()
    janitor = SharedMemoryJanitor(tmp_path)
    for name in ('fastdds_dead', 'fastdds_dead_el', 'sem.fastdds_port7_mutex', 'other',
                 'fastdds_open', 'fastdds_open_el', 'fastdds_lock', 'fastdds_lock_el'):
        (tmp_path / name).touch()
    with (tmp_path / 'fastdds_open').open(), (tmp_path / 'fastdds_lock_el').open() as locked:
        fcntl.flock(locked, fcntl.LOCK_EX)
        assert janitor.clean() == ['fastdds_dead', 'fastdds_dead_el', 'sem.fastdds_port7_mutex']
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        'fastdds_0123', 'fastdds_lock', 'fastdds_lock_el', 'fastdds_open', 'fastdds_open_el',
        'other']
