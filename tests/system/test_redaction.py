"""Secrets: shown nowhere, in whatever position they stand; what is none is shown as it is."""

import itertools

import pytest

from intents.system.redaction import without_secrets


@pytest.mark.parametrize(
    "uri",
    [
        "http://someone:s3cret@host:5000/path",
        "postgresql://someone:s3cret@host/database",
        "mysql+pymysql://someone:s3cret@host/database",
        "http://someone:s3@cret@host",
        "postgresql://someone:s3/cret@host/database",
        "http://:s3cret@host",
        "https://s3cret@host/path",
        "postgresql://@host:9/db?user=me&password=s3cret",
        "postgresql://@host/db?sslpassword=s3cret&sslmode=require",
        "postgresql://@host/db?passwd=s3%63ret",
        "http://@host/?access_token=s3cret&x=1",
        "http://@host/?p%61ssword=s3cret",
        "postgresql://@host/db?options=-c%20password%3Ds3cret",
        "host=@host password=s3cret dbname=db",
        "host=@host password = 's3 cret' dbname=db",
        "{'host': '@host', 'password': 's3cret'}",
        '{"host": "@host", "token": "s3 cret"}',
        "@host Authorization: Bearer s3cret-s3cret",
    ],
)
def test_no_text_shows_a_secret(uri: str):
    shown = without_secrets(f"first {uri} then {uri}: refused")
    assert "cret" not in shown
    assert "s3" not in shown
    assert shown.count("@host") == 2
    assert shown.count("***") == 2


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:5000/api and sqlite:////tmp/mlflow.db of someone@example.org",
        "special_tokens=true: expected true or false; 3% of train tokens unknown; added_tokens=3",
        "storage='postgresql://me@host/studies'",
        "put it where the client looks for it: PGPASSWORD, or the file ~/.pgpass",
    ],
)
def test_a_text_without_a_secret_is_shown_as_it_is(text: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PWD", "/tmp/mlflow.db")
    assert without_secrets(text) == text


WEB, DATABASES = ("http", "https", "HTTP"), ("postgresql", "mysql+pymysql")
HOSTS = ("host", "127.0.0.1", "a-b.example.org", "[::1]")
PATHS = ("models:/m@x", "models:/m@x,models:/n@y", "a:b@c", "people/me@example.org?to=you@example.org", "@")


@pytest.mark.parametrize("port", ["", ":1", ":5000", ":65535"])
@pytest.mark.parametrize("around", ["{}", "'{}'", "-{}", "x={} then {}"])
def test_an_at_sign_in_the_path_of_a_web_address_makes_nothing_before_it_a_password(
    port: str, around: str, monkeypatch: pytest.MonkeyPatch
):
    for scheme, host, path in itertools.product(WEB, HOSTS, PATHS):
        address = f"{scheme}://{host}{port}/{path}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        text = around.format(address, f"{port[1:]}/{path}")
        assert without_secrets(text) == text


@pytest.mark.parametrize("user", ["", "someone", "me.and-you"])
@pytest.mark.parametrize("around", ["{}", "'{}'", "-{}", "http://host:5000/a@b?next={}", "http://[::1]/{}"])
def test_a_password_is_hidden_whatever_is_in_it_and_whatever_stands_around(user: str, around: str):
    passwords = (
        "s3cret",
        "12345",
        "12345@",
        "s3/cret",
        "s3@cret",
        "s3:cret/@",
        "s3?cret",
        "s3#cret",
        "/s3cret",
    )
    of_databases = ("5432/cret", "1/s3cret", "12345/67@")
    shapes = [
        *itertools.product(WEB + DATABASES, passwords, HOSTS),
        *itertools.product(DATABASES, of_databases, HOSTS),
    ]
    for scheme, password, host in shapes:
        address = f"{scheme}://{user}:{password}@{host}:81/name"
        shown = without_secrets(around.format(address))
        assert shown == around.format(f"{scheme}://{user}:***@{host}:81/name")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MLFLOW_TRACKING_PASSWORD", "hunter 2"),
        ("MLFLOW_TRACKING_TOKEN", "hunter 2"),
        ("PGPASSWORD", "hunter 2"),
        ("MLFLOW_TRACKING_URI", "postgresql://me:hunter%202@host/db"),
        ("MLFLOW_TRACKING_URI", "postgresql://host/db?user=me&password=hunter+2"),
    ],
)
def test_a_secret_that_this_process_was_given_is_hidden_wherever_a_library_quotes_it(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(variable, value)
    assert (
        without_secrets("invalid literal for int(): 'hunter 2@host'")
        == "invalid literal for int(): '***@host'"
    )


def test_a_secret_that_is_a_common_word_hides_no_other_text(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://mlflow:mlflow@host/mlflow")
    assert without_secrets("mlflow run . -e train_bert") == "mlflow run . -e train_bert"
    assert without_secrets("postgresql://mlflow:mlflow@host/mlflow") == "postgresql://mlflow:***@host/mlflow"
