"""What stands in the way of Spark is said at once, with the cure."""

import socket
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
from builders.command_line import Said, run
from builders.replays import RULES, export

from cds_adapters.bulk import sparkstart
from cds_adapters.bulk.sparkstart import SparkError, check_spark

STEPPED = RULES / "hypertension-stepped-care" / "1.0.0"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Pretend that pyspark and Java are installed; return the home of Java."""
    monkeypatch.setattr(sparkstart, "find_spec", lambda name: ModuleSpec(name, None))
    java = tmp_path / "java" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.touch(mode=0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "java"))
    return tmp_path / "java"


def replay(tmp_path: Path, *more: str) -> Said:
    data = export(tmp_path / "data", 1)
    return run("replay", data, "--bundle", STEPPED, "--out", tmp_path / "out", *more)


def test_spark_that_is_not_installed_is_said_with_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sparkstart, "find_spec", lambda _: None)
    said = replay(tmp_path, "--engine", "spark", "--master", "local[2]")
    assert said.code == 3
    assert "this needs pyspark, which is not installed" in said.err
    assert "pip install 'cds-engine[spark]'" in said.err
    assert not (tmp_path / "out").exists()


def test_java_that_is_not_there_is_said(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (installed / "bin" / "java").unlink()
    with pytest.raises(SparkError, match=r"none in JAVA_HOME \(.*java\); install Java 17"):
        check_spark("local[2]")
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", str(installed))
    with pytest.raises(SparkError, match="none in PATH; install Java 17 or newer, or set JAVA"):
        check_spark("local[2]")


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("master", ["localhost", "http://host:8080", "local[2", ""])
def test_what_is_no_master_is_said(master: str) -> None:
    with pytest.raises(SparkError, match=r"is no Spark master; say local\[2\], spark://host:7077"):
        check_spark(master)


@pytest.mark.usefixtures("installed")
def test_a_master_without_a_port_is_said() -> None:
    with pytest.raises(SparkError, match="names no port in 'host'; say spark://host:7077"):
        check_spark("spark://host")


@pytest.mark.usefixtures("installed")
def test_one_master_of_several_must_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        dead, alive = (f"127.0.0.1:{s.getsockname()[1]}" for s in (closed, server))
        check_spark(f"spark://{dead},{alive}")
        with pytest.raises(SparkError, match=rf"no Spark master answers within 10 s \({dead}: "):
            check_spark(f"spark://{dead}")


@pytest.mark.usefixtures("installed")
def test_the_wait_for_a_master_that_is_silent_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    def silent(_place: object, timeout: float) -> None:
        waited.append(timeout)
        raise TimeoutError("timed out")

    monkeypatch.setattr(socket, "create_connection", silent)
    with pytest.raises(SparkError, match=r"within 10 s \(host:7077: timed out\)"):
        check_spark("spark://host:7077")
    assert waited == [10.0]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--engine", "spark"), "--engine spark needs --master; say local[2]"),
        (("--master", "local[2]"), "--master is Spark's; say --engine spark with it"),
        (("--engine", "dask"), "--engine is 'dask'; say joblib or spark"),
        (
            ("--engine", "spark", "--master", "local[2]", "--jobs", "2"),
            "--jobs is for --engine joblib; Spark has as many cores",
        ),
    ],
)
def test_options_that_contradict_each_other_are_said(
    tmp_path: Path, more: tuple[str, ...], words: str
) -> None:
    said = replay(tmp_path, *more)
    assert said.code == 2
    assert words in " ".join(said.err.split())
