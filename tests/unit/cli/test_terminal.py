"""`waybill.cli.terminal.Screen` on streams of other kinds than a terminal's."""

import contextlib
import io

from waybill.cli.terminal import Screen


def test_a_stream_without_an_encoding_takes_lines():
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        screen = Screen("waybill")
        screen.line("proven")
        screen.problem("failed")
    assert out.getvalue() == "proven\n"
    assert "failed" in err.getvalue()
