"""`make newcomer` reads README.md as it means it, and sees what differs."""

from __future__ import annotations

from pathlib import Path

import pytest

from newcomer import walk

ROOT = Path(__file__).parents[3]
NEEDS = {"clone", "conda", "pipx", "SLURM"}


def test_readme_comes_to_a_proof_within_ten_commands() -> None:
    blocks = [b for b in walk.blocks(ROOT / "README.md") if b.language in ("sh", "console")]
    assert {b.options["needs"] for b in blocks if "needs" in b.options} == NEEDS
    commands = [c for b in blocks if "needs" not in b.options for c, _ in b.steps()]
    (proof, *_) = [n for n, c in enumerate(commands, 1) if c.startswith(walk.PROOF)]
    assert proof <= walk.MOST_COMMANDS


def test_commands_are_taken_as_they_stand(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "a\n```sh\ncd x && ls   # look\n# nothing\necho 'a#b'\n```\n"
        "```console exit=1\n$ one\nsays\n\n$ two\n```\n```\nno command\n```\n"
    )
    first, second, _ = walk.blocks(page)
    assert (first.line, first.options) == (3, {})
    assert list(first.steps()) == [("cd x && ls", []), ("echo 'a#b'", [])]
    assert (second.line, second.options) == (8, {"exit": "1"})
    assert list(second.steps()) == [("one", ["says"]), ("two", [])]


SAID = (
    "Looking ...\rLooking 10 %\r\n\x1b[32mdone: 4 files,  74.9 MiB\x1b[0m\r\n"
    "  a.txt  28390ed0431102c8\r\n"
)


@pytest.mark.parametrize(
    ("lines", "missing"),
    [
        (["done: 5 files, 1.2 MiB", "", "a.txt 453bd2b59dd50dda"], None),
        (["…", "done: … MiB"], None),
        (["done: 4 files, 74.9 MiB", "b.txt 28390ed0431102c8"], "b.txt 28390ed0431102c8"),
        (["a.txt 28390ed0431102c8", "done: 4 files, 74.9 MiB"], "done: 4 files, 74.9 MiB"),
        (["failed: 4 files, 74.9 MiB"], "failed: 4 files, 74.9 MiB"),
    ],
)
def test_form_and_order_count_and_numbers_do_not(lines: list[str], missing: str | None) -> None:
    assert walk.first_missing(lines, SAID) == missing


def test_a_command_that_ends_otherwise_ends_the_walk(tmp_path: Path) -> None:
    """The shell keeps folder and variables; a question is answered."""
    newcomer = walk.Walk(tmp_path, {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)})
    newcomer.home.mkdir(parents=True)
    ask = 'printf "go? [y/N] "; read answer; echo "said $answer in $PWD with $there"'
    text = f"$ mkdir sub && cd sub && export there=1\n$ {ask}\nsaid y in /home/ada/sub with 1\n"
    newcomer.block(walk.Block(1, "console", {}, text))
    assert (newcomer.commands, newcomer.ran) == (2, 1)
    newcomer.block(walk.Block(1, "sh", {"needs": "conda"}, "false\n"))
    assert newcomer.skipped == {"conda": 1}
    newcomer.block(walk.Block(1, "console", {"exit": "3"}, "$ sh -c 'exit 3'\n"))
    with pytest.raises(SystemExit, match=r"README.md:7: false: ended with 1"):
        newcomer.block(walk.Block(7, "sh", {}, "false\n"))
