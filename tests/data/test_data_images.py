"""Images from folders, parquet files and the hub, down to the pixels."""

import http.server
import io
import os
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image
from pyarrow import parquet

from genexp.data.images import HuggingFaceImages, cut_splits
from genexp.data.preparation import decode
from genexp.data.sources import hub_answers
from genexp.errors import UserError

MNIST = Path(os.environ.get("GENEXP_MNIST", Path(__file__).parents[3] / "shared" / "data" / "mnist"))


def encode(pixels, kind="PNG"):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def pictures(n, seed=0, size=8, channels=3):
    """Images (n, S, S, 3) or (n, S, S) whose first pixel tells their number."""
    images = np.random.default_rng(seed).integers(0, 256, (n, size, size, 3), dtype=np.uint8)
    images = images if channels == 3 else images[..., 0]
    images[:, 0, 0] = np.arange(n).reshape(-1, *[1] * (images.ndim - 3)) if channels == 3 else np.arange(n)
    return images


def write_folder(root, images, classes=None):
    for i, image in enumerate(images):
        folder = root / f"class{i % classes}" if classes else root
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{i:04d}.png").write_bytes(encode(image))
    return root


def write_parquet(path, images, labels=None, image_column="image", struct=True):
    path.parent.mkdir(parents=True, exist_ok=True)
    encoded = [encode(image) for image in images]
    cells = pa.array([{"bytes": e, "path": None} for e in encoded]) if struct else pa.array(encoded, pa.binary())
    columns = {image_column: cells} | ({} if labels is None else {"label": pa.array(labels)})
    parquet.write_table(pa.table(columns), path)


def make(path, cache, **options):
    return HuggingFaceImages(
        "tiny", None if path is None else str(path), cache_dir=cache, **{"size": 8, "channels": 3, **options}
    )


def stored(data):
    return data.stored.pixels.numpy().transpose(0, 2, 3, 1)


# --- sources --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("with_cache", [True, False])
def test_a_folder_of_images(tmp_path, with_cache):
    images = pictures(40)
    data = make(write_folder(tmp_path / "images", images), tmp_path / "cache" if with_cache else None)
    np.testing.assert_array_equal(stored(data), images)
    assert {name: len(data.split(name).x) for name in ("train", "val", "ref", "floor")} == {
        "train": 18,
        "val": 2,
        "ref": 10,
        "floor": 10,
    }
    assert not data.split("train").y.any()
    x = data.split("ref").x
    expected = torch.from_numpy(images[data.stored.indices["ref"].numpy()]).permute(0, 3, 1, 2) / 127.5 - 1
    torch.testing.assert_close(x, expected, rtol=0, atol=1e-6)


def test_folders_of_classes(tmp_path):
    images = pictures(40)
    data = make(write_folder(tmp_path / "images", images, classes=4), tmp_path / "cache", num_classes=4)
    numbers = stored(data)[:, 0, 0, 0]
    assert data.stored.labels.tolist() == (numbers % 4).tolist()
    assert sorted(numbers) == list(range(40))


def test_train_and_test_folders(tmp_path):
    root = tmp_path / "images"
    write_folder(root / "train", pictures(20), classes=2)
    write_folder(root / "test", pictures(10, seed=1), classes=2)
    data = make(root, tmp_path / "cache", num_classes=2)
    assert {name: len(index) for name, index in data.stored.indices.items()} == {
        "train": 18,
        "val": 2,
        "ref": 5,
        "floor": 5,
    }
    assert set(data.stored.indices["ref"].tolist()) | set(data.stored.indices["floor"].tolist()) == set(range(20, 30))


@pytest.mark.parametrize("struct", [True, False])
@pytest.mark.parametrize("folder", ["", "plain_text/"])
def test_parquet_files_in_the_layout_of_the_hub(tmp_path, struct, folder):
    train, test = pictures(30), pictures(12, seed=1)
    root = tmp_path / "copy"
    write_parquet(root / f"{folder}train-00001-of-00002.parquet", train[20:], [3] * 10, "img", struct)
    write_parquet(root / f"{folder}train-00000-of-00002.parquet", train[:20], [1] * 20, "img", struct)
    write_parquet(root / f"{folder}test-00000-of-00001.parquet", test, [2] * 12, "img", struct)
    data = make(root, tmp_path / "cache", num_classes=4)
    np.testing.assert_array_equal(stored(data), np.concatenate([train, test]))
    assert data.stored.labels.tolist() == [1] * 20 + [3] * 10 + [2] * 12
    assert len(data.split("ref").x) == len(data.split("floor").x) == 6


def test_one_parquet_file_without_labels(tmp_path):
    write_parquet(tmp_path / "some.parquet", pictures(24))
    data = make(tmp_path / "some.parquet", tmp_path / "cache")
    assert len(data.split("ref").x) == 6
    with pytest.raises(UserError, match=r"no column label.*dataset.num_classes=0"):
        make(tmp_path / "some.parquet", tmp_path / "cache", num_classes=3).content_id()


def test_validation_stands_in_for_a_missing_test_split(tmp_path):
    root = tmp_path / "copy"
    write_parquet(root / "train-0.parquet", pictures(20))
    write_parquet(root / "validation-0.parquet", pictures(8))
    assert len(make(root, None).split("ref").x) == 4
    write_parquet(root / "test-0.parquet", pictures(2))
    data = make(root, None)
    assert len(data.stored.pixels) == 22
    assert len(data.split("ref").x) == 1


def test_the_hub_through_datasets(tmp_path, monkeypatch):
    import datasets

    train, test = pictures(20), pictures(8, seed=1)
    features = datasets.Features({"img": datasets.Image(), "label": datasets.ClassLabel(num_classes=2)})

    def table(images):
        rows = {"img": [Image.fromarray(image) for image in images], "label": [i % 2 for i in range(len(images))]}
        return datasets.Dataset.from_dict(rows, features=features)

    asked = []

    def load(name, revision):
        asked.append((name, revision))
        return datasets.DatasetDict({"train": table(train), "test": table(test)})

    monkeypatch.setattr(datasets, "load_dataset", load)
    monkeypatch.setattr("genexp.data.sources.hub_answers", lambda: True)
    data = make("someone/pictures", tmp_path, num_classes=2, revision="v1")
    np.testing.assert_array_equal(stored(data), np.concatenate([train, test]))
    assert data.stored.labels.tolist() == [0, 1] * 14
    monkeypatch.setattr("genexp.data.sources.hub_answers", lambda: pytest.fail("asked the hub again"))
    again = make("someone/pictures", tmp_path, num_classes=2, revision="v1")
    assert again.content_id() == data.content_id()
    assert asked == [("someone/pictures", "v1")]


def test_a_local_copy_has_the_identity_of_the_prepared_pixels(tmp_path):
    images = pictures(40)
    write_parquet(tmp_path / "copy" / "train-0.parquet", images)
    folder = make(write_folder(tmp_path / "images", images), tmp_path / "cache")
    copy = make(tmp_path / "copy", tmp_path / "cache")
    assert copy.content_id() == folder.content_id()
    assert len(list((tmp_path / "cache" / "images").glob("tiny-*"))) == 2


# --- the cache ------------------------------------------------------------------------------------------------------


def test_prepared_images_are_found_again(tmp_path, monkeypatch):
    root = write_folder(tmp_path / "images", pictures(40))
    first = make(root, tmp_path / "cache")
    before = first.content_id(), stored(first)
    monkeypatch.setattr("genexp.data.preparation.decode", lambda *_: pytest.fail("prepared again"))
    again = make(root, tmp_path / "cache")
    assert again.content_id() == before[0]
    np.testing.assert_array_equal(stored(again), before[1])


def test_changed_content_and_settings_are_prepared_anew(tmp_path):
    root = write_folder(tmp_path / "images", pictures(40))
    cache = tmp_path / "cache"
    ids = [make(root, cache).content_id(), make(root, cache, size=4).content_id()]
    ids.append(make(root, cache, channels=1).content_id())
    ids.append(make(root, cache, hold_out_val=False).content_id())
    ids.append(make(root, cache, ref_size=3).content_id())
    (root / "0007.png").write_bytes(encode(pictures(1, seed=9)[0]))
    ids.append(make(root, cache).content_id())
    assert len(set(ids)) == len(ids)


def test_a_damaged_cache_is_one_sentence(tmp_path):
    root = write_folder(tmp_path / "images", pictures(40))
    make(root, tmp_path / "cache").content_id()
    (file,) = (tmp_path / "cache" / "images").glob("tiny-*/pixels.npy")
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(UserError, match="delete that folder"):
        make(root, tmp_path / "cache").content_id()


def test_nothing_that_a_batch_does_reaches_the_cache(tmp_path):
    root = write_folder(tmp_path / "images", pictures(40))
    data = make(root, tmp_path / "cache")
    data.stored.pixels.zero_()
    assert make(root, tmp_path / "cache").stored.pixels.any()


def test_batches_of_mapped_images(tmp_path):
    root = write_folder(tmp_path / "images", pictures(40), classes=4)
    runs = []
    for workers in (0, 2):
        data = make(root, tmp_path / "cache", num_classes=4, num_workers=workers)
        data.configure(seed=3, batch_size=7, batches_per_step=2, start_step=1, max_steps=5)
        runs.append(list(data.train_dataloader()))
    for a, b in zip(*runs, strict=True):
        assert torch.equal(a["x"], b["x"])
        assert torch.equal(a["y"], b["y"])
        number = ((a["x"][:, 0, 0, 0] + 1) * 127.5).round().long()
        assert torch.equal(number % 4, a["y"])
        assert set(number.tolist()) <= set(stored(data)[data.stored.indices["train"].numpy(), 0, 0, 0].tolist())


# --- pixels ---------------------------------------------------------------------------------------------------------


def test_the_middle_square_is_kept():
    wide = np.zeros((4, 10, 3), dtype=np.uint8)
    wide[:, 3:7] = 200
    np.testing.assert_array_equal(decode(encode(wide), 4, 3), np.full((3, 4, 4), 200))
    np.testing.assert_array_equal(decode(encode(wide.transpose(1, 0, 2).copy()), 4, 3), np.full((3, 4, 4), 200))


def test_shrinking_is_antialiased():
    """A fine checker becomes its mean; without antialiasing it would become black or white."""
    checker = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    assert np.abs(decode(encode(checker), 8, 1).astype(int) - 127.5).max() < 8


def test_colour_grey_and_transparency():
    red = np.zeros((4, 4, 3), dtype=np.uint8)
    red[..., 0] = 255
    assert (decode(encode(red), 4, 1) == 76).all()  # ITU-R 601: 0.299 * 255
    grey = np.full((4, 4), 9, dtype=np.uint8)
    assert (decode(encode(grey), 4, 3) == 9).all()
    clear = np.zeros((4, 4, 4), dtype=np.uint8)
    assert (decode(encode(clear), 4, 3) == 255).all()


def test_photographs_are_turned_upright():
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    half = np.zeros((8, 8, 3), dtype=np.uint8)
    half[:4] = 255
    Image.fromarray(half).save(buffer, "PNG", exif=exif)
    upright = decode(buffer.getvalue(), 8, 3)
    assert (upright[:, :4] == 0).all()
    assert (upright[:, 4:] == 255).all()


@pytest.mark.parametrize(
    "content", [b"", b"no image", encode(pictures(1)[0])[:60], encode(np.zeros((4, 4), np.uint16))]
)
def test_what_is_no_image_is_refused(content):
    with pytest.raises(ValueError, match=r"\w"):
        decode(content, 8, 3)


def test_a_broken_image_is_named_and_nothing_is_kept(tmp_path):
    root = write_folder(tmp_path / "images", pictures(40))
    (root / "0005.png").write_bytes(b"broken")
    with pytest.raises(UserError, match="Image 5 of the data cannot be read"):
        make(root, tmp_path / "cache").content_id()
    assert not list((tmp_path / "cache" / "images").glob("tiny-*"))
    (root / "0005.png").write_bytes(encode(pictures(1)[0]))
    assert make(root, tmp_path / "cache").content_id()


# --- splits ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [{"train": 1000}, {"train": 1000, "test": 301}])
@pytest.mark.parametrize("hold_out", [True, False])
def test_splits_are_disjoint_fixed_and_no_larger_than_asked(sizes, hold_out):
    at_most = {"ref": 5000, "floor": 100, "val": 50}
    indices = {name: set(index.tolist()) for name, index in cut_splits(sizes, at_most, hold_out).items()}
    assert (len(indices["val"]), len(indices["floor"])) == (50, 100)
    assert len(indices["ref"]) == (151 if "test" in sizes else 250)
    assert not indices["ref"] & indices["floor"]
    assert not (indices["ref"] | indices["floor"]) & indices["train"]
    assert not (indices["ref"] | indices["floor"]) & indices["val"]
    assert (indices["val"] <= indices["train"]) != hold_out
    again = cut_splits(sizes, at_most, hold_out)
    assert all(set(again[name].tolist()) == index for name, index in indices.items())


def test_all_images_of_a_test_split_can_be_used():
    indices = cut_splits({"train": 100, "test": 11}, {"ref": 50, "floor": 50, "val": 5}, True)
    assert sorted([*indices["ref"].tolist(), *indices["floor"].tolist()]) == list(range(100, 111))


# --- one sentence for each mistake ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["./absent", "/absent/folder", "absent", "~/absent/folder", "a/b/c"])
def test_a_missing_path_is_one_sentence(path, tmp_path):
    data = make(path, tmp_path / "cache")
    with pytest.raises(UserError, match=r"^There are no data at .*absent.*dataset\.path|^There are no data at a/b/c"):
        data.split("train")


def test_no_path_at_all(tmp_path):
    with pytest.raises(UserError, match=r"dataset\.path is not set"):
        make(None, tmp_path).content_id()


def test_an_empty_folder(tmp_path):
    with pytest.raises(UserError, match="neither parquet nor image files"):
        make(tmp_path, None).content_id()


def test_a_parquet_file_that_is_none(tmp_path):
    (tmp_path / "train.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match="not a whole parquet file"):
        make(tmp_path, None).content_id()


def test_a_hub_that_cannot_be_reached_fails_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    started = time.monotonic()
    with pytest.raises(
        UserError, match=r"^someone/pictures .* cannot be reached: set dataset\.path to a local copy\.$"
    ):
        make("someone/pictures", tmp_path).content_id()
    assert time.monotonic() - started < 6


def test_what_the_hub_says_is_passed_on(tmp_path, monkeypatch):
    import datasets

    def load(name, revision):
        raise datasets.exceptions.DatasetNotFoundError("Dataset 'someone/pictures' doesn't exist.\nMore")

    monkeypatch.setattr(datasets, "load_dataset", load)
    monkeypatch.setattr("genexp.data.sources.hub_answers", lambda: True)
    with pytest.raises(UserError, match=r"^someone/pictures .* says: Dataset .* doesn't exist: set dataset\.path"):
        make("someone/pictures", tmp_path).content_id()


def test_any_answer_of_a_server_is_an_answer(monkeypatch):
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)  # answers 501 to all
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    monkeypatch.setattr(http.server.BaseHTTPRequestHandler, "log_message", lambda *_: None)
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert hub_answers()
    thread.join()
    server.server_close()
    assert not hub_answers()


@pytest.mark.parametrize(("num_classes", "sentence"), [(3, "dataset.num_classes=4"), (9, "dataset.num_classes=4")])
def test_another_number_of_classes(tmp_path, num_classes, sentence):
    root = write_folder(tmp_path / "images", pictures(40), classes=4)
    with pytest.raises(UserError, match=sentence):
        make(root, None, num_classes=num_classes).content_id()


def test_classes_without_folders(tmp_path):
    with pytest.raises(UserError, match="no folder of a class"):
        make(write_folder(tmp_path / "images", pictures(20)), None, num_classes=2).content_id()


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [(["a"] * 20, "whole numbers"), ([None] * 20, "whole numbers"), ([-1] * 20, "without a label")],
)
def test_labels_that_are_none(tmp_path, labels, sentence):
    write_parquet(tmp_path / "train.parquet", pictures(20), labels)
    with pytest.raises(UserError, match=sentence):
        make(tmp_path, None, num_classes=2).content_id()


def test_a_column_that_is_not_there(tmp_path):
    write_parquet(tmp_path / "train.parquet", pictures(20), image_column="picture")
    with pytest.raises(UserError, match=r"dataset.image_column to one of picture"):
        make(tmp_path, None).content_id()
    assert make(tmp_path, None, image_column="picture").content_id()


def test_too_few_images(tmp_path):
    with pytest.raises(UserError, match="too few images"):
        make(write_folder(tmp_path / "images", pictures(5)), None).content_id()


@pytest.mark.parametrize("options", [{"size": 0}, {"channels": 2}, {"shape": [3, 9, 9]}, {"levels": 17}])
def test_impossible_settings(options):
    with pytest.raises(UserError, match=f"dataset.{next(iter(options))}="):
        make("anywhere", None, **options)


# --- the real thing -------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not MNIST.is_dir(), reason="no local copy of MNIST: set GENEXP_MNIST")
def test_mnist_from_a_local_copy(tmp_path):
    data = HuggingFaceImages("mnist", str(MNIST), 28, 1, num_classes=10, cache_dir=tmp_path)
    started = time.monotonic()
    pixels, labels = data.stored.pixels, data.stored.labels
    assert time.monotonic() - started < 60
    assert pixels.shape == (70_000, 1, 28, 28)
    # What everybody normalises MNIST with, and how many images each class has; a copy's order is its own.
    assert float(pixels[:60_000].double().mean() / 255) == pytest.approx(0.1307, abs=5e-5)
    assert float(pixels[:60_000].double().std() / 255) == pytest.approx(0.3081, abs=5e-5)
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert labels[:60_000].bincount().tolist() == counts
    counts = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert labels[60_000:].bincount().tolist() == counts
    rows = parquet.read_table(next(MNIST.glob("test*.parquet"))).slice(7000, 5).to_pylist()
    for i, row in enumerate(rows, start=67_000):
        np.testing.assert_array_equal(pixels[i, 0], np.asarray(Image.open(io.BytesIO(row["image"]["bytes"]))))
        assert int(labels[i]) == row["label"]
    assert {name: len(index) for name, index in data.stored.indices.items()} == {
        "train": 55_000,
        "val": 5000,
        "ref": 5000,
        "floor": 5000,
    }
