"""Commands of language models."""

from seq2seq.config import ConfigurationError


def generate(
    model: str,
    *,
    prefix: str = "",
    length: int = 500,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    seed: int = 1,
    n: int = 1,
    device: str = "auto",
    threads: int | None = None,
) -> None:
    """Writes text as a language model would, drawn piece by piece.

    Args:
        model: The folder of the language model.
        prefix: How the text begins; it may end within a word.
        length: Pieces after the prefix; a sentence may end before.
        temperature: Below 1 likelier pieces become likelier still, above 1 rarer ones; 0 takes the
            likeliest each time.
        top_k: Choose among so many likeliest pieces; 0 among all.
        top_p: Choose among the likeliest pieces that have this probability together.
        seed: The same seed draws the same text.
        n: How many texts.
        device: auto, cpu, cuda or cuda:N.
        threads: Processor threads; as many as cores if not given.
    """
    from seq2seq.language_model import LanguageModel

    language_model = LanguageModel.load(model, device, threads)
    texts = language_model.generate(
        prefix,
        length,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        seed=seed,
        n=n,
    )
    for number, text in enumerate(texts, start=1):
        if n > 1 and language_model.is_running_text:
            print(f"--- text {number} of {n}")
        print(text)


def evaluate_lm(
    model: str,
    *,
    text: str,
    device: str = "auto",
    threads: int | None = None,
) -> None:
    """Prints how well a language model predicts a file: perplexities and bits per character.

    Args:
        model: The folder of the language model.
        text: File of text that the model has not learnt from.
        device: auto, cpu, cuda or cuda:N.
        threads: Processor threads; as many as cores if not given.
    """
    from seq2seq.data.text_files import read_lines
    from seq2seq.evaluation.text_loss import describe_unknown, show_perplexity, total
    from seq2seq.language_model import LanguageModel

    lines = read_lines(text)
    if not any(lines):
        raise ConfigurationError(f"`text` must be a file with text, but {text} has none.")
    language_model = LanguageModel.load(model, device, threads)
    loss = total(language_model.score(lines))
    word = "line" if len(lines) == 1 else "lines"
    kind = "as one text" if language_model.is_running_text else "each by itself"
    print(f"{model} on {text}: {len(lines):,} {word}, {kind}")
    print(f"bits per character    {loss.bits_per_character:8.3f}   {loss.characters:,} characters")
    by_piece, by_word = map(show_perplexity, (loss.perplexity, loss.word_perplexity))
    print(f"perplexity per piece  {by_piece:>8}   {loss.pieces:,} pieces")
    print(f"perplexity per word   {by_word:>8}   {loss.words:,} words")
    print("The end of a line counts as a character, a piece and a word.")
    if told := describe_unknown(loss):
        print(told)
