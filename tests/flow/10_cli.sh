#!/bin/bash
# The command line: help, usage errors, and every kind of wrong configuration named with file, line and option.
# shellcheck source=tests/flow/lib.sh
source "$(dirname "$0")/lib.sh"
good=$scratch/good.yml
config "$good"
series 10 2 >"$scratch/in.jsonl"

# ---- help and usage ----
run help
expect 0 "help lists every command" run replay filter demo check options estimate state model reset version
check "help goes to stdout" test -s "$scratch/out"
run
expect 2 "no command is a usage error"
check "a usage error leaves stdout empty" test ! -s "$scratch/out"
run rnu x.yml
expect 2 "an unknown command gets a proposal" 'did you mean "run"?'
run help replay
expect 0 "help COMMAND explains one" --input --metrics --set
run replay --help
expect 0 "COMMAND --help is the same" --input --metrics --set
run replay "$good" --inptu x
expect 2 "an unknown option gets a proposal" "did you mean --input?"
run replay "$good"
expect 2 "replay without an input says what it needs" "--input"
run replay "$good" --score-rows 2:1 --input x
expect 2 "rows that end before they begin are a usage error" "score-rows"
run run
expect 2 "a missing CONFIG is a usage error" "CONFIG"
run run "$good" extra
expect 2 "a word too many is a usage error" extra
run --version
expect 0 "--version names the libraries" eddy librdkafka sqlite openblas libyaml jansson kernel
run version --json
check "version --json is JSON" python3 -c "import json,sys; assert json.load(open('$scratch/out'))['eddy']"

# ---- wrong configurations ----
# wrong NAME TEXT... : the YAML on stdin is refused with 78, saying every TEXT and the file's name.
wrong() {
    local name=$1
    shift
    cat >"$scratch/wrong.yml"
    run check "$scratch/wrong.yml"
    expect 78 "$name" wrong.yml "$@"
}
head='name: x
source: {stdin: }
sink: {stdout: }'
wrong "broken YAML is named with its line" "wrong.yml:2" <<<'name: x
  source: [1, 2'
wrong "an unknown option is named with its line and a proposal" "wrong.yml:4" "forecast" "did you mean" <<<"$head
forcast: {horizons: [1]}"
wrong "a nested unknown option too" "wrong.yml:5" "train.evry" "every" <<<"$head
train:
  evry: 3"
wrong "a wrong type says what was expected" "wrong.yml:4" "train.every" <<<"$head
train: {every: often}"
wrong "a number out of range" "wrong.yml:4" "detect.threshold" <<<"$head
detect: {threshold: 7}"
wrong "a duration without a unit" "state.checkpoint" <<<"$head
state: {checkpoint: 10}"
wrong "an unknown part lists a proposal" "gruu" "gru" <<<"$head
forecast: {network: {layers: [{gruu: {units: 3}}]}}"
export EMPTY=
for option in 'codec: {json: {key: ""}}' 'codec: {csv: {columns: [v], time: ""}}' 'forecast: {season: "${EMPTY}"}' \
    'state: {path: "${EMPTY}"}'; do
    wrong "a text that came out empty is no default: $option" "wrong.yml:4" "is empty" "default" <<<"$head
$option"
done
cat >"$scratch/no_instance.yml" <<<'name: x
source: {kafka: {topics: [a], instance_id: "", properties: {bootstrap.servers: "x:9092"}}}
sink: {kafka: {topic: b}}'
run check "$scratch/no_instance.yml"
expect 0 "where empty means off it may be written"
kafka_head='name: x
source: {kafka: {topics: [a, b], properties: {bootstrap.servers: "x:9092"}}}'
wrong "results into the topic that is read are refused" "wrong.yml:3: sink.kafka: b" "source.kafka.topics" <<<"$kafka_head
sink: {kafka: {topic: b}}"
wrong "dead letters too" "wrong.yml:4: errors.dead_letter.kafka: a" "source.kafka.topics" <<<"$kafka_head
sink: {kafka: {topic: c}}
errors: {dead_letter: {kafka: {topic: a}}}"
wrong "and incidents" "wrong.yml:4: detect.incidents.sink.kafka: a" "source.kafka.topics" <<<"$kafka_head
sink: {kafka: {topic: c}}
detect: {incidents: {sink: {kafka: {topic: a}}}}"
wrong "and what would be written among states" "wrong.yml:3: sink.kafka: c" "state.topic" <<<"${kafka_head/a, b/a}
sink: {kafka: {topic: c}}
state: {topic: c}"
cat >"$scratch/mirror.yml" <<<"$kafka_head
sink: {kafka: {topic: a, properties: {bootstrap.servers: \"y:9092\"}}}"
run check "$scratch/mirror.yml"
expect 0 "a topic of the same name on another cluster is another topic"
wrong "a missing source is named" "source" <<<'name: x
sink: {stdout: }'
wrong "an empty file is refused" "name" </dev/null
head -c 300 /dev/urandom >"$scratch/garbage.yml"
run check "$scratch/garbage.yml"
expect 78 "binary garbage is refused" garbage.yml
wrong "an option that is not built is unknown" "threads" <<<"$head
threads: 4"
wrong "several errors come in one go" "wrong.yml:4" "wrong.yml:5" "wrong.yml:6" <<<"$head
lat: fold
train: {every: x}
detect: {treshold: 1}"
run check "$good" --set 'detect.detectors=[{exceedance: {windows: [65], decades: 0}}]'
expect 78 "a detector's options have ranges" "exceedance.windows" "1 .. 64" "exceedance.decades" "0.5 .. 18"
run check "$good" --set 'detect.detectors=[{exceedance: {windows: [1-9]}}]'
expect 78 "a detector has so many windows at most" "windows: there may be 8 at most, not 9"
run check "$good" --set 'detect.detectors=[{committee: {member_limits: {stukc: 2}}}]'
expect 78 "an unknown member has no limit" "member_limits.stukc" "stuck"
run check "$good" --set 'forecast.experts=[persistence, {fleet: {garrote: -1, forgeting: 0.9}}]'
expect 78 "an expert's options have names and ranges" "fleet.garrote" "forgeting" "forgetting"
run check "$good" --set 'forecast.mix={ridge: -1, jump: 0, stack_strat: 1}'
expect 78 "a mix's options have names and ranges" "mix.ridge" "mix.jump" "stack_strat" "stack_start"
run check "$good" --set 'forecast.band_scale_rate=2'
expect 78 "a rate is no more than 1" "band_scale_rate"
run check "$scratch/nowhere.yml"
expect 78 "a missing configuration is named" nowhere.yml "No such file"
run check "$good" --set train.evry=3
expect 78 "a bad --set is named" "--set" "evry"
run check "$good" --set train.every=x
expect 78 "a bad value of --set is named" "--set" "train.every"
run check "$good" --set nonsense
expect 78 "a --set without = is named" "--set" "without ="
run check "$good" --set plugins=[nothing.so]
expect 78 "a plugin without a path is refused" "nothing.so" "slash"
run check "$good" --set plugins=[/nowhere/x.so]
expect 78 "a plugin that is not there is named" "/nowhere/x.so"
wrong "properties that load code are refused" "plugin.library.paths" <<<"name: x
source: {kafka: {topics: [a], properties: {bootstrap.servers: 'localhost:1', plugin.library.paths: /x.so}}}
sink: {stdout: }"
wrong "a secret is not repeated in an error" "sasl.pasword" <<<"name: x
source: {kafka: {topics: [a], properties: {bootstrap.servers: 'localhost:1', sasl.pasword: hunter2}}}
sink: {stdout: }"
check "and stays out of the text" bash -c "! grep -q hunter2 '$scratch/err' '$scratch/out'"

# ---- the harmless commands ----
run check "$good"
expect 0 "check explains topology, parts and sizes" "pipeline   flow" gru "per key" exceedance
run check "$good" --json --set train.every=9 --values a,b
check "check --json tells a program the same" python3 - "$scratch/out" <<'PYTHON'
import json, sys
c = json.load(open(sys.argv[1]))
assert c["pipeline"] == "flow" and c["source"] == {"part": "file"} and c["sink"] == {"part": "file"}
assert c["codec"] == "json" and c["dead_letter"] is None and c["tolerance"] == "all"
assert c["horizons"] == [1, 3] and c["scope"] == "shared" and c["values"] == ["a", "b"]
assert c["detect"] == {"threshold": 0.4, "warmup": 50, "detectors": ["exceedance"]}
assert c["train"] == {"mode": "inline", "window": 16, "every": 9} and c["state"]["checkpoint_seconds"] == 10
assert c["resident_bytes_per_key"] > 100 and c["parameters"] > 100
PYTHON
run check "$good" --json
check "without known values they are null" python3 -c "import json; assert json.load(open('$scratch/out'))['values'] is None"
run check "$good" --json --values a,a
expect 1 "what fails leaves no half a document" a
check "stdout stays empty then" test ! -s "$scratch/out"
run check "$good" --json --print
expect 2 "--json and --print exclude each other" "not both"
run check "$good" --print --set train.every=9
expect 0 "check --print writes the effective configuration" "every: 9"
run estimate "$good" --keys 1000000
expect 0 "estimate prints the formula" 1000000
run estimate "$good" --keys 1000 --values a,b --json
check "estimate --json adds up its sections" python3 - "$scratch/out" <<'PY'
import json, sys
e = json.load(open(sys.argv[1]))
assert e["values"] == 2 and e["keys"] == 1000
assert e["resident_bytes_per_key"] >= sum(s["bytes"] for s in e["sections"]) > 0
assert e["disk_bytes"] == 1000 * e["disk_bytes_per_key"]
PY
run estimate "$good" --keys 1000 --json --set detect.silence.keys=100 --set train.mode=background --set train.replay=1
check "estimate counts what a partition takes besides its keys" python3 - "$scratch/out" <<'PY'
import json, sys
e = json.load(open(sys.argv[1]))
assert 100 * (72 + 16) <= e["silence_bytes"] <= 100 * (96 + 16), e["silence_bytes"]
assert e["training_bytes"] > 512 * 4 * 48, e["training_bytes"]
PY
training_bytes() {
  run estimate "$good" --keys 1 --json --set train.mode=inline --set train.window=256 --set train.windows=32 --set "train.batch=$1"
  python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["training_bytes"])' "$scratch/out"
}
check "estimate counts the batch that is on its way through the network" test "$(training_bytes 32)" -gt "$((2 * $(training_bytes 1)))"
run estimate "$good" --keys 1000 --set 'codec={json: {}}'
expect 0 "estimate says when it does not know the values" "taken for 1"
run estimate "$good"
expect 2 "estimate needs --keys" --keys
run estimate "$good" --keys 1 --values a,,b
expect 1 "estimate refuses an empty name"
run model "$good" summary
expect 0 "model summary shows the layers" gru
run model "$good" repair
expect 2 "a model action that there is not is a usage error" repair
run model "$good" show nonsense
expect 2 "a version that is none is a usage error" nonsense
run options gru
expect 0 "options PART shows one part" units
run options --json
check "options --json is JSON" python3 -m json.tool "$scratch/out"
run options nonsense
expect 2 "options of an unknown part" nonsense
run options --markdown
expect 0 "options --markdown writes the reference"
check "config/OPTIONS.md is current (make options)" cmp "$scratch/out" config/OPTIONS.md
for sample in sensors prices forecast fleet; do
    run check config/$sample.yml
    expect 0 "config/$sample.yml is right as it is" "pipeline"
done

# ---- what an output that fails gets ----
if [ -w /dev/full ]; then
    rc=0
    "$EDDY" version >/dev/full 2>"$scratch/err" || rc=$?
    : >"$scratch/out"
    expect 1 "a full stdout is a failure" stdout
fi
run reset "$good" --to-earliest
expect 1 "reset is for Kafka sources" "Kafka"
run reset "$good"
expect 2 "reset needs a target" "--to-earliest"
finish
