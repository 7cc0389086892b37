from pathlib import Path

import pytest

from lit_outpaint.runs.pictures import PictureRun


@pytest.mark.parametrize("data", [b"a: [\n", b"\xff\xfe\xff"])
def test_a_run_with_a_damaged_record_is_refused_in_one_line(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "run.yaml").write_bytes(data)
    with pytest.raises(ValueError, match=r"run\.yaml is no run of generate") as caught:
        PictureRun(tmp_path, {"seed": 1})
    assert "\n" not in str(caught.value)
