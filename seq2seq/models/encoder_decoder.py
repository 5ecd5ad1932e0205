"""The translation network: encoder, bridge and decoder, with what training and search ask of it.

Another network is another file with `start` and `step`; search and `Translator` see only those two.
"""

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from seq2seq.config import PAD_ID, ConfigurationError, ModelConfig, choose
from seq2seq.models.attention import ATTENTIONS, Memory
from seq2seq.models.cells import CELLS
from seq2seq.models.decoder import Decoder, DecoderState
from seq2seq.models.encoder import Encoder, RecurrentState
from seq2seq.models.loss import LossOutput, attention_loss, vocabulary_loss
from seq2seq.models.products import linear


class SearchState(NamedTuple):
    """What a search carries from step to step: decoder states by row, memory by sentence."""

    decoder: DecoderState
    memory: Memory
    alignment: Tensor | None = None  # [rows, source_length] of the step that led here
    candidate_ids: Tensor | None = None  # [sentences, candidates], padded; None for all ids

    def select(self, rows: Tensor) -> "SearchState":
        """Gathers rows, which may repeat; the memory stays."""
        alignment = None if self.alignment is None else self.alignment.index_select(0, rows)
        return self._replace(decoder=self.decoder.select(rows), alignment=alignment)

    def select_sentences(self, indices: Tensor) -> "SearchState":
        """Keeps the memory of some sentences; the rows stay."""
        ids = self.candidate_ids
        return self._replace(
            memory=self.memory.select_sentences(indices),
            candidate_ids=None if ids is None else ids.index_select(0, indices),
        )


class Bridge(nn.Module):
    """Makes the decoder's first state of the encoder's last one.

    The topmost layers meet; a deeper decoder's lower layers all take the encoder's first layer. A
    hidden state goes through tanh, as in Bahdanau et al. (2015), section A.2.2; a memory cell,
    which has no bounds, does not.
    """

    def __init__(
        self, encoder_size: int, hidden_size: int, decoder_layers: int, num_states: int
    ) -> None:
        super().__init__()
        self.projections = nn.ModuleList(
            nn.ModuleList(nn.Linear(encoder_size, hidden_size) for _ in range(decoder_layers))
            for _ in range(num_states)
        )
        for projection in self.modules():
            if isinstance(projection, nn.Linear):
                nn.init.xavier_uniform_(projection.weight)
                nn.init.zeros_(projection.bias)

    def forward(self, final_state: RecurrentState) -> RecurrentState:
        """Maps [encoder_layers, batch, encoder_size] to [decoder_layers, batch, hidden_size]."""
        bridged = []
        for kind, (part, projections) in enumerate(zip(final_state, self.projections, strict=True)):
            layers = [cast(nn.Linear, layer) for layer in cast(nn.ModuleList, projections)]
            offset = len(part) - len(layers)
            projected = torch.stack(
                [
                    linear(part[max(0, index + offset)], layer.weight, layer.bias)
                    for index, layer in enumerate(layers)
                ]
            ).to(part.dtype)
            bridged.append(torch.tanh(projected) if kind == 0 else projected)
        return tuple(bridged)


class EncoderDecoder(nn.Module):
    """Encoder, bridge and decoder as one network."""

    def __init__(self, encoder: Encoder, bridge: Bridge, decoder: Decoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.bridge = bridge
        self.decoder = decoder

    def forward(
        self,
        source_ids: Tensor,
        source_lengths: Tensor,
        target_input_ids: Tensor,
        *,
        truncation_steps: int | None = None,
    ) -> Tensor:
        """Features of every target step under teacher forcing.

        Args:
            source_ids: [batch, source_length].
            source_lengths: [batch].
            target_input_ids: [batch, target_length].
            truncation_steps: See `Decoder.forward`.

        Returns:
            [batch, target_length, readout_size]; `logits` turns them into scores.
        """
        state = self.start(source_ids, source_lengths)
        return self.decoder(
            target_input_ids, state.decoder, state.memory, truncation_steps=truncation_steps
        )

    def logits(self, features: Tensor) -> Tensor:
        """Unnormalised log-probabilities, [..., target vocabulary_size]."""
        return self.decoder.logits(features)

    def loss(
        self,
        source_ids: Tensor,
        source_lengths: Tensor,
        target_input_ids: Tensor,
        target_output_ids: Tensor,
        *,
        label_smoothing: float = 0.0,
        truncation_steps: int | None = None,
    ) -> LossOutput:
        """The loss of a batch, summed over its real target tokens; shapes as in `forward`."""
        features = self(
            source_ids, source_lengths, target_input_ids, truncation_steps=truncation_steps
        )
        return self._vocabulary_loss(features, target_output_ids, label_smoothing)

    def guided_loss(
        self,
        source_ids: Tensor,
        source_lengths: Tensor,
        target_input_ids: Tensor,
        target_output_ids: Tensor,
        guide: Tensor,
        *,
        label_smoothing: float = 0.0,
        truncation_steps: int | None = None,
    ) -> tuple[LossOutput, Tensor]:
        """The loss of a batch, and that of its attention.

        Args:
            guide: Where the attention of each step ought to look; see `attention_loss`.
        """
        state = self.start(source_ids, source_lengths)
        features, alignments = self.decoder.forward_aligned(
            target_input_ids, state.decoder, state.memory, truncation_steps=truncation_steps
        )
        output = self._vocabulary_loss(features, target_output_ids, label_smoothing)
        return output, attention_loss(alignments, guide)

    def start(
        self, source_ids: Tensor, source_lengths: Tensor, candidate_ids: Tensor | None = None
    ) -> SearchState:
        """Reads the sources; the state before the first step, one row per sentence.

        Args:
            source_ids: [batch, source_length], padded at the end.
            source_lengths: [batch], each at least 1.
            candidate_ids: The target ids that count for each sentence, [batch, candidates], padded
                with `PAD_ID`; all of them if not given.
        """
        encoded = self.encoder(source_ids, source_lengths)
        memory = self.decoder.attention.prepare(encoded)
        start = DecoderState(self.bridge(encoded.final_state), position=0)
        return SearchState(start, memory, candidate_ids=candidate_ids)

    def step(self, previous_ids: Tensor, state: SearchState) -> tuple[Tensor, SearchState]:
        """One step of a search.

        Args:
            previous_ids: The last piece of each row, [rows].

        Returns:
            Unnormalised log-probabilities [rows, vocabulary_size] or [rows, candidates] in the
            precision of the weights, and the state after the step.
        """
        features, decoder, alignment = self.decoder.step(previous_ids, state.decoder, state.memory)
        logits = self.logits(features)
        if state.candidate_ids is not None:
            rows_per_sentence = len(logits) // len(state.candidate_ids)
            ids = state.candidate_ids.repeat_interleave(rows_per_sentence, dim=0)
            logits = logits.gather(1, ids).masked_fill(ids == PAD_ID, -torch.inf)
        return logits, state._replace(decoder=decoder, alignment=alignment)

    def _vocabulary_loss(
        self, features: Tensor, target_output_ids: Tensor, label_smoothing: float
    ) -> LossOutput:
        vocabulary = self.decoder.vocabulary
        return vocabulary_loss(
            features,
            vocabulary.weight,
            vocabulary.bias,
            target_output_ids,
            pad_id=PAD_ID,
            label_smoothing=label_smoothing,
        )


def build_model(
    config: ModelConfig, source_vocabulary_size: int, target_vocabulary_size: int
) -> EncoderDecoder:
    """Makes a network with fresh weights.

    Raises:
        ConfigurationError: If the cell or the attention is unknown, or one embedding is asked for
            two vocabularies.
    """
    cell = choose(CELLS, config.cell, field="model.cell")
    source_embedding = _make_embedding(source_vocabulary_size, config.embedding_size)
    if config.share_embeddings:
        if source_vocabulary_size != target_vocabulary_size:
            raise ConfigurationError(
                f"`model.share_embeddings` needs one vocabulary, but the source has "
                f"{source_vocabulary_size} pieces and the target {target_vocabulary_size}."
            )
        target_embedding = source_embedding
    else:
        target_embedding = _make_embedding(target_vocabulary_size, config.embedding_size)
    encoder = Encoder(
        source_embedding,
        cell=config.cell,
        encoder_size=config.hidden_size,
        num_layers=config.encoder_layers,
        bidirectional=config.bidirectional,
        reverse_source=config.reverse_source,
        dropout=config.dropout,
    )
    decoder = Decoder(
        target_embedding,
        choose(ATTENTIONS, config.attention, field="model.attention").from_config(config),
        cell=config.cell,
        encoder_size=config.hidden_size,
        hidden_size=config.hidden_size,
        num_layers=config.decoder_layers,
        tie_embeddings=config.tie_embeddings,
        dropout=config.dropout,
    )
    bridge = Bridge(config.hidden_size, config.hidden_size, config.decoder_layers, cell.num_states)
    return EncoderDecoder(encoder, bridge, decoder)


def _make_embedding(vocabulary_size: int, embedding_size: int) -> nn.Embedding:
    embedding = nn.Embedding(vocabulary_size, embedding_size, padding_idx=PAD_ID)
    # Rows of about unit length, so that tied weights give scores of about unit size.
    nn.init.normal_(embedding.weight, std=embedding_size**-0.5)
    with torch.no_grad():
        embedding.weight[PAD_ID].zero_()
    return embedding
