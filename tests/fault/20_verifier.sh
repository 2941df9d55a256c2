#!/bin/bash
# The verifier is worth as much as what it catches: deliberately broken variants of the pipeline (EDDY_BREAK), each of
# which it must call broken, for the right reason; and the unbroken one, which it must let pass.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
. tests/kafka/broker.sh
. tests/kafka/lib.sh
. tests/kafka/pipeline.sh
. tests/fault/lib.sh
pipeline_start
lab_input events 12000
lab_reference events || failed "the reference"

# run_once [VAR=VALUE]: a run without a crash, so that nothing may come twice under either guarantee.
run_once() {
    lab_start 1 "$@"
    SETTLE_S=3 lab_settled >/dev/null
    lab_stop
}
# run_killed FAILPOINT BREAK: the defect, a crash, and a sound program that goes on.
run_killed() {
    lab_start 1 "EDDY_FAILPOINT=$1" "EDDY_BREAK=$2"
    lab_died || { echo "it was not killed at $1"; return 1; }
    [ -e "$scratch/$input.hash" ] || { wait "$generator" && lab_reference "$input"; } || failed "the reference"
    run_once
}
# run_wiped BREAK: the state is lost, and what is rebuilt is not what it was.
run_wiped() {
    run_once
    rm -rf "$(lab_state)"
    run_once "EDDY_BREAK=$1"
}
# caught NAME PATTERN ONCE: the verifier finds fault, and says PATTERN.
says() {
    ! ONCE=$2 lab_exact >"$scratch/verdict" 2>&1 && grep -q "$1" "$scratch/verdict" && return
    cat "$scratch/verdict"
    return 1
}
caught() {
    trials=$((trials + 1))
    check "caught: $1" says "$2" "$3"
    violations=$n_failed
}

lab_trial sound events
run_once
ONCE=1 judge "an unbroken run passes" 1 lab_exact
for broken in "repeat_output:a repeated output" "drop_output:no output" "swap_outputs:an output out of order" \
    "drop_letter:no dead letter"; do
    lab_trial "${broken%%:*}" events
    run_once "EDDY_BREAK=$trial"
    caught "$trial" "${broken#*:}" 1
done
lab_trial skip_replay events
run_wiped skip_replay
caught "skip_replay: state that was not folded again" "^state" 1
lab_live checkpoint_ahead 12000 6000 # several checkpoints' worth, however fast the program is
sound_args=("${lab_args[@]}")
lab_args+=(--set source.kafka.properties.linger.ms=2000 # outputs wait in the program's queue for as long
    --set state.ahead=trust)                            # a sound program would refuse such a state
run_killed after_store_commit:4 checkpoint_ahead
lab_args=("${sound_args[@]}")
caught "checkpoint_ahead: state saved before its outputs were confirmed" "no output\|no dead letter" 0
lab_trial early_offset events
run_killed before_turn:4,kill:300 early_offset
caught "early_offset: offset committed before its outputs were sent" "no output" 0
row "broken variants, each caught by the verifier" $trials $violations
suite_end
