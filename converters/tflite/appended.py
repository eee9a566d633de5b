"""Files that are packed after the flatbuffer as a zip archive: labels and vocabularies.

TFLite Metadata calls them associated files. Readers find the archive from the end of the file, by
offsets that count from its start, so the archive is written anew when the flatbuffer changes size.
"""

from __future__ import annotations

import io
import zipfile

# Times the size of the file. A small archive must not fill the memory.
_MOST_UNPACKED = 64

AppendedFiles = list[tuple[zipfile.ZipInfo, bytes]]


def appended_files(data: bytes) -> AppendedFiles:
    """Return the files packed into `data`, none where there is no archive that can be read."""
    stream = io.BytesIO(data)
    if not zipfile.is_zipfile(stream):
        return []
    try:
        with zipfile.ZipFile(stream) as archive:
            infos = archive.infolist()
            if sum(info.file_size for info in infos) > _MOST_UNPACKED * len(data):
                return []
            return [(info, archive.read(info)) for info in infos]
    except Exception:  # damaged archives raise whatever their decompressors raise
        return []


def append_files(data: bytes, files: AppendedFiles) -> bytes:
    """Return `data` with `files` packed after it; `data` itself where there are none."""
    if not files:
        return data
    stream = io.BytesIO(data)
    with zipfile.ZipFile(stream, "a") as archive:
        for info, content in files:
            archive.writestr(info, content, compress_type=info.compress_type)
    return stream.getvalue()
