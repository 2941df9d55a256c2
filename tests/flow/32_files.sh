#!/bin/bash
# What commands do to files: none destroys another, targets are tried first, closed streams lose nothing, and whose fault
# something was is said by name.
# shellcheck source=tests/flow/lib.sh
source "$(dirname "$0")/lib.sh"

conf=$scratch/flow.yml
config "$conf"
series 600 3 >"$scratch/in.jsonl"

# ---- no two files are one ----
cp "$conf" "$scratch/before.yml"
refused() { # NAME OPTION OTHER ARGS..
    local name=$1 option=$2 other=$3
    shift 3
    run replay "$conf" --input "$scratch/in.jsonl" "$@"
    expect 2 "$name" "$option" "$other"
}
refused "results and incidents want two files" --output --incidents --output "$scratch/z" --incidents "$scratch/z"
refused "so do results and dead letters" --output --dead-letter --output "$scratch/z" --dead-letter "$scratch/./z"
refused "and results and figures" --output --metrics --output "$scratch/z" --metrics "$scratch/z"
refused "and figures and the page" --metrics --report --metrics "$scratch/z" --report "$scratch/z"
check "and none of them was made" test ! -e "$scratch/z"
refused "figures do not go into the configuration" --metrics CONFIG --metrics "$conf"
ln -s "$conf" "$scratch/link"
refused "nor do results by another name" --output CONFIG --output "$scratch/link"
check "which is unchanged" cmp "$conf" "$scratch/before.yml"
echo '{}' >"$scratch/labels.json"
refused "nor does the page go into the labels" --labels --report --labels "$scratch/labels.json" --report "$scratch/labels.json"
refused "nor do results go into the model" --model --output --model "$scratch/labels.json" --output "$scratch/labels.json"
mkdir "$scratch/flow"
refused "nor into the state" --output state --state "$scratch" --output "$scratch/flow/z"
run replay "$conf" --input "$scratch/in.jsonl" --output /dev/null --metrics /dev/null
expect 0 "what goes nowhere may do so together"

both() { # NAME OPTION OTHER ARGS..: what run refuses is told by check before
    local name=$1 option=$2 other=$3
    shift 3
    run check "$conf" "$@"
    expect 78 "check: $name" "$option" "$other"
    run run "$conf" "$@"
    expect 78 "run: $name" "$option" "$other"
}
both "results do not go into the configuration" sink.file CONFIG --set sink.file.path="$conf"
both "nor into what is read" sink.file "$scratch/in.jsonl" --set sink.file.path="$scratch/in.jsonl"
both "nor into the directory of a state that is yet to be made" sink.file state \
    --set state.path="$scratch/yet/../yet//to" --set sink.file.path="$scratch/./yet/to/flow/z.jsonl"
check "nothing was made there" test ! -e "$scratch/yet"
mkdir "$scratch/base" && ln -s base "$scratch/alias"
both "by no other name" sink.file state \
    --set state.path="$scratch/alias/to" --set sink.file.path="$scratch/base/to/flow/z.jsonl"
run check "$conf" --set "source.file.paths=[$scratch/not-yet.jsonl]"
expect 0 "a check does without the files that are read"
run run "$conf" --set errors.dead_letter.file.path="$scratch/scored.jsonl"
expect 78 "run's dead letters do not go into its results" sink.file errors.dead_letter.file
run run "$conf" --set detect.incidents.sink.file.path="$scratch/scored.jsonl"
expect 78 "nor do its incidents" sink.file detect.incidents.sink.file
run run "$conf" --set sink.file.path="$conf"
expect 78 "nor its results into the configuration" sink.file CONFIG
check "which is unchanged still" cmp "$conf" "$scratch/before.yml"

# ---- closed streams ----
closed() { # HOW ARGS..: out and err are kept where they are open
    local how=$1
    shift
    rc=0
    : >"$scratch/out"
    case $how in
    in) timeout 60 "$EDDY" "$@" <&- >"$scratch/out" 2>"$scratch/err" || rc=$? ;;
    out) timeout 60 "$EDDY" "$@" <"$scratch/in.jsonl" >&- 2>"$scratch/err" || rc=$? ;;
    all) timeout 60 "$EDDY" "$@" <&- >&- 2>&- || rc=$? ;;
    esac
}
closed out filter "$conf"
expect 1 "a filter without a standard output fails" "standard output"
closed out replay "$conf" --input "$scratch/in.jsonl" --output -
expect 1 "so does a replay to it" "standard output"
sed "s|sink: .*|sink: {stdout: }|" "$conf" >"$scratch/stdout.yml"
closed out run "$scratch/stdout.yml" --set state.path="$scratch/state-closed"
expect 1 "and run" "standard output"
closed out version
expect 1 "and whatever is told there" stdout
closed in filter "$conf"
expect 0 "a filter without a standard input reads nothing"
check "and answers nothing" test ! -s "$scratch/out"
closed all run "$conf" --set state.path="$scratch/state-closed-2" --set sink.file.path="$scratch/closed.jsonl"
expect 0 "run needs none of the three"
check "and no result is lost" test "$(lines "$scratch/closed.jsonl")" -eq 600
if [ -w /dev/full ]; then
    rc=0
    "$EDDY" help >/dev/full 2>"$scratch/err" || rc=$?
    : >"$scratch/out"
    expect 1 "a help that could not be written is a failure" "No space left"
    rc=0
    "$EDDY" model "$conf" export - --values v --set "forecast.network.layers=[{gru: {units: 64}}]" --set state.path="$scratch/none" >/dev/full 2>"$scratch/err" || rc=$?
    expect 1 "where a write failed and the last one did not, no other call's reason is told" "not all could be written"
fi

# ---- bad lines ----
mkdir -p "$scratch/dd/sub"
{ echo ts,v && for i in $(seq 60); do echo "$((1700000000 + i)),$i"; done; } >"$scratch/dd/a.csv"
{ echo ts,v && echo nonsense,1 && echo 1700000100,2; } >"$scratch/dd/sub/b.csv"
run replay "$conf" --input "$scratch/dd" --time-unit s
expect 0 "a bad line is told by its file and line" "$scratch/dd/sub/b.csv:2: "
check "once" test "$(grep -c bad_record "$scratch/err")" -eq 1
run replay "$conf" --input "$scratch/dd" --time-unit s --set errors.tolerance=none
expect 1 "so it is where the first one stops" "$scratch/dd/sub/b.csv:2: "
run train "$conf" --input "$scratch/dd" --time-unit s --set train.epoch=16 --set train.window=4 --output "$scratch/t.safetensors" --epochs 1
expect 0 "and in training" "$scratch/dd/sub/b.csv:2: "
rc=0
printf '{"key":"a","ts":1,"v":1}\nnonsense\n' | "$EDDY" filter "$conf" >"$scratch/out" 2>"$scratch/err" || rc=$?
expect 0 "and in a filter" "stdin:2: "

# ---- model files ----
rm -rf "$scratch/state"
mkdir -p "$scratch/state/flow"
echo junk >"$scratch/state/flow/initial.safetensors"
for _ in 1 2; do run run "$conf"; done
expect 1 "a damaged model to start from ends run by name" "$scratch/state/flow/initial.safetensors"
check "and nothing is said of the state" test -z "$(grep state_corrupt "$scratch/err")"
check "nor set aside" test -z "$(find "$scratch/state" -name '*.corrupt-*')"
run replay "$conf" --input "$scratch/in.jsonl" --model "$scratch/dd/a.csv"
expect 1 "neither does a replay with a wrong file" "$scratch/dd/a.csv"
check "speak of state" test -z "$(grep state_corrupt "$scratch/err")"
rm "$scratch/state/flow/initial.safetensors"
run run "$conf"
expect 0 "without it run starts"

# ---- targets are tried before the work ----
run replay "$conf" --input "$scratch/in.jsonl" --output "$scratch/none.jsonl" --metrics "$scratch/nope/x"
expect 1 "figures that cannot be written end a replay before it begins" "--metrics: $scratch/nope/x" "No such file"
check "so there are no results" test ! -e "$scratch/none.jsonl"
run replay "$conf" --input "$scratch/in.jsonl" --output "$scratch/none.jsonl" --report "$scratch"
expect 1 "so does a page" "--report: $scratch" "Is a directory"
check "and again no results" test ! -e "$scratch/none.jsonl"
run train "$conf" --input "$scratch/in.jsonl" --output "$scratch/nope/t.safetensors"
expect 1 "training does not lose its epochs" "$scratch/nope/t.safetensors"
check "it did not begin" test ! -s "$scratch/out"
run demo --report "$scratch/nope/demo.html"
expect 1 "nor does the demo" "--report: $scratch/nope/demo.html"
check "which has told nothing yet" test ! -s "$scratch/out"

# ---- a link to a file that is not there yet ----
mkdir "$scratch/ln"
ln -s target.json "$scratch/ln/m.json"
run replay "$conf" --input "$scratch/in.jsonl" --metrics "$scratch/ln/m.json"
expect 0 "figures go where a link points to"
check "which is still a link" test -L "$scratch/ln/m.json"
check "to the figures" test -s "$scratch/ln/target.json"
ln -s m2.json "$scratch/ln/twice.json"
ln -s "$scratch/ln/far.json" "$scratch/ln/m2.json"
run replay "$conf" --input "$scratch/in.jsonl" --metrics "$scratch/ln/twice.json" --report "$scratch/nope/x"
expect 1 "a replay that does not begin"
check "leaves links as they are" test -L "$scratch/ln/twice.json" -a -L "$scratch/ln/m2.json"
check "and makes nothing behind them" test ! -e "$scratch/ln/far.json"
ln -s nope/m.json "$scratch/ln/lost.json"
run replay "$conf" --input "$scratch/in.jsonl" --metrics "$scratch/ln/lost.json" --output "$scratch/none.jsonl"
expect 1 "a link into no directory is told" "--metrics: $scratch/ln/lost.json: No such file"
check "before there are results" test ! -e "$scratch/none.jsonl"
ln -s loop.json "$scratch/ln/loop.json"
run replay "$conf" --input "$scratch/in.jsonl" --metrics "$scratch/ln/loop.json"
expect 1 "and one to itself" "--metrics: $scratch/ln/loop.json: Too many levels"

finish
