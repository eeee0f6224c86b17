import pytest
import yaml
from tests.cases import TINY

from genexp import config
from genexp.yaml_blocks import load_mapping, parsed


@pytest.mark.parametrize("overrides", [["experiment=digits_dcgan"], ["experiment=ring8_gan"], [*TINY, "model=vae"]])
def test_a_saved_config_is_read_as_it_was_written(tmp_path, overrides):
    plain = config.compose_train(overrides).plain
    config.save_yaml({**plain, "name": "two\nlines: of #text, " + "long " * 40}, tmp_path / "config.yaml")
    assert load_mapping(tmp_path / "config.yaml") == config.load_yaml(tmp_path / "config.yaml")
    assert load_mapping(tmp_path / "config.yaml")["optimizer"] == plain["optimizer"]


@pytest.mark.parametrize(
    "text",
    [
        "a: &x {b: 1}\nc: *x\n",
        "# comment\na: 1\n\n# another\nb:\n- 1\n- 2\n",
        "---\na: 1\nb: 2\n",
        '"a b": 1\nc: |\n  two\n  lines\n\n  more\nd: >-\n  folded\n  text\n',
        "a: 'text\n\n  more'\nb: 1\n",
        "{a: 1,\nb: 2}\n",
        "1: one\na: 1e-3\n",
    ],
)
def test_blocks_give_what_the_whole_text_gives(text):
    assert parsed(text) == {str(key): value for key, value in yaml.safe_load(text).items()}


@pytest.mark.parametrize("text", ["", "- 1\n- 2\n", "word", "a: [1\nb: 2\n", "a: *x\n", "a\nb\n"])
def test_what_is_no_mapping_is_empty(text):
    assert parsed(text) == {}


def test_a_missing_file_and_bytes_that_are_no_text_are_empty(tmp_path):
    assert load_mapping(tmp_path / "absent") == {}
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    assert load_mapping(tmp_path / "binary") == {}
