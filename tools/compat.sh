#!/bin/sh
# Installs the client's wheel, without extras, beside the oldest and the newest
# libraries that it allows, and imports all of it: generated code refuses to load on
# a runtime older than its generator, and no resolver knows that.
# Run by `make compat`, from the root of the tree.
set -eu

python=.venv/bin/python
uv=.venv/bin/uv
work=build/compat
rm -rf "$work"
mkdir -p "$work"

(cd clients/python && ../../$python -m hatchling build -t wheel -d ../../$work) >"$work/wheel.log" 2>&1 ||
    { cat "$work/wheel.log" >&2; exit 1; }
wheel=$(echo "$work"/accredit-*.whl)

try() { # protobuf's version, then options for the resolver
    wanted=$1
    shift
    # --no-sources and --no-config: what a stranger gets, not what this tree pins.
    $uv venv --quiet --no-config --clear --python "$python" "$work/venv"
    $uv pip install --quiet --no-config --no-sources --python "$work/venv/bin/python" "$@" \
        "$wheel" "protobuf$wanted"
    # Isolated, so that the tree itself cannot stand in for the wheel.
    "$work/venv/bin/python" -I -W error tools/compat_check.py
}

try ">=5.29,<5.30" --resolution lowest
try ">=5.29,<5.30"
try ">=6.33,<6.34"
try ">=7,<8"
