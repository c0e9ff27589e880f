# What tests/run, tests/interop/run and .ci/run share: how they speak, how they get what the system lacks, and the adapter that
# they run on.

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

# The adapter that the tests run on. $1 is the command, built. Asks for one that is reached through Vulkan (elsewhere than on Linux
# through anything) and has subgroups, and installs lavapipe where there is none. Where no GPU is found and WGRAD_DEVICE is
# not set, sets it to `software`, since `--device auto` takes no software adapter.
use_adapter() {
    local wgrad=$1 found
    found=$(adapters "$wgrad" shaders)
    if [ -z "$found" ]; then
        install "no Vulkan adapter with subgroups was found" \
            "Install a Vulkan driver: your GPU's, or Mesa's software adapter lavapipe (Fedora: mesa-vulkan-drivers vulkan-loader; Arch: vulkan-swrast vulkan-icd-loader; Alpine: mesa-vulkan-swrast vulkan-loader)." \
            mesa-vulkan-drivers libvulkan1
        found=$(adapters "$wgrad" shaders)
        [ -n "$found" ] ||
            fail "still no Vulkan adapter with subgroups after installing lavapipe; 'cargo run --release -- devices' and 'vulkaninfo' (package vulkan-tools) may say why."
    fi
    found=$(adapters "$wgrad" gpu)
    if [ -n "${WGRAD_DEVICE:-}" ]; then
        say "WGRAD_DEVICE is set to '$WGRAD_DEVICE': the tests of shaders run there"
    elif [ -z "$found" ]; then
        export WGRAD_DEVICE=software
        say "no GPU was found: the tests of shaders run on a software adapter (WGRAD_DEVICE=software)"
    fi
}

# The types of the adapters that `wgrad devices` lists and can use: those that are GPUs (gpu), or that run all tests (shaders).
# WGPU_BACKEND hides the others from the command: where it is set, any adapter will do.
adapters() {
    local found
    found=$("$1" devices --json </dev/null) || fail "wgrad devices --json failed (see above)"
    awk -F'"' -v wanted="$2" -v any="$([ "$(uname -s)" = Linux ] && [ -z "${WGPU_BACKEND:-}" ] || echo 1)" '
        /^  \{/ { type = api = ""; subgroup = usable = 0 }
        /^    "type": / { type = $4 }
        /^    "backend": / { api = $4 }
        /^      "subgroup"/ { subgroup = 1 }
        /^    "usable": true/ { usable = 1 }
        /^  \}/ && usable && type != "cpu" {
            if (wanted == "gpu" ? type != "software" : any || api == "vulkan" && subgroup) print type
        }' <<<"$found"
}
