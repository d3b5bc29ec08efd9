"""The setting ``max_bandwidth``: a limit, or limits over the day."""

import pytest

from waybill.model.bandwidth import Bandwidth, parse_bandwidth
from waybill.model.transfer import Transfer


def minute(text):
    return int(text[:2]) * 60 + int(text[3:])


@pytest.mark.parametrize(
    ("value", "limits"),
    [
        (5, {"00:00": 5, "23:59": 5}),
        ("10MiB", {"00:00": 10 << 20, "12:00": 10 << 20}),
        (
            "08:00 10MiB, 19:00 off",
            {"07:59": None, "08:00": 10 << 20, "18:59": 10 << 20, "19:00": None, "00:00": None},
        ),
        (
            "00:00 1kB,06:30 2 kB ,23:59 3kB",
            {"00:00": 1000, "06:29": 1000, "06:30": 2000, "23:58": 2000, "23:59": 3000},
        ),
        ("08:00 5", {"07:59": 5, "08:00": 5}),
    ],
)
def test_a_limit_holds_from_its_time_on(value, limits):
    bandwidth = parse_bandwidth(value)
    assert {time: bandwidth.at(minute(time)) for time in limits} == limits


@pytest.mark.parametrize(
    "value",
    [0, -1, "", "0", "fast", "8:00 1MiB", "24:00 1MiB", "08:60 1MiB", "08:00", "08:00 0",
     "08:00 slow", "08:00 OFF", "19:00 off, 08:00 1MiB", "08:00 1, 08:00 2", "08:00 1MiB,"],
)  # fmt: skip
def test_what_is_no_limit_is_refused(value):
    with pytest.raises(ValueError, match=r"bytes per second|one byte|order over the day"):
        parse_bandwidth(value)


def test_jobs_get_the_timetable(tmp_path):
    plain = {"name": "t", "direction": "upload", "source": "", "destination": "", "bucket": "b"}
    places = {"folder": tmp_path, "prefix": "", "results": tmp_path, "publish_prefix": None}
    for bandwidth in (None, Bandwidth(((480, 1 << 20), (1140, None)))):
        transfer = Transfer(**plain, **places, max_bandwidth=bandwidth)
        assert Transfer.of_jobs(transfer.for_jobs()) == transfer
