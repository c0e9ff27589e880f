# What tests/run and tests/interop/run share: how they speak, and how they get what the system lacks.

name=${0#./}
say() { printf '%s: %s\n' "$name" "$*" >&2; }
fail() { say "$*"; exit 1; }

# Installs packages on Debian and Ubuntu; elsewhere says what is missing and stops.
install() {
    local why=$1 elsewhere=$2
    shift 2
    command -v apt-get >/dev/null || fail "$why. $elsewhere"
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || fail "$why. Run as root: apt-get update && apt-get install -y $*"
        # Without a terminal nobody can type a password, so sudo must not wait for one.
        if [ -t 0 ]; then as_root=(sudo); else as_root=(sudo -n); fi
    fi
    say "$why; installing $*"
    # Lists may be stale in a part that is not needed; whether the packages come is what counts.
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -q </dev/null >&2 || say "apt-get update failed, going on"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" </dev/null >&2 ||
        fail "apt-get could not install $*. $elsewhere"
}
