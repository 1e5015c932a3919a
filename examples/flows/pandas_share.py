"""The encrypted share of a report, worked out from its flow records in pandas.

    tlscov scan CAPTURE --flows flows.csv -o report.json
    python pandas_share.py flows.csv report.json

Reads .csv, .jsonl, and .parquet when pyarrow is there too; needs `pip install pandas`.
"""
import json
import sys

import pandas

path, report = sys.argv[1:]

if path.endswith(".parquet"):
    flows = pandas.read_parquet(path)
elif path.endswith(".csv"):
    flows = pandas.read_csv(path)
else:
    # A JSON record is nested; this gives its paths as columns, with dots.
    flows = pandas.json_normalize([json.loads(line) for line in open(path)])

wire_bytes = flows["client.bytes"] + flows["server.bytes"]
plaintext = int(flows["plaintext_bytes"].sum())
encrypted = int((wire_bytes - flows["plaintext_bytes"])[flows["class"] == "encrypted"].sum())
unknown = int(wire_bytes[flows["class"] == "unknown"].sum())

total = encrypted + plaintext + unknown
# Rounded half up to 6 decimals, as the report has it.
share = (2 * encrypted * 10**6 + total) // (2 * total) / 10**6
want = json.load(open(report))["coverage"]["encrypted_share"]["value"]
print(f"pandas, {path}: {share}")
assert share == want, f"the report says {want}"
