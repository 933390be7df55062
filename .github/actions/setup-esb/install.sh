#!/usr/bin/env bash
# Downloads a release of esb, verifies its sum, and puts it on the search path of the job.
set -euo pipefail

case "$(uname -m)" in
    x86_64 | amd64) target=x86_64-unknown-linux-musl ;;
    aarch64 | arm64) target=aarch64-unknown-linux-musl ;;
    *)
        echo "::error::esb has no program for $(uname -m)"
        exit 1
        ;;
esac

name="esb-$ESB_VERSION-$target"
folder="${RUNNER_TOOL_CACHE:-$RUNNER_TEMP}/esb/$ESB_VERSION"
cache="${ESB_CACHE_DIR:-$RUNNER_TEMP/esb-cache}"

# A token is given to curl on its stdin, where no other process of the machine can read it.
fetch() {
    printf '%s' "${ESB_TOKEN:+header = \"Authorization: Bearer $ESB_TOKEN\"}" |
        curl --config - --fail --silent --show-error --location --retry 3 --output "$2" \
            "${ESB_RELEASES%/}/$ESB_VERSION/$1"
}

if [[ ! -x "$folder/esb" ]]; then
    work="$(mktemp -d "$RUNNER_TEMP/esb.XXXXXX")"
    trap 'rm -rf "$work"' EXIT
    fetch SHA256SUMS "$work/SHA256SUMS"
    fetch "$name.tar.gz" "$work/$name.tar.gz"
    if ! (cd "$work" && grep -F "  $name.tar.gz" SHA256SUMS | sha256sum --check --status --strict); then
        echo "::error::the sum of $name.tar.gz is not the one in SHA256SUMS"
        exit 1
    fi
    mkdir -p "$folder"
    tar -xzf "$work/$name.tar.gz" -C "$work"
    # By a rename: jobs beside this one find the whole program or none.
    cp "$work/$name/esb" "$folder/.esb.$$"
    mv "$folder/.esb.$$" "$folder/esb"
fi

"$folder/esb" version
echo "$folder" >> "$GITHUB_PATH"
echo "ESB_CACHE_DIR=$cache" >> "$GITHUB_ENV"
{
    echo "path=$folder"
    echo "cache=$cache"
} >> "$GITHUB_OUTPUT"
