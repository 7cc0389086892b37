import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr

from lit_outpaint.canvas.geometry import DIRECTIONS, Box, Direction, anchor_window, next_window
from lit_outpaint.canvas.journal import StepRecord
from lit_outpaint.canvas.store import Canvas, checksum

WINDOW, STRIDE = 32, 12
RNG = np.random.default_rng(0)
IMAGE = RNG.integers(1, 256, (40, 48, 3), dtype=np.uint8)


def _grow(canvas: Canvas, direction: Direction, seed: int | None = None) -> tuple[Box, np.ndarray]:
    """Commit one step of noise and return what was added where."""
    anchor = anchor_window(canvas.image_box, WINDOW)
    window, strip = next_window(canvas.box, direction, WINDOW, STRIDE, anchor)
    rng = np.random.default_rng(canvas.num_steps if seed is None else seed)
    pixels = rng.integers(1, 256, (strip.height, strip.width, 3), dtype=np.uint8)
    canvas.commit([(_record(canvas.num_steps, direction, window, strip, pixels), pixels)])
    return strip, pixels


def _record(step: int, direction: Direction, window: Box, strip: Box, pixels: np.ndarray) -> StepRecord:
    return StepRecord(
        step=step,
        direction=direction,
        window=window.as_tuple(),
        strip=strip.as_tuple(),
        local_caption="a lake",
        global_caption="a wide view",
        caption_source="test",
        seed=1,
        seconds=0.5,
        checksum=checksum(pixels),
    )


@pytest.fixture
def canvas(tmp_path: Path) -> Canvas:
    return Canvas.create(tmp_path, IMAGE, chunk_px=16)


def test_growing_in_all_directions_never_changes_a_known_pixel(canvas: Canvas) -> None:
    added = [(canvas.image_box, IMAGE)]
    for step in range(20):
        added.append(_grow(canvas, DIRECTIONS[step % 4]))
        for box, pixels in added:
            np.testing.assert_array_equal(canvas.read(box), pixels)
    assert canvas.box == Box(-60, -60, 48 + 60, 40 + 60)


def test_a_reopened_canvas_is_the_same(canvas: Canvas) -> None:
    added = [_grow(canvas, direction) for direction in (*DIRECTIONS, "left", "left")]
    again = Canvas.open(canvas.directory)
    assert (again.box, again.num_steps, again.known) == (canvas.box, 6, canvas.known)
    assert [again.record(step) for step in range(6)] == list(canvas.journal)
    for box, pixels in added:
        np.testing.assert_array_equal(again.read(box), pixels)


def test_pixels_that_nobody_made_read_as_zero(canvas: Canvas) -> None:
    _grow(canvas, "up")
    assert canvas.read(Box(-500, -500, -400, -450)).max() == 0
    corner = canvas.read(Box(-4, -12, 8, 4))
    np.testing.assert_array_equal(corner[12:, 4:], IMAGE[:4, :8])
    assert corner[:, :4].max() == 0


def test_making_room_moves_chunks_without_reading_them(canvas: Canvas) -> None:
    before = {chunk.read_bytes() for chunk in (canvas.directory / "canvas.zarr" / "c").glob("*/*/0")}
    canvas.reserve(Box(-1000, -300, 2000, 400))
    chunks = (canvas.directory / "canvas.zarr" / "c").glob("*/*/0")
    assert {chunk.read_bytes() for chunk in chunks} == before
    np.testing.assert_array_equal(canvas.read(canvas.image_box), IMAGE)
    assert canvas.box == canvas.image_box


def test_room_grows_by_doubling(canvas: Canvas) -> None:
    inodes = set()
    for _ in range(40):
        _grow(canvas, "left")
        inodes.add((canvas.directory / "canvas.zarr").stat().st_ino)
    assert len(inodes) <= 6  # 40 * 12 px from 48 px: four doublings, and the inode of the first room.


def test_the_array_can_be_read_by_plain_zarr(canvas: Canvas) -> None:
    strip, pixels = _grow(canvas, "left")
    array = zarr.open_array(canvas.directory / "canvas.zarr", mode="r")
    oy, ox = array.attrs["origin_px"]
    np.testing.assert_array_equal(array[oy + strip.y0 : oy + strip.y1, ox + strip.x0 : ox + strip.x1], pixels)


def test_a_strip_over_known_pixels_is_refused(canvas: Canvas) -> None:
    window, strip = next_window(canvas.box, "right", WINDOW, STRIDE)
    over = strip.shift(-1, 0)
    pixels = np.zeros((strip.height, strip.width, 3), np.uint8)
    with pytest.raises(ValueError, match="would change known pixels"):
        canvas.commit([(_record(0, "right", window, over, pixels), pixels)])
    np.testing.assert_array_equal(canvas.read(canvas.image_box), IMAGE)


def test_a_step_that_is_done_or_brings_other_pixels_is_refused_and_nothing_of_its_batch_added(canvas: Canvas) -> None:
    _grow(canvas, "left")
    window, strip = next_window(canvas.box, "right", WINDOW, STRIDE)
    pixels = np.zeros((strip.height, strip.width, 3), np.uint8)
    with pytest.raises(ValueError, match="step 0 of this canvas is done already"):
        canvas.commit([(_record(0, "right", window, strip, pixels), pixels)])
    with pytest.raises(ValueError, match="pixels of its checksum"):
        canvas.commit([(_record(1, "right", window, strip, pixels), pixels + 1)])
    batch = [(_record(step, "right", window, strip, pixels), pixels) for step in (1, 2)]
    with pytest.raises(ValueError, match="step 2 would change known pixels"):
        canvas.commit(batch)
    assert canvas.num_steps == 1
    assert canvas.box.x1 == canvas.image_box.x1


def test_known_boxes_stay_few_however_many_steps(canvas: Canvas) -> None:
    for step in range(34):
        _grow(canvas, DIRECTIONS[step % 4])
    assert len(canvas.known) <= 5


@pytest.mark.parametrize("torn", [b"", b'{"step":3,"direc'])
def test_a_torn_line_counts_as_not_written(canvas: Canvas, torn: bytes) -> None:
    for _ in range(3):
        _grow(canvas, "right")
    journal = canvas.directory / "steps.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole + torn)
    again = Canvas.open(canvas.directory)
    assert again.num_steps == 3
    assert journal.read_bytes() == whole


def test_steps_whose_pixels_are_lost_are_taken_back_and_named(canvas: Canvas, caplog: pytest.LogCaptureFixture) -> None:
    strips = [_grow(canvas, "right")[0] for _ in range(3)]
    array = zarr.open_array(canvas.directory / "canvas.zarr", mode="r+")
    oy, ox = array.attrs["origin_px"]
    array[oy + strips[1].y0, ox + strips[1].x0] = 0
    again = Canvas.open(canvas.directory)
    assert again.num_steps == 1
    assert again.box.x1 == strips[0].x1
    assert len((canvas.directory / "steps.jsonl").read_text().splitlines()) == 1
    assert "step 1 in" in caplog.text


@pytest.mark.parametrize("share", [0.5, 0.0])
def test_steps_in_a_chunk_that_is_cut_short_are_drawn_again(
    canvas: Canvas, caplog: pytest.LogCaptureFixture, share: float
) -> None:
    strips = [_grow(canvas, "right")[0] for _ in range(3)]
    chunks = sorted((canvas.directory / "canvas.zarr" / "c").glob("*/5/0"))  # Columns 80 to 96 of 84.
    for chunk in chunks:
        chunk.write_bytes(chunk.read_bytes()[: int(share * chunk.stat().st_size)])
    with pytest.raises(ValueError, match="is damaged"):
        canvas.read(strips[2])
    again = Canvas.open(canvas.directory)
    assert "step 2 in" in caplog.text
    assert again.num_steps == 2
    strip, pixels = _grow(again, "right", seed=99)
    assert strip == strips[2]
    np.testing.assert_array_equal(Canvas.open(canvas.directory).read(strip), pixels)


def test_a_chunk_of_the_first_image_that_is_cut_short_is_refused(canvas: Canvas) -> None:
    (canvas.directory / "canvas.zarr" / "c" / "0" / "0" / "0").write_bytes(b"")
    with pytest.raises(ValueError, match=r"first image .* is damaged"):
        Canvas.open(canvas.directory)


def test_steps_may_be_finished_in_any_order_and_taken_back(canvas: Canvas) -> None:
    boxes = {7: Box(48, 0, 60, 32), 2: Box(-12, 0, 0, 32), 4: Box(60, 0, 72, 32)}
    for step, strip in boxes.items():
        pixels = np.full((32, 12, 3), step, np.uint8)
        canvas.commit([(_record(step, "right", strip, strip, pixels), pixels)])
    again = Canvas.open(canvas.directory)
    for each in (canvas, again):
        assert [each.is_done(step) for step in range(9)] == [step in boxes for step in range(9)]
        assert each.record(4).strip_box == boxes[4]
    again.forget({7, 4})
    assert again.num_steps == 1
    assert again.box == Box(-12, 0, 48, 40)
    assert again.record(2).strip_box == boxes[2]
    assert again.read(boxes[4]).max() == 0
    assert Canvas.open(canvas.directory).known == again.known


def test_known_rows_of_a_filled_rectangle_become_one_box(canvas: Canvas) -> None:
    strips = [Box(48, 0, 60, 40), *(Box(x, y, x + 12, y + 20) for y in (40, 60) for x in range(0, 60, 12))]
    order = [0, 1, 6, 3, 2, 8, 7, 5, 4, 10, 9]
    for step in order:
        strip = strips[step]
        pixels = np.full((strip.height, 12, 3), step + 1, np.uint8)
        canvas.commit([(_record(step, "down", strip, strip, pixels), pixels)])
    assert canvas.known == [Box(0, 0, 60, 80)]


def test_pixels_without_a_line_have_not_happened(canvas: Canvas) -> None:
    _grow(canvas, "right")
    _grow(canvas, "right")
    canvas.journal.keep(1)  # A kill between pixels and line.
    again = Canvas.open(canvas.directory)
    strip, pixels = _grow(again, "right", seed=99)
    np.testing.assert_array_equal(Canvas.open(canvas.directory).read(strip), pixels)


@pytest.mark.parametrize("moment", ["partial", "new", "new and old"])
def test_a_kill_while_making_room_loses_nothing(canvas: Canvas, moment: str) -> None:
    strip, pixels = _grow(canvas, "left")
    path = canvas.directory / "canvas.zarr"
    aside = canvas.directory / "aside"
    shutil.copytree(path, aside)
    if moment == "partial":
        shutil.copytree(aside / "c", path.with_name("canvas.zarr.partial"))
    else:
        aside.rename(path.with_name("canvas.zarr.new"))
        if moment == "new and old":
            path.rename(path.with_name("canvas.zarr.old"))
    again = Canvas.open(canvas.directory)
    np.testing.assert_array_equal(again.read(strip), pixels)
    assert [found.name for found in canvas.directory.glob("canvas.zarr*")] == ["canvas.zarr"]


def test_files_that_a_kill_left_half_written_are_cleared(canvas: Canvas) -> None:
    leftover = canvas.directory / "canvas.zarr" / "c" / "0" / "0" / "0.deadbeef.partial"
    leftover.write_bytes(b"half")
    Canvas.open(canvas.directory)
    assert not leftover.exists()


def test_a_damaged_or_absent_canvas_is_refused(canvas: Canvas, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"canvas\.zarr, which is missing"):
        Canvas.open(tmp_path / "elsewhere")
    array = zarr.open_array(canvas.directory / "canvas.zarr", mode="r+")
    array[0, 0] = 0
    with pytest.raises(ValueError, match=r"first image .* is damaged"):
        Canvas.open(canvas.directory)
    description = canvas.directory / "canvas.zarr" / "zarr.json"
    without_checksum = json.loads(description.read_text())
    del without_checksum["attributes"]["image_sha256"]
    for text in ("{", "[]", '"x"', json.dumps(without_checksum)):
        description.write_text(text)
        with pytest.raises(ValueError, match="must be the array of a canvas"):
            Canvas.open(canvas.directory)


def test_who_only_reads_a_canvas_changes_no_byte_of_it(canvas: Canvas) -> None:
    for _ in range(3):
        strip, _ = _grow(canvas, "right")
    (canvas.directory / "canvas.zarr" / "c" / "0" / "0" / "0.deadbeef.partial").write_bytes(b"what another writes")
    journal = canvas.directory / "steps.jsonl"
    journal.write_bytes(journal.read_bytes() + b'{"step": 3, "the line that ano')
    for damaged in (False, True):
        if damaged:
            zarr.open_array(canvas.directory / "canvas.zarr", mode="r+")[strip.y0, strip.x0] = 0
        before = {path: path.read_bytes() for path in canvas.directory.rglob("*") if path.is_file()}
        if damaged:
            with pytest.raises(ValueError, match=r"step 2 in .*canvas\.zarr is damaged"):
                Canvas.open_to_read(canvas.directory)
        else:
            assert Canvas.open_to_read(canvas.directory).known == canvas.known
        assert {path: path.read_bytes() for path in canvas.directory.rglob("*") if path.is_file()} == before


def test_a_line_that_is_no_step_is_refused_by_number(canvas: Canvas) -> None:
    _grow(canvas, "right")
    journal = canvas.directory / "steps.jsonl"
    line = json.loads(journal.read_text())
    journal.write_text(2 * (json.dumps(line) + "\n"))
    with pytest.raises(ValueError, match=r"steps\.jsonl names step 0 twice"):
        Canvas.open(canvas.directory)
    journal.write_text(json.dumps({**line, "direction": "north"}) + "\n")
    with pytest.raises(ValueError, match=r"steps\.jsonl:1 is no step record \(direction:"):
        Canvas.open(canvas.directory)


def test_a_step_touches_only_its_own_chunks(canvas: Canvas, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes and files read per step do not grow with the canvas."""
    read: list[int] = []
    plain = Path.read_bytes

    def counted(path: Path) -> bytes:
        data = plain(path)
        if "canvas.zarr" in path.parts:
            read.append(len(data))
        return data

    canvas.reserve(Box(0, 0, 48 + 120 * STRIDE, 40))
    monkeypatch.setattr(Path, "read_bytes", counted)
    costs = []
    for _ in range(120):
        read.clear()
        window, _ = next_window(canvas.box, "right", WINDOW, STRIDE, anchor_window(canvas.image_box, WINDOW))
        canvas.read(window)
        _grow(canvas, "right")
        costs.append((len(read), sum(read)))
    most_early, most_late = (max(cost[0] for cost in part) for part in (costs[:20], costs[-20:]))
    assert 0 < most_late <= most_early <= 24  # 3 x 4 chunks to read, 3 x 2 to change.
    assert max(cost[1] for cost in costs[-20:]) <= 1.2 * max(cost[1] for cost in costs[:20])
