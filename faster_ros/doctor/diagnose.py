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
"""All checks, in the order in which a person would make them."""

from __future__ import annotations

from faster_ros.doctor import camera_checks, checkpoint_checks, description_checks, joint_checks
from faster_ros.doctor.command_checks import command_lines
from faster_ros.doctor.facts import ArmFacts, CameraFacts, Facts
from faster_ros.doctor.report import critical, Line, Report
from faster_ros.doctor.stream_checks import presence, quality, rate, stamps
from faster_ros.doctor.system_checks import system_lines


def diagnose(facts: Facts) -> Report:
    """Return the report on what was found."""
    spec = facts.spec
    lines = [line.of(arm.name) for arm in facts.arms for line in _joints(arm)]
    for camera in facts.cameras:
        lines += _camera(camera, facts)
    lines += command_lines(facts)
    lines += [description_checks.limits(arm.spec, arm.description_topic, arm.description)
              .of(arm.name) for arm in facts.arms]
    positions = {name: value for arm in facts.arms
                 for name, value in joint_checks.measured(arm.spec, arm.joints).items()}
    lines += checkpoint_checks.fit(spec, facts.checkpoint, positions)
    lines.append(camera_checks.shared_memory(facts.cameras, facts.system))
    lines += system_lines(spec, facts.system)
    return Report(spec.robot, tuple(lines))


def _joints(arm: ArmFacts) -> list[Line]:
    spec, joints, stream = arm.spec, arm.joints, arm.joints.stream
    there = presence('joint states', stream)
    lines = [there, *([quality('joint QoS', stream)] if stream.publishers else [])]
    if not stream.arrivals_ns:
        return lines
    return [*lines, rate('joint rate', stream, spec.state_rate_hz, spec.state_max_age_s),
            stamps('joint stamps', stream, spec.state_max_age_s),
            joint_checks.names(spec, joints), joint_checks.units(spec, joints)]


def _camera(camera: CameraFacts, facts: Facts) -> list[Line]:
    name, stream, system = camera.name, camera.stream, facts.system
    expected = facts.spec.cameras[name]
    advice = camera_checks.large_image_remedy(camera, system)
    if not stream.publishers and camera.compressed_offered:
        return [critical(f'{name} camera', f'nobody publishes {stream.topic}, but '
                         f'{stream.topic}/compressed', 'take it: compressed:=true')]
    lines = [presence(f'{name} camera', stream, advice)]
    if stream.publishers:
        lines.append(quality(f'{name} QoS', stream))
    if not stream.arrivals_ns:
        return lines
    return [*lines, rate(f'{name} rate', stream, expected.rate_hz, expected.max_age_s, advice),
            stamps(f'{name} stamps', stream, expected.max_age_s),
            camera_checks.images(camera), camera_checks.lost_frames(camera, system)]
