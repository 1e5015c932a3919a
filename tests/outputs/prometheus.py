"""The official Python client reads our metrics, and finds the figures of the report."""
import json
import sys

from prometheus_client.parser import text_string_to_metric_families

metrics, report = sys.argv[1:]
report = json.load(open(report))
samples = {}
for family in text_string_to_metric_families(open(metrics).read()):
    assert family.type == "gauge" and family.documentation and family.samples, family
    for sample in family.samples:
        assert sample.timestamp is None, "the textfile collector refuses times"
        key = (sample.name, *sorted(sample.labels.items()))
        assert key not in samples, f"{key} twice"
        samples[key] = sample.value

for unit, share in report["coverage"]["by_unit"].items():
    for metric, part in [("encrypted", "value"), ("encrypted_lower", "lower"), ("encrypted_upper", "upper")]:
        assert samples[(f"tlscov_{metric}_ratio", ("unit", unit))] == share[part], (metric, unit)
for kind in ["encrypted", "plaintext", "unknown", "control"]:
    assert samples[("tlscov_wire_bytes", ("class", kind))] == report["coverage"]["totals"][kind]["wire_bytes"], kind
flows = sum(value for (name, *_), value in samples.items() if name == "tlscov_protocol_flows")
assert flows == sum(row["totals"]["flows"] for row in report["protocols"]), flows
print(f"{len(samples)} Prometheus samples, read by the official client")
