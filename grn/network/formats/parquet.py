"""Parquet, the canonical format: the table, and everything else as JSON in the file's metadata."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from grn._errors import InputError
from grn._tables import require_parquet
from grn.network.formats import integrity
from grn.network.formats.checks import broken
from grn.network.metadata import CONVENTION, dump_params, version

if TYPE_CHECKING:
    from grn.network.network import GeneNetwork

KEY = b"grn"


def write(network: GeneNetwork, path: Path) -> None:
    """Write the edges as columns and the rest under the metadata key `grn`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(network.edges, preserve_index=False)
    about = {
        "convention": CONVENTION,
        "version": version(),
        "genes": network.genes.tolist(),
        "regulators": network.regulators.tolist(),
        "params": json.loads(dump_params(network.params)),
    }
    metadata = {**(table.schema.metadata or {}), KEY: json.dumps(about).encode()}
    table = table.replace_schema_metadata(metadata)
    table = table.replace_schema_metadata({**metadata, integrity.KEY: integrity.seal(table)})
    pq.write_table(table, path, compression="zstd", write_page_checksum=True)


def read(path: Path) -> GeneNetwork:
    """Read a network; a foreign Parquet table of source, target and weight is accepted too."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from grn.network.network import GeneNetwork

    try:
        require_parquet(path)
        table = pq.read_table(path, page_checksum_verification=True)
        metadata = pq.read_metadata(path).metadata
    except (pa.lib.ArrowException, OSError) as error:
        raise broken(path, "Parquet", error) from error
    if not integrity.is_whole(table, metadata):
        raise InputError(f"{path} is damaged: it is not what was written. Copy it again, or make the network again.")
    about = json.loads((table.schema.metadata or {}).get(KEY, b"{}"))
    return GeneNetwork.from_edges(
        table.to_pandas(),
        genes=about.get("genes"),
        regulators=about.get("regulators"),
        params=about.get("params"),
    )
