"""The encrypted share of a report, worked out from its flow records in DuckDB.

    tlscov scan CAPTURE --flows flows.parquet -o report.json
    python duckdb_share.py flows.parquet report.json

Reads .parquet, .csv and .jsonl; needs `pip install duckdb`.
"""
import json
import sys

import duckdb

flows, report = sys.argv[1:]

# A JSON record is nested; in tables the same path is one column, whose name has dots.
column = (lambda path: path) if flows.endswith(".jsonl") else (lambda path: f'"{path}"')
wire_bytes = f"({column('client.bytes')} + {column('server.bytes')})"

[(encrypted, plaintext, unknown)] = duckdb.sql(f"""
    SELECT
        coalesce(sum({wire_bytes} - plaintext_bytes) FILTER (class = 'encrypted'), 0),
        coalesce(sum(plaintext_bytes), 0),
        coalesce(sum({wire_bytes}) FILTER (class = 'unknown'), 0)
    FROM '{flows}'
""").fetchall()

total = int(encrypted + plaintext + unknown)
# Rounded half up to 6 decimals, as the report has it.
share = (2 * int(encrypted) * 10**6 + total) // (2 * total) / 10**6
want = json.load(open(report))["coverage"]["encrypted_share"]["value"]
print(f"duckdb, {flows}: {share}")
assert share == want, f"the report says {want}"
