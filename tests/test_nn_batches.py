"""Batches of data: casts, order, splits, augmentation."""

import numpy as np
import pytest

from nn import data as nn_data

# -- batches -------------------------------------------------------------------------------------------------


def test_to_float():
    grey = np.array([[[0, 51], [102, 255]]], np.uint8)
    out = nn_data.to_float(grey)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, [[[[0, 0.2], [0.4, 1]]]], rtol=1e-7)
    assert nn_data.to_float(grey, layout="NHWC").shape == (1, 2, 2, 1)
    colour = np.arange(24, dtype=np.uint8).reshape(1, 2, 4, 3)
    np.testing.assert_array_equal(nn_data.to_float(colour, dtype=np.float64)[0, 2] * 255, colour[0, :, :, 2])
    assert nn_data.to_float(colour).flags.c_contiguous


def test_to_float_errors():
    with pytest.raises(TypeError, match=r"must be uint8 .*not float64"):
        nn_data.to_float(np.zeros((1, 2, 2)))
    with pytest.raises(ValueError, match=r"not of shape \(2, 2\)"):
        nn_data.to_float(np.zeros((2, 2), np.uint8))
    with pytest.raises(ValueError, match="layout must be 'NCHW' or 'NHWC', not 'CHW'"):
        nn_data.to_float(np.zeros((1, 2, 2), np.uint8), layout="CHW")


def test_batches_cover_everything_once():
    x = np.arange(10)
    data = nn_data.Batches(x, x * 2, batch_size=4)
    rng = np.random.default_rng(3)
    first, second = list(data.epoch(rng)), list(data.epoch(rng))
    assert [len(b[0]) for b in first] == [4, 4, 2]
    assert len(data) == 3
    for epoch in (first, second):
        rows = np.concatenate([b[0] for b in epoch])
        np.testing.assert_array_equal(np.sort(rows), x)
        np.testing.assert_array_equal(np.concatenate([b[1] for b in epoch]), rows * 2)
    assert not np.array_equal(np.concatenate([b[0] for b in first]), np.concatenate([b[0] for b in second]))


def test_batches_drop_last_and_order():
    data = nn_data.Batches(np.arange(10), batch_size=4, shuffle=False, drop_last=True)
    assert (len(data), data.num_examples) == (2, 8)
    np.testing.assert_array_equal(np.concatenate([b[0] for b in data]), np.arange(8))
    assert [len(b[0]) for b in nn_data.Batches(np.arange(8), batch_size=4, shuffle=False)] == [4, 4]


def test_batches_start_in_the_middle_gives_the_same():
    def noise(batch, rng):
        return (batch[0] + rng.normal(size=batch[0].shape),)

    data = nn_data.Batches(np.arange(20.0), batch_size=3, augment=noise)
    whole = list(data.epoch(np.random.default_rng(1)))
    rng, other = np.random.default_rng(1), np.random.default_rng(1)
    rest = list(data.epoch(rng, start=4))
    for got, want in zip(rest, whole[4:], strict=True):
        np.testing.assert_array_equal(got[0], want[0])
    data.epoch(other)
    assert rng.bit_generator.state == other.bit_generator.state


def test_batches_transform_then_augment():
    def to_float(x, y):
        return x / 2, y

    def mark(batch, rng):
        assert batch[0].dtype == np.float64
        return batch[0] + 100, batch[1]

    data = nn_data.Batches(np.arange(4), np.arange(4), batch_size=2, shuffle=False, transform=to_float, augment=mark)
    batches = list(data.epoch(np.random.default_rng(0)))
    np.testing.assert_array_equal(batches[1][0], [101, 101.5])


def test_batches_errors():
    with pytest.raises(TypeError, match=r"Batches: give the arrays one by one, Batches\(x, y\), not in a tuple"):
        nn_data.Batches((np.zeros(3), np.zeros(3)))
    with pytest.raises(ValueError, match="give at least one array"):
        nn_data.Batches()
    with pytest.raises(ValueError, match=r"same number of rows, but their shapes are \[\(3,\), \(4,\)\]"):
        nn_data.Batches(np.zeros(3), np.zeros(4))
    with pytest.raises(ValueError, match="batch_size must be positive, not 0"):
        nn_data.Batches(np.zeros(3), batch_size=0)
    with pytest.raises(ValueError, match=r"3 row\(s\) make no batch of 4"):
        nn_data.Batches(np.zeros(3), batch_size=4, drop_last=True)
    with pytest.raises(TypeError, match=r"need a numpy\.random\.Generator.*not NoneType"):
        nn_data.Batches(np.zeros(3)).epoch()


def test_stratified_split():
    labels = np.repeat([3, 1, 2], [10, 20, 30])
    first, second = nn_data.stratified_split(labels, 0.3, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(np.sort(np.concatenate([first, second])), np.arange(60))
    np.testing.assert_array_equal(np.bincount(labels[second]), [0, 6, 9, 3])
    assert np.any(np.diff(labels[first]) < 0)
    with pytest.raises(ValueError, match="fraction must lie between 0 and 1, not 1"):
        nn_data.stratified_split(labels, 1, rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"must be a vector, not of shape \(2, 2\)"):
        nn_data.stratified_split(np.zeros((2, 2)), 0.5, rng=np.random.default_rng(0))


# -- augmentation --------------------------------------------------------------------------------------------


def test_random_shift_moves_whole_pixels(rng):
    images = rng.random((40, 2, 7, 5)).astype(np.float32)
    shifted, labels = nn_data.random_shift(2)((images, np.arange(40)), np.random.default_rng(0))
    assert shifted.dtype == np.float32
    np.testing.assert_array_equal(labels, np.arange(40))
    padded = np.pad(images, ((0, 0), (0, 0), (2, 2), (2, 2)))
    seen = set()
    for i in range(40):
        moves = [
            (dy, dx)
            for dy in range(5)
            for dx in range(5)
            if np.array_equal(padded[i, :, dy : dy + 7, dx : dx + 5], shifted[i])
        ]
        assert len(moves) == 1
        seen.update(moves)
    assert len(seen) > 10


def test_random_flip(rng):
    images = rng.random((200, 1, 3, 4))
    flipped, _ = nn_data.random_flip(0.25)((images, None), np.random.default_rng(0))
    mirrored = [np.array_equal(a[..., ::-1], b) for a, b in zip(images, flipped, strict=True)]
    same = [np.array_equal(a, b) for a, b in zip(images, flipped, strict=True)]
    assert all(np.logical_xor(mirrored, same))
    assert 25 < sum(mirrored) < 75


def test_random_affine_turns_and_scales():
    image = np.zeros((1, 1, 21, 21), np.float32)
    image[0, 0, 10, 4:17] = 1  # a bar through the centre
    batch = (np.repeat(image, 50, axis=0), np.arange(50))
    turned, _ = nn_data.random_affine(20.0, 0.0, 0.0)(batch, np.random.default_rng(0))
    assert turned.dtype == np.float32
    np.testing.assert_allclose(turned[:, 0, 10, 10], 1, atol=1e-5)  # the centre stays
    np.testing.assert_allclose(turned.sum((1, 2, 3)), 13, rtol=0.1)
    slopes = [np.polyfit(*np.nonzero(t[0] > 0.4)[::-1], 1)[0] for t in turned]
    assert 0.2 < max(slopes) < np.tan(np.deg2rad(20)) + 0.08
    assert -0.2 > min(slopes) > -np.tan(np.deg2rad(20)) - 0.08
    scaled, _ = nn_data.random_affine(0.0, 0.0, 0.3)(batch, np.random.default_rng(0))
    widths = scaled[:, 0, 10].sum(1)
    assert widths.min() < 11
    assert widths.max() > 15


def test_random_crop_cuts_a_piece_out_of_each_image(rng):
    images = rng.random((40, 2, 7, 5)).astype(np.float32)
    pieces, labels = nn_data.random_crop(4, 3)((images, np.arange(40)), np.random.default_rng(0))
    assert pieces.shape == (40, 2, 4, 3)
    assert pieces.dtype == np.float32
    assert pieces.flags.c_contiguous
    np.testing.assert_array_equal(labels, np.arange(40))
    seen = set()
    for i in range(40):
        places = [(y, x) for y in range(4) for x in range(3)
                  if np.array_equal(images[i, :, y : y + 4, x : x + 3], pieces[i])]  # fmt: skip
        assert len(places) == 1
        seen.update(places)
    assert seen == {(y, x) for y in range(4) for x in range(3)}
    whole, _ = nn_data.random_crop(7, 5)((images, labels), np.random.default_rng(0))
    np.testing.assert_array_equal(whole, images)


def test_augmentation_errors():
    with pytest.raises(ValueError, match=r"a piece of \(8, 8\) pixels does not fit into images of \(7, 9\)"):
        nn_data.random_crop(8)((np.zeros((1, 1, 7, 9)), None), np.random.default_rng(0))
    with pytest.raises(ValueError, match="random_crop: width must be at least 1, not 0"):
        nn_data.random_crop(8, 0)
    with pytest.raises(TypeError, match=r"random_crop: height must be a whole number, not 2\.5"):
        nn_data.random_crop(2.5)
    with pytest.raises(ValueError, match=r"random_shift: images must be .*not of shape \(3, 4\)"):
        nn_data.random_shift(1)((np.zeros((3, 4)), None), np.random.default_rng(0))
    with pytest.raises(ValueError, match="random_shift: pixels must be at least 0, not -1"):
        nn_data.random_shift(-1)
    with pytest.raises(ValueError, match=r"zoom below 1.*zoom=1\.5"):
        nn_data.random_affine(zoom=1.5)
