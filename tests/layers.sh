#!/bin/bash
# The include rule: an #include may only point left in  config <- engine <- connectors <- plugin,  inside engine as in
# the table below, and a foreign library is known only to the files that are meant to know it.
#     tests/layers.sh [ROOT]    prints FILE:LINE: what is wrong; exit 1 when there is any
set -euo pipefail
cd "${1:-$(dirname "$0")/..}"

# What a directory may include beside itself and system headers; config is open to all.  "engine" alone means the public
# headers that lie in engine/ itself.
rules='
config                -
engine                -
engine/math           engine
engine/state          engine
engine/model          engine engine/math
engine/forecast       engine engine/math engine/model
engine/detect         engine engine/math engine/model
engine/train          engine engine/math engine/model engine/forecast engine/detect
engine/flow           engine engine/math engine/model engine/forecast engine/detect engine/train engine/state
connectors/codec      engine
connectors/files      engine engine/flow connectors/codec
connectors/kafka      engine engine/flow connectors/codec
plugin                *
plugin/demo           *
plugin/examples       public
'
# Foreign headers, and the files that may include them.
foreign='
cblas\.h|openblas.*           ^engine/math/matmul\.c$
sqlite3\.h                    ^engine/state/(store_private\.h|store[a-z_]*\.c)$
xxhash\.h                     ^(engine/(state|train)/|connectors/(codec/category|files/(file_trace|line_reader))\.c$)
yaml\.h                       ^config/yaml\.c$
jansson\.h                    ^(connectors/codec/json_general\.c|connectors/kafka/kafka_written\.c|engine/model/safetensors[a-z_]*\.c|plugin/windows\.c)$
librdkafka/.*                 ^connectors/kafka/
zlib\.h                       ^connectors/files/
dlfcn\.h                      ^plugin/
'

# eddy_x.h is included flat: where it lies says whose it is.
public=$(find config engine plugin -maxdepth 1 -name 'eddy*.h' 2>/dev/null || true)
find config engine connectors plugin -name '*.[ch]' 2>/dev/null | LC_ALL=C sort |
    xargs -r grep -Hn '^[[:space:]]*#[[:space:]]*include' |
    awk -v rules="$rules" -v foreign="$foreign" -v public="$public" '
function directory(path) { return match(path, /\/[^\/]*$/) ? substr(path, 1, RSTART - 1) : "." }
function wrong(text) { printf "%s: %s\n", where, text; n_wrong++ }

# The directory that owns an included header; "" after a message.
function owner(header) {
    if (header in flat) return flat[header]
    if (header !~ /\//) {
        wrong("\"" header "\" is not a public header: write its path from the root")
        return ""
    }
    if (header ~ /^\.|\/\.\.?\//) {
        wrong("\"" header "\": write the path from the root")
        return ""
    }
    if (header ~ /\/eddy(_[a-z]+)?\.h$/) {
        wrong("\"" header "\" is public: include it flat, as programs outside do")
        return ""
    }
    return directory(header)
}

function check_own(header,    to) {
    to = owner(header)
    if (to == "") return
    if (!(from in may)) {
        wrong("directory " from " has no row in tests/layers.sh")
    } else if (may[from] ~ / public /) {
        if (!(header in flat)) wrong(from " shows what others can do: only public headers, not \"" header "\"")
    } else if (to != from && to != "config" && may[from] !~ / \* / && index(may[from], " " to " ") == 0) {
        wrong(from " must not know " to " (\"" header "\")")
    }
}

function check_foreign(header,    i) {
    for (i = 1; i <= n_foreign; i++)
        if (header ~ "^(" library[i] ")$" && file !~ home[i])
            wrong("<" header "> belongs to " home[i] " alone")
}

BEGIN {
    n = split(rules, line, "\n")
    for (i = 1; i <= n; i++) if (split(line[i], word, " ") > 1) {
        list = " "
        for (j = 2; j in word; j++) list = list word[j] " "
        may[word[1]] = list
        for (j in word) delete word[j]
    }
    n = split(foreign, line, "\n")
    for (i = 1; i <= n; i++) if (split(line[i], word, " ") == 2) { library[++n_foreign] = word[1]; home[n_foreign] = word[2] }
    n = split(public, line, "\n")
    for (i = 1; i <= n; i++) { header = line[i]; sub(/.*\//, "", header); flat[header] = directory(line[i]) }
}

{
    split($0, part, ":")
    file = part[1]; where = part[1] ":" part[2]; from = directory(file)
    if (match($0, /"[^"]+"/)) {
        header = substr($0, RSTART + 1, RLENGTH - 2)
        check_own(header)
    } else if (match($0, /<[^>]+>/)) {
        header = substr($0, RSTART + 1, RLENGTH - 2)
        check_foreign(header)
    } else {
        wrong("an #include that names no file")
        next
    }
    n_includes++
}

END {
    if (n_wrong) { printf "layers: %d wrong of %d includes\n", n_wrong, n_includes; exit 1 }
    if (!n_includes) { print "layers: nothing to check here"; exit 1 }
    printf "layers: %d includes point left\n", n_includes
}'
