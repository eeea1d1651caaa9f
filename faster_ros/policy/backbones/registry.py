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
"""Backbones by name. A heavy one is imported when it is asked for."""

from __future__ import annotations

from faster_ros.policy.backbones.base import Backbone
from faster_ros.policy.backbones.tiny import TinyBackbone
from faster_ros.policy.config import BackboneConfig, check_backbone_name, PolicyConfig


def make_backbone(config: PolicyConfig) -> Backbone:
    """Return the untrained backbone that the config describes."""
    check_backbone_name(config.backbone.name)
    if isinstance(config.backbone, BackboneConfig):
        return TinyBackbone(config)
    from faster_ros.policy.backbones.families import FAMILY_CLASSES

    return FAMILY_CLASSES[config.backbone.name](config.backbone, config.state_dim,
                                                config.text_tokens > 0)
