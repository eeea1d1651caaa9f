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
Vision-language models of the library ``transformers`` as backbones.

The model's own classes compute everything: its image encoder, its embeddings and its decoder
layers. This file gives them the policy's masks and positions, and takes their keys and values.
"""

from __future__ import annotations

from typing import Any

from faster_ros.policy.backbones.base import (
    Backbone,
    Context,
    Geometry,
    PolicyInput,
    Prefix,
    PrefixTokens,
)
from faster_ros.policy.config import VLMConfig
import torch
from torch import nn, Tensor
from torch.nn import functional

PADDING = -1  # in words: no token at all, whatever id the model's tokenizer pads with


class PretrainedBackbone(Backbone):
    """
    Words are ids of the model's tokenizer with the places of image tokens among them.

    ``text`` is the attribute of the model that holds its decoder. One that ``speaks`` keeps its
    language head: ``head``, or None where that is the table of embeddings (tied); ``model`` is
    then the library's model with a head.
    """

    bidirectional = False
    text = 'language_model'

    def __init__(self, config: VLMConfig, state_dim: int, speaks: bool = False,
                 model: Any = None) -> None:
        super().__init__()
        whole = new_model(config.architecture, speaks) if model is None else model
        self.model = choose_attention(whole.model if speaks else whole)
        self.head = whole.lm_head if speaks and not whole.config.tie_word_embeddings else None
        self.geometry = geometry(self.decoder.config)
        width = self.geometry.width
        self.state_token = nn.Sequential(
            nn.Linear(state_dim, width), nn.GELU(), nn.Linear(width, width),
        ) if config.state_input == 'token' else None

    @property
    def decoder(self) -> Any:
        """Return the model's stack of decoder layers."""
        return getattr(self.model, self.text)

    def image_features(self, images: Tensor) -> tuple[Tensor, list[Tensor] | None]:
        """
        Return the tokens (image tokens, width) of images (B, cameras, ...), in order.

        Beside them what the first decoder layers add to these tokens, for models that do.
        """
        raise NotImplementedError

    def rotary_positions(self, ids: Tensor, mask: Tensor, batch: PolicyInput) -> Tensor:
        """Return positions (B, P) of the tokens, none for padding."""
        return (mask.cumsum(1) - 1).clamp(min=0)

    def embed(self, batch: PolicyInput) -> PrefixTokens:
        """Return the observation as tokens: images and words, then the state if embedded."""
        mask = batch.words != PADDING
        ids = batch.words.clamp(min=0)
        images = batch.words == self.model.config.image_token_id
        words = self.decoder.get_input_embeddings()(ids.masked_fill(images, 0))
        features, deep = self.image_features(batch.images)
        # Asserted on the device: asking it for the number would make every call wait.
        torch._assert_async(images.sum() == len(features),
                            f'words must hold the places of {len(features)} image tokens')
        x = words.masked_scatter(images[..., None], features.to(words.dtype))
        positions = self.rotary_positions(ids, mask, batch)
        if self.state_token is not None:
            state = self.state_token(batch.state.to(x.dtype))[:, None]
            x = torch.cat([x, state], 1)
            mask, images = _one_more(mask, True), _one_more(images, False)
            following = positions.amax(-1, keepdim=True) + 1
            positions = torch.cat([positions, _last_axis(following)], -1)
        return PrefixTokens(x, mask, positions, images, len(features) // len(x), deep)

    def encode(self, tokens: PrefixTokens) -> Prefix:
        """Run the decoder layers over the prefix."""
        see = tokens.mask[:, None, None, :].expand(-1, -1, tokens.mask.shape[1], -1)
        if not self.bidirectional:
            see = see.tril()
        kept = _Recorder()
        out = self._layers(tokens.x, tokens.positions, kept, see, self._deep(tokens))
        return Prefix(kept.keys, kept.values, tokens.mask, tokens.next_position(), out[:, -1])

    def extend(self, x: Tensor, positions: Tensor, context: Context, see: Tensor) -> Tensor:
        """Run the decoder layers over action tokens; see Backbone."""
        out: Tensor = self._layers(x, positions, _Extension(context), see, {})
        return out

    def embed_text(self, ids: Tensor) -> Tensor:
        """Return the vectors of words; see Backbone."""
        vectors: Tensor = self.decoder.get_input_embeddings()(ids)
        return vectors

    def text_scores(self, x: Tensor) -> Tensor:
        """Return the scores (..., words) of the language head, softly capped as Gemma 2's are."""
        head = self.decoder.get_input_embeddings() if self.head is None else self.head
        scores = functional.linear(x, head.weight)
        cap = getattr(self.decoder.config, 'final_logit_softcapping', None)
        return scores if cap is None else cap * (scores / cap).tanh()

    def _layers(self, x: Tensor, positions: Tensor, cache: Any, see: Tensor,
                deep: dict[str, Any]) -> Any:
        # Zero where a token is seen, as every attention of the library adds its mask.
        added = torch.zeros_like(see, dtype=x.dtype).masked_fill(~see, torch.finfo(x.dtype).min)
        kinds = set(getattr(self.decoder.config, 'layer_types', None) or ())
        # A sliding window is wider than any prefix: both kinds of layers see the same.
        mask = dict.fromkeys(kinds, added) if len(kinds) > 1 else added
        return self.decoder(inputs_embeds=x, attention_mask=mask, position_ids=positions,
                            past_key_values=cache, use_cache=True, **deep).last_hidden_state

    def _deep(self, tokens: PrefixTokens) -> dict[str, Any]:
        if tokens.deep is None:
            return {}
        return {'visual_pos_masks': tokens.images, 'deepstack_visual_embeds': tokens.deep}


class _Recorder:
    """Stands where the library expects its cache, and keeps what the layers give."""

    def __init__(self) -> None:
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []

    def update(self, k: Tensor, v: Tensor, layer: int, *_: Any) -> tuple[Tensor, Tensor]:
        """Keep the keys and values of one layer; layers come in order."""
        assert layer == len(self.keys)
        self.keys.append(k)
        self.values.append(v)
        return k, v

    def get_seq_length(self, *_: Any) -> int:
        """Return the tokens kept before this pass."""
        return 0


class _Extension:
    """Stands where the library expects its cache, and adds the prefix."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def update(self, k: Tensor, v: Tensor, layer: int, *_: Any) -> tuple[Tensor, Tensor]:
        """Return prefix, earlier action tokens and these, of one layer."""
        return self._context.extend(layer, k, v)

    def get_seq_length(self, *_: Any) -> int:
        """Return the tokens before these."""
        return self._context.mask.shape[1] + self._context.length


def new_model(architecture: dict[str, Any], speaks: bool = False) -> Any:
    """Return a model of ``transformers`` with random weights; no network, no file."""
    from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText

    plain = {key: value for key, value in architecture.items() if key != 'model_type'}
    config = AutoConfig.for_model(architecture['model_type'], **plain)
    kind: Any = AutoModelForImageTextToText if speaks else AutoModel
    return kind.from_config(config)


def choose_attention(model: Any) -> Any:
    """Return the model with attention that computes what its config says."""
    text = model.config.get_text_config()
    if getattr(text, 'attn_logit_softcapping', None):
        text._attn_implementation = 'eager'  # the fused ones leave the soft cap out
    return model


def geometry(text: Any) -> Geometry:
    """Return what the expert needs to know of a decoder's config."""
    rotary = text.rope_parameters
    if rotary.get('rope_type', 'default') not in ('default', 'mrope'):
        raise ValueError(f"expected plain rotary positions, got {rotary['rope_type']}")
    heads = text.num_attention_heads
    return Geometry(
        width=text.hidden_size, layers=text.num_hidden_layers, heads=heads,
        kv_heads=text.num_key_value_heads,
        head_dim=getattr(text, 'head_dim', None) or text.hidden_size // heads,
        rotary_base=float(rotary['rope_theta']))


def _one_more(mask: Tensor, value: bool) -> Tensor:
    return torch.cat([mask, mask.new_full((len(mask), 1), value)], 1)


def _last_axis(following: Tensor) -> Tensor:
    """Return the next position (B, 1), or (3, B, 1): the same on each axis."""
    return following if following.ndim == 2 else following.amax(0, keepdim=True).expand(3, -1, -1)
