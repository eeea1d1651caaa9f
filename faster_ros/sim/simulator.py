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
A MuJoCo arm with cubes on a table: the robot of our URDF in a small world of primitives.

The simulator runs without ROS; ``nodes/sim_node.py`` puts it behind the topics of a real arm.
"""

from __future__ import annotations

from dataclasses import dataclass
import math

from faster_ros.interfaces import FloatArray, ImageArray
from faster_ros.robot_spec import config_path, RobotSpec
import mujoco
import numpy as np

CUBE_COLOURS = {
    'red': (0.80, 0.10, 0.08, 1.0),
    'green': (0.10, 0.55, 0.16, 1.0),
    'blue': (0.10, 0.22, 0.80, 1.0),
}
CUBE_HALF_SIZE = 0.02  # m
TEST_SEED_START = 1_000_000  # seeds from here on are never used for training
_TIMESTEP_S = 0.004
_ARM_STIFFNESS = (4500.0, 4500.0, 3500.0, 3500.0, 2000.0, 2000.0, 2000.0)  # N m / rad
_ARM_TORQUE = (87.0, 87.0, 87.0, 87.0, 12.0, 12.0, 12.0)  # N m
_FINGER_STIFFNESS = 1500.0  # N / m
_FINGER_FORCE = 30.0  # N
_DAMPING_RATIO = 0.04  # damping gain / stiffness, s; the feed-forward term cancels its lag
_FRONT_CAMERA_POSITION = (1.25, 0.0, 0.62)  # m, base frame
_FRONT_CAMERA_LOOKS_AT = (0.44, 0.0, 0.12)
_FRONT_FOVY = 44.0  # degrees
_WRIST_FOVY = 70.0  # degrees
_CUBE_AREA = ((0.38, 0.62), (-0.20, 0.20))  # x and y range of cube centres, m
_CUBE_SPACING = 0.10  # least distance between cube centres, m
_CUBE_YAW = 0.3  # rad to both sides
_NEAR = 0.07  # m between tool and cube, at which a drifting cube stays
_START_NOISE = 0.05  # rad, standard deviation around the home pose


@dataclass(frozen=True)
class PickLayout:
    """One seeded start: which cube to pick and how the task is told."""

    seed: int
    colour: str
    instruction: str


class Simulator:
    """
    The arm, three cubes and the task ``pick``.

    Set points and states are (D,) vectors in RobotSpec order. One thread may advance it.
    """

    timestep_s = _TIMESTEP_S

    def __init__(self, spec: RobotSpec) -> None:
        self.spec = spec
        self.model = _build_model(spec)
        self.data = mujoco.MjData(self.model)
        joints = [self.model.joint(name) for name in spec.joint_names]
        self._qpos = np.array([joint.qposadr[0] for joint in joints])
        self._qvel = np.array([joint.dofadr[0] for joint in joints])
        self._cubes = {colour: self.model.body(f'cube_{colour}').id for colour in CUBE_COLOURS}
        self.layout = self.reset(0)

    def reset(self, seed: int) -> PickLayout:
        """Lay out the cubes, the start pose and the task that belong to ``seed``."""
        rng = np.random.default_rng(seed)
        arm = self.spec.home_positions
        arm[:-1] += rng.normal(0.0, _START_NOISE, len(arm) - 1)
        mujoco.mj_resetData(self.model, self.data)
        self.place_arm(arm)
        for colour, (x, y) in zip(CUBE_COLOURS, _spread_points(rng)):
            yaw = rng.uniform(-_CUBE_YAW, _CUBE_YAW)
            pose = (x, y, CUBE_HALF_SIZE, math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2))
            self.data.joint(f'cube_{colour}').qpos[:] = pose
        colour = str(rng.choice(list(CUBE_COLOURS)))
        mujoco.mj_forward(self.model, self.data)
        self.layout = PickLayout(seed, colour, f'pick up the {colour} cube')
        return self.layout

    def place_arm(self, positions: FloatArray) -> None:
        """Put the arm at rest at ``positions`` (D,) with the same set point."""
        self.data.qpos[self._qpos] = positions
        self.data.qpos[self.model.joint('fr3_finger_joint2').qposadr[0]] = positions[-1]
        self.data.qvel[:] = 0.0
        self._set_points(positions, np.zeros_like(positions))
        mujoco.mj_forward(self.model, self.data)

    def advance(self, positions: FloatArray, velocities: FloatArray) -> None:
        """Advance one time step with set points in rad, rad/s (finger: m, m/s)."""
        self._set_points(positions, velocities)
        mujoco.mj_step(self.model, self.data)

    def _set_points(self, positions: FloatArray, velocities: FloatArray) -> None:
        control = positions + _DAMPING_RATIO * velocities
        self.data.ctrl[:len(control)] = control
        self.data.ctrl[len(control)] = control[-1]

    def state(self) -> tuple[FloatArray, FloatArray]:
        """Return measured positions and velocities, each of shape (D,)."""
        return self.data.qpos[self._qpos].copy(), self.data.qvel[self._qvel].copy()

    def cube_position(self, colour: str) -> FloatArray:
        """Return the centre of a cube in the base frame, shape (3,), in m."""
        return np.array(self.data.xpos[self._cubes[colour]])

    def drift_cube(self, speed: float) -> None:
        """Move the told cube at ``speed`` in m/s across the table until the hand is near it."""
        cube = self.cube_position(self.layout.colour)
        hand = self.data.body(self.spec.tool_frame).xpos
        if np.linalg.norm(hand - cube) > _NEAR:
            side = 1.0 if self.layout.seed % 2 else -1.0
            self.data.joint(f'cube_{self.layout.colour}').qvel[:] = (0, side * speed, 0, 0, 0, 0)

    def lifted_height(self) -> float:
        """Return how far the told cube is above the table, in m."""
        return float(self.cube_position(self.layout.colour)[2] - CUBE_HALF_SIZE)

    def succeeded(self) -> bool:
        """Tell whether the told cube is lifted by 8 cm or more."""
        return self.lifted_height() > 0.08

    def wrong_lifted(self) -> bool:
        """Tell whether a cube that was not asked for is off the table by 4 cm or more."""
        return any(self.cube_position(colour)[2] - CUBE_HALF_SIZE > 0.04
                   for colour in CUBE_COLOURS if colour != self.layout.colour)

    def camera_intrinsics(self, camera: str, width: int,
                          height: int) -> tuple[float, float, float, float]:
        """Return fx, fy, cx, cy of a pinhole camera of that size, in pixels."""
        fovy = math.radians(float(self.model.camera(camera).fovy[0]))
        focal = 0.5 * height / math.tan(0.5 * fovy)
        return focal, focal, 0.5 * width, 0.5 * height


class CameraRenderer:
    """Renders the simulator's cameras at one size; make and use it in one thread."""

    def __init__(self, simulator: Simulator, width: int, height: int) -> None:
        self._renderer = mujoco.Renderer(simulator.model, height, width)

    def render(self, camera: str, data: mujoco.MjData) -> ImageArray:
        """Return one uint8 RGB image of shape (height, width, 3)."""
        self._renderer.update_scene(data, camera)
        flags = self._renderer.scene.flags
        flags[mujoco.mjtRndFlag.mjRND_SHADOW] = False
        flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = False
        image: ImageArray = self._renderer.render()
        return image

    def close(self) -> None:
        """Free the rendering context."""
        self._renderer.close()


def _spread_points(rng: np.random.Generator) -> FloatArray:
    low, high = np.array(_CUBE_AREA).T
    while True:
        points = rng.uniform(low, high, (len(CUBE_COLOURS), 2))
        gaps = [np.linalg.norm(points[i] - points[j])
                for i in range(len(points)) for j in range(i)]
        if min(gaps) > _CUBE_SPACING:
            return points


def _build_model(spec: RobotSpec) -> mujoco.MjModel:
    urdf = config_path(f'urdf/{spec.urdf}').read_text()
    # MuJoCo drops visual shapes and fixed frames of a URDF unless this element says otherwise.
    options = ('<mujoco><compiler discardvisual="false" fusestatic="false" '
               'strippath="true" balanceinertia="true"/></mujoco>')
    scene = mujoco.MjSpec.from_string(urdf.replace('</robot>', f'{options}</robot>'))
    scene.option.timestep = _TIMESTEP_S
    scene.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    scene.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    scene.option.impratio = 5.0
    visual = scene.visual
    visual.headlight.ambient = (0.4, 0.4, 0.4)
    visual.headlight.diffuse = (0.45, 0.45, 0.45)
    visual.headlight.specular = (0.0, 0.0, 0.0)
    visual.quality.offsamples = 0
    visual.quality.numslices, visual.quality.numstacks = 16, 8
    visual.global_.offwidth, visual.global_.offheight = 1280, 960
    _tune_arm(scene, spec)
    _add_world(scene)
    _add_cameras(scene)
    return scene.compile()


def _tune_arm(scene: mujoco.MjSpec, spec: RobotSpec) -> None:
    for body in scene.bodies[1:]:
        body.gravcomp = 1.0  # the arm compensates its own weight, as a real FR3 does
    for geom in scene.geoms:
        if geom.contype:
            geom.friction = (1.5, 0.05, 0.001)
            geom.condim = 4
            geom.solref = (0.008, 1.0)
    for name in spec.arm_joint_names:
        scene.joint(name).armature = 0.1
    fingers = (spec.gripper.joint, 'fr3_finger_joint2')
    for name in fingers:
        scene.joint(name).armature = 0.1
    gains = [*zip(spec.arm_joint_names, _ARM_STIFFNESS, _ARM_TORQUE),
             *((name, _FINGER_STIFFNESS, _FINGER_FORCE) for name in fingers)]
    for name, stiffness, force in gains:
        actuator = scene.add_actuator(name=name, target=name,
                                      trntype=mujoco.mjtTrn.mjTRN_JOINT)
        actuator.gaintype = mujoco.mjtGain.mjGAIN_FIXED
        actuator.biastype = mujoco.mjtBias.mjBIAS_AFFINE
        actuator.gainprm[0] = stiffness
        actuator.biasprm[1:3] = (-stiffness, -_DAMPING_RATIO * stiffness)
        actuator.forcelimited = True
        actuator.forcerange = (-force, force)


def _add_world(scene: mujoco.MjSpec) -> None:
    world = scene.worldbody
    world.add_light(pos=(0.5, -0.5, 1.5), dir=(0.0, 0.3, -1.0), diffuse=(0.35, 0.35, 0.35),
                    specular=(0.0, 0.0, 0.0))
    world.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=(2.0, 2.0, 0.1),
                   rgba=(0.62, 0.58, 0.52, 1.0), friction=(1.0, 0.02, 0.001))
    for colour, rgba in CUBE_COLOURS.items():
        cube = world.add_body(name=f'cube_{colour}', pos=(0.5, 0.0, CUBE_HALF_SIZE))
        cube.add_freejoint(name=f'cube_{colour}')
        cube.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=(CUBE_HALF_SIZE,) * 3, rgba=rgba,
                      mass=0.06, friction=(1.2, 0.02, 0.001), condim=4)


def _add_cameras(scene: mujoco.MjSpec) -> None:
    position = np.array(_FRONT_CAMERA_POSITION)
    forward = np.array(_FRONT_CAMERA_LOOKS_AT) - position
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    frame = np.column_stack([right, np.cross(right, forward), -forward])
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, frame.ravel())
    scene.worldbody.add_camera(name='front', pos=position, quat=quat,
                               fovy=_FRONT_FOVY)
    # An optical frame looks along +z with y down; a MuJoCo camera along -z with y up.
    scene.body('camera_wrist_color_optical_frame').add_camera(
        name='wrist', quat=(0.0, 1.0, 0.0, 0.0), fovy=_WRIST_FOVY)
