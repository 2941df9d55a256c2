#!/bin/bash
# What protects the process and its secrets: how the program is linked, who may read its files and its memory, and that no
# command shows a password.
# shellcheck source=tests/flow/lib.sh
source "$(dirname "$0")/lib.sh"

# ---- the program and the library ----
case $EDDY in
*/asan/*) skip "how the program is linked: this one is built for sanitizers" ;;
*)
    for file in "$EDDY" "$(dirname "$EDDY")/libeddy.so"; do
        name=$(basename "$file")
        readelf -hldW "$file" >"$scratch/elf" 2>/dev/null
        check "$name: at a place that changes (PIE)" grep -q 'Type: *DYN' "$scratch/elf"
        check "$name: its tables are read-only once it runs" grep -q GNU_RELRO "$scratch/elf"
        check "$name: all names are resolved at the start" grep -qE 'BIND_NOW|FLAGS_1.*NOW' "$scratch/elf"
        check "$name: no stack is executable" bash -c "grep GNU_STACK '$scratch/elf' | grep -q 'RW ' && ! grep GNU_STACK '$scratch/elf' | grep -q RWE"
        check "$name: no memory is writable and executable" bash -c "! grep LOAD '$scratch/elf' | grep -q RWE"
        readelf --dyn-syms -W "$file" >"$scratch/symbols" 2>/dev/null
        check "$name: stacks have guards" grep -q __stack_chk_fail "$scratch/symbols"
        check "$name: copies are checked" grep -q '__memcpy_chk\|__snprintf_chk\|__vsnprintf_chk' "$scratch/symbols"
    done
    ;;
esac

# ---- files and memory ----
series 300 3 >"$scratch/in.jsonl"
config "$scratch/flow.yml"
(umask 0 && timeout 60 "$EDDY" run "$scratch/flow.yml" >/dev/null 2>"$scratch/err")
check "whatever the umask, only the owner reads the state" bash -c \
    "[ -n \"\$(ls -A '$scratch/state')\" ] && [ -z \"\$(find '$scratch/state' -perm /077)\" ]"

# limits_of VARIABLE...: the size of core dumps that a running eddy with these variables may write.
limits_of() {
    local feed
    mkfifo "$scratch/feed"
    env "$@" "$EDDY" filter "$scratch/flow.yml" <"$scratch/feed" >/dev/null 2>&1 &
    local pid=$!
    exec {feed}>"$scratch/feed"
    for _ in $(seq 100); do [ "$(cat /proc/$pid/comm 2>/dev/null)" = eddy ] && break; sleep 0.05; done
    sleep 0.2
    awk '/core file size/ { print $5 }' /proc/$pid/limits
    exec {feed}>&-
    wait $pid
    rm "$scratch/feed"
}
check "no core dump is written" test "$(ulimit -c 100 2>/dev/null; limits_of A=b)" = 0
# The sanitizers themselves forbid core dumps.
[[ $EDDY == */asan/* ]] || check "unless EDDY_ALLOW_CORE=1" test "$(ulimit -S -c 100 2>/dev/null; limits_of EDDY_ALLOW_CORE=1)" != 0

printf 'planted-file-51ab\n' >"$scratch/password"
chmod 644 "$scratch/password"
cat >"$scratch/kafka.yml" <<YAML
name: planted
source:
  kafka:
    topics: [a]
    connect_timeout: 2s
    properties:
      bootstrap.servers: localhost:1
      security.protocol: sasl_ssl
      sasl.mechanisms: PLAIN
      sasl.username: u
      sasl.password: "\${file:$scratch/password}"
      ssl.key.password: "\${PLANTED}"
sink: {kafka: {topic: b, properties: {bootstrap.servers: localhost:1, sasl.password: planted-plain-77c1}}}
codec: {json: {key: key, time: ts, time_unit: s}}
forecast: {horizons: [1], network: {layers: [{gru: {units: 4}}]}}
state: {path: $scratch/planted}
YAML
export PLANTED=planted-environment-09fe
run check "$scratch/kafka.yml"
expect 0 "a file of secrets that everybody may read is named" "others may read it" "chmod go="
chmod 640 "$scratch/password"
run check "$scratch/kafka.yml"
expect 0 "and one that its owner's group may read" "its group may read it (mode 640)"
chmod 600 "$scratch/password"
run check "$scratch/kafka.yml"
check "and one that only its owner reads is not" bash -c "! grep -q 'secret_file' '$scratch/err'"

# ---- what it writes ----
config "$scratch/file.yml"
(umask 000 && run run "$scratch/file.yml")
check "what the daemon writes is not everybody's, whatever the umask" \
    test "$(stat -c %a "$scratch/scored.jsonl")" = 640

# ---- a planted password, through every command ----
mkdir "$scratch/said"
n=0
planted() {
    n=$((n + 1))
    timeout 20 "$EDDY" "$@" >"$scratch/said/$n.out" 2>"$scratch/said/$n.err" <"$scratch/in.jsonl" || true
}
k=$scratch/kafka.yml said=$scratch/said
planted check "$k" --json
planted check "$k" --connect
planted check "$k" --set source.kafka.properties.no.such.name=planted-set-4d
planted check "$k" --set source.kafka.properties.debug=all --connect
planted estimate "$k" --keys 1000
planted options kafka
planted train "$k" --input "$scratch/in.jsonl" --epochs 1
planted replay "$k" --input "$scratch/in.jsonl" --output "$said/r.jsonl" --metrics "$said/m.json" --report "$said/r.html"
planted replay "$k" --from earliest
planted filter "$k"
planted run "$k"
for what in list verify hash "show k1" "export $said/state.json" "forget k1"; do
    # shellcheck disable=SC2086 # words
    planted state "$k" $what
done
for what in list summary show "export $said/model.safetensors" "diff 0 1" "promote 0" "rollback"; do
    # shellcheck disable=SC2086 # words
    planted model "$k" $what
done
planted reset "$k" --to-earliest
planted version
for command in $("$EDDY" help | awk '/^Commands:/ { on = 1; next } on && /^  [a-z]/ { print $1 } on && /^$/ { exit }'); do
    case $command in
    help | demo) ;; # take no configuration
    *) grep -q "^ *planted $command\b" "$0" || not_ok "a password is planted for $command too" ;;
    esac
done
check "the commands were run" test "$(find "$scratch/said" -size +0 | wc -l)" -gt 20
check "no command shows a password, nor does a file of the state" bash -c \
    "! grep -ral 'planted-[fep]' '$scratch/said' '$scratch/planted' | grep ."
finish
