#!/bin/bash
# Installs what is missing from Debian: tests/setup.sh [ci]
# "ci" adds what only the strict checks need.  Takes no time and no network when nothing is missing.
set -euo pipefail

# package          why
wanted="
gcc                to compile
libc6-dev          to compile
make               to compile
pkg-config         to find the libraries
librdkafka-dev     Kafka client
libopenblas-dev    matrix products of the training
libsqlite3-dev     state
libyaml-dev        configuration
libjansson-dev     JSON documents that are not flat
zlib1g-dev         .gz input
libxxhash-dev      checksums and hashes
libzstd-dev        compressed topics
libcriterion-dev   unit tests
kcat               tests against Kafka
python3            JSON in the tests of the program
maven              fetches Apache Kafka for the tests
"
wanted_ci="
git                the list of sources
clang              second compiler
clang-format       layout
libclang-rt-14-dev fuzzing
shellcheck         scripts
"
java_package=openjdk-17-jre-headless # Apache Kafka for the tests; not when a Java of 17 or later is there

installed() {
    [ "$(dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null)" = "ii " ]
}

java_is_missing() {
    local version
    version=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p') || true
    [ "${version:-0}" -lt 17 ]
}

# Prints "package<TAB>why" for each package that is not there.
missing() {
    local package why
    while read -r package why; do
        [ -z "$package" ] || installed "$package" || printf '%s\t%s\n' "$package" "$why"
    done <<<"$wanted${1:+$wanted_ci}"
    ! java_is_missing || printf '%s\t%s\n' "$java_package" "Apache Kafka for the tests"
}

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "This is not a Debian system: tests/setup.sh installs nothing here." >&2
    echo "eddy needs these packages (names as in Debian 12), or what they are called here:" >&2
    sed '/^$/d; s/^/  /' <<<"$wanted${1:+$wanted_ci}" >&2
    echo "  $java_package (Java 17 or later)" >&2
    [ -z "${EDDY_SETUP_DONE:-}" ] || exit 0
    echo "Set EDDY_SETUP_DONE=1 when they are installed." >&2
    exit 1
fi

list=$(missing "${1:-}")
[ -n "$list" ] || exit 0

sudo=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "setup: not root and no sudo: ask an administrator for" "$(cut -f1 <<<"$list" | tr '\n' ' ')" >&2
        exit 1
    fi
    sudo="sudo"
fi
echo "setup: installing with${sudo:+ sudo} apt-get:"
sed 's/^/  /; s/\t/: /' <<<"$list"
apt() {
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@" </dev/null
}
# shellcheck disable=SC2046 # one word per package is meant
apt update && apt install -y --no-install-recommends $(cut -f1 <<<"$list") >/dev/null
list=$(missing "${1:-}")
if [ -n "$list" ]; then
    echo "setup: still missing:" "$(cut -f1 <<<"$list" | tr '\n' ' ')" >&2
    exit 1
fi
