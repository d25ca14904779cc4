from __future__ import annotations

import dataclasses
import hashlib
import http.server
import logging
import socket
import subprocess
import sys
import threading

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from grn._errors import InputError
from grn.data import download
from grn.data.download import REGISTRY, RemoteFile, cache_folder, fetch, paul15, pbmc3k

BODY = bytes(range(256)) * 2000


class Server:
    """Files on 127.0.0.1; `cut` sends half of a file whose whole length it has announced."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {"/set.bin": BODY}
        self.cut: set[str] = set()
        self.asked: list[str] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                body = outer.files.get(self.path)
                if body is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: len(body) // 2] if self.path in outer.cut else body)

            def log_message(self, *_: object) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"

    def remote(self, *paths: str, body: bytes = BODY) -> RemoteFile:
        urls = tuple(self.url + path for path in paths or ("/set.bin",))
        return RemoteFile("set.bin", hashlib.sha256(body).hexdigest(), len(body), urls)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    made = Server()
    thread = threading.Thread(target=made.http.serve_forever, daemon=True)
    thread.start()
    yield made
    made.http.shutdown()
    made.http.server_close()


def test_fetches_once_and_then_reads_the_cache(server, tmp_path):
    path = fetch(server.remote(), cache=tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "set.bin"
    assert path.read_bytes() == BODY
    assert fetch(server.remote(), cache=tmp_path / "new" / "folder") == path
    assert server.asked == ["/set.bin"]


def test_a_wrong_checksum_is_refused_and_leaves_nothing(server, tmp_path):
    remote = server.remote(body=b"what was expected")
    with pytest.raises(InputError, match=r"could not download set\.bin .*\n.*wrong checksum") as caught:
        fetch(remote, cache=tmp_path)
    assert remote.sha256 in str(caught.value)
    assert f"save the file by hand as {tmp_path / 'set.bin'}" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_cut_connection_is_named_and_leaves_nothing(server, tmp_path):
    server.cut.add("/set.bin")
    with pytest.raises(InputError, match="the connection was cut before the end of the file"):
        fetch(server.remote(), cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_no_network_is_named_and_leaves_nothing(server, tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    remote = dataclasses.replace(server.remote(), urls=(f"http://127.0.0.1:{port}/set.bin",))
    with pytest.raises(InputError, match=f"no connection to 127.0.0.1:{port}\nCheck the connection and the proxy"):
        fetch(remote, cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_does_not_resolve_is_no_connection(server, tmp_path):
    # The name is reserved for never existing (RFC 2606).
    remote = dataclasses.replace(server.remote(), urls=("http://example.invalid/set.bin",))
    with pytest.raises(InputError, match=r"no connection to example\.invalid|proxy could not be reached|answered"):
        fetch(remote, cache=tmp_path)


def test_a_missing_file_is_named_with_the_servers_answer(server, tmp_path):
    with pytest.raises(InputError, match=r"127\.0\.0\.1:\d+ answered 404 Not Found"):
        fetch(server.remote("/gone.bin"), cache=tmp_path)


def test_a_server_that_does_not_answer_is_given_up(monkeypatch, tmp_path):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/set.bin"
        with pytest.raises(InputError, match=r"gave no answer for 0\.2 s"):
            fetch(RemoteFile("set.bin", "0" * 64, 1, (url,)), cache=tmp_path)


def test_the_next_address_is_tried_and_each_failure_is_told(server, tmp_path, caplog):
    server.files["/other.bin"] = b"something else"
    remote = server.remote("/gone.bin", "/other.bin", "/set.bin")
    with caplog.at_level(logging.WARNING, logger="grn"):
        assert fetch(remote, cache=tmp_path).read_bytes() == BODY
    assert server.asked == ["/gone.bin", "/other.bin", "/set.bin"]
    assert "404" in caplog.text
    assert "wrong checksum" in caplog.text
    with pytest.raises(InputError, match=r"(?s)gone\.bin: .*404.*other\.bin: wrong checksum"):
        fetch(dataclasses.replace(remote, urls=remote.urls[:2]), cache=tmp_path / "empty")


def test_a_damaged_file_in_the_cache_is_fetched_anew(server, tmp_path, caplog):
    (tmp_path / "set.bin").write_bytes(BODY[:100])
    with caplog.at_level(logging.WARNING, logger="grn"):
        assert fetch(server.remote(), cache=tmp_path).read_bytes() == BODY
    assert "is damaged" in caplog.text


def test_a_folder_that_cannot_be_written_is_named(server, tmp_path):
    (tmp_path / "taken").write_text("a file where a folder is wanted")
    with pytest.raises(InputError, match=r"cannot write to the cache folder .*taken.*name another folder with cache="):
        fetch(server.remote(), cache=tmp_path / "taken")


def test_no_file_can_be_registered_without_a_checksum():
    with pytest.raises(InputError, match="'' is no SHA-256"):
        RemoteFile("set.bin", "", 1, ("http://127.0.0.1/set.bin",))
    for remote in REGISTRY.values():
        assert len(remote.sha256) == 64
        assert all(url.startswith("https://") for url in remote.urls)


def test_the_cache_is_the_users():
    assert cache_folder().name == "grn"


def test_importing_downloads_and_loads_nothing():
    # A child process, so that what other tests have imported does not count.
    code = (
        "import socket, sys\n"
        "def refuse(*a, **k): raise SystemExit('a connection at import')\n"
        "socket.socket.connect = refuse\n"
        "import grn.datasets\n"
        "heavy = {'torch', 'scanpy', 'anndata', 'pooch', 'requests'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_paul15_reads_the_authors_layout(server, tmp_path, monkeypatch):
    values = np.arange(15, dtype=np.int16).reshape(5, 3)
    source = tmp_path / "source.h5"
    with h5py.File(source, "w") as file:
        file["data.debatched"] = values  # (genes, cells)
        file["data.debatched_rownames"] = np.array(["Klf1", "Gata1;Gm1", "Sfpi1", "Xist", "Actb"], dtype="S")
        file["data.debatched_colnames"] = np.array(["W1", "W2", "W3"], dtype="S")
        file["cluster.id"] = np.array([[1.0], [7.0], [19.0]])
        file["info.genes_strings"] = np.array(["Klf1", "Gata1", "Actb", "1-Mar"], dtype="S")
    server.files["/paul15.h5"] = source.read_bytes()
    remote = server.remote("/paul15.h5", body=source.read_bytes())
    monkeypatch.setitem(REGISTRY, "paul15", dataclasses.replace(remote, name="paul15.h5"))
    adata = paul15(cache=tmp_path / "cache")
    assert adata.var_names.tolist() == ["Actb", "Gata1", "Klf1"]
    assert adata.obs_names.tolist() == ["W1", "W2", "W3"]
    np.testing.assert_array_equal(adata.X, values[[4, 1, 0]].T)
    assert adata.X.dtype == np.float32
    assert adata.obs["cell_type"].tolist() == ["Ery", "MEP", "Lymph"]
    assert adata.obs["paul15_clusters"].tolist() == ["1Ery", "7MEP", "19Lymph"]


def test_pbmc3k_reads_the_file_as_it_is(server, tmp_path, monkeypatch):
    counts = sparse.csr_matrix(np.array([[0, 2], [1, 0], [3, 4]], dtype=np.float32))
    var = pd.DataFrame({"gene_ids": ["ENSG1", "ENSG2"]}, index=["CD3D", "MS4A1"])
    obs = pd.DataFrame(index=["c1", "c2", "c3"])
    anndata.AnnData(X=counts, obs=obs, var=var).write_h5ad(tmp_path / "source.h5ad")
    body = (tmp_path / "source.h5ad").read_bytes()
    server.files["/pbmc3k_raw.h5ad"] = body
    remote = server.remote("/pbmc3k_raw.h5ad", body=body)
    monkeypatch.setitem(REGISTRY, "pbmc3k", dataclasses.replace(remote, name="pbmc3k_raw.h5ad"))
    adata = pbmc3k(cache=tmp_path / "cache")
    assert abs(adata.X - counts).nnz == 0
    assert adata.var["gene_ids"].tolist() == ["ENSG1", "ENSG2"]
