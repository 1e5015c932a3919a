"""Holds the licences and sources of all dependencies to deny.toml; `cargo metadata` comes on standard input.

What `cargo deny check licenses sources` does in full: each dependency has to offer a choice of licences that are all allowed.
"""

import json
import re
import sys
import tomllib

REGISTRY = "registry+https://github.com/rust-lang/crates.io-index"

with open(sys.argv[1], "rb") as file:
    allowed = set(tomllib.load(file)["licenses"]["allow"])


def acceptable(expression):
    """Whether an SPDX expression can be met with allowed licences alone."""
    text = (expression or "").replace("/", " OR ")
    for licence in sorted(re.findall(r"[A-Za-z0-9.+-]+(?: WITH [A-Za-z0-9.+-]+)?", text), key=len, reverse=True):
        if licence not in ("OR", "AND", "True", "False"):
            text = re.sub(rf"(?<![\w.+-]){re.escape(licence)}(?![\w.+-])", str(licence in allowed), text)
    return bool(text) and eval(text.replace("OR", "or").replace("AND", "and"), {"__builtins__": {}})


packages = json.load(sys.stdin)["packages"]
bad = [f"{package['name']} {package['version']}: licence {package['license']}, source {package['source']}"
       for package in packages
       if package["source"] and (package["source"] != REGISTRY or not acceptable(package["license"]))]
print(f"{len(packages)} packages", *bad, sep="\n  ")
sys.exit(bool(bad))
