"""Comparisons without a browser: steps, pictures of one size, counterparts, refusals."""

import pytest
import torch
from PIL import Image

from qsneg.inspect import observe
from qsneg.inspect.observing import Begun
from qsneg.memory_limits import TooLarge
from qsneg.networks import Generator
from qsneg.rendering import sample_pictures
from qsneg.ui.compare import compare, labelled, pictures, subject
from qsneg.ui.feature_cache import Views
from qsneg.ui.models import Models
from qsneg.ui.uploads import Refused, Source, Sources


@pytest.fixture(scope="module")
def models(checkpoints):
    return Models(checkpoints, "cpu")


def test_families_and_methods_come_in_order(models):
    assert models.families() == {"day2sunset": ["cut", "qs-attn", "negcut"], "horse2zebra-drawn": ["cut", "qs-attn"]}


def test_compare_says_each_step_and_ends_with_pictures_of_one_size(models, photograph):
    *steps, result = compare(models, Sources().read(photograph), "day2sunset", ["negcut", "cut"], 64)
    assert steps == ["CUT: translating, 1 of 2", "NEGCUT: translating, 2 of 2"]
    assert result.counterpart is None
    assert {image.size for _, _, image in pictures(result)} == {(96, 64)}
    assert 0 < result.seconds < 30


def test_a_drawn_scene_is_known_by_its_text_and_brings_its_counterpart(models, tmp_path):
    example = next(e for e in sample_pictures.examples() if e.index is not None)
    image = example.picture(128)
    source = Source.of(image)
    assert source.seed == sample_pictures.test_seed(example.index)
    *_, result = compare(models, source, "horse2zebra-drawn", ["cut"], 64)
    assert result.counterpart.tobytes() == sample_pictures.scene(source.seed, 64, "B").tobytes()
    image.putpixel((0, 0), (1, 2, 3))  # no longer that scene
    assert Source.of(image).seed is None
    *_, result = compare(models, source, "day2sunset", ["cut"], 64)
    assert result.counterpart is None


def test_the_labelled_picture_holds_every_picture_untouched(models, photograph):
    *_, result = compare(models, Sources().read(photograph), "day2sunset", ["cut", "qs-attn", "negcut"], 64)
    sheet = labelled(result)
    assert sheet.width > 4 * 96 and sheet.height > 64
    rows = {tuple(sheet.crop((x, y, x + 96, y + 1)).tobytes()) for x in range(60) for y in range(sheet.height)}
    assert tuple(result.source.crop((0, 10, 96, 11)).tobytes()) in rows


def test_models_are_kept_up_to_a_bound(checkpoints):
    models = Models(checkpoints, "cpu", keep=2)
    first = models.translator("day2sunset", "cut")
    assert models.translator("day2sunset", "cut") is first
    models.translator("day2sunset", "negcut"), models.translator("day2sunset", "qs-attn")
    assert models.translator("day2sunset", "cut") is not first


@pytest.mark.parametrize("control, family, methods, size", [
    ("family", "cat2dog", ["cut"], 64), ("methods", "day2sunset", [], 64),
    ("methods", "horse2zebra-drawn", ["negcut"], 64),
    ("size", "day2sunset", ["cut"], 63), ("size", "day2sunset", ["cut"], 4096), ("size", "day2sunset", ["cut"], None),
])  # fmt: skip
def test_refusals_name_the_control(models, photograph, control, family, methods, size):
    with pytest.raises(Refused) as refusal:
        list(compare(models, Sources().read(photograph), family, methods, size))
    assert refusal.value.control == control and str(refusal.value).endswith(".")


def test_a_translation_too_large_is_refused_before_it_is_made(models):
    with pytest.raises(Refused, match="megapixels") as refusal:
        list(compare(models, Source.of(Image.new("RGB", (600, 20000))), "day2sunset", ["cut"], 768))
    assert refusal.value.control == "size"


def test_what_is_no_picture_is_refused(tmp_path):
    (tmp_path / "note.png").write_text("hello")
    for path in (None, tmp_path / "note.png", tmp_path / "none.png"):
        with pytest.raises(Refused) as refusal:
            Sources().read(path)
        assert refusal.value.control == "picture" and str(tmp_path) not in str(refusal.value)


def test_a_folder_without_weights_and_a_broken_file_are_refused(tmp_path, photograph):
    source = Sources().read(photograph)
    with pytest.raises(Refused, match="no weights"):
        list(compare(Models(tmp_path, "cpu"), source, "day2sunset", ["cut"], 64))
    (tmp_path / "day2sunset").mkdir()
    (tmp_path / "day2sunset" / "cut.safetensors").write_bytes(b"broken")
    with pytest.raises(Refused, match="cannot be read"):
        list(compare(Models(tmp_path, "cpu"), source, "day2sunset", ["cut"], 64))
    assert Models(tmp_path, "cpu").card("day2sunset", "cut") == {}


def test_pages_look_into_what_compare_translated_and_nothing_is_translated_twice(models, photograph, monkeypatch):
    translated = []

    def counting(name):
        whole = getattr(Generator, name)

        def count(self, x, *args):
            translated.append(tuple(x.shape))
            return whole(self, x, *args)

        monkeypatch.setattr(Generator, name, count)

    fresh = Models(models.folder, "cpu")
    for method in ("cut", "negcut"):
        fresh.translator("day2sunset", method)  # whose first call is one of its own
    counting("forward"), counting("translate_with_features")
    *_, result = compare(fresh, fresh.sources.read(photograph), "day2sunset", ["cut", "negcut"], 64)
    *_, seen = Views(fresh).steps(subject(fresh, photograph, result))
    assert len(translated) == 2
    for made in result.results:
        view = seen[made.method]
        assert view.result.tobytes() == made.image.tobytes()
        again = observe(fresh.translator("day2sunset", made.method), Image.open(photograph), 64)
        assert again.result.tobytes() == made.image.tobytes()
        for which in ("source", "result"):
            assert all(torch.equal(a, b) for a, b in zip(view.features[which], again.features[which]))
    assert not fresh.begun.kept  # the views hold them now


def test_a_view_for_which_memory_does_not_suffice_is_refused_in_a_sentence(models, photograph, monkeypatch):
    fresh = Models(models.folder, "cpu")
    *_, result = compare(fresh, fresh.sources.read(photograph), "day2sunset", ["cut"], 64)

    def too_large(self):
        raise TooLarge("It does not fit.", 32)

    monkeypatch.setattr(Begun, "view", too_large)
    with pytest.raises(Refused, match="It does not fit."):
        Views(fresh).get(subject(fresh, photograph, result), "cut")
