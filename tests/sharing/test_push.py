"""To the Hugging Face Hub and back: the real client against a small stand-in on this machine."""

import pytest
import torch

from qsneg import weights
from qsneg.sharing.cards import hub_card
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
