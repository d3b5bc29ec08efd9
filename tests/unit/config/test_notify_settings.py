"""The notify table: what it means, what is refused, and that nothing secret is shown."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from waybill.cli import main as command
from waybill.config import read
from waybill.config.notify import check_address, resolve
from waybill.model.errors import ConfigError
from waybill.model.transfer import Notify, Transfer
from waybill.notify.channels import Command, Hook, Mail, routes

SECRET = "https://hooks.example.org/services/T0/B0/HUSHHUSH"
MAIL = 'email_to = ["a@example.org"]\nemail_from = "w@example.org"\nsmtp_host = "mx"\n'


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Load transfer ``t`` with a notify table given as text, over ``[defaults]`` if any."""
    monkeypatch.chdir(tmp_path)

    def _load(table, defaults="", **options):
        text = f'[defaults]\n{defaults}\n[transfers.t]\nsource = "/data"\n'
        text += f'destination = "s3://bucket/p"\n[transfers.t.notify]\n{table}'
        Path("c.toml").write_text(text, encoding="utf-8")
        return read.load("c.toml", **options)["t"]

    return _load


def test_without_a_channel_nobody_is_told(load):
    assert load("").notify is None
    assert load('on = ["failure"]\nsmtp_host = "mx"\ncommand = []\nemail_to = []').notify is None


def test_layers_are_joined(load):
    defaults = 'notify = {slack_alert_webhook = "$ALERT", smtp_host = "mx", smtp_security = "none"}'
    notify = load('email_to = ["a@b"]\nemail_from = "w@b"\non = ["failure"]', defaults).notify
    assert notify == Notify(
        on=("failure",),
        slack_alert_webhook="$ALERT",
        command_timeout=30,
        email_to=("a@b",),
        email_from="w@b",
        smtp_host="mx",
        smtp_port=25,
        smtp_security="none",
    )


@pytest.mark.parametrize(
    ("table", "port"),
    [
        ("", 587),
        ('smtp_security = "ssl"', 465),
        ('smtp_security = "none"', 25),
        ('smtp_security = "ssl"\nsmtp_port = 1', 1),
    ],
)
def test_ports(load, table, port):
    assert load(MAIL + table).notify.smtp_port == port


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ('slack_log_webhook = "HUSH"', "slack_log_webhook: is not a http:// or https:// address"),
        ('slack_alert_webhook = "ftp://HUSH"', "slack_alert_webhook: is not a http:// or https:"),
        ('webhook = "https://HUSH:HUSH@h/x"', "webhook: holds a user or password"),
        ('webhook = "https://h/HUSH x"', "webhook: is not a http:// or https:// address"),
        ('webhook = "https://h/HÜSH"', "webhook: is not a http:// or https:// address"),
        ('webhook = "https://[HUSH"', "webhook: is not a http:// or https:// address"),
        ("webhook = 3", "webhook: found a whole number; allowed: a http:// or"),
        ('webhook = ""', "webhook: this value is not allowed; allowed: a http:// or"),
        ('web_hook = "HUSH"', 'web_hook: unknown key; did you mean "webhook"?'),
        ('slack = "HUSH"', "slack: unknown key; "),
        ('on = ["failures"]', 'on[0]: "failures" is not allowed; did you mean "failure"?'),
        ('on = "failure"', 'on: found text; allowed: a list of "success" and "failure"'),
        ('command = "HUSH"', "command: found text; allowed: a list of texts"),
        ("command = ['']", "command[0]: this value is not allowed"),
        ("command_timeout = 0", "command_timeout: 0 is not allowed; allowed: a number from 1"),
        ('email_to = ["A <a@b>"]', 'email_to[0]: "A <a@b>" is not allowed; allowed: an address'),
        ('email_to = ["a@b\\n"]', "email_to[0]: "),
        ('email_to = ["a@b"]', "email_to: needs email_from and smtp_host as well"),
        (MAIL + 'smtp_user = "u"', "smtp_user: needs smtp_password as well"),
        (MAIL + 'smtp_password = "$P"', "smtp_password: needs smtp_user as well"),
        (
            MAIL + 'smtp_user = "u"\nsmtp_password = "HUSH"',
            'smtp_password: this value is not allowed; allowed: "$NAME" of a variable',
        ),
        (
            MAIL + 'smtp_user = "u"\nsmtp_password = "$P"\nsmtp_security = "none"',
            'smtp_user: cannot log in with smtp_security "none"',
        ),
    ],
)
def test_each_mistake(load, table, expected):
    with pytest.raises(ConfigError) as caught:
        load(table)
    (found,) = caught.value.problems
    assert found.startswith(f"c.toml: transfers.t.notify.{expected}")
    assert "HUSH" not in found and "HÜSH" not in found


def test_all_mistakes_at_once_and_where_they_come_from(load):
    defaults = 'notify = {webhook = "HUSH", email_to = ["a@b"]}\ncompare = "x"'
    with pytest.raises(ConfigError) as caught:
        load('slack_log_webhook = "HUSH"', defaults)
    assert [problem.split(": ")[1] for problem in caught.value.problems] == [
        "defaults.compare",
        "transfers.t.notify.slack_log_webhook",
        "defaults.notify.webhook",
        "defaults.notify.email_to",
    ]


@pytest.mark.parametrize("layer", ["overrides", "beneath"])
def test_only_in_the_file(load, layer):
    with pytest.raises(ConfigError, match=r"notify: only in the TOML file") as caught:
        load("", **{layer: {"notify": {"webhook": SECRET}}})
    assert "HUSH" not in str(caught.value)


def test_nothing_secret_is_shown(load, tmp_path, capsys):
    argv = ["/bin/hook", "--token=HUSH"]
    transfer = load(f'webhook = "{SECRET}"\nslack_log_webhook = "{SECRET}"\ncommand = {argv}')
    assert transfer.notify.webhook == SECRET
    assert "HUSH" not in repr(transfer)
    assert "HUSH" not in repr(routes(transfer.notify, {}))
    assert "HUSH" not in repr(transfer.for_jobs())
    assert Transfer.of_jobs(transfer.for_jobs()) == dataclasses.replace(transfer, notify=None)
    assert command.main(["config", "--config", "c.toml"]) == 0
    shown = capsys.readouterr().out
    assert "# notify is set and not shown" in shown
    assert "HUSH" not in shown


@pytest.mark.parametrize("text", ["$NAME", "${NAME}"])
def test_variables(text):
    assert resolve(text, {"NAME": SECRET}) == SECRET
    for environ in ({}, {"NAME": ""}):
        with pytest.raises(ValueError, match=r"^variable NAME is not set$"):
            resolve(text, environ)


@pytest.mark.parametrize("text", ["https://h/$NAME", "$$NAME", "$NA ME", "${NAME", "NAME"])
def test_only_a_whole_text_is_a_variable(text):
    assert resolve(text, {"NAME": "x", "NA": "x"}) == text


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x", "https://h", "https://h/@x?y=1"])
def test_addresses(url):
    check_address(url)


def test_routes(load):
    table = f'slack_log_webhook = "$LOG"\nslack_alert_webhook = "{SECRET}"\nwebhook = "$OTHER"\n'
    table += f'command = ["a", "b"]\n{MAIL}smtp_user = "u"\nsmtp_password = "$P"'
    notify = load(table).notify
    found = routes(notify, {"LOG": "http://log", "OTHER": SECRET, "P": "word"})
    assert found.problems == ()
    slack, alert = Hook("http://log", is_slack=True), Hook(SECRET, is_slack=True)
    assert found.channels["slack"] == {"success": slack, "failure": alert, "recovery": alert}
    others = {
        "webhook": Hook(SECRET, is_slack=False),
        "command": Command(("a", "b"), 30),
        "email": Mail("mx", 587, "starttls", "w@example.org", ("a@example.org",), "u", "word"),
    }
    for name, channel in others.items():
        expected = dict.fromkeys(("success", "failure", "recovery"), channel)
        assert found.channels[name] == expected


@pytest.mark.parametrize("key", ["slack_log_webhook", "slack_alert_webhook"])
def test_one_slack_webhook_serves_both(load, key):
    found = routes(load(f'{key} = "{SECRET}"').notify, {})
    assert set(found.channels["slack"].values()) == {Hook(SECRET, is_slack=True)}
    assert set(found.channels["slack"]) == {"success", "failure", "recovery"}


def test_variables_that_are_no_use_are_named(load):
    table = f'slack_log_webhook = "$LOG"\nwebhook = "$BAD"\n{MAIL}'
    table += 'smtp_user = "u"\nsmtp_password = "${P}"'
    found = routes(load(table).notify, {"BAD": "HUSH"})
    assert found.problems == (
        ("slack", "variable LOG is not set"),
        ("webhook", "variable BAD is not a http:// or https:// address (value not shown)"),
        ("email", "variable P is not set"),
    )
    assert found.channels == {"slack": {}, "webhook": {}, "email": {}}
