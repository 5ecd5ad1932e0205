import csv
import fcntl
import logging
import os
import re
import signal
import time
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from seq2seq.config import ConfigurationError, ModelConfig
from seq2seq.data.corpus import read_lines
from seq2seq.model_directory import load_model_directory
from seq2seq.training import train as train_file
from seq2seq.training.callbacks import TrainingInterrupted
from seq2seq.training.module import TrainingError, TranslationModule
from seq2seq.training.train import train
from seq2seq.translator import Translator
from tests.training.conftest import write_copy_corpus


def test_it_learns_to_copy(tmp_path, make_recipe):
    corpus = write_copy_corpus(tmp_path, num_train=1500, num_dev=50)
    recipe = make_recipe(
        corpus,
        ModelConfig(cell="gru", embedding_size=16, hidden_size=64, attention_size=32, dropout=0.0),
        max_epochs=10,
        batch_tokens=512,
        learning_rate=1e-2,
        warmup_steps=20,
        schedule="cosine",
        label_smoothing=0.0,
        validate_every=5,
    )
    train(recipe, tmp_path / "run")
    sentences = read_lines(corpus / "test.aa")
    translations = Translator.load(tmp_path / "run", device="cpu").translate(sentences)
    right = [t.text == s for t, s in zip(translations, sentences, strict=True)]
    assert sum(right) >= 0.9 * len(right)
