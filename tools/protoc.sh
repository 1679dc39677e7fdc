#!/bin/sh
# Stands in for protoc while etcd-client is built: the machine's own protoc when there is one with its standard
# includes, else the one that the crate `protoc-bin-vendored` carries, found by the small crate beside this script.
set -eu

here=$(cd "$(dirname "$0")" && pwd)

installed=$(command -v protoc 2>/dev/null || true)
if [ -n "$installed" ]; then
    for include in /usr/include /usr/local/include; do
        if [ -f "$include/google/protobuf/empty.proto" ]; then
            exec "$installed" "$@"
        fi
    done
fi

# Its own target directory: the outer cargo holds the lock on the usual one.
target="${CARGO_TARGET_DIR:-$here/../target}/protoc"
mkdir -p "$target"
binary="$target/release/vendored-protoc"
if [ ! -x "$binary" ]; then
    # Cargo runs build scripts with variables meant for the outer build; the helper is built without them.
    env -u RUSTFLAGS -u CARGO_ENCODED_RUSTFLAGS -u CARGO_BUILD_TARGET -u RUSTC_WRAPPER -u RUSTC_WORKSPACE_WRAPPER \
        "${CARGO:-cargo}" build --quiet --release --locked \
        --manifest-path "$here/protoc/Cargo.toml" --target-dir "$target" >&2
fi
exec "$binary" "$@"
