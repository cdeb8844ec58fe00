from pathlib import Path

import pytest

from training.cli import main


@pytest.mark.parametrize(
    "command",
    [
        ["train", "synthetic-nano", "--data=synthetic={0}/nowhere", "--out={0}/out.safetensors"],
        ["evaluate", "--data", "{0}", "--checkpoint", "{0}/nowhere.safetensors"],
    ],
)
def test_what_is_missing_is_named(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([part.format(tmp_path) for part in command]) == 2
    assert "nowhere" in capsys.readouterr().err
    assert not (tmp_path / "out.safetensors").exists()


def test_a_folder_of_another_plan_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "plan.json").write_text("{}")
    amounts = ["--identities=2", "--validation=0", "--test=0"]
    assert main(["prepare", "synthetic", f"--out={tmp_path}", *amounts]) == 2
    assert str(tmp_path / "plan.json") in capsys.readouterr().err


def test_a_command_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([])
    assert stop.value.code == 2
    assert "COMMAND" in capsys.readouterr().err
