"""Tells errors that mean too little memory from others; each library has its own."""

_WORDS = (
    "out of memory",  # CUDA
    "not enough memory",  # torch on a processor
    "can't allocate memory",
    "std::bad_alloc",
    "bad allocation",
    "ALLOC_FAILED",  # cuBLAS, cuDNN
    "could not create a primitive",  # oneDNN, which has no other words for it
    "could not create a memory object",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether less work at once might have gone well."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in _WORDS)
    )
