# shellcheck shell=bash
# Runs a command on this machine's own soft-RoCE. Sourced by tools/rxe.
#
# The machine is touched only by a veth pair and an rxe link that are made and removed
# here. Several hosts would need policy routing for the whole machine, which is never
# done to a real one: that is what the VM is for.

readonly native_netdev=verbena-h1
readonly native_peer=verbena-p1
readonly native_device=rxe1
readonly active_tries=50
readonly native_lock=/tmp/verbena-rxe.lock
readonly native_lock_seconds=600
readonly native_kill_seconds=5

# Runs a command as root, without ever asking for a password.
as_root() {
  if ((EUID == 0)); then "$@"; else sudo -n "$@"; fi
}

remove_native_device() { as_root /bin/ip link del "$1" 2>/dev/null || true; }

# Makes the veth pair $1/$2 with the address $4 (or none) and the rxe device $3 on it.
add_native_device() {
  local netdev=$1 peer=$2 device=$3 address=$4 try
  as_root /bin/ip link add "$netdev" mtu 9000 type veth peer name "$peer" mtu 9000 || return 1
  as_root /bin/ip link set "$peer" up || return 1
  as_root /bin/ip link set "$netdev" up || return 1
  if [[ -n $address ]]; then as_root /bin/ip address add "$address" dev "$netdev" || return 1; fi
  as_root /bin/rdma link add "$device" type rxe netdev "$netdev" || return 1
  for ((try = 0; try < active_tries; try++)); do
    if grep -q ACTIVE "/sys/class/infiniband/$device/ports/1/state" 2>/dev/null; then return 0; fi
    sleep 0.1
  done
  echo "$device did not become ACTIVE"
  return 1
}

# Prints what the native way lacks; nothing when it can be used. It really makes and
# removes a device, because a module's presence proves little.
native_obstacles() {
  local message probe_device=verbena-probe$$ probe=vbprobe$$
  if ((EUID != 0)) && ! sudo -n true 2>/dev/null; then
    echo 'adding an rxe device needs root or a sudo that asks no password'
    return
  fi
  if [[ ! -x /bin/ip || ! -x /bin/rdma ]]; then
    echo 'iproute2 is not installed: run tools/setup rxe'
    return
  fi
  if [[ ! -d /sys/module/rdma_rxe || ! -d /sys/module/rdma_ucm ]]; then
    message=$(as_root modprobe -a rdma_rxe rdma_ucm 2>&1) || {
      echo "kernel $(uname -r) has no rdma_rxe module (on Ubuntu: apt-get install linux-modules-extra-$(uname -r))"
      return
    }
  fi
  message=$(add_native_device "$probe" "${probe}p" "$probe_device" '' 2>&1) ||
    echo "an rxe device cannot be made: $(tail -n 1 <<<"$message")"
  remove_native_device "$probe"
}

# Runs the command and returns its status.
run_natively() {
  local lock status=0 message
  if ((hosts > 0)); then
    exec {lock}>>"$native_lock"
    chmod 666 "$native_lock" 2>/dev/null || true
    if ! flock -w "$native_lock_seconds" "$lock"; then
      note "another native run has held $native_lock for $native_lock_seconds s"
      return "$vm_failure"
    fi
    if [[ -e /sys/class/infiniband/$native_device && ! -e /sys/class/net/$native_netdev ]]; then
      note "a device named $native_device exists already: remove it (rdma link del $native_device), or set VERBENA_RXE=vm"
      return "$vm_failure"
    fi
    remove_native_device "$native_netdev" # Left by a run that was killed.
    native_made=yes
    # A single address, so that no route of this machine changes.
    if ! message=$(add_native_device "$native_netdev" "$native_peer" "$native_device" 10.10.0.1/32 2>&1); then
      stop_native
      note "cannot make the rxe device: $message"
      return "$vm_failure"
    fi
  fi
  as_root prlimit --pid $$ --memlock=unlimited:unlimited 2>/dev/null ||
    note "the limit of locked memory stays at $(ulimit -l) KiB"
  # timeout gives the command a process group, so that its children end with it; each
  # of the two setpriv passes this shell's death on.
  setpriv --pdeathsig TERM timeout --kill-after="$native_kill_seconds" "$timeout_seconds" \
    /usr/bin/env -i "${environment[@]}" /usr/bin/setpriv --pdeathsig KILL -- "$@" </dev/null &
  native_command=$!
  wait "$native_command" || status=$?
  native_command=
  stop_native
  return "$status"
}

stop_native() {
  if [[ -n ${native_command:-} ]]; then
    kill -TERM "$native_command" 2>/dev/null
    wait "$native_command" 2>/dev/null
    native_command=
  fi
  if [[ -n ${native_made:-} ]]; then
    remove_native_device "$native_netdev"
    native_made=
  fi
}
