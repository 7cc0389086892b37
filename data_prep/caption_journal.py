"""Captions of a shard while they are being written: each finished sample is on disk before the next is asked for."""

import fcntl
import os
from pathlib import Path
from types import TracebackType

from lit_outpaint.data.schema import SampleRecord


def read_lines(path: Path) -> dict[str, str]:
    """Lines ``KEY<tab>RECORD`` (a ``SampleRecord`` as JSON) by key; a torn last line counts as not written."""
    data = path.read_bytes() if path.exists() else b""
    # Not splitlines: a caption may hold other line ends, such as U+2028.
    lines = data[: data.rfind(b"\n") + 1].decode().split("\n")[:-1]
    return {line.split("\t", 1)[0]: line + "\n" for line in lines}


class CaptionJournal:
    """An append-only file of finished samples, in the order in which they were finished.

    Args:
        path: of the file; continues with what it holds.

    Raises:
        ValueError: another process is writing it.

    Attributes:
        lines: what is finished, by sample key.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o666)
        try:
            # Ranks of one world share no shard, those of two worlds do.
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._file)
            raise ValueError(f"another process is writing the captions of {path.name}; wait for it") from error
        self.lines = read_lines(path)
        whole = sum(len(line.encode()) for line in self.lines.values())
        os.ftruncate(self._file, whole)  # A line that was torn by a kill goes.
        os.lseek(self._file, whole, os.SEEK_SET)

    def add(self, key: str, record: SampleRecord) -> None:
        """Write a finished sample, past every buffer of this process."""
        line = f"{key}\t{record.model_dump_json()}\n"
        data = line.encode()
        while data:
            data = data[os.write(self._file, data) :]
        self.lines[key] = line

    def __enter__(self) -> "CaptionJournal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)
