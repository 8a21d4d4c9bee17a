# shellcheck shell=bash
# Runs a command in a guest under QEMU whose kernel has soft-RoCE. Sourced by tools/rxe.
#
# Nothing of a run lives in the file system: the request, the outputs and the control
# line travel through pipes and one unlinked file, all open in this process, and QEMU
# dies with this process. So even SIGKILL leaves nothing behind.

readonly boot_seconds=180
# The emulation may run an instruction that the other processor has just replaced, and so panic a kernel that switches
# its timers over. Seen once in some hundred boots; what happens after the command has begun is never tried again.
readonly most_boots=3
# How long a reader of our output may take nothing before the rest is dropped.
readonly drain_seconds=60
readonly console_lines=30
readonly vm_failure=125
readonly guest_cpus=2
readonly default_memory_mib=4096
readonly least_memory_mib=1024

# Prints what the VM lacks, one remedy a line; nothing when it can be used.
vm_obstacles() {
  local program
  if [[ $(uname -m) != x86_64 ]]; then
    echo "the guest needs an x86_64 machine, this is $(uname -m)"
    return
  fi
  for program in qemu-system-x86_64 busybox modprobe depmod cpio xz setpriv flock /bin/ip /bin/rdma; do
    command -v "$program" >/dev/null || {
      echo "$(basename "$program") is not installed: run tools/setup rxe"
      return
    }
  done
  if ldd "$(command -v busybox)" >/dev/null 2>&1; then
    echo 'busybox is not the static one: install busybox-static'
    return
  fi
  if ! cached_kernel >/dev/null && { ! command -v apt-get || ! command -v dpkg || ! kernel_package; } >/dev/null; then
    echo "no guest kernel is cached and apt knows none of ${kernel_meta_packages[*]}: run apt-get update as root"
  fi
}

# Quotes one string for a POSIX shell, whatever it holds.
quoted() { printf "'%s'" "${1//\'/\'\\\'\'}"; }

# Prints the request that guest-session reads.
guest_request() {
  local index word list=
  for index in "${!shares[@]}"; do list+="share$index ${shares[index]}"$'\n'; done
  printf 'hosts=%s\ndirectory=%s\nshares=%s\nset --' "$hosts" "$(quoted "$PWD")" "$(quoted "$list")"
  for word in "${environment[@]}" /usr/bin/setsid -- "$@"; do printf ' %s' "$(quoted "$word")"; done
  printf '\n'
}

# The least limit of memory, in KiB, of the control groups that we are in (version 1 or 2); nothing where there is none.
memory_limit_kib() {
  local controllers path root file limit least=
  while IFS=: read -r _ controllers path; do
    case $controllers in
      '') root=/sys/fs/cgroup file=memory.max ;;
      *memory*) root=/sys/fs/cgroup/memory file=memory.limit_in_bytes ;;
      *) continue ;;
    esac
    path=${path%/}
    while :; do
      # Neither `max` nor version 1's number near 2^63.
      if { read -r limit <"$root$path/$file"; } 2>/dev/null && [[ $limit =~ ^[0-9]{1,18}$ ]]; then
        if [[ -z $least ]] || ((limit < least)); then least=$limit; fi
      fi
      [[ -n $path ]] || break
      path=${path%/*}
    done
  done </proc/self/cgroup
  if [[ -n $least ]]; then printf '%s' $((least / 1024)); fi
}

guest_memory_mib() {
  if [[ -n $memory_mib ]]; then
    printf '%s' "$memory_mib"
    return
  fi
  awk -v most="$default_memory_mib" -v least="$least_memory_mib" -v limit="$(memory_limit_kib)" '
    $1 == "MemAvailable:" { mib = int((limit != "" && limit < $2 ? limit : $2) / 2048) }
    END { print (mib > most ? most : (mib < least ? least : mib)) }' /proc/meminfo
}

# Becomes QEMU. Its standard output is the control port; $1, $2, $3 and $4 are the
# descriptors of stdout, stderr, the console and the request.
become_qemu() {
  local out=$1 err=$2 console=$3 request=$4 index
  local -a accelerator=(-accel 'tcg,thread=multi' -cpu 'max,-pclmulqdq') folders=()
  # Emulated carry-less multiplication makes rxe's ICRC slower than a table does.
  if [[ ${VERBENA_RXE_KVM:-} == 1 ]]; then accelerator=(-accel kvm -cpu host); fi
  for index in "${!shares[@]}"; do
    folders+=(-fsdev "local,id=share$index,path=${shares[index]//,/,,},security_model=none,multidevs=remap"
      -device "virtio-9p-pci,fsdev=share$index,mount_tag=share$index")
  done
  exec setpriv --pdeathsig KILL qemu-system-x86_64 \
    -nodefaults -no-user-config -display none -no-reboot -machine pc "${accelerator[@]}" \
    -smp "$guest_cpus" -m "$(guest_memory_mib)M" \
    -kernel "$guest_kernel" -initrd "$guest_initramfs" \
    -append 'console=ttyS0 quiet loglevel=4 panic=-1 mitigations=off nokaslr random.trust_cpu=on' \
    -chardev "file,id=console,path=/proc/self/fd/$console" -serial chardev:console \
    -fw_cfg "name=opt/verbena/run,file=/proc/self/fd/$request" \
    -device virtio-serial-pci \
    -chardev "file,id=stdout,path=/proc/self/fd/$out" -device virtserialport,chardev=stdout,name=stdout \
    -chardev "file,id=stderr,path=/proc/self/fd/$err" -device virtserialport,chardev=stderr,name=stderr \
    -chardev 'file,id=control,path=/proc/self/fd/1' -device virtserialport,chardev=control,name=control \
    -fsdev 'local,id=host,path=/,security_model=none,readonly=on,multidevs=remap' \
    -device virtio-9p-pci,fsdev=host,mount_tag=host "${folders[@]}" \
    </dev/null 2>"/proc/self/fd/$console"
}

# Waits until the pump $1 has passed $2 bytes on, however slow its reader, as long as
# it makes progress or has gone.
drain_pump() {
  local pump=$1 expected=$2 written=0 before=-1 deadline=0
  while written=$(awk '$1 == "wchar:" { print $2 }' "/proc/$pump/io" 2>/dev/null); [[ -n $written ]]; do
    ((written < expected)) || return 0
    if ((written != before)); then deadline=$((SECONDS + drain_seconds)); fi
    if ((SECONDS > deadline)); then return 1; fi
    before=$written
    sleep 0.02
  done
}

vm_failed() {
  note "$1; the end of the guest's console:"
  # The stack of a panic says nothing here, and would push the cause out of sight.
  sed -e '/Call Trace:/,/<\/TASK>/d' -e 's/\r//g' -e 's/^/  | /' "/proc/$$/fd/$console" |
    tail -n "$console_lines" >&2
  return "$vm_failure"
}

# Takes "STATUS OUT ERR" from the guest; waits for the outputs and returns the status.
finish_output() {
  local guest_status bytes_out bytes_err
  if [[ ! $1 =~ ^([0-9]+)\ ([0-9]+)\ ([0-9]+)$ ]]; then
    vm_failed "the guest ended with '$1', which is not a status and two counts"
    return
  fi
  guest_status=${BASH_REMATCH[1]} bytes_out=${BASH_REMATCH[2]} bytes_err=${BASH_REMATCH[3]}
  if ! drain_pump "$pump_out" "$bytes_out" || ! drain_pump "$pump_err" "$bytes_err"; then
    note "nobody read the rest of the output for $drain_seconds s; it is dropped"
  fi
  return "$guest_status"
}

# Reads the control port until the command has ended and returns its status, or fails
# when the machine does. Sets booted to no where that was before the guest had spoken.
follow_guest() {
  local control=$1 word rest deadline=$((SECONDS + boot_seconds))
  local started=no
  booted=yes
  while :; do
    # A second at most, to see in time that a reader has gone.
    if read -r -t 1 word rest <&"$control"; then
      started=yes
      case $word in
        START)
          deadline=$((SECONDS + timeout_seconds))
          ;;
        EXIT)
          finish_output "$rest"
          return
          ;;
        FAIL) vm_failed "$rest"; return ;;
      esac
    elif (($? <= 128)); then
      booted=$started
      vm_failed 'the VM ended before the command did'
      return
    elif ! kill -0 "$pump_out" 2>/dev/null || ! kill -0 "$pump_err" 2>/dev/null; then
      # As for a command that runs here: whoever read the output has closed it.
      return $((128 + $(kill -l PIPE)))
    elif ((SECONDS >= deadline)); then
      if [[ $started == yes ]]; then
        note "the command did not end within $timeout_seconds s"
        return 124
      fi
      vm_failed "the VM did not boot within $boot_seconds s"
      return
    fi
  done
}

# Boots a guest, runs the command in it, and returns its status; sets booted.
run_guest() {
  local out err console request control scratch status=0
  scratch=$(mktemp) && exec {console}<>"$scratch" && rm "$scratch"
  scratch=$(mktemp) && exec {request}<>"$scratch" && rm "$scratch"
  guest_request "$@" >&"$request"
  # dd, because it writes what it reads at once and nothing else.
  exec {out}> >(exec dd bs=64k status=none)
  pump_out=$!
  exec {err}> >(exec {out}>&- && exec dd bs=64k status=none >&2)
  pump_err=$!
  exec {control}< <(become_qemu "$out" "$err" "$console" "$request")
  qemu=$!
  exec {out}>&- {err}>&- {request}>&-
  follow_guest "$control" || status=$?
  stop_vm
  exec {console}>&- {control}<&-
  return "$status"
}

# Runs the command in a guest and returns its status.
run_in_vm() {
  local booted status boot
  if ! prepare_kernel; then
    note 'soft-RoCE is not available: no guest kernel could be prepared'
    return "$unavailable"
  fi
  for ((boot = 1; ; boot++)); do
    status=0
    run_guest "$@" || status=$?
    if [[ $booted == yes ]] || ((boot == most_boots)); then return "$status"; fi
    note "the command had not begun, so the VM is started again ($((boot + 1)) of at most $most_boots times)"
  done
}

# Ends QEMU, then the pumps, which end by themselves when QEMU has closed their pipes.
stop_vm() {
  if [[ -n ${qemu:-} ]]; then
    kill -KILL "$qemu" 2>/dev/null
    wait "$qemu" "$pump_out" "$pump_err" 2>/dev/null
    qemu=
  fi
}
