"""To the Hugging Face Hub and back: the real client against a small stand-in on this machine."""

import pytest
import torch
from huggingface_hub import ModelCard

from qsneg import weights
from qsneg.sharing.hub_card import hub_card
from qsneg.sharing.push import push
from qsneg.weights import load, save
from tests.conftest import TOKEN, Hub, run, tiny


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    card = {"data": "drawn", "steps": 12, "seed": 3, "last": {"step": 12, "swd": 0.71}, "machine": "a|b <c>"}
    path = tmp_path_factory.mktemp("weights") / "cut.safetensors"
    save(tiny(card=card, blocks=5), path)
    return path


def test_there_and_back(hub, file, tmp_path):
    assert push(file, "somebody/zebra", "cc-by-4.0", token=TOKEN, endpoint=hub) == f"{hub}/somebody/zebra"
    assert set(Hub.files["somebody/zebra"]) == {"model.safetensors", "README.md"} and Hub.commits["somebody/zebra"] == 1
    again = load("somebody/zebra", tmp_path)
    assert again.title == "CUT" and again.card["steps"] == 12
    for name, tensor in load(file).generator.state_dict().items():
        assert torch.equal(tensor, again.generator.state_dict()[name])
    card = Hub.files["somebody/zebra"]["README.md"].decode()
    front = card.split("---\n")[1].splitlines()
    assert {"license: cc-by-4.0", "library_name: qsneg", "pipeline_tag: image-to-image", "- cut"} <= set(front)
    assert 'qsneg.load("somebody/zebra")' in card and "| swd, last | 0.71 (step 12) |" in card
    assert "| steps | 12 |" in card and "| seed | 3 |" in card and "a\\|b &lt;c>" in card and "heads" not in card
    push(file, "somebody/zebra", token=TOKEN, endpoint=hub)  # again, into what is there; no licence is known
    assert Hub.commits["somebody/zebra"] == 2 and b"license:" not in Hub.files["somebody/zebra"]["README.md"]
    with pytest.raises(FileNotFoundError, match="has no such file"):
        load("somebody/zebra/other.safetensors", tmp_path)
    with pytest.raises(FileNotFoundError, match="No weights called 'somebody/nothing' .* there is no such repository"):
        load("somebody/nothing", tmp_path)


def test_a_generator_alone_says_so(file):
    made = load(file)
    made.heads = None
    made.card = {"imported": {"generator": "latest_net_G.pth"}}
    text = hub_card("somebody/zebra", made)
    assert "came without projection heads" in text and "| imported generator | latest_net_G.pth |" in text


LAST = {
    "step": 12, "val_kid_lite0": 199.1, "val_kid_lite0_error": 35.6, "val_swd": 0.17, "val_edges": 0.58, "fid": 80.5,
    "mean_iou": 0.41, "unknown": 3, "kid": float("nan"), "luminance": "high",
}  # fmt: skip


def test_figures_are_results_that_the_hub_shows():
    """The front matter is YAML that the Hub's own client reads back, each figure with its name, set and split."""
    made = tiny("qs-attn", card={"data": "horse: 2ink", "last": LAST, "best": {"step": 8}, "validation": "60 of valA"})
    parsed = ModelCard(hub_card("somebody/ink", made, "mit"), ignore_metadata_errors=False)
    data = parsed.data
    assert (data.library_name, data.pipeline_tag, data.license) == ("qsneg", "image-to-image", "mit")
    assert {"qsneg", "image-to-image", "qs-attn"} <= set(data.tags) and data.model_name == "ink"
    found = {r.metric_type: r for r in data.eval_results}
    assert {k: (r.metric_value, r.dataset_split) for k, r in found.items()} == {
        "kid_lite0": (199.1, "validation"), "swd": (0.17, "validation"), "edges": (0.58, "validation"),
        "fid": (80.5, "test"), "mean_iou": (0.41, "test"),
    }  # fmt: skip
    assert {r.dataset_name for r in data.eval_results} == {"horse: 2ink"}
    assert found["swd"].metric_name.startswith("SWD ↓ (sliced Wasserstein distance")
    assert found["mean_iou"].metric_name.startswith("mean IoU ↑ (") and "Lite0" in found["kid_lite0"].metric_name
    assert found["kid_lite0"].metric_args == {"plus_minus": 35.6} and found["swd"].metric_args is None
    assert "measured on validation pictures: 60 of valA." in parsed.text and "- `mean_iou` ↑: " in parsed.text


@pytest.mark.parametrize("card", [{}, {"last": 3, "data": [1]}, {"last": {}, "validation": 5}, {"last": {"swd": True}}])
def test_a_card_without_figures_is_valid_too(card):
    data = ModelCard(hub_card("somebody/zebra", tiny(card=card)), ignore_metadata_errors=False).data
    assert data.eval_results is None and data.license is None and data.library_name == "qsneg"


def test_the_licence_that_the_data_leave(tmp_path):
    """As DATA.md beside the weights states it: photo2ink's is none that has a name."""
    model = load("photo2ink/cut")
    card = ModelCard(hub_card("somebody/ink", model), ignore_metadata_errors=False)
    assert (card.data.license, card.data.license_name) == ("other", "see-data")
    assert card.data.license_link == "https://huggingface.co/somebody/ink#data"
    assert "\n## Data\n\nPhotographs turned into ink paintings." in card.text
    assert len(card.data.eval_results) == 4
    assert ModelCard(hub_card("somebody/ink", model, "mit")).data.license == "mit"
    assert ModelCard(hub_card("somebody/sun", load("day2sunset/cut"))).data.license is None  # not known for sure


@pytest.mark.parametrize("wrong, words", [
    (dict(token=None), "There is no Hugging Face token"), (dict(token="hf_other"), "does not know the token"),
    (dict(repository="else/zebra"), "no permission"), (dict(repository="zebra"), "named as user/name"),
    (dict(repository="somebody/a b"), "named as user/name"), (dict(repository="a/b/c"), "named as user/name"),
    (dict(licence="no-such"), "check the licence"), (dict(licence="MIT: yes"), "is no licence"),
    (dict(endpoint="http://127.0.0.1:9"), "cannot be reached"), (dict(file="none.safetensors"), "There is no file"),
    (dict(file=__file__), "not a weights file of qsneg"),
])  # fmt: skip
def test_errors_are_one_sentence(hub, file, wrong, words):
    values = dict(file=file, repository="somebody/zebra", token=TOKEN, endpoint=hub) | wrong
    before = Hub.commits.copy()
    with pytest.raises((ValueError, FileNotFoundError), match=words) as error:
        push(**values)
    message = str(error.value)
    assert message.endswith(".") and "\n" not in message and Hub.commits == before


def test_the_command(hub, file, monkeypatch):
    code, _, err = run("push", file, "somebody/zebra")
    assert code == 2 and err.startswith("Error: There is no Hugging Face token") and err.count("\n") == 1
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    code, out, _ = run("push", file, "somebody/by-command", "--licence", "mit")
    assert code == 0 and out.strip() == f"Uploaded: {hub}/somebody/by-command"
    assert weights.load("somebody/by-command", "nowhere").title == "CUT"
