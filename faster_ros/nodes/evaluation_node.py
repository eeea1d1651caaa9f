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
Walks through the trials of an evaluation: lays out or asks for the scene, runs, times, judges.

The order is blind: the policy of a trial runs in processes of its own (``policy_processes.py``).
A person starts, stops and judges on a page of this machine or in a terminal; unattended, in the
simulator, its success predicate does. It may be interrupted at any time and goes on from its
journal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import fcntl
from pathlib import Path
import sys
from threading import Event, Thread
import time
from typing import Any, TextIO

from faster_ros.bringup import policy_graph
from faster_ros.evaluation.operator_server import OperatorServer
from faster_ros.evaluation.tested_software import note_tested
from faster_ros.evaluation.trial_plan import (
    PlannedTrial,
    read_key,
    reference_picture,
    reference_stem,
)
from faster_ros.evaluation.trial_session import JUDGING, OVER, RUNNING, SETUP, TrialSession
from faster_ros.graph_parts import Process
from faster_ros.nodes.evaluation_client import EvaluationClient, LiveView
from faster_ros.nodes.parameters import declare, parameter, RobotParameters
from faster_ros.nodes.policy_processes import check_tasks, graphs_of, PolicyProcesses
from faster_ros.nodes.service_calls import GraphFault
from faster_ros.nodes.simulated_scene import check_that_only_the_simulator_listens
from faster_ros.nodes.spinning import run_node
from faster_ros.nodes.trial_recorder import TrialRecorder
from rclpy.node import Node

_POLL_S = 0.02
_SETTLE_S = 0.2  # the last messages of processes that have ended arrive meanwhile
_STATUS_DELAY_S = 0.3  # a status of before this time may be of before arming
_LOCK_S = 60.0  # an evaluation that was killed needs a moment to end
_ATTEMPTS = 3  # of an unattended trial
_RECORDER_S = 1.0  # until an unattended trial asks the recorder again


@dataclass(frozen=True)
class EvaluationParameters(RobotParameters):
    """Parameters of evaluation_node."""

    folder: str = parameter('out/eval', 'folder of the evaluation, made by faster_ros eval plan')
    simulated: bool = parameter(False, 'sim_node lays out the scenes')
    attended: bool = parameter(True, 'a person starts, stops and judges; false leaves that to the '
                               'simulator')
    port: int = parameter(8808, 'port of the page on 127.0.0.1; 0 takes a free one', 0, 65535)
    device: str = parameter('auto', 'where the policies run: auto, cpu or cuda')
    compressed: bool = parameter(False, 'take the images from <camera topic>/compressed')
    record: bool = parameter(False, 'recorder_node is there, and records every trial')
    dry_run: bool = parameter(False, 'command only shadow topics, /dry_run/<topic>')
    require_doctor: bool = parameter(False, 'refuse to arm until doctor/verdict has no critical '
                                     'line')
    startup_limit: float = parameter(120.0, 'longest wait for cameras and a policy in s', 1.0,
                                     3600.0)


class EvaluationNode(Node):
    """The trials run in a thread of their own, messages in the executor's, the page in its own."""

    def __init__(self) -> None:
        super().__init__('evaluation_node')
        self.exit_code = 1
        config = self._config = declare(self, EvaluationParameters)
        self._spec = config.load()
        self._folder = Path(config.folder)
        self._lock_file = _lock(self._folder)
        self._session = TrialSession(self._folder)
        self._key = read_key(self._folder)
        check_tasks(self._session.plan, self._spec, config.simulated, config.attended)
        self._graphs = graphs_of(self._session.plan, self._spec, self._graph)
        note_tested(self._folder, self._session.plan)
        self._stopping = Event()
        self._client = EvaluationClient(self, self._spec, self._stopping, config.simulated)
        self._recorder = TrialRecorder(self, self._stopping) if config.record else None
        self._server: OperatorServer | None = None
        self._views: dict[str, LiveView] = {}
        if config.attended:
            cameras = {task.camera for task in self._session.plan.tasks.values()}
            self._views = {camera: LiveView(self, self._spec, camera, config.compressed)
                           for camera in sorted(cameras)}
            self._server = OperatorServer(config.port, self._view, self._act, self._picture)
        self._thread = Thread(target=self._run, name='trials', daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Break off: brake the arm, end the policy; the trial that runs will run again."""
        self._stopping.set()
        self._thread.join(timeout=20.0)
        if self._server is not None:
            self._server.stop()

    def _graph(self, checkpoint: Path) -> list[Process]:
        config = self._config
        return policy_graph(
            config.robot, str(checkpoint), config.device, require_doctor=config.require_doctor,
            joint_prefix=config.joint_prefix, driver_namespace=config.driver_namespace,
            compressed=config.compressed, dry_run=config.dry_run)

    def _view(self) -> dict[str, Any]:
        if self._recorder is not None:
            self._session.recording = self._recorder.state
        return self._session.view(self._now_ns())

    def _act(self, body: Mapping[str, Any]) -> None:
        self._session.act(body, self._now_ns())

    def _picture(self, which: str) -> bytes | None:
        trial = self._session.trial
        if trial is None or self._stopping.is_set():
            return None
        if which == 'live':
            try:
                return self._views[self._session.plan.tasks[trial.task].camera].jpeg()
            except ValueError as error:
                self.get_logger().warning(f'camera image: {error}', throttle_duration_sec=10.0)
                return None
        path = reference_picture(self._folder, trial)
        return path.read_bytes() if path else None

    def _run(self) -> None:
        try:
            self._wait_for(self._scene_missing, None)
            if self._config.simulated:
                check_that_only_the_simulator_listens(self, self._spec)
            if self._server is not None:
                self._say(f'The page of the operator: {self._server.url}\n'
                          'or in a terminal: faster_ros eval operate '
                          f'--url {self._server.url}')
            while not self._stopping.is_set() and self._session.phase != OVER:
                self._step()
            if self._session.phase == OVER:
                self._write_results()
                self.exit_code = 0
        except GraphFault as fault:
            self._say(f'the evaluation stopped: {fault}; the same command goes on', sys.stderr)
        finally:
            self.context.try_shutdown()

    def _scene_missing(self) -> list[str]:
        return [*self._client.scene_missing(),
                *(self._recorder.missing() if self._recorder else ())]

    def _step(self) -> None:
        """Do what the phase asks for: a trial, or the judgement of the one that ran."""
        session = self._session
        trial = session.trial
        assert trial is not None
        if session.phase == SETUP:
            self._trial(trial)
        if session.phase == JUDGING and not self._config.attended:
            self._judge_by_simulator()
        while session.phase == JUDGING and not self._stopping.wait(_POLL_S):
            pass
        if self._recorder is not None and (problem := self._recorder.label(self._folder)):
            self._say(problem, sys.stderr)
        if session.trial != trial:
            self._say(f'{trial.number:>4}/{len(session.order.trials)}  {trial.task}  '
                      f'{trial.initial_state}  done')

    def _trial(self, trial: PlannedTrial) -> None:
        session = self._session
        session.message = 'the policy is loading'
        logs = self._folder / 'log' / f'trial_{trial.number:04}_{session.attempt}'
        instruction = session.task.instruction
        if self._config.simulated:
            seed = session.task.initial_states[trial.initial_state].seed
            assert seed is not None  # the plan was checked
            instruction = self._client.lay_out(seed)
        self._client.tell(instruction)
        processes = PolicyProcesses(self._graphs[self._key[trial.number - 1]], logs)
        try:
            self._wait_for(self._client.missing, processes)
            session.ready, session.message = True, 'ready'
            if self._may_start(processes):
                self._attempt(trial, processes)
        finally:
            processes.stop()
            self._stopping.wait(_SETTLE_S)
            self._client.forget()

    def _may_start(self, processes: PolicyProcesses) -> bool:
        """Wait until the operator starts the arm and it is recorded; False if interrupted."""
        session, attended = self._session, self._config.attended
        deadline = time.monotonic() + self._config.startup_limit
        while not self._stopping.wait(_POLL_S):
            self._raise_if_ended(processes)
            if attended and not session.start_wanted:
                continue
            problem = self._recorder.begin(session.facts()) if self._recorder else ''
            if not problem:
                return True
            session.start_wanted = False
            session.message = f'the arm was not started, as nothing would be recorded: {problem}'
            if not attended and time.monotonic() > deadline:
                raise GraphFault(session.message)
            self._stopping.wait(0.0 if attended else _RECORDER_S)
        return False

    def _attempt(self, trial: PlannedTrial, processes: PolicyProcesses) -> None:
        session, client = self._session, self._client
        self._keep_reference(trial)
        session.begin(self._now_ns())
        if refusal := client.arm():
            session.void(f'could not be armed: {refusal}', self._now_ns())
            self._keep_recording()
            if not self._config.attended and session.attempt > _ATTEMPTS:
                raise GraphFault(f'trial {trial.number} could not be armed: {refusal}')
            return
        start = time.monotonic()
        ended, faults = self._watch(trial, start, processes)
        seconds = time.monotonic() - start
        if not processes.ended():
            client.disarm()
        if ended == 'success':
            seconds = min(seconds, float(client.task['success_s']))
        if not self._stopping.is_set():
            session.finish(seconds, ended, faults, self._now_ns())
            self._keep_recording()

    def _keep_recording(self) -> None:
        """Save the recording of the attempt; what went wrong with it is on record too."""
        if self._recorder is None:
            return
        self._session.message = 'the recording is being saved'
        if problem := self._recorder.keep():
            self._session.recording_problem(problem, self._now_ns())
            self._say(f'the recording: {problem}', sys.stderr)

    def _watch(self, trial: PlannedTrial, start: float,
               processes: PolicyProcesses) -> tuple[str, int]:
        """Wait for the end of the trial; returns why it ended and how many faults there were."""
        session, client = self._session, self._client
        while not self._stopping.wait(_POLL_S):
            seconds = time.monotonic() - start
            if not self._config.attended and client.task['success']:
                return 'success', 0
            if session.stop_wanted or session.phase != RUNNING:
                return 'stopped by the operator', 0
            if client.control.get('mode') == 'holding' and seconds > _STATUS_DELAY_S:
                return f'held: {client.control.get("reason")}', 1
            if ended := processes.ended():
                return ended, 1
            if seconds > session.task.time_limit:
                return 'time limit', 0
        return 'interrupted', 0

    def _judge_by_simulator(self) -> None:
        ended = str(self._session.view(0)['run']['ended'])
        success = ended == 'success'
        failure = '' if success else (
            'wrong cube lifted' if self._client.task.get('wrong') else ended)
        self._session.judge(success, float(success), failure, '', self._now_ns())

    def _keep_reference(self, trial: PlannedTrial) -> None:
        """Keep the picture of a scene that is met for the first time, to overlay it later."""
        if not self._config.attended or reference_picture(self._folder, trial) is not None:
            return
        picture = self._picture('live')
        if picture is not None:
            stem = reference_stem(self._folder, trial.task, trial.initial_state)
            stem.parent.mkdir(exist_ok=True)
            stem.with_suffix('.jpg').write_bytes(picture)

    def _wait_for(self, missing: Any, processes: PolicyProcesses | None) -> None:
        start = time.monotonic()
        while (left := missing()) and not self._stopping.wait(_POLL_S):
            text = f'waiting for {", ".join(left)}'
            if self._client.policy_problem:
                text += f' ({self._client.policy_problem})'
            self._session.message = text
            if processes is not None:
                self._raise_if_ended(processes)
            if time.monotonic() - start > self._config.startup_limit:
                raise GraphFault(f'{text} for {self._config.startup_limit:.0f} s')
        if self._stopping.is_set():
            raise GraphFault('interrupted')

    def _raise_if_ended(self, processes: PolicyProcesses) -> None:
        if ended := processes.ended():
            raise GraphFault(f'{ended}; its log is in {self._folder / "log"}, and names the '
                             'policy')

    def _write_results(self) -> None:
        from faster_ros.evaluation.plan_page import write_results  # slow to load

        figures = write_results(self._folder)
        self._session.message = figures['verdict']
        self._say(f'{figures["verdict"]}\n  {self._folder / "report.html"}')

    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    @staticmethod
    def _say(text: str, stream: TextIO = sys.stdout) -> None:
        print(text, file=stream, flush=True)


def _lock(folder: Path) -> TextIO:
    """Return an open file that no other evaluation of this folder has."""
    if not (folder / 'order.json').exists():
        raise ValueError(f'{folder} holds no evaluation; faster_ros eval plan makes one')
    file = (folder / 'lock').open('w')
    deadline = time.monotonic() + _LOCK_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except OSError:
            if time.monotonic() > deadline:
                raise ValueError(f'another evaluation_node works on {folder}') from None
            time.sleep(_POLL_S)


def main(args: list[str] | None = None) -> None:
    """Run the node until the evaluation is over or interrupted."""
    nodes: list[EvaluationNode] = []

    def make_node() -> EvaluationNode:
        nodes.append(EvaluationNode())
        return nodes[0]

    code = run_node('evaluation_node', make_node, args)
    sys.exit(code or (nodes[0].exit_code if nodes else 1))


if __name__ == '__main__':
    main()
