"""What people type out of habit is answered with what to write."""

from __future__ import annotations

import pytest

from waybill.cli.main import COMMANDS, main


@pytest.mark.parametrize(
    "words, says",
    [
        ("sync data s3://b/x", "Waybill deletes nothing; `waybill copy data s3://b/x` moves what"),
        ("sync", "`waybill copy SOURCE DESTINATION` moves what is new or changed"),
        ("cp a s3://b/x", "no command cp; `waybill copy a s3://b/x` moves"),
        ("rm s3://b/x", "Waybill deletes nothing and makes no buckets"),
        ("stat", "no command stat; did you mean `waybill status`?"),
        ("ls", "did you mean `waybill status`?"),
        ("frobnicate", f"no command frobnicate; commands: {', '.join(COMMANDS)}"),
        ("--dry-run", "belongs to a command; `waybill plan` shows what a run would do"),
        ("--config x", "belongs to a command: `waybill COMMAND --config`"),
        ("run data s3://b/x/", "`waybill copy data s3://b/x/` moves without one"),
        ("plan x.toml", "write `--config x.toml`"),
        ("status gut", "write `--transfers gut` for that transfer"),
        ("run --configfile x.toml", "--configfile is no option of run; write `--config x.toml`"),
        ("run --configfile=x.toml", "write `--config x.toml`"),
        ("run --dryrun", "`waybill plan` shows what a run would do"),
        ("copy a s3://b/x --delete", "--delete is no option: Waybill deletes nothing"),
        (
            "run --profil=slurm",
            "did you mean --profile? `waybill run --help` lists them",
        ),
        ("status --jsno", "--jsno is no option of status;"),
        ("copy a b s3://b/x/", "name the folder and `--include PATTERN`"),
        ("init a b", "init takes no b; `waybill init --help` says what it takes"),
        ("run --profile nope", "no such profile; Waybill brings cluster-generic, lsf, sge, slurm"),
        ("run -- --config a=b", "because `waybill` sets it; put the setting into the config"),
        ("plan -- -n", "`waybill plan` shows what a run would do"),
    ],
)
def test_what_to_write(
    words: str, says: str, capsys: pytest.CaptureFixture[str], configured: None
) -> None:
    assert main(words.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert says in line


@pytest.fixture
def configured(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working folder with a configuration in the usual place."""
    (tmp_path / "config").mkdir()
    text = '[transfers.t]\nsource = "data"\ndestination = "s3://bucket/x/"\n'
    (tmp_path / "config" / "config.toml").write_text(text)
    monkeypatch.chdir(tmp_path)


def test_every_command_has_help_with_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    for name, command in COMMANDS.items():
        with pytest.raises(SystemExit) as ended:
            main([name, "--help"])
        assert ended.value.code == 0
        text = " ".join(capsys.readouterr().out.split())
        assert " ".join(command.does.split()) in text
        assert "exit codes: 0 " in text
        assert ("[-- SNAKEMAKE ...]" in text) == command.runs_snakemake
