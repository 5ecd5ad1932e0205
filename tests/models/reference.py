"""The network again, from its equations alone: one sentence, one step, one vector at a time.

Shares nothing with `seq2seq.models` but the names of the weights. No batches, no padding, no
dropout, float64; automatic differentiation of torch gives the gradients.
"""

import torch
from torch import Tensor, nn

from seq2seq.config import ModelConfig

State = tuple[Tensor, ...]


class Reference:
    """Reads the weights of a model by name; `weights[name].grad` fills as those of a model do."""

    def __init__(self, model: nn.Module, config: ModelConfig) -> None:
        self.config = config
        self.weights: dict[str, Tensor] = {}
        by_address: dict[int, Tensor] = {}  # tied weights are one tensor here, too
        for name, tensor in model.state_dict().items():
            if tensor.data_ptr() not in by_address:
                copy = tensor.detach().clone().double().requires_grad_()
                by_address[tensor.data_ptr()] = copy
            self.weights[name] = by_address[tensor.data_ptr()]

    def logits(
        self, source_ids: list[int], target_ids: list[int], *, truncation_steps: int | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """Scores [target_length, vocabulary_size] of one sentence, and the alignments."""
        outputs, finals = self.encode(source_ids)
        states = self.bridge(finals)
        summary = finals[-1][0]
        scores, alignments = [], []
        for position, previous in enumerate(target_ids):
            if truncation_steps and position and position % truncation_steps == 0:
                states = [tuple(part.detach() for part in state) for state in states]
            embedded = self.weights["decoder.embedding.weight"][previous]
            if self.config.attention == "bahdanau":
                context, alignment = self.attend(states[0][0], outputs)
                alignments.append(alignment)
            elif self.config.context_steps == "every" or position == 0:
                context = summary
            else:
                context = torch.zeros_like(summary)
            inputs = torch.cat([embedded, context])
            for layer, state in enumerate(states):
                states[layer] = self.cell(f"decoder.layers.{layer}", inputs, state)
                inputs = states[layer][0] + inputs if layer >= 2 else states[layer][0]
            readout = torch.cat([inputs, context, embedded])
            features = torch.tanh(self.affine("decoder.readout", readout))
            scores.append(self.affine("decoder.vocabulary", features))
        return torch.stack(scores), alignments

    def loss(
        self,
        source_ids: list[list[int]],
        target_input_ids: list[list[int]],
        target_output_ids: list[list[int]],
        *,
        label_smoothing: float = 0.0,
        truncation_steps: int | None = None,
    ) -> Tensor:
        """Smoothed cross-entropy, summed over all pieces of all sentences."""
        loss = torch.zeros((), dtype=torch.float64)
        for source, inputs, outputs in zip(
            source_ids, target_input_ids, target_output_ids, strict=True
        ):
            scores, _ = self.logits(source, inputs, truncation_steps=truncation_steps)
            for row, piece in zip(scores, outputs, strict=True):
                log_probabilities = row - row.exp().sum().log()
                loss = loss - (1 - label_smoothing) * log_probabilities[piece]
                loss = loss - label_smoothing * log_probabilities.mean()
        return loss

    def encode(self, source_ids: list[int]) -> tuple[list[Tensor], list[State]]:
        """Output of each position, and the final state of each layer."""
        features = [self.weights["encoder.embedding.weight"][piece] for piece in source_ids]
        backwards = [self.config.reverse_source]
        if self.config.bidirectional:
            backwards.append(not self.config.reverse_source)
        finals = []
        for layer in range(self.config.encoder_layers):
            by_direction, ends = [], []
            for direction, backward in enumerate(backwards):
                prefix = f"encoder.layers.{layer}.{direction}"
                hidden_size = self.weights[f"{prefix}.weight_hh"].shape[1]
                kinds = 2 if self.config.cell == "lstm" else 1
                state: State = (torch.zeros(hidden_size, dtype=torch.float64),) * kinds
                outputs: dict[int, Tensor] = {}
                positions = range(len(features))
                for position in reversed(positions) if backward else positions:
                    state = self.cell(prefix, features[position], state)
                    outputs[position] = state[0]
                by_direction.append(outputs)
                ends.append(state)
            joined = [
                torch.cat([outputs[position] for outputs in by_direction])
                for position in range(len(features))
            ]
            if layer >= 2:
                joined = [new + old for new, old in zip(joined, features, strict=True)]
            features = joined
            finals.append(tuple(torch.cat(parts) for parts in zip(*ends, strict=True)))
        return features, finals

    def bridge(self, finals: list[State]) -> list[State]:
        """First state of each decoder layer: topmost layers meet, lower ones take the first."""
        states = []
        for layer in range(self.config.decoder_layers):
            below_top = self.config.decoder_layers - 1 - layer
            final = finals[max(0, self.config.encoder_layers - 1 - below_top)]
            hidden = torch.tanh(self.affine(f"bridge.projections.0.{layer}", final[0]))
            memory = [self.affine(f"bridge.projections.1.{layer}", part) for part in final[1:]]
            states.append((hidden, *memory))
        return states

    def attend(self, query: Tensor, values: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Bahdanau's context and alignment for one query."""
        query_part = self.weights["decoder.attention.project_query.weight"] @ query
        direction = self.weights["decoder.attention.score.weight"][0]
        energies = [
            direction @ torch.tanh(query_part + self.affine("decoder.attention.project_key", value))
            for value in values
        ]
        total = sum(energy.exp() for energy in energies)
        alignment = [energy.exp() / total for energy in energies]
        context = sum(
            (share * value for share, value in zip(alignment, values, strict=True)),
            torch.zeros_like(values[0]),
        )
        return context, torch.stack(alignment)

    def cell(self, prefix: str, inputs: Tensor, state: State) -> State:
        """One step of the cell whose weights begin with `prefix`."""
        hidden = state[0]
        from_input = (
            self.weights[f"{prefix}.weight_ih"] @ inputs + self.weights[f"{prefix}.bias_ih"]
        )
        from_state = (
            self.weights[f"{prefix}.weight_hh"] @ hidden + self.weights[f"{prefix}.bias_hh"]
        )
        if self.config.cell == "rnn":
            return (torch.tanh(from_input + from_state),)
        if self.config.cell == "gru":
            input_reset, input_update, input_new = from_input.chunk(3)
            state_reset, state_update, state_new = from_state.chunk(3)
            reset = torch.sigmoid(input_reset + state_reset)
            update = torch.sigmoid(input_update + state_update)
            new = torch.tanh(input_new + reset * state_new)
            return ((1 - update) * new + update * hidden,)
        input_gate, forget_gate, new, output_gate = (from_input + from_state).chunk(4)
        memory = torch.sigmoid(forget_gate) * state[1] + torch.sigmoid(input_gate) * new.tanh()
        return torch.sigmoid(output_gate) * torch.tanh(memory), memory

    def affine(self, prefix: str, inputs: Tensor) -> Tensor:
        return self.weights[f"{prefix}.weight"] @ inputs + self.weights[f"{prefix}.bias"]
