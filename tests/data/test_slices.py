from corpus_files import fuzz_settings
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.data.slices import part_names, split_slice


@given(size=st.integers(0, 300), percent=st.integers(0, 100), sign=st.sampled_from(["", "-"]))
@fuzz_settings()
def test_two_slices_that_meet_at_a_percentage_share_nothing_and_leave_nothing(
    size: int, percent: int, sign: str
) -> None:
    numbers = list(range(size))
    halves = []
    for text in (f"x[:{sign}{percent}%]", f"x[{sign}{percent}%:]"):
        _, part = split_slice(text, field="corpus.dev")
        assert part is not None
        halves.append(numbers[part.of(size)])
    assert halves[0] + halves[1] == numbers
    assert abs(len(halves[sign == "-"]) - size * percent / 100) <= 0.5


@given(
    size=st.integers(0, 30),
    start=st.none() | st.integers(-40, 40),
    stop=st.none() | st.integers(-40, 40),
)
@fuzz_settings()
def test_slices_are_those_of_python(size: int, start: int | None, stop: int | None) -> None:
    bounds = ["" if bound is None else str(bound) for bound in (start, stop)]
    path, part = split_slice(f"a[b]/c[{':'.join(bounds)}]", field="corpus.dev")
    assert path == "a[b]/c" and part is not None
    assert list(range(size))[part.of(size)] == list(range(size))[start:stop]


def test_parts_are_called_after_what_tells_them_apart() -> None:
    assert part_names(["d/kaist_ko_en/dev[2362:]", "d/tatoeba_ko_en/dev", "bible/dev[:9]"]) == [
        "kaist_ko_en",
        "tatoeba_ko_en",
        "bible",
    ]
    assert part_names(["flickr/test_2016", "flickr/test_2017.tsv.gz"]) == ["test_2016", "test_2017"]
    assert part_names(["dev", "test.csv"]) == ["dev", "test"]
    assert part_names(["a/dev", "b/dev", "b/test"]) == ["a-dev", "b-dev", "b-test"]
    assert part_names(["my data/dev[:5]", "my data/dev[5:]"]) == ["my-data-dev-1", "my-data-dev-2"]
