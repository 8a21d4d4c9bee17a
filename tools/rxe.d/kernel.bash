# shellcheck shell=bash
# The guest's kernel and initramfs, made from the distribution's own packages and
# kept in a cache. Sourced by tools/rxe.
#
# The cache:
#   kernels/VERSION/    vmlinuz and lib/modules of one kernel package
#   initramfs-HASH      busybox, guest-boot and the modules that it loads
#   lock                held while something is added
# Entries appear by rename, whole or not at all, so readers need no lock.

# The order matters only for the reader: dependencies are added by modprobe.
# rxe computes its ICRC through the crc32 shash; without it `rdma link add` says ENOENT.
readonly guest_modules=(
  qemu_fw_cfg virtio_pci virtio_console 9pnet_virtio 9p overlay
  crc32_generic rdma_rxe rdma_ucm ib_uverbs veth bridge sch_netem sch_tbf
)
# Meta-packages in order of preference; a concrete version is never named here.
readonly kernel_meta_packages=(linux-image-6.12-amd64 linux-image-amd64 linux-image-generic)
readonly cache_lock_seconds=600
readonly initramfs_days=7

cache_directory() {
  printf '%s/verbena/rxe' "${XDG_CACHE_HOME:-${HOME:-/var/tmp}/.cache}"
}

# Prints the newest cached kernel's folder; fails when there is none.
cached_kernel() {
  local newest
  newest=$(find "$(cache_directory)/kernels" -mindepth 1 -maxdepth 1 -type d ! -name '.*' 2>/dev/null |
    sort --version-sort | tail -n 1)
  [[ -n $newest ]] && printf '%s\n' "$newest"
}

# Prints the concrete image package behind the first known meta-package.
kernel_package() {
  local meta package
  for meta in "${kernel_meta_packages[@]}"; do
    package=$(apt-cache show --no-all-versions "$meta" 2>/dev/null |
      sed -n 's/^Depends:.*\(linux-image-[0-9][^ ,]*\).*/\1/p' | head -n 1)
    if [[ -n $package ]]; then
      printf '%s\n' "$package"
      return 0
    fi
  done
  return 1
}

# Prints the packages that together hold vmlinuz and the modules. Debian has one;
# Ubuntu splits the modules off.
kernel_packages() {
  local image=$1 release=${1#linux-image-} extra
  printf '%s\n' "$image"
  for extra in "linux-modules-$release" "linux-modules-extra-$release"; do
    if apt-cache show "$extra" >/dev/null 2>&1; then printf '%s\n' "$extra"; fi
  done
}

# Downloads and unpacks a kernel into the folder $1, and prints its release.
unpack_kernel() {
  local folder=$1 image release archive
  local -a packages
  if ! image=$(kernel_package); then
    note 'apt knows no kernel package; run "apt-get update" as root, then try again'
    return 1
  fi
  mapfile -t packages < <(kernel_packages "$image")
  note "fetching ${packages[*]} (about 110 MB, once)"
  mkdir -p "$folder/download" "$folder/root"
  if ! (cd "$folder/download" && apt-get -q -o APT::Sandbox::User="$(id -un)" download "${packages[@]}") \
    >"$folder/log" 2>&1; then
    note "apt-get download failed: $(tail -n 3 "$folder/log" | tr '\n' ' ')"
    return 1
  fi
  for archive in "$folder"/download/*.deb; do dpkg -x "$archive" "$folder/root" || return 1; done
  release=$(basename "$(echo "$folder"/root/boot/vmlinuz-*)" | sed 's/^vmlinuz-//')
  # Merged-usr packages carry /usr/lib/modules; depmod wants lib/modules.
  if [[ -d $folder/root/usr/lib/modules ]]; then mv "$folder/root/usr/lib" "$folder/root/lib"; fi
  depmod -b "$folder/root" "$release" || return 1
  mkdir -p "$folder/kernel/lib"
  mv "$folder/root/boot/vmlinuz-$release" "$folder/kernel/vmlinuz"
  mv "$folder/root/lib/modules" "$folder/kernel/lib/modules"
  printf '%s\n' "$release"
}

# Runs a function with the cache's lock held and cache_partial set to an empty folder
# in the cache, which is removed afterwards.
with_cache_lock() {
  local cache lock status=0
  cache=$(cache_directory)
  mkdir -p "$cache/kernels" || return 1
  exec {lock}>"$cache/lock"
  if ! flock -w "$cache_lock_seconds" "$lock"; then
    note "another tools/rxe has held $cache/lock for $cache_lock_seconds s"
    return 1
  fi
  # Only a holder of the lock makes these, so any that are here were abandoned.
  rm -rf "$cache"/.partial-*
  cache_partial=$(mktemp -d "$cache/.partial-XXXXXX") && "$@" || status=$?
  discard_partial
  exec {lock}>&-
  return "$status"
}

# Removes what an interrupted addition to the cache has made so far.
discard_partial() {
  if [[ -n ${cache_partial:-} ]]; then rm -rf "$cache_partial"; fi
  cache_partial=
}

add_kernel() {
  local release
  cached_kernel >/dev/null && return 0 # Another process was first.
  release=$(unpack_kernel "$cache_partial") || return 1
  mv "$cache_partial/kernel" "$(cache_directory)/kernels/$release"
}

# Prints the paths of the modules to load, in order, relative to the kernel's folder $1.
module_load_order() {
  local kernel=$1 release module
  release=$(basename "$kernel")
  for module in "${guest_modules[@]}"; do
    # Built-in modules print "builtin NAME".
    modprobe -S "$release" -d "$kernel" --show-depends "$module" || return 1
  done | awk -v prefix="$kernel/" '$1 == "insmod" && !seen[$2]++ { print substr($2, length(prefix) + 1) }'
}

copy_module() {
  case $1 in
    *.ko.xz) xz -dc "$1" ;;
    *.ko.zst) zstd -q -dc "$1" ;;
    *.ko.gz) gzip -dc "$1" ;;
    *) cat "$1" ;;
  esac >"$2"
}

# Builds the initramfs for the kernel folder $1 and moves it to $2.
add_initramfs() {
  local kernel=$1 target=$2 partial=$cache_partial module number=100
  [[ -e $target ]] && return 0 # Another process was first.
  mkdir -p "$partial"/root/{bin,modules,proc,sys,dev,lower,upper,newroot}
  cp "$(command -v busybox)" "$partial/root/bin/busybox" || return 1
  cp "$rxe_directory/guest-boot" "$partial/root/init" || return 1
  cp "$rxe_directory/guest-session" "$partial/root/session" || return 1
  chmod 755 "$partial/root/init" "$partial/root/session"
  while read -r module; do
    # The number keeps the order under the shell's sorted glob.
    copy_module "$kernel/$module" "$partial/root/modules/$((number++))-$(basename "${module%%.ko*}").ko" || return 1
  done < <(module_load_order "$kernel")
  ((number > 100)) || return 1
  (cd "$partial/root" && find . | cpio --quiet -o -H newc) >"$partial/initramfs" || return 1
  mv "$partial/initramfs" "$target"
  # Each version of the guest's scripts has one; those of past versions go in time.
  find "$(cache_directory)" -maxdepth 1 -name 'initramfs-*' -mtime "+$initramfs_days" -delete
}

# Makes sure that a kernel and its initramfs are cached; sets guest_kernel and
# guest_initramfs.
prepare_kernel() {
  local kernel hash
  if ! kernel=$(cached_kernel); then
    with_cache_lock add_kernel || return 1
    kernel=$(cached_kernel) || return 1
  fi
  hash=$({
    printf '%s\n' "$kernel" "${guest_modules[@]}"
    cat "$rxe_directory"/{kernel.bash,guest-boot,guest-session} "$(command -v busybox)"
  } | sha256sum | cut -c 1-16)
  guest_kernel=$kernel/vmlinuz
  guest_initramfs=$(cache_directory)/initramfs-$hash
  if [[ ! -e $guest_initramfs ]]; then
    with_cache_lock add_initramfs "$kernel" "$guest_initramfs" || return 1
  fi
}
