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
``faster_ros policy``: a policy for other machines, over a websocket.

``serve`` answers clients of openpi's protocol with the policy of a checkpoint. ``check`` asks a
server, this one or another's, whether its policy fits a robot, and how long its answers take. What
travels, and how it is kept private: docs/policy_server.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import ipaddress
import json
from pathlib import Path
import signal
from typing import TYPE_CHECKING

from faster_ros.bringup import default_checkpoint
from faster_ros.robot_spec import load_robot_spec, RobotSpec
from faster_ros.runtime.scheduling import exempt_from_collection

if TYPE_CHECKING:  # imported by the job itself, so that --help is quick
    from faster_ros.policy.checkpoint import FASTerPolicy
    from faster_ros.policy_server.handshake import Metadata
    from faster_ros.policy_server.server import PolicyServer
    from faster_ros.policy_server.settings import ObservationKeys


def main(arguments: Sequence[str]) -> int:
    """Run one of the jobs and return its exit code."""
    options = _parser().parse_args(arguments)
    return int(options.job(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='faster_ros policy', description=__doc__)
    jobs = parser.add_subparsers(required=True, metavar='JOB')

    serve = jobs.add_parser('serve', help='answer clients with the policy of a checkpoint')
    add = serve.add_argument
    add('--checkpoint', type=Path, default=Path(default_checkpoint()),
        help='folder of the trained policy, or owner/name on a hub (that of the package)')
    add('--robot', help='name or file of the robot (the one in the checkpoint)')
    add('--host', default='127.0.0.1', help='address to listen on (%(default)s: this machine '
        'only; 0.0.0.0: every network)')
    add('--port', type=int, default=8000, help='(%(default)s); 0 takes a free one')
    add('--token-file', type=Path, metavar='FILE', help='file of the one word that clients must '
        'know')
    add('--without-token', action='store_true', help='let every machine that reaches this one in')
    add('--certificate', metavar='FILE', help='PEM file of the certificate chain, for wss://')
    add('--key', metavar='FILE', help="PEM file of the certificate's key")
    add('--keys', type=Path, metavar='FILE', help='YAML file that says what the entries of an '
        'observation are called (images, state, prompt, actions)')
    add('--device', default='auto', choices=('auto', 'cpu', 'cuda'), help='(%(default)s)')
    add('--torch-threads', type=int, default=0, help='on a CPU; 0 leaves one core free')
    serve.set_defaults(job=_serve)

    check = jobs.add_parser('check', help='does a server fit a robot, and how long does it take')
    add = check.add_argument
    add('server', help='ws:// or wss:// address, or YAML file about a server')
    add('--robot', default='fr3', help='name or file of the robot (%(default)s)')
    add('--calls', type=int, default=200, help='how often to ask (%(default)s); 0 only connects')
    add('--instruction', help='the task in words (those that the server has as an example)')
    add('--json', type=Path, metavar='FILE', help='write the times of all calls there, too')
    check.set_defaults(job=_check)
    return parser


def _serve(options: argparse.Namespace) -> int:
    from faster_ros.policy_server.settings import observation_keys, read_token

    if bool(options.certificate) != bool(options.key):
        raise ValueError('--certificate and --key: expected both or none')
    token = read_token(options.token_file) if options.token_file else ''
    if not token and not options.without_token and not _only_this_machine(options.host):
        raise ValueError(f'--host {options.host} can be reached from other machines; expected '
                         '--token-file, or --without-token to let every one of them in')
    keys = observation_keys(options.keys) if options.keys else None
    server = start_server(options, token, keys)
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell's background job ignores the first
        signal.signal(number, signal.default_int_handler)
    exempt_from_collection()
    scheme = 'wss' if options.certificate else 'ws'
    print(f'serving {options.checkpoint} on {scheme}://{options.host}:{server.port}, '
          f'{"with a token" if token else "without a token"}', flush=True)
    if token and not options.certificate and not _only_this_machine(options.host):
        print('the token can be read on the way: expected --certificate and --key, or a private '
              'network', flush=True)
    try:
        server.wait()
    except KeyboardInterrupt:
        pass
    finally:
        server.stop()
    return 0


def start_server(options: argparse.Namespace, token: str,
                 keys: ObservationKeys | None) -> PolicyServer:
    """Load the policy of the options, run it on blank images and listen; imports torch."""
    from faster_ros.nodes.policy_loading import prepare
    from faster_ros.policy.checkpoint import load_policy
    from faster_ros.policy.compatibility import read_config
    from faster_ros.policy.hub import local_folder
    from faster_ros.policy_server.server import PolicyServer, tls_context

    tls = tls_context(options.certificate, options.key) if options.certificate else None
    folder = local_folder(options.checkpoint)
    config = read_config(folder)
    spec = (load_robot_spec(options.robot) if options.robot else
            RobotSpec.from_dict(config.get('robot'), f'{folder}/config.json'))
    policy = load_policy(folder, spec, options.device)
    prepare(policy, spec, options.torch_threads)
    return PolicyServer(policy, metadata_of(policy, folder, keys),
                        (options.host, options.port), token, tls,
                        lambda line: print(line, flush=True))


def metadata_of(policy: FASTerPolicy, folder: Path, keys: ObservationKeys | None = None,
                ) -> Metadata:
    """Return what a server says of a policy that was loaded from a folder."""
    from faster_ros.data.provenance import folder_hash
    from faster_ros.policy.compatibility import FORMAT
    from faster_ros.policy.embodiment import representation
    from faster_ros.policy_server.handshake import Metadata, PROTOCOL
    from faster_ros.policy_server.settings import ObservationKeys

    parts = policy.parts
    spec, state = parts.robot, parts.state_normaliser
    return Metadata(
        protocol=PROTOCOL, checkpoint=folder.absolute().name,
        checkpoint_sha256=folder_hash(folder), checkpoint_format=FORMAT,
        action_representation=representation(spec), step_s=parts.step_s, cameras=policy.cameras,
        robot=spec.robot, joints=spec.joint_names, base=spec.base is not None,
        columns=spec.action_names, action_horizon=policy.action_horizon,
        state_low=tuple(map(float, state.low)), state_high=tuple(map(float, state.high)),
        takes_committed=policy.takes_committed, example_instruction=policy.example_instruction,
        keys=keys or ObservationKeys(
            images={camera: f'observation/images/{camera}' for camera in policy.cameras},
            state={'observation/state': spec.joint_names}),
        image_size=policy.image_size)


def _only_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == 'localhost'


def _check(options: argparse.Namespace) -> int:
    from faster_ros.nodes.policy_loading import connect
    from faster_ros.policy_server.measurement import measure_calls

    spec = load_robot_spec(options.robot)
    client = connect(options.server, spec)
    try:
        served = client.served
        print(f"{client.settings.address} serves a policy that fits robot '{spec.robot}': "
              f"{', '.join(served.columns)} every {served.step_ns * 1e-9:g} s; cameras "
              f"{', '.join(served.keys.images)}", flush=True)
        if options.calls < 1:
            return 0
        times = measure_calls(client, spec, options.calls,
                              options.instruction or client.example_instruction)
    finally:
        client.close()
    print(f'\n{times.table()}')
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps({
            'round_trip_ms': times.round_trip, 'policy_ms': times.policy}, indent=2) + '\n')
    return 0
