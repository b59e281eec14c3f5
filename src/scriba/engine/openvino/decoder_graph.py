"""Whisper's decoder as two OpenVINO graphs, built from the weights of a CTranslate2 folder.

Radford et al. 2022, section 2.2: learned positions, then pre-norm blocks of causal self-attention, attention
to the encoder's output and a feed-forward layer; the token table is also the last layer, which is a graph of
its own (``vocabulary``). ``memory``
makes every block's keys and values of the encoder's output, once for a window; ``step`` reads tokens.
Reading the memory is most of what a step costs, so it is kept in bfloat16, the keys scaled beforehand, and
shared by all beams of a window.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import openvino as ov
from openvino import opset13 as op
from openvino.op.util import Variable, VariableInfo

from scriba.engine.ct2_weights import Ct2Weights
from scriba.engine.openvino.layers import Layers, Node, integers, join_heads, split_heads


class DecoderGraph:
    """Builds both graphs. Sizes: ``width``, ``heads`` of ``size`` each, ``blocks``. ``table``: a row for each
    token, as int8 and what each is to be multiplied by."""

    def __init__(
        self,
        weights: Ct2Weights,
        *,
        memory_type: str,
        alignment_heads: Sequence[tuple[int, int]],
    ) -> None:
        """
        Args:
            memory_type: element type of the encoder's output and of the keys and values made of it.
            alignment_heads: (block, head) of the attention that ``step`` tells.

        Raises:
            KeyError: a tensor of Whisper's decoder is missing.
        """
        self._layers = Layers(weights, int8=True)
        self._type = memory_type
        self._alignment_heads = alignment_heads
        self.table = self._layers.quantised("decoder/embeddings/weight")
        self.width = self.table[0].shape[1]
        self.heads = int(weights["decoder/num_heads"])
        self.size = self.width // self.heads
        self.blocks = weights.count_blocks("decoder")

    @property
    def parameters(self) -> int:
        """About how many: a block has 16 matrices of width by width."""
        return int(self.table[0].size + 16 * self.blocks * self.width**2)

    def memory(self) -> ov.Model:
        """Input: the encoder's output, shape ``(1, positions, width)``.

        Outputs, for each block: keys and values, each ``(1, heads, positions, size)``.
        """
        layers = self._layers
        encoded = op.parameter([1, -1, self.width], getattr(ov.Type, self._type), name="encoded")
        x = self._wide(encoded)
        results = []
        for block in range(self.blocks):
            both = layers.linear(x, f"decoder/layer_{block}/attention/linear_1")
            keys, values = op.split(both, op.constant(2), 2).outputs()
            scale = op.constant(np.float32(self.size**-0.5))
            parts = op.multiply(keys, scale), values
            results += [op.result(self._narrow(split_heads(part, self.heads, self.size))) for part in parts]
        return ov.Model(results, [encoded], "whisper_decoder_memory")

    def step(self) -> ov.Model:
        """Inputs, in this order:

        tokens and their positions, int64 ``(rows, length)``; for each row the row of the last call it goes on
        from, int32; what is added to self-attention, float32 ``(rows or 1, 1, length, all tokens so far)``;
        the places of the tokens whose hidden states are wanted, int64; what is added to attention to the
        memory, float32 ``(windows, 1, 1, positions)``; the memory. There are as many rows, or lengths, to a
        window as the quotient says.

        Outputs: hidden states ``(rows, places, width)``, for ``vocabulary``; attention of the alignment heads
        ``(windows, alignment heads, rows * length / windows, positions)``. State: keys and values of the
        tokens so far.
        """
        layers = self._layers
        integer = ov.Type.i64
        tokens = op.parameter([-1, -1], integer, name="tokens")
        positions = op.parameter([-1, -1], integer, name="positions")
        parents = op.parameter([-1], ov.Type.i32, name="parents")
        mask = op.parameter([-1, 1, -1, -1], ov.Type.f32, name="mask")
        places = op.parameter([-1], integer, name="places")
        weight = op.parameter([-1, 1, 1, -1], ov.Type.f32, name="weight")
        memory = [
            op.parameter([-1, self.heads, -1, self.size], getattr(ov.Type, self._type))
            for _ in range(2 * self.blocks)
        ]
        sinks: list[Node] = []
        attention: list[Node] = []
        table = op.constant(layers.floats("decoder/position_encodings/encodings"))
        x = op.add(self._embed(tokens), op.gather(table, positions, op.constant(0)))
        for block in range(self.blocks):
            name = f"decoder/layer_{block}"
            hidden = layers.norm(x, f"{name}/self_attention/layer_norm")
            hidden, kept = self._attend_to_self(hidden, block, parents, mask)
            sinks += kept
            x = op.add(x, hidden)
            hidden = layers.norm(x, f"{name}/attention/layer_norm")
            hidden, weights = self._attend_to_memory(
                hidden, block, weight, *memory[2 * block : 2 * block + 2]
            )
            attention += self._told(weights, block)
            x = op.add(x, hidden)
            hidden = layers.linear(layers.norm(x, f"{name}/ffn/layer_norm"), f"{name}/ffn/linear_0")
            x = op.add(x, layers.linear(op.gelu(hidden, "erf"), f"{name}/ffn/linear_1"))
        wanted = op.gather(layers.norm(x, "decoder/layer_norm"), places, op.constant(1))
        results = [op.result(wanted), op.result(op.concat(attention, 1))]
        inputs = [tokens, positions, parents, mask, places, weight, *memory]
        return ov.Model(results, sinks, inputs, "whisper_decoder")

    def _embed(self, tokens: Node) -> Node:
        vectors = op.convert(op.gather(op.constant(self.table[0]), tokens, op.constant(0)), "f32")
        return op.multiply(vectors, op.gather(op.constant(self.table[1]), tokens, op.constant(0)))

    def _attend_to_self(self, x: Node, block: int, parents: Node, mask: Node) -> tuple[Node, list[Node]]:
        name = f"decoder/layer_{block}/self_attention"
        parts = op.split(self._layers.linear(x, f"{name}/linear_0"), op.constant(2), 3).outputs()
        queries, keys, values = (split_heads(part, self.heads, self.size) for part in parts)
        rows = op.gather(op.shape_of(x), integers(0), op.constant(0))
        nothing = op.broadcast(
            op.constant(np.float32(0)), op.concat([rows, integers(self.heads, 0, self.size)], 0)
        )
        grown, sinks = [], []
        for kind, part in (("keys", keys), ("values", values)):
            info = VariableInfo()
            info.data_shape = ov.PartialShape([-1, self.heads, -1, self.size])
            info.data_type = ov.Type.f32
            info.variable_id = f"{kind}.{block}"
            variable = Variable(info)
            before = op.gather(op.read_value(nothing, variable), parents, op.constant(0))
            together = op.concat([before, part], 2)
            grown.append(together)
            sinks.append(op.assign(together, variable))
        context = op.scaled_dot_product_attention(queries, *grown, mask)
        return self._layers.linear(join_heads(context, self.width), f"{name}/linear_1"), sinks

    def _attend_to_memory(
        self, x: Node, block: int, weight: Node, keys: Node, values: Node
    ) -> tuple[Node, Node]:
        """Plain products, not the attention operation, which turns the keys over in every step."""
        name = f"decoder/layer_{block}/attention"
        shape = op.shape_of(x)
        windows = op.gather(op.shape_of(keys), integers(0), op.constant(0))
        grouped = op.concat([windows, integers(-1, self.heads, self.size)], 0)
        queries = op.reshape(self._layers.linear(x, f"{name}/linear_0"), grouped, False)
        queries = op.transpose(queries, integers(0, 2, 1, 3))
        scores = op.matmul(self._wide(keys), queries, False, True)
        weights = op.softmax(op.add(op.transpose(scores, integers(0, 1, 3, 2)), weight), 3)
        context = op.transpose(op.matmul(weights, self._wide(values), False, False), integers(0, 2, 1, 3))
        return self._layers.linear(op.reshape(context, shape, False), f"{name}/linear_2"), weights

    def _wide(self, x: Node) -> Node:
        return op.convert(x, "f32") if self._type != "f32" else x

    def _narrow(self, x: Node) -> Node:
        return op.convert(x, self._type) if self._type != "f32" else x

    def _told(self, weights: Node, block: int) -> list[Node]:
        heads = [head for own, head in self._alignment_heads if own == block]
        return [op.gather(weights, integers(*heads), op.constant(1))] if heads else []
