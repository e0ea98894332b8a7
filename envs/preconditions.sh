# What the set-up needs of a machine, looked for before anything is installed. All that is missing is told at once.
#
#     sh envs/preconditions.sh [programs]
#
# With `programs`, a sandbox must be possible too, in which programs of models run. PYTHON names the Python to use, and
# VENV the environment: what only its making needs is not asked for where it is there. Plain POSIX sh, since nothing
# else can be relied on yet.
set -u
PYTHON=${PYTHON:-python3}
VENV=${VENV:-.venv}
GIGABYTES=3 # of the environment with PyTorch's CPU build, and to spare

problems='' packages=''

# problem TEXT [DEBIAN PACKAGES]
problem() {
  problems="$problems
- $1"
  packages="$packages${2:+ $2}"
}

has() { command -v "$1" >/dev/null 2>&1; }

installed() { for stamp in "$VENV"/.installed-*; do [ -e "$stamp" ] && return; done; return 1; }

check_platform() {
  case "$system $machine" in
    "Linux x86_64" | "Linux aarch64") ;;
    "Darwin arm64")
      release=$(sw_vers -productVersion 2>/dev/null || echo 14)
      [ "${release%%.*}" -ge 14 ] || problem "macOS $release is too old for PyTorch; macOS 14 or newer is needed"
      ;;
    "Darwin x86_64") problem "PyTorch is no longer built for Macs with an Intel processor; use Linux, or a Mac with Apple silicon" ;;
    *) problem "$system on $machine is not supported, since PyTorch is built for Linux (x86_64, aarch64) and macOS (arm64); on Windows, use WSL 2" ;;
  esac
}

check_tools() {
  for tool in git make; do has $tool || problem "$tool is not installed" $tool; done
  [ -x /bin/bash ] || problem "/bin/bash is not there, in which make runs its commands" bash
}

check_python() {
  named="Python 3.11 to 3.13, or 3.14 with a C compiler, is needed (make PYTHON=python3.13 ... takes another one than $PYTHON)"
  if ! has "$PYTHON"; then
    problem "$PYTHON is not installed; $named" "python3 python3-venv"
    return
  fi
  # Python 2 reads this too.
  if ! told=$("$PYTHON" -c '
import os, sys
print("%d.%d" % sys.version_info[:2])
if sys.maxsize < 2**32:
    print("bits")
if sys.platform.startswith("linux"):
    try:
        libc = os.confstr("CS_GNU_LIBC_VERSION").split()[1]
        if [int(part) for part in libc.split(".")[:2]] < [2, 28]:
            print("libc")
    except (AttributeError, IndexError, ValueError):
        print("libc")
for name in ["venv", "ensurepip"]:
    try:
        __import__(name)
    except ImportError:
        print("venv")
        break
for name in ["bz2", "ctypes", "lzma", "ssl", "zlib"]:
    try:
        __import__(name)
    except ImportError:
        print("module:" + name)
if sys.version_info[:2] >= (3, 14):
    import shutil, sysconfig
    header = os.path.join(sysconfig.get_path("include"), "Python.h")
    if not os.path.exists(header) or not (shutil.which("cc") or shutil.which("gcc")):
        print("compiler")
' 2>/dev/null); then
    problem "$PYTHON does not run; $named"
    return
  fi
  name=${PYTHON##*/} version=${told%%
*}
  case $version in
    3.11 | 3.12 | 3.13 | 3.14) ;;
    2.* | 3.? | 3.10)
      problem "$PYTHON is Python $version, which is too old; $named"
      return
      ;;
    *)
      problem "$PYTHON is Python $version, for which not all packages are built yet; $named"
      return
      ;;
  esac
  for one in $told; do
    case $one in
      bits) problem "$PYTHON is a 32-bit program; the packages are built for 64 bits" ;;
      libc) problem "$PYTHON does not use glibc 2.28 or newer, for which the packages are built (musl, as on Alpine, does not do)" ;;
      module:*) problem "$PYTHON lacks its module ${one#module:}; install a complete Python" ;;
      venv)
        installed || problem "$PYTHON cannot make virtual environments, since its venv package is missing" "$name-venv"
        ;;
      compiler)
        installed || problem "one package (immutables) is not built for Python $version yet: a C compiler and the headers of $PYTHON are needed, or another Python; $named" "gcc $name-dev"
        ;;
    esac
  done
}

check_folder() {
  [ -w . ] || problem "this folder ($PWD) cannot be written to"
  installed && return
  free=$(df -Pk . 2>/dev/null | { read -r _; read -r _ _ _ free _; echo "${free:-}"; })
  case $free in
    '' | *[!0-9]*) ;; # not told
    *) [ "$free" -ge $((GIGABYTES * 1000000)) ] || problem "the packages need $GIGABYTES GB of disk, or 8 with PyTorch's CUDA build, and $((free / 1000000)) are free in $PWD" ;;
  esac
}

check_sandbox() {
  without="or leave programs out: make study PROGRAMS=False"
  if [ "$system" != Linux ]; then
    problem "programs that models wrote run in a sandbox of Linux only, and this is $system: run the study on Linux, $without"
    return
  fi
  # As in scripts/anatomy/sandbox: bubblewrap of 0.8 or newer, or else the one that comes with a package.
  case $(bwrap --version 2>/dev/null) in
    "bubblewrap 0."[0-7].* | '') set -- unshare --user --map-root-user --mount --net --ipc --uts --pid --fork ;;
    *) set -- bwrap --unshare-user --unshare-all --ro-bind / / ;;
  esac
  has "$1" || return 0 # it cannot be known yet; the sandbox itself tells
  said=$("$@" true 2>&1) && return
  advice="allow user namespaces (in a container: start it with --security-opt seccomp=unconfined --security-opt apparmor=unconfined; on a host, see the sysctls kernel.unprivileged_userns_clone and kernel.apparmor_restrict_unprivileged_userns)"
  for switch in kernel.apparmor_restrict_unprivileged_userns=0 kernel.unprivileged_userns_clone=1 user.max_user_namespaces=15000; do
    value=$(cat "/proc/sys/$(echo "${switch%=*}" | tr . /)" 2>/dev/null)
    case "${switch%=*} $value" in
      "kernel.apparmor_restrict_unprivileged_userns 1" | "kernel.unprivileged_userns_clone 0" | "user.max_user_namespaces 0")
        advice="allow user namespaces: sudo sysctl -w $switch"
        break
        ;;
    esac
  done
  problem "programs that models wrote run in a sandbox, and none can be made here ($(echo "$said" | tail -n 1)): $advice; $without"
}

system=$(uname -s) machine=$(uname -m)
check_platform
check_tools
check_python
check_folder
[ "${1:-}" != programs ] || check_sandbox
if [ -n "$problems" ]; then
  echo "error: something is missing on this machine, and nothing was installed or run:$problems" >&2
  [ -z "$packages" ] || echo "On Debian and Ubuntu: apt install$packages" >&2
  exit 1
fi
