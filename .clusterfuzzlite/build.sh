#!/usr/bin/env bash
# Builds every fuzz target into $OUT, with its seeds and its dictionary. ClusterFuzzLite and OSS-Fuzz call it in their
# image, where cargo-fuzz is; `OUT=/tmp/out .clusterfuzzlite/build.sh` does the same anywhere.
set -euo pipefail
cd "$(dirname "$0")/.." && [ -d fuzz ] || cd "${SRC:?}/proactor"
# Its own flags of coverage are cargo-fuzz's business.
unset RUSTFLAGS CFLAGS CXXFLAGS
cargo fuzz build --release --sanitizer none
built=fuzz/target/$(rustc -vV | sed -n 's/^host: //p')/release
for target in $(cargo fuzz list); do
    # It is there to be found.
    [ "$target" = tour_forgetful ] && continue
    cp "$built/$target" "$OUT/"
    python3 -m zipfile -c "$OUT/${target}_seed_corpus.zip" fuzz/seeds/"$target"/*
    words=decisions
    [ "$target" = replay ] && words=replay
    cp "fuzz/$words.dict" "$OUT/$target.dict"
done
