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
``faster_ros evaluate-demo``: the demo's policy on unseen layouts, in process.

Simulated time, chunks without delay. Beside the policy stand the ceiling of its tokenizer, the
expert's chunks encoded and decoded, and the expert itself.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
import json
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from faster_ros.evaluation.statistics import success_rate
from faster_ros.interfaces import ActionChunk, Observation
from faster_ros.policy.action_representation import from_deltas, to_deltas
from faster_ros.policy.checkpoint import FASTerPolicy, load_policy
from faster_ros.robot_spec import load_robot_spec, RobotSpec
from faster_ros.sim.expert import PickExpert
from faster_ros.sim.pick_trials import Execution, Infer, PickTrial, PickTrials
from faster_ros.sim.simulator import TEST_SEED_START
import torch
from tqdm import tqdm

_RENDER_SCALE = 2  # images are rendered larger and averaged down, as a camera's pixels are
SUBJECTS = {'policy': 'the policy', 'tokenizer': 'the expert through the tokenizer',
            'expert': 'the expert alone'}
_STATE: dict[str, Any] = {}  # one simulator and policy per worker process


def evaluate(checkpoint: Path, spec: RobotSpec, subject: str, trials: int,
             seed_start: int = TEST_SEED_START, workers: int = 2,
             execution: Execution | None = None) -> dict[str, Any]:
    """
    Run trials of ``policy``, ``tokenizer`` or ``expert``; return counts, interval and trials.

    The layouts are those of the seeds from ``seed_start``; training never uses them.
    """
    how = execution or Execution()
    jobs = [(checkpoint, spec, subject, seed_start + index, how) for index in range(trials)]
    with get_context('spawn').Pool(workers) as pool:
        results = list(tqdm(pool.imap(_run_job, jobs), total=trials, unit='trial',
                            desc=f'trials of {SUBJECTS[subject]}'))
    successes = sum(result.success for result in results)
    rate = success_rate(successes, trials)
    return {
        'subject': SUBJECTS[subject], 'trials': trials, 'successes': successes,
        'interval_95': [rate.low, rate.high],
        'wrong_lifted': sum(result.wrong_lifted for result in results),
        'faults': [result.fault for result in results if result.fault],
        'seconds': [result.seconds for result in results],
        'each': [asdict(result) for result in results],
    }


def describe(result: dict[str, Any]) -> str:
    """Return one line of text for a result of ``evaluate``."""
    rate = success_rate(result['successes'], result['trials'])
    return (f"{result['subject']}: {rate}, wrong cube lifted in {result['wrong_lifted']}, "
            f"faults {len(result['faults'])}")


def _run_job(job: tuple[Path, RobotSpec, str, int, Execution]) -> PickTrial:
    checkpoint, spec, subject, seed, execution = job
    if 'trials' not in _STATE:
        torch.set_num_threads(1)
        policy = load_policy(checkpoint, spec)
        size = policy.parts.model.config.backbone
        pixels = (_RENDER_SCALE * size.image_width, _RENDER_SCALE * size.image_height)
        _STATE['trials'] = PickTrials(spec, pixels if subject == 'policy' else None)
        _STATE['infer'] = policy.infer if subject == 'policy' else _expert(
            policy, _STATE['trials'], coded=subject == 'tokenizer')
    _STATE['trials'].execution = execution
    result: PickTrial = _STATE['trials'].run(seed, _STATE['infer'])
    return result


def _expert(policy: FASTerPolicy, trials: PickTrials, coded: bool) -> Infer:
    """Return the expert as a policy, its chunks passed through the tokenizer if ``coded``."""
    parts = policy.parts
    assert isinstance(parts.robot, RobotSpec)
    expert = PickExpert(parts.robot, parts.step_s)
    gripper = parts.robot.gripper_index

    def infer(observation: Observation) -> ActionChunk:
        actions = expert.plan(trials.simulator, policy.action_horizon)
        if coded:
            deltas = to_deltas(actions, observation.positions, gripper)
            chunk = torch.from_numpy(parts.action_normaliser.normalise(deltas)[None]).float()
            decoded = parts.tokenizer.decode(parts.tokenizer.encode(chunk))[0].double().numpy()
            actions = from_deltas(parts.action_normaliser.restore(decoded),
                                  observation.positions, gripper)
        return ActionChunk(observation.stamp_ns, round(parts.step_s * 1e9), actions,
                           parts.robot.joint_names)

    return infer


def main(arguments: list[str], default_checkpoint: Path) -> int:
    """Run ``faster_ros evaluate-demo`` and return its exit code."""
    parser = argparse.ArgumentParser(prog='faster_ros evaluate-demo', description=__doc__)
    parser.add_argument('--checkpoint', type=Path, default=default_checkpoint,
                        help='checkpoint folder (default: the one that is shipped)')
    parser.add_argument('--trials', type=int, default=100, help='trials of each (default 100)')
    parser.add_argument('--seed-start', type=int, default=TEST_SEED_START,
                        help='seed of the first layout')
    parser.add_argument('--out', type=Path, default=Path('out/evaluate_demo'),
                        help='folder of summary.json (default out/evaluate_demo)')
    options = parser.parse_args(arguments)
    spec = load_robot_spec('fr3')
    load_policy(options.checkpoint, spec)  # a bad checkpoint is named before any process starts
    results = {}
    for subject in SUBJECTS:
        results[subject] = evaluate(options.checkpoint, spec, subject, options.trials,
                                    options.seed_start)
        print(describe(results[subject]), flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / 'summary.json'
    path.write_text(json.dumps(results, indent=2) + '\n')
    print(f'figures: {path}')
    return 0
