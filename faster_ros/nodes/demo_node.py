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
Runs the trials of the demo on the simulated robot and writes what came out.

Per trial: a new layout, its instruction to the policy, the arm armed until the task is done or the
time is over. Prints one line per trial; writes summary.json, report.html, video.mp4 and
picture.png, the video's first success.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
import json
from pathlib import Path
import sys
from threading import Event, Thread
import time
from typing import Any

from faster_ros.bringup import VIDEO_RATE_HZ
from faster_ros.evaluation.machine_load import MachineLoad
from faster_ros.evaluation.trial_record import (
    summarize,
    summary_lines,
    TrialRecord,
)
from faster_ros.evaluation.trial_video import TrialVideo, VideoFrame
from faster_ros.nodes.demo_graph_client import DemoGraphClient, EXPERT_NODE
from faster_ros.nodes.parameters import declare, parameter
from faster_ros.nodes.service_calls import GraphFault
from faster_ros.nodes.simulated_scene import check_that_only_the_simulator_listens
from faster_ros.nodes.spinning import run_node
from faster_ros.robot_spec import load_robot_spec
from rclpy.node import Node

_VIDEO_SECONDS = 4.0  # of the joint plots
_SHOW_OUTCOME_S = 0.5
_POLL_S = 0.02
_SETTLE_S = 0.15
_STATUS_DELAY_S = 0.3  # the status of before this time may be of the trial before


@dataclass(frozen=True)
class DemoParameters:
    """Parameters of demo_node."""

    robot: str = parameter('fr3', 'robot name or path of its YAML file')
    leader: str = parameter('policy_node', 'who leads the arm: policy_node, or expert_node, which '
                            'knows where the cube is')
    checkpoint: str = parameter('', 'folder of the policy, for the report')
    trials: int = parameter(10, 'number of layouts', 1, 100000)
    seed_start: int = parameter(1_000_000, 'seed of the first layout', 0, 2_000_000_000)
    time_limit: float = parameter(0.0, "longest trial in s; 0 takes the task's", 0.0, 600.0)
    startup_limit: float = parameter(120.0, 'longest wait for the other nodes in s', 1.0, 3600.0)
    out: str = parameter('out/demo', 'folder of summary.json, report.html and video.mp4')
    video: bool = parameter(True, 'write video.mp4')


class DemoNode(Node):
    """The demo as a node; the trials run in an own thread, the topics in the executor's."""

    def __init__(self) -> None:
        super().__init__('demo_node')
        self.exit_code = 1
        self._config = declare(self, DemoParameters)
        self._spec = load_robot_spec(self._config.robot)
        self._out = Path(self._config.out)
        self._stopping = Event()
        self._expert = self._config.leader == EXPERT_NODE
        self._client = DemoGraphClient(
            self, self._spec, self._stopping, self._config.leader, self._config.video
        )
        self._records: list[TrialRecord] = []
        self._video: TrialVideo | None = None
        self._thread = Thread(target=self._run, name='trials', daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Break off the trials."""
        self._stopping.set()
        self._thread.join(timeout=5.0)  # the video of the trial is drawn meanwhile

    def _run(self) -> None:
        try:
            self._wait_until_ready()
            check_that_only_the_simulator_listens(self, self._spec)
            load = MachineLoad()
            self._run_trials()
            machine = load.figures()
            if not self._stopping.is_set():
                self._client.retire_leader()
                self._write_results(machine)
                self.exit_code = 0
        except GraphFault as fault:
            self._say(f'the demo stopped: {fault}', sys.stderr)
        finally:
            self._client.stop()
            self.context.try_shutdown()

    def _wait_until_ready(self) -> None:
        start, told = time.monotonic(), ''
        while (missing := self._client.missing()) and not self._stopping.wait(_POLL_S):
            waited_s = time.monotonic() - start
            if waited_s > self._config.startup_limit:
                raise GraphFault(
                    f'no sign of {", ".join(missing)} within {waited_s:.0f} s; the '
                    'lines above and the log files of the nodes may tell why'
                )
            text = f'waiting for {", ".join(missing)}'
            if text != told and waited_s > 1.0:
                self._say(text)
                told = text
        if not missing:
            self._say(f'ready after {time.monotonic() - start:.1f} s')

    def _run_trials(self) -> None:
        config, spec = self._config, self._spec
        if config.video:
            self._out.mkdir(parents=True, exist_ok=True)
            self._video = TrialVideo(
                self._out / 'video.mp4',
                spec.joint_names,
                VIDEO_RATE_HZ,
                (spec.limit_array('lower'), spec.limit_array('upper')),
            )
            self._client.on_front_image = self._film
        try:
            for number in range(1, config.trials + 1):
                if self._stopping.is_set():
                    return
                record = self._trial(number, config.seed_start + number - 1)
                self._records.append(record)
                self._say(record.line(config.trials))
                if record.detail:
                    self._say(f'      {record.detail}')
                if self._video is not None:
                    self._video.draw()
        finally:
            self._client.record = None
            if self._video is not None and (problem := self._video.close()):
                self._say(problem, sys.stderr)

    def _trial(self, number: int, seed: int) -> TrialRecord:
        client = self._client
        client.arm(False)
        instruction = ('expert: ' if self._expert else '') + client.reset(seed)
        # The arm was put back in no time: control_node must not start from where it was.
        self._stopping.wait(_SETTLE_S)
        counters, frames = client.counters(), client.frames()
        record = TrialRecord(number, seed, instruction, self._now_ns())
        client.record = record
        refusal = client.arm(True)
        record.detail = refusal
        record.outcome = 'not armed' if refusal else self._watch(record)
        record.success = record.outcome == 'success'
        client.arm(False)
        # The counters are published at 10 Hz: what happened until now is in the next message.
        self._stopping.wait(_SHOW_OUTCOME_S)
        record.wrong = bool(client.task['wrong'])
        record.counters = {
            name: total - counters[name] for name, total in client.counters().items()
        }
        record.frames = {
            name: (received - frames[name][0], missed - frames[name][1])
            for name, (received, missed) in client.frames().items()
        }
        record.thumbnail_jpeg = client.jpegs.get(next(iter(self._spec.cameras)), b'')
        client.record = None
        return record

    def _watch(self, record: TrialRecord) -> str:
        """Wait for the end of the trial; returns its outcome."""
        start = time.monotonic()
        while not self._stopping.wait(_POLL_S):
            record.seconds = time.monotonic() - start
            task = self._client.task
            if task['seed'] == record.seed and task['success']:
                record.seconds = min(record.seconds, task['success_s'])
                return 'success'
            if self._client.control.get('mode') == 'holding' and record.seconds > _STATUS_DELAY_S:
                return f'held: {self._client.control.get("reason")}'
            if record.seconds > self._time_limit_s:
                return 'timeout'
        return 'interrupted'

    @property
    def _time_limit_s(self) -> float:
        return self._config.time_limit or float(self._client.task['time_limit_s'])

    def _film(self) -> None:
        """Add the newest images to the video; called for each one of the first camera."""
        record, video = self._client.record, self._video
        if record is None or video is None:
            return
        now_ns = self._now_ns()
        since_ns = now_ns - round(_VIDEO_SECONDS * 1e9)
        video.add(
            VideoFrame(
                f'{record.number}  {record.instruction}',
                record.outcome,
                (now_ns - record.start_ns) / 1e9,
                dict(self._client.jpegs),
                record.commanded.arrays(record.start_ns, since_ns),
                record.measured.arrays(record.start_ns, since_ns),
            )
        )

    def _write_results(self, machine: dict[str, Any]) -> None:
        from faster_ros.evaluation.report import write_report  # after the measured part: slow

        config = self._config
        context: dict[str, Any] = {
            'title': 'faster_ros demo',
            'robot': self._spec.robot,
            'led_by': 'the scripted expert, no policy' if self._expert else 'the policy',
            'checkpoint': 'none (the scripted expert leads)' if self._expert
            else config.checkpoint,
            'date': datetime.now(timezone.utc).isoformat(timespec='seconds'),
            'time_limit_s': self._time_limit_s,
            'machine': machine,
            'control': self._client.control,
        }
        summary = summarize(self._records, context)
        self._out.mkdir(parents=True, exist_ok=True)
        (self._out / 'summary.json').write_text(json.dumps(summary, indent=2) + '\n')
        write_report(self._out / 'report.html', summary, self._records, self._spec.joint_names)
        self._say('\n'.join(['', *summary_lines(summary), '']))
        for name in ('report.html', 'video.mp4', 'picture.png', 'summary.json'):
            if (self._out / name).exists():
                self._say(f'  {self._out / name}')

    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    @staticmethod
    def _say(text: str, stream: Any = sys.stdout) -> None:
        print(text, file=stream, flush=True)


def main(args: list[str] | None = None) -> None:
    """Run the node until the demo has ended or it is interrupted."""
    nodes: list[DemoNode] = []

    def make_node() -> DemoNode:
        nodes.append(DemoNode())
        return nodes[0]

    code = run_node('demo_node', make_node, args)
    sys.exit(code or (nodes[0].exit_code if nodes else 1))


if __name__ == '__main__':
    main()
