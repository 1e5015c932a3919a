"""The encrypted share of a report, worked out from its flow records in Polars.

    tlscov scan CAPTURE --flows flows.parquet -o report.json
    python polars_share.py flows.parquet report.json

Reads .parquet and .csv without loading the whole file; needs `pip install polars`.
"""
import json
import sys

import polars

path, report = sys.argv[1:]

flows = polars.scan_parquet(path) if path.endswith(".parquet") else polars.scan_csv(path, infer_schema_length=None)
kind = polars.col("class")
wire_bytes = polars.col("client.bytes") + polars.col("server.bytes")
plaintext_bytes = polars.col("plaintext_bytes")

encrypted, plaintext, unknown = (
    flows.select(
        (wire_bytes - plaintext_bytes).filter(kind == "encrypted").sum().alias("encrypted"),
        plaintext_bytes.sum().alias("plaintext"),
        wire_bytes.filter(kind == "unknown").sum().alias("unknown"),
    )
    .collect()
    .row(0)
)

total = encrypted + plaintext + unknown
# Rounded half up to 6 decimals, as the report has it.
share = (2 * encrypted * 10**6 + total) // (2 * total) / 10**6
want = json.load(open(report))["coverage"]["encrypted_share"]["value"]
print(f"polars, {path}: {share}")
assert share == want, f"the report says {want}"
