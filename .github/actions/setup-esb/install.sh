#!/usr/bin/env bash
# Downloads a release of esb, verifies its sum, and puts it on the search path of the job.
set -euo pipefail

# Ends with an error that GitHub shows with the run.
fail() {
    local text="${1//'%'/%25}"
    text="${text//$'\r'/%0D}"
    printf '::error title=esb::%s\n' "${text//$'\n'/%0A}"
    exit 1
}

number='[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?'
version="${ESB_VERSION#v}"
[[ "$version" == latest || "$version" =~ ^$number$ ]] ||
    fail "\`version: $ESB_VERSION\` is no version; it is one such as \`0.1.0\`, or \`latest\`"
releases="${ESB_RELEASES%/}"
[[ "$releases" =~ ^https?://[^/@?#[:space:]\"\\]+(/[^?#[:space:]\"\\]*)?$ ]] ||
    fail "\`releases\` is no address that begins with \`https://\` and has no password, \`?\` or \`#\`"
token="${ESB_TOKEN:-}"
[[ "$token" =~ ^[[:graph:]]*$ && "$token" != *[\"\\]* ]] ||
    fail "\`token\` holds a space, a quote, a backslash or a line break"

[[ "$(uname -s)" == Linux ]] || fail "esb has no program for $(uname -s); run the job on Linux"
case "$(uname -m)" in
    x86_64 | amd64) target=x86_64-unknown-linux-musl ;;
    aarch64 | arm64) target=aarch64-unknown-linux-musl ;;
    *) fail "esb has no program for $(uname -m); it has one for x86_64 and one for aarch64" ;;
esac
for program in curl sha256sum tar gzip; do
    command -v "$program" > /dev/null || fail "\`$program\` is missing; install it in an earlier step"
done

cache="${ESB_CACHE_DIR:-${RUNNER_TEMP:-}/esb-cache}"
[[ "$cache" != *[$'\r\n']* ]] || fail "\`ESB_CACHE_DIR\` holds a line break"
work="$(mktemp -d "${RUNNER_TEMP:-/nowhere}/esb.XXXXXX" 2> /dev/null)" ||
    fail "\`RUNNER_TEMP\` names no folder to write in"
trap 'rm -rf "$work"' EXIT

# Downloads an address to a file. What is said to curl on its stdin is no argument that other
# processes of the machine could read.
fetch() {
    local status redirects='=https'
    [[ "$1" == https:* ]] || redirects='=http,https'
    status="$(
        {
            printf 'url = "%s"\n' "$1"
            [[ -z "$token" ]] || printf 'header = "Authorization: Bearer %s"\n' "$token"
        } | curl --config - --globoff --silent --show-error --location --proto '=http,https' \
            --proto-redir "$redirects" --retry 3 --connect-timeout 20 --speed-limit 1 --speed-time 60 \
            --output "$2" --write-out '%{http_code}' 2> "$work/said"
    )" || fail "cannot download $1: $(tail -n 1 "$work/said")"
    case "$status" in
        200) ;;
        401 | 403) fail "no access to $1 (HTTP $status); \`token\` has to be one for this address" ;;
        404) fail "$1 is not there (HTTP 404); \`version\` says which release, \`releases\` where" ;;
        *) fail "cannot download $1: HTTP $status" ;;
    esac
}

# The name of a file as a line of SHA256SUMS has it: perhaps marked as binary, in this folder, or before a
# line end of Windows.
plain() {
    local file="${1#\*}"
    file="${file#./}"
    echo "${file%$'\r'}"
}

# The sum of a file, as the release gives it; nothing where it does not.
sum_of() {
    local sum file
    # The last line may lack its end.
    while read -r sum file || [[ -n "$sum" ]]; do
        if [[ "$(plain "$file")" == "$1" ]]; then
            echo "${sum,,}"
            return
        fi
    done < "$work/SHA256SUMS"
}

if [[ "$version" == latest ]]; then
    # GitHub has an address of its own for the newest release.
    newest="$releases/latest"
    [[ "$releases" != */releases/download ]] || newest="${releases%/download}/latest/download"
    fetch "$newest/SHA256SUMS" "$work/SHA256SUMS"
    while read -r sum file || [[ -n "$sum" ]]; do
        if [[ "$(plain "$file")" =~ ^esb-($number)-$target\.tar\.gz$ ]]; then
            version="${BASH_REMATCH[1]}"
        fi
    done < "$work/SHA256SUMS"
    [[ "$version" != latest ]] || fail "$newest/SHA256SUMS names no archive for $target"
fi

name="esb-$version-$target"
folder="${RUNNER_TOOL_CACHE:-$RUNNER_TEMP}/esb/$version/${target%%-*}"
# What the installed program says; nothing where it is not there or damaged.
said() { "$folder/esb" version 2> "$work/said" || true; }

if [[ "$(said)" != "esb $version "* ]]; then
    [[ -e "$work/SHA256SUMS" ]] || fetch "$releases/v$version/SHA256SUMS" "$work/SHA256SUMS"
    expected="$(sum_of "$name.tar.gz")"
    [[ -n "$expected" ]] || fail "$releases/v$version/SHA256SUMS does not name $name.tar.gz"
    fetch "$releases/v$version/$name.tar.gz" "$work/$name.tar.gz"
    sum="$(sha256sum < "$work/$name.tar.gz")"
    [[ "${sum%% *}" == "$expected" ]] ||
        fail "the sum of $name.tar.gz is ${sum%% *}, and SHA256SUMS says $expected; nothing was installed"
    tar -xzf "$work/$name.tar.gz" -C "$work" 2> "$work/said" ||
        fail "$name.tar.gz cannot be unpacked: $(tail -n 1 "$work/said")"
    [[ -f "$work/$name/esb" ]] || fail "$name.tar.gz has no \`$name/esb\`"
    new="$("$work/$name/esb" version 2> "$work/said")" ||
        fail "the program of $name.tar.gz does not run here: $(tail -n 1 "$work/said")"
    [[ "$new" == "esb $version "* ]] || fail "the program of $name.tar.gz is not of that version: $new"
    mkdir -p "$folder"
    # By a rename: jobs beside this one find the whole program or none.
    cp "$work/$name/esb" "$folder/.esb.$$"
    mv -f "$folder/.esb.$$" "$folder/esb"
fi
said

echo "$folder" >> "$GITHUB_PATH"
echo "ESB_CACHE_DIR=$cache" >> "$GITHUB_ENV"
{
    echo "version=$version"
    echo "path=$folder"
    echo "cache=$cache"
} >> "$GITHUB_OUTPUT"
