import numpy as np
import pytest

from seq2seq.insight.probes import NUM_SHUFFLES, probe

SIZE = 6


def draw(number, seed, *, noise=0.3):
    """Vectors whose first two coordinates say, more or less, which of three labels they have."""
    generator = np.random.default_rng(seed)
    labels = generator.choice(["past", "present", "future"], size=number, p=[0.3, 0.6, 0.1])
    centres = {"past": [2, 0], "present": [0, 2], "future": [-2, -2]}
    vectors = generator.normal(size=(number, SIZE)) * [noise, noise, 1, 1, 3, 0.1] + 5
    vectors[:, :2] += [centres[label] for label in labels]
    return vectors, labels.tolist()


def solve_ridge(vectors, labels, others, strength):
    """The same regression by a system of equations, with a column of ones that is not penalised."""
    known = sorted(set(labels))
    targets = np.array([[float(label == each) for each in known] for label in labels])
    with_ones = np.hstack([vectors, np.ones((len(vectors), 1))])
    variance = ((vectors - vectors.mean(0)) ** 2).sum() / vectors.shape[1]
    penalty = np.diag([strength * variance] * vectors.shape[1] + [0.0])
    weights = np.linalg.solve(with_ones.T @ with_ones + penalty, with_ones.T @ targets)
    scores = np.hstack([others, np.ones((len(others), 1))]) @ weights
    return [known[max(range(len(known)), key=lambda column: row[column])] for row in scores]


def share(read, true):
    return sum(a == b for a, b in zip(read, true, strict=True)) / len(true)


def cross_validated(vectors, labels):
    """The strength that is best on five blocks, the greatest among equals, by loops."""
    best = None
    blocks = np.array_split(range(len(labels)), 5)
    for strength in [10.0**power for power in range(-6, 3)]:
        right = 0.0
        for block in blocks:
            rest = [index for index in range(len(labels)) if index not in block]
            own = [labels[index] for index in rest]
            read = solve_ridge(vectors[rest], own, vectors[block], strength)
            right += share(read, [labels[index] for index in block])
        if best is None or right >= best[0] - 1e-12:
            best = (right, strength)
    return best[1]


@pytest.mark.parametrize(("seed", "noise"), [(1, 0.3), (2, 1.5), (3, 4.0)])
def test_a_probe_reads_as_a_ridge_regression_solved_another_way(seed, noise):
    vectors, labels = draw(90, seed, noise=noise)
    others, true = draw(120, seed + 10, noise=noise)
    found = probe(vectors, labels, others, true)
    strength = cross_validated(vectors, labels)
    assert found.accuracy == share(solve_ridge(vectors, labels, others, strength), true)
    assert (found.num_labels, found.num_training, found.num_held_out) == (3, 90, 120)


def test_what_stands_in_vectors_is_read_and_shuffled_labels_are_not():
    vectors, labels = draw(300, 1)
    others, true = draw(300, 2)
    found = probe(vectors, labels, others, true)
    assert found.accuracy > 0.95
    assert found.majority == share(["present"] * 300, true)
    assert len(found.shuffled) == NUM_SHUFFLES
    assert all(abs(chance - found.majority) < 0.06 for chance in found.shuffled)


def test_what_does_not_stand_in_vectors_is_not_read():
    vectors, labels = draw(300, 1)
    others, true = draw(300, 2)
    found = probe(vectors[:, 2:], labels, others[:, 2:], true)
    assert abs(found.accuracy - found.majority) < 0.06


def test_the_most_frequent_label_is_that_of_training():
    vectors, _ = draw(10, 1)
    found = probe(vectors, ["a"] * 6 + ["b"] * 4, vectors[:4], ["b", "b", "b", "a"])
    assert found.majority == 0.25


def test_a_probe_is_the_same_every_time_and_its_orders_hang_on_the_seed():
    vectors, labels = draw(60, 1, noise=2.0)
    others, true = draw(60, 2, noise=2.0)
    assert probe(vectors, labels, others, true) == probe(vectors, labels, others, true)
    other = probe(vectors, labels, others, true, seed=2)
    assert other.shuffled != probe(vectors, labels, others, true).shuffled
    assert probe(vectors, labels, others, true, num_shuffles=0).shuffled == []


def test_labels_that_training_never_saw_are_never_read():
    vectors, labels = draw(60, 1)
    assert probe(vectors, labels, vectors[:7], ["unknown"] * 7).accuracy == 0


def test_vectors_that_are_all_alike_are_no_error():
    vectors = np.ones((10, SIZE))
    found = probe(vectors, ["a"] * 7 + ["b"] * 3, vectors, ["a"] * 10)
    assert found.accuracy == 1


@pytest.mark.parametrize(("training", "held_out"), [(4, 3), (10, 0)])
def test_too_few_vectors_are_refused(training, held_out):
    vectors = np.ones((10, SIZE))
    with pytest.raises(ValueError, match=f"at least 5 training .* there are {training} and"):
        probe(vectors[:training], ["a"] * training, vectors[:held_out], ["a"] * held_out)
