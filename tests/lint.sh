#!/bin/bash
# Layout of every tracked C file and syntax of every tracked script.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
failed=0

if command -v clang-format >/dev/null; then
    git ls-files -z '*.c' '*.h' | xargs -0 -r clang-format --dry-run -Werror || failed=1
else
    echo "lint: clang-format is missing (tests/setup.sh ci installs it)" >&2
    failed=1
fi

scripts=$(git ls-files '*.sh' .ci/run)
for script in $scripts; do bash -n "$script" || failed=1; done
if command -v shellcheck >/dev/null; then
    # shellcheck disable=SC2086 # one word per script is meant
    shellcheck -x -S warning -e SC2115,SC2120 $scripts || failed=1
elif [ -n "${CI:-}" ]; then
    echo "lint: shellcheck is missing (tests/setup.sh ci installs it)" >&2
    failed=1
fi
exit $failed
