"""Every cell of the Parquet, CSV and Zeek files is that of the JSON Lines file; types are those of docs/flow-records.md."""
import csv
import json
import re
import sys
from datetime import datetime, timezone

import duckdb

folder = sys.argv[1]


def flat(value, path=""):
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from flat(inner, f"{path}.{name}" if path else name)
    else:
        yield path, value


def text(value):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return " ".join(value)
    return "" if value is None else str(value)


records = [dict(flat(json.loads(line))) for line in open(f"{folder}/flows.jsonl")]
assert records

# CSV
with open(f"{folder}/flows.csv", newline="") as file:
    rows = list(csv.DictReader(file))
assert len(rows) == len(records)
LEFT_OUT = {"retransmitted_bytes": "0", "tls.ech_offered": "false"}
for record, row in zip(records, rows):
    for name, cell in row.items():
        want = text(record.pop(name)) if name in record else cell if cell == LEFT_OUT.get(name) else ""
        assert cell == want, (name, cell, want)
    assert not record, f"no column holds {record}"

# Parquet: the same columns, each with the type that the documentation has for it
TYPES = {
    "text": "VARCHAR",
    "integer": "BIGINT",
    "boolean": "BOOLEAN",
    "list of texts": "VARCHAR[]",
    "time, nanoseconds": "TIMESTAMP",
    "time, seconds": "TIMESTAMP",
}
documented = dict(re.findall(r"^\| `(.+?)` \| (.+?) \|", open("docs/flow-records.md").read(), re.MULTILINE))
described = duckdb.sql(f"DESCRIBE SELECT * FROM '{folder}/flows.parquet'").fetchall()
names, types = zip(*(row[:2] for row in described))
assert list(names) == list(rows[0]), names
for name, kind in zip(names, types):
    want = TYPES[documented.get(name, "list of texts" if name.endswith(".rules") else "text")]
    assert kind.startswith(want) and (want != "VARCHAR" or kind == want), (name, kind, want)

# Times as nanoseconds, so that no reader's own rounding stands between.
shown = ", ".join(
    f'epoch_ns("{name}") AS "{name}"' if kind.startswith("TIMESTAMP") and "not_" not in name
    else f'epoch_ms("{name}") AS "{name}"' if kind.startswith("TIMESTAMP")
    else f'"{name}"'
    for name, kind in zip(names, types)
)
cells = duckdb.sql(f"SELECT {shown} FROM '{folder}/flows.parquet'").fetchall()
assert len(cells) == len(rows)


def epoch_ns(stamp):
    whole, _, rest = stamp.rstrip("Z").partition(".")
    seconds = int(datetime.fromisoformat(whole).replace(tzinfo=timezone.utc).timestamp())
    return seconds * 10**9 + int(rest.ljust(9, "0") or 0)


for row, values in zip(rows, cells):
    for (name, want), value, kind in zip(row.items(), values, types):
        if kind.startswith("TIMESTAMP") and want:
            want = str(epoch_ns(want) // (10**6 if "not_" in name else 1))
        assert text(value) == want, (name, value, want)

# Zeek: TSV and JSON say the same, and the same as the columns that they come from
def log(name):
    lines = open(f"{folder}/zeek/{name}.log").read().splitlines()
    fields = next(line.split("\t")[1:] for line in lines if line.startswith("#fields\t"))
    return [dict(zip(fields, line.split("\t"), strict=True)) for line in lines if not line.startswith("#")]


stream = [json.loads(line) for line in open(f"{folder}/zeek.jsonl")]
for name in ["conn", "ssl"]:
    lines = [line for line in stream if line["_path"] == name]
    table = log(name)
    assert len(lines) == len(table)
    for line, entry in zip(lines, table):
        for field, cell in entry.items():
            value = line.get(field)
            if cell == "-":
                assert value is None, (field, value)
            elif isinstance(value, bool):
                assert cell == ("T" if value else "F"), (field, value)
            elif field in ("ts", "duration"):
                assert abs(float(cell) - value) < 1e-6, (field, cell, value)
            else:
                assert cell.encode().decode("unicode_escape") == str(value), (field, cell, value)
for entry, row in zip(log("conn"), rows, strict=True):
    for zeek, ours in [
        ("id.orig_h", "client.ip"),
        ("id.resp_p", "server.port"),
        ("orig_bytes", "client.payload_bytes"),
        ("tlscov.resp_bytes", "server.bytes"),
        ("tlscov.class", "class"),
    ]:
        assert entry[zeek] == row[ours], (zeek, entry[zeek], row[ours])
assert len({entry["uid"] for entry in log("conn")}) == len(rows)
print(f"{len(rows)} flows: {len(names)} columns are the same in JSON Lines, CSV and Parquet; Zeek's logs agree")
