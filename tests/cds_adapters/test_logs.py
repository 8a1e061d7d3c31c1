"""Every line on standard error is one JSON object that says when and how grave."""

import json
import logging

import pytest

from cds_adapters.logs import JsonLines, log_to_stderr


def test_se_09_any_librarys_line_is_one_json_object() -> None:
    record = logging.LogRecord("uvicorn.error", logging.INFO, "x", 1, "at %s\nforged", ("a",), None)
    line = JsonLines().format(record)
    assert "\n" not in line
    found = json.loads(line)
    assert found.pop("time").endswith("+00:00")
    assert found == {"level": "info", "logger": "uvicorn.error", "message": "at a\nforged"}


def test_pr_08_of_an_error_only_class_and_place_are_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    root, handlers, level = logging.getLogger(), logging.getLogger().handlers[:], logging.root.level
    try:
        log_to_stderr()
        try:
            int("Canaryname")
        except ValueError:
            root.exception("it failed")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    found = json.loads(capsys.readouterr().err)
    assert (found["level"], found["message"]) == ("error", "it failed")
    assert found["error"].startswith("ValueError at ")
    assert "Canaryname" not in str(found)
