"""Of a replay's table only what the figures read is loaded, and it gives the same figures."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from builders.replay_worlds import a_world, intensification, points_of

from cds_adapters.report.answers import read_decisions
from cds_engine.replay.figures.document import figures_of
from cds_engine.replay.figures.points import LISTS
from cds_engine.replay.settings import ReplayError

OTHER = {"constant: -9.19711": "constant: -12.0"}


def written(folder: Path, frame: pd.DataFrame) -> Path:
    frame["key.digest"] = "sha256:" + "0" * 64
    frame["taken.sources"] = [["MedicationRequest/1"]] * len(frame)
    frame["against.digest"] = "sha256:" + "1" * 64
    frame.to_parquet(folder / "decisions.parquet", index=False)
    return folder


@pytest.mark.parametrize("two", [False, True])
def test_the_figures_are_those_of_the_whole_table(tmp_path: Path, *, two: bool) -> None:
    bundle, against = intensification(), intensification(OTHER) if two else None
    frame = points_of(a_world().draw(300, 4), bundle, against)
    late = np.arange(len(frame)) % 7 == 0
    frame.loc[late, "potassium"] = np.nan
    frame.loc[late, "potassium.state"] = "stale"
    folder = written(tmp_path, frame)
    few = read_decisions(folder, bundle, against)
    assert not {"key.digest", "taken.sources", "against.digest"} & set(few)
    whole = pd.read_parquet(folder / "decisions.parquet")
    assert figures_of(few, bundle, against) == figures_of(whole, bundle, against)


def test_each_sequence_of_texts_is_held_once(tmp_path: Path) -> None:
    bundle = intensification()
    frame = read_decisions(written(tmp_path, points_of(a_world().draw(300, 4), bundle)), bundle)
    for name in set(LISTS) & set(frame):
        assert len({id(one) for one in frame[name]}) == frame[name].nunique() < 10


def test_a_table_of_another_version_is_refused_with_the_cure(tmp_path: Path) -> None:
    bundle = intensification()
    frame = points_of(a_world().draw(20, 4), bundle)
    folder = written(tmp_path, frame.drop(columns=["potassium", "potassium.state"]))
    with pytest.raises(ReplayError, match="has no column potassium; it was made by another"):
        figures_of(read_decisions(folder, bundle), bundle)
