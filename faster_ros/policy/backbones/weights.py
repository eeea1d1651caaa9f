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
"""Published weights of a vision-language model, from a local folder or a hub id."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from faster_ros.policy.backbones.families import FAMILY_CLASSES
from faster_ros.policy.backbones.pretrained import PretrainedBackbone
from faster_ros.policy.config import check_backbone_name, VLMConfig
import torch


def read_vlm_config(source: str | Path, image_size: tuple[int, int] = (224, 168),
                    state_input: str = 'text') -> VLMConfig:
    """
    Return the config of a model; ``image_size`` is (width, height) of what it is shown.

    A source that lacks its config.json, or of an unknown family, is a ValueError.
    """
    from transformers import AutoConfig

    try:
        found = AutoConfig.from_pretrained(source)
    except (OSError, ValueError) as error:
        raise ValueError(f'backbone {source}: config.json is not usable: {error}') from error
    name = check_backbone_name(found.model_type)
    architecture = json.loads(found.to_json_string(use_diff=False))
    return VLMConfig(name, architecture, *image_size, state_input)


def load_backbone(source: str | Path, config: VLMConfig, state_dim: int,
                  dtype: torch.dtype = torch.float32, speaks: bool = False) -> PretrainedBackbone:
    """
    Return the model with its weights; missing or unfitting ones are a ValueError.

    One that ``speaks`` has its language head, for text mode.
    """
    from transformers import AutoModel, AutoModelForImageTextToText

    kind: Any = AutoModelForImageTextToText if speaks else AutoModel
    try:
        model, report = kind.from_pretrained(
            source, dtype=dtype, use_safetensors=True, output_loading_info=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise ValueError(f'backbone {source}: the weights are not usable: {error}') from error
    missing = sorted(report['missing_keys'])
    if missing:
        raise ValueError(f'backbone {source}: {len(missing)} weights are missing, first '
                         f'{missing[0]}')
    return FAMILY_CLASSES[config.name](config, state_dim, speaks, model)
