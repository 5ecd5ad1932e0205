"""What can end a training that had begun well; each message is one sentence for the user."""

from seq2seq.exits import INTERRUPTED


class TrainingError(ValueError):
    """Training cannot go on."""


class TrainingInterrupted(TrainingError):
    """Somebody asked training to stop; a checkpoint has been saved."""

    exit_code = INTERRUPTED


class ConnectionLost(TrainingError):
    """Another process that trains has gone."""
