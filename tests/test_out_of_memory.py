import pytest
import torch

from seq2seq.out_of_memory import is_out_of_memory


@pytest.mark.parametrize(
    "message",
    [
        "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 1 GiB.",
        "[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: not enough memory: you tried",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "could not create a primitive",
        "std::bad_alloc",
    ],
)
def test_libraries_say_it_in_their_own_words(message):
    assert is_out_of_memory(RuntimeError(message))


def test_torch_says_it_on_a_processor():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60)
    assert is_out_of_memory(caught.value)


def test_python_and_cuda_have_types_for_it():
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory."))


@pytest.mark.parametrize("error", [RuntimeError("sizes differ"), ValueError("out of memory")])
def test_other_errors_are_others(error):
    assert not is_out_of_memory(error)
