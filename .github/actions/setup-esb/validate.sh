#!/usr/bin/env bash
# Validates templates, and leaves what was found for the upload as SARIF.
set -uo pipefail

templates=()
while IFS= read -r template; do
    template="${template%$'\r'}"
    if [[ -n "${template//[[:space:]]/}" ]]; then
        templates+=(--template "$template")
    fi
done <<< "${TEMPLATES:-}"

sarif="$RUNNER_TEMP/esb.sarif"
esb validate --deny warnings --format sarif ${templates[@]+"${templates[@]}"} > "$sarif"
status=$?
# A run that could not begin has no results: an upload would close those of the run before.
if [[ -s "$sarif" ]] && ! grep -q '"toolExecutionNotifications": \[' "$sarif"; then
    echo "sarif=$sarif" >> "$GITHUB_OUTPUT"
fi
exit "$status"
