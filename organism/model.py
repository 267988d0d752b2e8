"""The recipe that the weights depend on, and the model as it begins and grows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from organism.tokenizer import VOCABULARY

if TYPE_CHECKING:
    from transformers import Qwen3ForCausalLM


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything the weights depend on."""

    seed: int = 0
    shallow: int = 8  # layers while most is learned, at a third of the cost
    grow_at: int = 1700  # step at which the model is grown
    layers: int = 22
    width: int = 96
    ffn: int = 256
    heads: int = 3
    kv_heads: int = 1
    head_dim: int = 32
    steps: int = 3000
    batch_tokens: int = 3000
    block: int = 2048  # samples sorted by length together, then batched
    muon_lr: float = 0.015
    adam_lr: float = 1e-2
    embedding_std: float = 0.3
    copying: float = 0.2  # how strongly attention copies at first
    qk_norm: float = 1.6
    warmup: int = 60
    decay: float = 0.5  # share of the steps over which the rate falls to zero


def make_model(recipe: Recipe, layers: int) -> Qwen3ForCausalLM:
    """A freshly initialised model with so many layers.

    Attention starts as a weak copy of what it attends to (values and outputs are transposes of each
    other, after Trockman and Kolter 2023), so that its queries and keys can learn at once; one head in
    three attends to equal tokens. The feed-forward parts write nothing at first. Embeddings start large
    enough not to be drowned by early updates, and the final norm small in return. The norms of queries
    and keys start above one: at one, no attention logit could exceed sqrt(head_dim).
    """
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(recipe.seed)
    config = Qwen3Config(
        vocab_size=VOCABULARY,
        hidden_size=recipe.width,
        intermediate_size=recipe.ffn,
        num_hidden_layers=layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.kv_heads,
        head_dim=recipe.head_dim,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        initializer_range=0.05,
        bos_token_id=None,
        eos_token_id=2,
        pad_token_id=0,
    )
    model = Qwen3ForCausalLM(config)
    torch.nn.init.normal_(model.model.embed_tokens.weight, std=recipe.embedding_std)
    torch.nn.init.constant_(model.model.norm.weight, 0.1 / recipe.embedding_std)
    layer: Any
    for layer in model.model.layers:
        torch.nn.init.constant_(layer.self_attn.q_norm.weight, recipe.qk_norm)
        torch.nn.init.constant_(layer.self_attn.k_norm.weight, recipe.qk_norm)
        attention = layer.self_attn
        for projection in (attention.q_proj, attention.k_proj, attention.v_proj):
            torch.nn.init.orthogonal_(projection.weight)
        with torch.no_grad():
            heads = recipe.heads // recipe.kv_heads
            first = attention.q_proj.weight.view(recipe.kv_heads, heads, recipe.head_dim, recipe.width)
            first[:, 0] = attention.k_proj.weight.view(recipe.kv_heads, recipe.head_dim, recipe.width)
            values = attention.v_proj.weight.view(recipe.kv_heads, 1, recipe.head_dim, recipe.width)
            copied = values.expand(-1, heads, -1, -1).reshape(-1, recipe.width)
            attention.o_proj.weight.copy_(recipe.copying * copied.T)
        torch.nn.init.zeros_(layer.mlp.down_proj.weight)
    return model


def grow(model: Qwen3ForCausalLM, recipe: Recipe) -> Qwen3ForCausalLM:
    """The same function in `recipe.layers` layers: new ones between the old, which write nothing yet."""
    import torch

    old = model.model.layers
    deep = make_model(recipe, recipe.layers).to(model.device)  # pyright: ignore[reportArgumentType]
    layer: Any
    for layer in deep.model.layers:
        torch.nn.init.zeros_(layer.self_attn.o_proj.weight)
    deep.model.embed_tokens.load_state_dict(model.model.embed_tokens.state_dict())
    deep.model.norm.load_state_dict(model.model.norm.state_dict())
    for i, layer in enumerate(old):
        place = round(i * (recipe.layers - 1) / (len(old) - 1))
        deep.model.layers[place].load_state_dict(layer.state_dict())
    return deep
