"""What a Parquet file of ours was when it was written, so that its reader sees where a byte has changed since.

Parquet has a checksum for each page of numbers and names, which pyarrow writes and verifies. Its footer has none: the
columns with their types, the number of rows and our metadata are compared with what stands under a key of its own.
"""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

KEY = b"grn_seal"


def seal(table: pa.Table) -> bytes:
    """Columns, types, rows and a CRC-32 of all metadata of a table, for its metadata under `KEY`."""
    metadata = {key: value for key, value in (table.schema.metadata or {}).items() if key != KEY}
    return json.dumps(
        {
            "columns": [[field.name, str(field.type)] for field in table.schema],
            "rows": table.num_rows,
            "metadata": zlib.crc32(b"\0".join(part for item in sorted(metadata.items()) for part in item)),
        }
    ).encode()


def is_whole(table: pa.Table, metadata: dict[bytes, bytes] | None) -> bool:
    """Whether a table that was read is the one that was written; files without a seal are taken as they are.

    `metadata` is the file's own, from which Arrow makes that of the table, or drops it where its schema is damaged.
    """
    written = (metadata or {}).get(KEY)
    return written is None or written == seal(table)
