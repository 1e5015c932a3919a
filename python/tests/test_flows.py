"""`flows` is the table of the Parquet file, in every program that takes Arrow, and comes in batches."""

import json
import struct

import duckdb
import pandas
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tlscov

CAPTURES = ["office.pcapng", "mail.pcap", "quic.pcap", "weak-certificates.pcap", "proxies.pcap", "ssh.pcap"]


@pytest.mark.parametrize("capture", CAPTURES)
def test_the_table_is_that_of_the_parquet_file(program, tmp_path, capture):
    path = f"testdata/{capture}"
    program("flows", path, "-o", tmp_path / "flows.parquet", "--policy", "bcp195", "--policy", "mozilla-modern")
    want = pq.read_table(tmp_path / "flows.parquet")
    flows = tlscov.flows(path, policy=["bcp195", "mozilla-modern"])
    table = pa.table(flows)
    assert table.schema.equals(want.schema), "names, types and what may be null"
    assert pa.schema(flows).equals(want.schema)
    assert table.equals(want) and table.num_rows > 0
    assert flows.columns == want.column_names
    table.validate(full=True)


def test_other_addresses_are_those_of_the_program(program, tmp_path):
    key, csv = tmp_path / "key", tmp_path / "flows.jsonl"
    key.write_bytes(bytes(range(32)))
    program("flows", "testdata/office.pcapng", "--anonymize", key, "-o", csv)
    records = [json.loads(line) for line in csv.read_text().splitlines()]
    rows = pa.table(tlscov.flows("testdata/office.pcapng", anonymize=key)).to_pylist()
    assert [row["client.ip"] for row in rows] == [record["client"]["ip"] for record in records]
    assert not any(row["tls.server_name"] for row in rows)


def test_other_programs_take_the_table():
    flows = tlscov.flows("testdata/office.pcapng")
    want = pa.table(flows)
    sums = {}
    for row in want.to_pylist():
        sums[row["class"]] = sums.get(row["class"], 0) + row["server.bytes"]
    frame = polars.DataFrame(flows)
    assert frame.shape == want.shape
    assert dict(frame.group_by("class").agg(polars.col("server.bytes").sum()).iter_rows()) == sums
    # Twice: the captures are read anew each time.
    query = 'SELECT class, sum("server.bytes") FROM flows GROUP BY class'
    assert dict(duckdb.sql(query).fetchall()) == dict(duckdb.sql(query).fetchall()) == sums
    if hasattr(pandas.DataFrame, "from_arrow"):
        frame = pandas.DataFrame.from_arrow(flows)
    else:
        frame = want.to_pandas()
    assert frame.groupby("class")["server.bytes"].sum().to_dict() == sums


def many_flows(path, flows):
    """A capture with that many flows: a datagram each, from another port and address."""
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 101))
        for number in range(flows):
            udp = struct.pack(">HHHH", 1024 + number % 60_000, 9, 12, 0) + b"abcd"
            source = 0x0A000001 + number // 60_000
            packet = struct.pack(">BBHHHBBHII", 0x45, 0, 32, number & 0xFFFF, 0, 64, 17, 0, source, 0x0B000001) + udp
            file.write(struct.pack("<IIII", number // 1000, number % 1000, len(packet), len(packet)) + packet)


def test_rows_come_in_batches(tmp_path):
    path = tmp_path / "many.pcap"
    many_flows(path, 100_000)
    sizes = [batch.num_rows for batch in pa.RecordBatchReader.from_stream(tlscov.flows(path))]
    assert sum(sizes) == 100_000 and max(sizes) <= 1 << 14 and len(sizes) > 6, sizes
    # A stream that is left alone after the first batch ends by itself, one that was never begun does nothing.
    stream = pa.RecordBatchReader.from_stream(tlscov.flows(path))
    assert stream.read_next_batch().num_rows == sizes[0]
    stream.close()
    pa.RecordBatchReader.from_stream(tlscov.flows(path)).close()
    assert tlscov.flows(path).__arrow_c_stream__() is not None
    # Nothing of it is in the way of the next one.
    assert pa.table(tlscov.flows(path)).num_rows == 100_000


def test_what_goes_wrong_later_is_told_by_who_reads(tmp_path):
    path = tmp_path / "gone.pcap"
    many_flows(path, 10)
    stream = pa.RecordBatchReader.from_stream(tlscov.flows(path))
    path.unlink()
    with pytest.raises(OSError, match="gone.pcap: cannot be read"):
        stream.read_all()
    many_flows(path, 10)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.warns(tlscov.CaptureWarning, match="gone.pcap"):
        assert pa.table(tlscov.flows(path)).num_rows == 9
