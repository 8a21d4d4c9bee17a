# For tests of the executables to source, after tap.bash: starting jobs, ending them, and what they print and leave behind.
#
# Jobs run in an empty folder that is also their HOME and TMPDIR, and carry a mark in their environment by which their
# processes are found again, whatever else runs on the machine. Whatever is left of them ends with the script.
#
# Where it may, the script begins anew in a mount namespace with a /dev/shm of its own: what lies there after a job is the job's,
# whatever other programs share on this machine.
if [[ -z ${own_shared_memory:-} ]]; then
  export own_shared_memory=no
  if unshare --mount mount -t tmpfs -o mode=1777 none /dev/shm 2>/dev/null; then
    own_shared_memory=yes
    # shellcheck disable=SC2016 # The inner shell expands it.
    exec unshare --mount bash -c 'mount -t tmpfs -o mode=1777 none /dev/shm && exec "$@"' - \
      "$(cd "$OLDPWD" && realpath "$0")" "$@" # The script has left the folder that $0 may be relative to.
  fi
fi

# shellcheck disable=SC2034 # Not every script uses both.
readonly allreduce=$PWD/.build/release/rdma-allreduce verbena=$PWD/.build/release/verbena
# What only a hang takes; the emulated guest on a busy machine is some 50 times slower than an idle machine.
readonly job_seconds=200
# The promise: how long survivors of a killed rank may go on.
verdict_milliseconds=5000

work=$(mktemp -d)
readonly work folder=$work/folder mark=TEST_JOB=$$.$RANDOM
mkdir "$folder"
trap end_jobs EXIT

# This script's own launcher is not the jobs' one.
for name in $(compgen -e); do
  case $name in
    SLURM_CONF) ;; # It tells of a cluster, not of a job.
    RANK | *_RANK | WORLD_SIZE | LOCAL_* | MASTER_* | OMPI_* | PMI* | MPI_* | I_MPI_* | MLX_* | SLURM_* | TORCHELASTIC_* | VERBENA_*) unset "$name" ;;
  esac
done

end_jobs() {
  local process
  for process in $(processes_with); do kill -KILL "$process" 2>/dev/null; done
  rm -rf "$work"
}

# Starts a command, with VARIABLE=VALUE before it or without; its number is in `started`, its output in $work/NAME.out and .err.
start() {
  local name=$1
  shift
  : >"$work/$name.out"
  timeout --foreground --kill-after=5 "$job_seconds" env --chdir="$folder" --default-signal=INT,QUIT \
    "$mark" HOME="$folder" TMPDIR="$folder" "$@" >"$work/$name.out" 2>"$work/$name.err" </dev/null &
  started=$!
}

# Runs a command; sets `status`.
run() {
  start "$@"
  status=0
  wait "$started" 2>/dev/null || status=$?
}

# Process numbers of our jobs whose environment has all the given entries. Zombies are not found: they have no environment.
processes_with() {
  local file entry
  grep -slzxF -- "$mark" /proc/[0-9]*/environ | while read -r file; do
    for entry; do grep -sqzxF -- "$entry" "$file" || continue 2; done
    basename "$(dirname "$file")"
  done
}

no_process() { [[ -z $(processes_with) ]]; }

# Asks again and again until the command succeeds; fails after so many seconds.
await() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < end)) || return 1
    sleep 0.1 # tidy: allow sleep-in-tests, because it paces a wait that has a deadline
  done
}

milliseconds() { echo $((${EPOCHREALTIME/[.,]/} / 1000)); }

# A port that was free a moment ago, as was the one after it: under torchrun, ours is that.
free_port() {
  python3 - <<'PROGRAM'
import socket
while True:
    with socket.socket() as one, socket.socket() as next:
        one.bind(("127.0.0.1", 0))
        try:
            next.bind(("127.0.0.1", one.getsockname()[1] + 1))
        except (OSError, OverflowError):
            continue
        print(one.getsockname()[1])
        break
PROGRAM
}

# Jobs that have ended left no process, no shared memory and no file.
nothing_left() {
  await 5 no_process
  expect "$1: no process is left" '' "$(processes_with)"
  if [[ $own_shared_memory == yes ]]; then
    expect "$1: no shared memory is left" '' "$(ls -A /dev/shm)"
  else
    skip "$1: no shared memory is left" 'a /dev/shm of its own (root that may mount)'
  fi
  expect "$1: no file is left" '' "$(ls -A "$folder")"
}

# Checks that NAME's job ended with this status and said one line on stderr, which matches the pattern.
one_line() {
  local name=$1 title=$2 want=$3 pattern=$4
  expect "$title: exit status" "$want" "$status"
  if [[ $(wc -l <"$work/$name.err") == 1 ]] && grep -qE -- "$pattern" "$work/$name.err"; then
    tap_result ok "$title: one line, with cause and remedy"
  else
    tap_result failed "$title: one line, with cause and remedy" "no single line like: $pattern"$'\n'"$(cat "$work/$name.err")"
  fi
}

# Runs a command that has to fail before it does anything.
refused() {
  local title=$1 want=$2 pattern=$3
  shift 3
  run refused "$@"
  one_line refused "$title" "$want" "$pattern"
  expect "$title: no other output" '' "$(cat "$work/refused.out")"
}

# Runs rdma-allreduce with R ranks on elements of TYPE with OPERATION, and expects these sizes, every element right. Of the options
# that follow, --collective and --root have a say in what is expected.
correct() {
  local title=$1 ranks=$2 type=$3 operation=$4 sizes=$5 word before='' collective=allreduce root=0
  shift 5
  for word; do
    case $before in
      --collective) collective=$word ;;
      --root) root=$word ;;
    esac
    before=$word
  done
  run correct "$allreduce" --ranks "$ranks" -d "$type" -o "$operation" "$@"
  expect "$title: exit status" 0 "$status"
  expect "$title: nothing on stderr" '' "$(cat "$work/correct.err")"
  expect "$title: the table" "$sizes" \
    "$(awk -v ranks="$ranks" -v collective="$collective" -v type="$type" -v operation="$operation" -v root="$root" \
      -f Tests/table.awk "$work/correct.out")"
}

# The processor time that a process has used, in ticks of 10 ms.
ticks_of() {
  local -a fields
  read -ra fields 2>/dev/null <"/proc/$1/stat" && echo $((fields[13] + fields[14]))
}

has_worked() { (($(ticks_of "$1" || echo 0) >= $2)); }

# Waits until the job NAME has printed its header and its rank of this number has since used so much processor time that it
# must be in the midst of a collective; sets `process`. If it does not come to that, this is a failed check.
await_collective() {
  local name=$1 rank=$2 ticks=$3
  process=
  if await "$job_seconds" grep -q '(elements)' "$work/$name.out"; then process=$(processes_with "RANK=$rank"); fi
  if [[ -n $process ]] && await "$job_seconds" has_worked "$process" $(($(ticks_of "$process") + ticks)); then return 0; fi
  tap_result failed "$name: the collective runs" "$(cat "$work/$name".*)"
  return 1
}

# A survivor's line: the rank, the operation, the cause as the rendezvous or the launcher knows it, never what a fabric concludes. The word may
# find a survivor between two operations.
verdict_on() { echo "^rdma-allreduce: rank $1: (after )?allreduce .*(ended without taking leave \(killed or crashed\)|was ended by signal 9)"; }

# How many different texts there are among the lines of rdma-allreduce in these files. Each rank names its own operation, and
# ranks may be one apart or just done with it, so its number and "after" do not count; nor does the launcher's own line on the signal.
texts_in() { cat "$@" | sed -nE '/^rdma-allreduce: rank [0-9]+ was ended by signal/d;/^rdma-allreduce: /{s/: after /: /;s/ #[0-9]+//;p}' | sort -u | wc -l; }

# SIGKILL of one of three ranks; options of rdma-allreduce follow. All of it ends in time, and everyone says why.
death_of() {
  local rank=$1 ticks=$2 title="SIGKILL of rank $1 of 3" killed status=0 launcher
  shift 2
  start death "$allreduce" --ranks 3 -n 100000 "$@"
  launcher=$started
  await_collective death "$rank" "$ticks" || return
  killed=$(milliseconds)
  kill -KILL "$process"
  wait "$launcher" || status=$?
  in_time "$title" "$killed"
  expect "$title: exit status" 1 "$status"
  expect "$title: each survivor names rank, operation and cause" 2 "$(grep -cE "$(verdict_on "$rank")" "$work/death.err")"
  expect "$title: in the same words" 1 "$(texts_in "$work/death.err")"
  expect "$title: and the launcher its signal, nobody more" 3 "$(wc -l <"$work/death.err")"
  nothing_left "$title"
}

# Less time than promised has passed since then.
in_time() {
  local passed=$(($(milliseconds) - $2))
  echo "# $1: over after $passed ms"
  check "$1: over in time" test "$passed" -le "$verdict_milliseconds"
}
