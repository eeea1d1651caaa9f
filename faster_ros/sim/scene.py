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
The MuJoCo model of one robot in its small world: its URDF, a table, cubes, cameras, maybe a bin.

The table is as high as the bases of the arms.

Shapes are primitives. A URDF without masses gets those of its shapes; the arm carries its own
weight. An arm's gains follow from its inertia, but for the FR3: the shipped policy was trained on
the stiffness that stands here.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from faster_ros.interfaces import FloatArray
from faster_ros.robot_spec import CameraSpec, config_path, RobotSpec
from faster_ros.sim.hand import Hand
from faster_ros.sim.sim_arm import SimArm
from faster_ros.sim.tasks import Rgba, TRAINED, Variant
from faster_ros.sim.workspace import Workspace
import mujoco
import numpy as np

CUBE_HALF_SIZE = 0.02  # m
BIN_PLACE = (0.45, 0.36)  # m, of its middle at scale 1, beside the cubes
BIN_HALF_WIDTH = 0.08  # m, inside
BIN_HEIGHT = 0.05  # m
_BIN_WALL = 0.004  # m, half as thick as a wall
_BIN_COLOUR = (0.35, 0.37, 0.40, 1.0)
TIMESTEP_S = 0.004
DAMPING_RATIO = 0.04  # damping gain / stiffness, s; the feed-forward term cancels its lag
_STIFFNESS = {'fr3.urdf': (4500.0, 4500.0, 3500.0, 3500.0, 2000.0, 2000.0, 2000.0)}  # N m / rad
_BANDWIDTH = 50.0  # rad/s of the joints of other arms, critically damped by the ratio above
_DENSITY = 1000.0  # kg / m^3 of shapes whose link states no mass
_FINGER_STIFFNESS = 1500.0  # N / m
_FINGER_FORCE = 30.0  # N
_FRONT_CAMERA_POSITION = (1.25, 0.0, 0.62)  # m, base frame, at scale 1
_FRONT_CAMERA_LOOKS_AT = (0.44, 0.0, 0.12)
_FRONT_FOVY = 44.0  # degrees
_WRIST_FOVY = 70.0  # degrees
# Where a wrist camera sits that the URDF lacks: from what is held, in m, in a frame that points
# down and forwards.
_WRIST_CAMERA_POSITION = (0.09, 0.0, -0.0934)
_WRIST_CAMERA_TILT = 0.349066  # rad


def build_model(spec: RobotSpec, arms: Sequence[SimArm], with_bin: bool = False,
                variant: Variant = TRAINED) -> mujoco.MjModel:
    """Return the compiled model; for each arm an actuator of each joint and of both fingers."""
    scene = _load(spec, [arm.hand.stroke for arm in arms if arm.hand.stroke])
    scene.option.timestep = TIMESTEP_S
    scene.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    scene.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    scene.option.impratio = 5.0
    visual = scene.visual
    visual.headlight.ambient = (0.4, 0.4, 0.4)
    visual.headlight.diffuse = (0.45, 0.45, 0.45)
    visual.headlight.specular = (0.0, 0.0, 0.0)
    visual.quality.offsamples = 0
    visual.quality.numslices, visual.quality.numstacks = 16, 8
    for arm in arms:
        if arm.hand.added:
            _add_hand(scene.body(arm.spec.tool_frame), arm.hand, arm.workspace)
    _tune_bodies(scene, [finger.joint for arm in arms for finger in arm.hand.fingers])
    for arm in arms:
        _tune_arm(scene, arm.spec, arm.hand)
    table = float(arms[0].origin[2])
    _add_world(scene, table)
    for name, rgba in {**variant.colours, **variant.distractors}.items():
        _add_cube(scene, name, rgba, table)
    if with_bin:
        _add_bin(scene, arms[0])
    for name, camera in spec.cameras.items():
        _add_camera(scene, name, camera, arms[0], variant)
    model = scene.compile()
    if spec.urdf not in _STIFFNESS:
        _stiffen_by_inertia(model, arms)
    return model


def fingertip_depth(model: mujoco.MjModel, arm: SimArm) -> float:
    """Return how far an arm's fingertips are below the middle of what they hold, in m."""
    data = mujoco.MjData(model)
    for name, position in zip(arm.spec.arm_joint_names, arm.workspace.ready):
        data.joint(name).qpos[0] = position
    mujoco.mj_forward(model, data)
    finger = model.joint(arm.hand.fingers[0].joint).bodyid[0]
    first = model.body_geomadr[finger]
    lowest = min(data.geom_xpos[geom][2]
                 - np.abs(data.geom_xmat[geom].reshape(3, 3)[2]) @ model.geom_size[geom]
                 for geom in range(first, first + model.body_geomnum[finger]))
    tool = data.body(arm.spec.tool_frame)
    grip = tool.xpos[2] + arm.hand.grip_length * tool.xmat.reshape(3, 3)[2, 2]
    return round(float(grip - lowest), 4)


def _load(spec: RobotSpec, strokes: Sequence[str]) -> mujoco.MjSpec:
    text = config_path(f'urdf/{spec.urdf}').read_text()
    if strokes:  # a joint without a body cannot move; the fingers tell its position
        root = ElementTree.fromstring(text)
        for joint in root.iter('joint'):
            for mimic in joint.findall('mimic'):
                joint.remove(mimic)
            if joint.get('name') in strokes:
                joint.set('type', 'fixed')
        text = ElementTree.tostring(root, encoding='unicode')
    # MuJoCo drops visual shapes and fixed frames of a URDF unless this element says otherwise.
    options = ('<mujoco><compiler discardvisual="false" fusestatic="false" '
               'strippath="true" balanceinertia="true"/></mujoco>')
    return mujoco.MjSpec.from_string(text.replace('</robot>', f'{options}</robot>'))


def _add_hand(tool: mujoco.MjsBody, hand: Hand, workspace: Workspace) -> None:
    box, dark = mujoco.mjtGeom.mjGEOM_BOX, (0.2, 0.2, 0.22, 1.0)
    palm = tool.add_body(name='added_hand', quat=_quaternion(workspace.turn.T))
    palm.add_geom(type=box, size=(0.02, 0.05, 0.035), pos=(0.0, 0.0, 0.035), rgba=dark,
                  contype=0, conaffinity=0, density=_DENSITY)
    for finger, side in zip(hand.fingers, (1.0, -1.0)):
        body = palm.add_body(name=finger.joint, pos=(0.0, 0.0, hand.grip_length))
        body.add_joint(name=finger.joint, type=mujoco.mjtJoint.mjJNT_SLIDE,
                       axis=(0.0, side, 0.0), damping=10.0)
        body.add_geom(type=box, size=(0.011, 0.007, 0.03), pos=(0.0, 0.007 * side, -0.02),
                      rgba=dark)


def _tune_arm(scene: mujoco.MjSpec, spec: RobotSpec, hand: Hand) -> None:
    fingers = [finger.joint for finger in hand.fingers]
    arm = spec.arm_joint_names
    for name in (*arm, *fingers):
        scene.joint(name).armature = 0.1
    if hand.stroke:
        _gear(scene, fingers)
    stiffness = _STIFFNESS.get(spec.urdf, (1.0,) * len(arm))
    gains = [*((name, gain, float(scene.joint(name).actfrcrange[1]))
               for name, gain in zip(arm, stiffness)),
             *((name, _FINGER_STIFFNESS, _FINGER_FORCE) for name in fingers)]
    for name, gain, force in gains:
        actuator = scene.add_actuator(name=name, target=name,
                                      trntype=mujoco.mjtTrn.mjTRN_JOINT)
        actuator.gaintype = mujoco.mjtGain.mjGAIN_FIXED
        actuator.biastype = mujoco.mjtBias.mjBIAS_AFFINE
        actuator.gainprm[0] = gain
        actuator.biasprm[1:3] = (-gain, -DAMPING_RATIO * gain)
        actuator.forcelimited = True
        actuator.forcerange = (-force, force)


def _gear(scene: mujoco.MjSpec, fingers: Sequence[str]) -> None:
    """Let one finger move as the other; alone, two that push with equal force stop anywhere."""
    gear = scene.add_equality(type=mujoco.mjtEq.mjEQ_JOINT, objtype=mujoco.mjtObj.mjOBJ_JOINT,
                              name1=fingers[1], name2=fingers[0])
    gear.data[:5] = (0.0, 1.0, 0.0, 0.0, 0.0)


def _tune_bodies(scene: mujoco.MjSpec, fingers: list[str]) -> None:
    for body in scene.bodies[1:]:
        body.gravcomp = 1.0  # the arm compensates its own weight, as a real FR3 does
        if not body.explicitinertial:
            for geom in body.geoms:
                geom.density = _DENSITY
    for name in fingers:
        shapes = scene.joint(name).parent.geoms
        if not any(geom.contype for geom in shapes):  # shapes to look at only
            for geom in shapes:
                geom.contype = geom.conaffinity = 1
    for geom in scene.geoms:
        if geom.contype:
            geom.friction = (1.5, 0.05, 0.001)
            geom.condim = 4
            geom.solref = (0.008, 1.0)


def _stiffen_by_inertia(model: mujoco.MjModel, arms: Sequence[SimArm]) -> None:
    """Give the arms' joints one bandwidth at the ready pose."""
    data = mujoco.MjData(model)
    joints = [model.joint(name) for arm in arms for name in arm.spec.arm_joint_names]
    ready = [position for arm in arms for position in arm.workspace.ready]
    for joint, position in zip(joints, ready):
        data.qpos[joint.qposadr[0]] = position
    mujoco.mj_forward(model, data)
    for joint in joints:
        place = joint.dofadr[0]
        row = np.zeros(model.nv)
        mujoco.mj_mulM(model, data, row, np.eye(model.nv)[place])
        stiffness = _BANDWIDTH ** 2 * row[place]
        actuator = model.actuator(joint.name)
        actuator.gainprm[0] = stiffness
        actuator.biasprm[1:3] = (-stiffness, -DAMPING_RATIO * stiffness)


def _add_world(scene: mujoco.MjSpec, table: float) -> None:
    world = scene.worldbody
    world.add_light(pos=(0.5, -0.5, 1.5 + table), dir=(0.0, 0.3, -1.0), diffuse=(0.35, 0.35, 0.35),
                    specular=(0.0, 0.0, 0.0))
    world.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=(2.0, 2.0, 0.1), pos=(0.0, 0.0, table),
                   rgba=(0.62, 0.58, 0.52, 1.0), friction=(1.0, 0.02, 0.001))


def _add_cube(scene: mujoco.MjSpec, name: str, rgba: Rgba, table: float) -> None:
    cube = scene.worldbody.add_body(name=f'cube_{name}', pos=(0.5, 0.0, table + CUBE_HALF_SIZE))
    cube.add_freejoint(name=f'cube_{name}')
    cube.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=(CUBE_HALF_SIZE,) * 3, rgba=rgba,
                  mass=0.06, friction=(1.2, 0.02, 0.001), condim=4)


def bin_place(arm: SimArm) -> FloatArray:
    """Return where the middle of the bin stands on the table, shape (3,), in the world."""
    return arm.to_world(arm.workspace.scale * np.array([*BIN_PLACE, 0.0]))


def _add_bin(scene: mujoco.MjSpec, arm: SimArm) -> None:
    body = scene.worldbody.add_body(name='bin', pos=bin_place(arm))
    reach, half = BIN_HALF_WIDTH + _BIN_WALL, BIN_HEIGHT / 2
    for x, y in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        size = (_BIN_WALL if x else reach + _BIN_WALL, _BIN_WALL if y else reach + _BIN_WALL, half)
        body.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=size, pos=(x * reach, y * reach, half),
                      rgba=_BIN_COLOUR)


def _add_camera(scene: mujoco.MjSpec, name: str, camera: CameraSpec, arm: SimArm,
                variant: Variant) -> None:
    """Add a camera to its frame in the URDF, to the arm's tool, or in front of the table."""
    workspace = arm.workspace
    # An optical frame looks along +z with y down; a MuJoCo camera along -z with y up.
    optical = (0.0, 1.0, 0.0, 0.0)
    frame = scene.body(camera.frame)
    if frame is not None:
        frame.add_camera(name=name, quat=optical, fovy=_WRIST_FOVY)
    elif 'wrist' in name:
        cosine, sine = np.cos(_WRIST_CAMERA_TILT), np.sin(_WRIST_CAMERA_TILT)
        mount = np.array([[0.0, -cosine, -sine], [1.0, 0.0, 0.0], [0.0, -sine, cosine]])
        back = workspace.turn.T
        position = back @ np.array(_WRIST_CAMERA_POSITION) + (0.0, 0.0, arm.hand.grip_length)
        rotation = back @ mount @ np.diag([1.0, -1.0, -1.0])
        scene.body(arm.spec.tool_frame).add_camera(
            name=name, pos=position, quat=_quaternion(rotation), fovy=_WRIST_FOVY)
    else:
        position = arm.to_world(workspace.scale * np.array(_FRONT_CAMERA_POSITION)
                                + variant.camera_shift)
        forward = arm.to_world(workspace.scale * np.array(_FRONT_CAMERA_LOOKS_AT)) - position
        forward /= np.linalg.norm(forward)
        right = np.cross(forward, (0.0, 0.0, 1.0))
        right /= np.linalg.norm(right)
        rotation = np.column_stack([right, np.cross(right, forward), -forward])
        scene.worldbody.add_camera(name=name, pos=position, quat=_quaternion(rotation),
                                   fovy=_FRONT_FOVY)


def _quaternion(rotation: FloatArray) -> FloatArray:
    quaternion = np.zeros(4)
    mujoco.mju_mat2Quat(quaternion, rotation.ravel())
    return quaternion
