"""What a message says, word by word."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from support.transfers import transfer_of
from waybill import __version__
from waybill.notify.message import MOST_CHARACTERS, Item, Message
from waybill.notify.report import Dataset, Failed, Report
from waybill.s3.errors import explain

NOW = datetime(2026, 11, 21, 12, 30, 7, tzinfo=UTC)
SINCE = "2026-11-20T08:15:00.000Z"
END = "\n\nnode7, 2026-11-21 12:30 UTC, exit code "
SUCCESS, FAILURE, RECOVERY = ("success",), ("failure",), ("recovery",)


def report(name="gut", datasets=None, failures=(), **settings):
    default = {
        "transfer": name,
        "preset": "generic",
        "direction": "upload",
        "source": f"/data/{name}",
        "destination": f"s3://bucket/{name}/",
        "results": f"/data/results/{name}",
        "files": 40,
        "bytes": 4096,
        "exit_code": int(bool(failures)),
        "datasets": tuple(datasets or [Dataset(name, 12, 3 << 30, not failures)]),
        "failures": tuple(failures),
    }
    return Report(**{**default, **settings})


def failed(path, message="access denied", dataset="gut", stage="upload"):
    return Failed(stage, dataset, path, message)


def message(*items, exit_code=0):
    return Message(tuple(Item(*item) for item in items), exit_code, "node7", NOW)


def slack(*items, exit_code=0):
    found = message(*items, exit_code=exit_code).slack()
    assert set(found) == {"text"}
    text, end, rest = found["text"].rpartition(END)
    assert (end, rest) == (END, str(exit_code))
    return text


def runs(*names, preset="illumina", failures=(), moved=6):
    datasets = [Dataset(n, moved, 1 << 20, n not in {f.dataset for f in failures}) for n in names]
    return report("seq", datasets, failures, preset=preset)


def test_the_texts_of_the_seed():
    """The first words and the bullets are those of s3_upload; what is known beside follows."""
    assert slack((runs("run_1"), SUCCESS)) == (
        ":white_check_mark:  *S3 Upload*: Successfully uploaded 1 run"
        "\n\t\t• run_1: 6 files, 1.0 MiB"
    )
    assert slack((runs("run_1", "run_2"), SUCCESS)) == (
        ":white_check_mark:  *S3 Upload*: Successfully uploaded 2 runs"
        "\n\t\t• run_1: 6 files, 1.0 MiB"
        "\n\t\t• run_2: 6 files, 1.0 MiB"
    )
    both = runs("run_1", "run_2", failures=[failed("RunInfo.xml", dataset="run_2")])
    assert slack((both, (*FAILURE, *SUCCESS)), exit_code=1) == (
        ":white_check_mark:  *S3 Upload*: Successfully uploaded 1 run"
        "\n\t\t• run_1: 6 files, 1.0 MiB"
        "\n\n:x:  *S3 Upload*: Failed uploading 1 run"
        "\n\t\t• run_2: 1 failed"
        "\n\t\t\t\t◦ RunInfo.xml: access denied"
    )


def test_a_transfer_that_succeeded():
    assert slack((report(), SUCCESS)) == (
        ":white_check_mark:  *S3 Upload*: Successfully uploaded 1 transfer"
        "\n\t\t• gut: 12 files, 3.0 GiB moved, to s3://bucket/gut/"
    )
    down = report(direction="download", destination="/here")
    assert slack((down, SUCCESS)) == (
        ":white_check_mark:  *S3 Download*: Successfully downloaded 1 transfer"
        "\n\t\t• gut: 12 files, 3.0 GiB moved, to /here"
    )


def test_a_transfer_that_failed():
    its_report = report(failures=[failed("a.h5"), failed("", "no room", dataset="")])
    expected = (
        ":x:  *S3 Upload*: Failed uploading 1 transfer"
        "\n\t\t• gut: 2 failed; 12 files, 3.0 GiB moved; /data/gut to s3://bucket/gut/"
        "\n\t\t\t\t◦ a.h5: access denied"
        "\n\t\t\t\t◦ no room"
    )
    assert slack((its_report, FAILURE), exit_code=1) == expected
    again = expected.replace("2 failed", "2 failed, failing since 2026-11-20 08:15 UTC")
    assert slack((its_report, FAILURE, SINCE), exit_code=1) == again


def test_a_recovery():
    assert slack((report(), (*RECOVERY, *SUCCESS), SINCE)) == (
        ":white_check_mark:  *S3 Upload*: Successfully uploaded 1 transfer"
        "\n\t\t• gut: 12 files, 3.0 GiB moved, to s3://bucket/gut/"
        "\n\n:white_check_mark:  *S3 Upload*: No longer failing"
        "\n\t\t• gut: had been failing since 2026-11-20 08:15 UTC"
    )


def test_several_transfers_in_one_message():
    items = [
        (report("a"), SUCCESS),
        (report("b", direction="download"), SUCCESS),
        (report("c"), SUCCESS),
        (report("d", failures=[failed("x")]), FAILURE),
        (report("e", failures=[failed("y")]), FAILURE),
        (runs("run_1", "run_2"), SUCCESS),
        (runs("s1", "s2", preset="generic"), SUCCESS),
    ]
    heads = [part.split("\n")[0] for part in slack(*items, exit_code=1).split("\n\n")]
    assert heads == [
        ":white_check_mark:  *S3 Upload*: Successfully uploaded 2 transfers",
        ":white_check_mark:  *S3 Download*: Successfully downloaded 1 transfer",
        ":white_check_mark:  *S3 Upload*: Successfully uploaded 2 runs",
        ":white_check_mark:  *S3 Upload*: Successfully uploaded 2 datasets",
        ":x:  *S3 Upload*: Failed uploading 2 transfers",
    ]


@pytest.fixture
def transfer(tmp_path):
    return transfer_of(tmp_path, prefix="p/", name="gut", source="/d", results=tmp_path)


def client_error(code):
    return ClientError({"Error": {"Code": code}}, "ListObjectsV2")


@pytest.mark.parametrize(
    ("error", "head"),
    [
        (NoCredentialsError(), ":warning:  *S3 Upload*: Error in connecting to AWS!"),
        (client_error("ExpiredToken"), ":warning:  *S3 Upload*: Error in connecting to AWS!"),
        (
            EndpointConnectionError(endpoint_url="http://x"),
            ":warning:  *S3 Upload*: Error in connecting to AWS!",
        ),
        (
            client_error("NoSuchBucket"),
            ":warning:  *S3 Upload*: Error in accessing specified S3 buckets!",
        ),
        (
            client_error("AccessDenied"),
            ":warning:  *S3 Upload*: Error in accessing specified S3 buckets!",
        ),
        (client_error("SlowDown"), ":x:  *S3 Upload*: Failed uploading 1 transfer"),
    ],
)
def test_when_aws_cannot_be_used_at_all(transfer, error, head):
    text = str(explain(error, transfer))
    blind = [failed("", text, dataset="", stage="inventory")]
    shown = slack((report(datasets=[Dataset("gut", 0, 0, False)], failures=blind), FAILURE))
    assert shown.split("\n")[0] == head
    assert f"◦ {text}" in shown
    of_a_file = [failed("a", text)]
    assert slack((report(failures=of_a_file), FAILURE)).startswith(":x:  *S3 Upload*: Failed")


def test_twenty_are_named():
    many = [failed(f"{n:02}.h5") for n in range(25)]
    its_report = report(failures=many)
    for text in (
        slack((its_report, FAILURE)),
        message((its_report, FAILURE)).text(),
        json.dumps(message((its_report, FAILURE)).document()["transfers"]),
    ):
        assert "19.h5" in text and "20.h5" not in text
    assert slack((its_report, FAILURE)).endswith("\n\t\t\t\t◦ and 5 more")
    assert (
        "\n  and 5 more, in /data/results/gut/failures\n" in message((its_report, FAILURE)).text()
    )
    assert message((its_report, FAILURE)).document()["transfers"][0]["more_failures"] == 5
    assert message((its_report, FAILURE)).environment()["WAYBILL_FAILURES"] == "25"
    lucky = slack((runs(*(f"run_{n}" for n in range(22))), SUCCESS))
    assert lucky.count("•") == 21 and lucky.endswith("\n\t\t• and 2 more")


def test_twenty_are_named_over_all_runs_of_a_transfer():
    names = [f"run_{n}" for n in range(5)]
    its_report = runs(*names, failures=[failed(f"{n}", dataset=r) for r in names for n in range(6)])
    text = slack((its_report, FAILURE))
    assert text.count("◦") == 20 + 2
    assert [line.strip() for line in text.split("\n") if "more" in line] == [
        "◦ and 4 more",
        "◦ and 6 more",
    ]


def test_nothing_in_a_name_is_obeyed():
    names = "<!channel> & <http://x|y>\n\t• b\udcff\x1b[1m"
    its_report = report(failures=[failed(names, "broken\r\nSubject: x")])
    text = slack((its_report, FAILURE))
    name = r"&lt;!channel&gt; &amp; &lt;http://x|y&gt;\n\t• b\xff\x1b[1m"
    assert text.endswith(f"\n\t\t\t\t◦ {name}: broken\\r\\nSubject: x")
    mail = message((its_report, FAILURE)).text()
    assert r"  FAILED <!channel> & <http://x|y>\n\t• b\xff\x1b[1m: broken\r\nSubject: x" in mail
    json.dumps(message((its_report, FAILURE)).document()).encode("ascii")


def test_a_long_message_is_cut():
    items = []
    for number in range(20):
        bad = [failed(f"{'n' * 900}{n}") for n in range(20)]
        items.append((report(f"t{number}", failures=bad), FAILURE))
    text = slack(*items)
    assert MOST_CHARACTERS - 1000 < len(text) <= MOST_CHARACTERS + 2
    assert text.endswith("n …\n…")


def test_a_mail():
    mail = message(
        (report(failures=[failed("a.h5"), failed("b.h5")]), FAILURE, SINCE),
        (report("new"), SUCCESS),
        exit_code=1,
    )
    assert mail.subject() == "Waybill: gut failed; new done (node7)"
    text, _, signature = mail.text().rpartition("-- \n")
    assert signature == f"Waybill {__version__}, node7, 2026-11-21 12:30 UTC, exit code 1\n"
    assert text.split("\n") == [
        "Transfer gut failed",
        "",
        "  from       /data/gut",
        "  to         s3://bucket/gut/",
        "  selected   40 files, 4.0 KiB",
        "  moved      12 files, 3.0 GiB",
        "  failing    since 2026-11-20 08:15 UTC",
        "",
        "  FAILED a.h5: access denied",
        "  FAILED b.h5: access denied",
        "",
        "Transfer new is done",
        "",
        "  from       /data/new",
        "  to         s3://bucket/new/",
        "  selected   40 files, 4.0 KiB",
        "  moved      12 files, 3.0 GiB",
        "",
        "",
    ]


def test_a_mail_about_runs():
    its_report = runs("run_1", "run_2", failures=[failed("RunInfo.xml", dataset="run_2")])
    text = message((its_report, (*FAILURE, *SUCCESS))).text()
    assert "\n\n  done run_1: 6 files, 1.0 MiB\n\n  FAILED run_2: RunInfo.xml: access" in text


def test_subjects():
    assert message((report(), RECOVERY)).subject() == "Waybill: gut no longer failing (node7)"
    many = [(report(f"t{n}"), SUCCESS) for n in range(7)]
    assert message(*many).subject() == "Waybill: t0, t1, t2, t3, t4 and 2 more done (node7)"


def test_the_document():
    its_report = report(failures=[failed("a\tb", "line\nbreak")])
    document = message((its_report, FAILURE, SINCE), (report("b"), SUCCESS), exit_code=1).document()
    text = document.pop("text")
    assert text.startswith("Transfer gut failed\n")
    entry, other = document.pop("transfers")
    assert document == {
        "waybill": __version__,
        "event": "failure",
        "exit_code": 1,
        "host": "node7",
        "time": "2026-11-21T12:30:07.000Z",
    }
    assert entry == {
        "transfer": "gut",
        "events": ["failure"],
        "failing_since": SINCE,
        "preset": "generic",
        "direction": "upload",
        "source": "/data/gut",
        "destination": "s3://bucket/gut/",
        "results": "/data/results/gut",
        "exit_code": 1,
        "files": 40,
        "bytes": 4096,
        "moved_files": 12,
        "moved_bytes": 3 << 30,
        "datasets": [{"name": "gut", "moved_files": 12, "moved_bytes": 3 << 30, "complete": False}],
        "failures": [{"dataset": "gut", "path": r"a\tb", "message": r"line\nbreak"}],
        "more_failures": 0,
    }
    assert (other["transfer"], other["events"], other["failures"]) == ("b", ["success"], [])


def test_the_variables():
    its_report = report(failures=[failed("a")])
    items = (its_report, FAILURE), (report("b"), SUCCESS), (report("c"), RECOVERY)
    assert message(*items, exit_code=1).environment() == {
        "WAYBILL_EVENT": "failure",
        "WAYBILL_EXIT_CODE": "1",
        "WAYBILL_HOST": "node7",
        "WAYBILL_TIME": "2026-11-21T12:30:07.000Z",
        "WAYBILL_TRANSFERS": "gut,b,c",
        "WAYBILL_MOVED_FILES": "36",
        "WAYBILL_MOVED_BYTES": str(9 << 30),
        "WAYBILL_FAILURES": "1",
    }
    assert message(*items[1:]).event == "recovery"
    assert message(items[1]).event == "success"
