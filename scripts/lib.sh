# shellcheck shell=bash
# Shared by the scripts: says what is going on, and installs what the machine lacks.

started=$SECONDS

# say TEXT...: one line of progress, with the time since the start.
say() { printf '\033[1m[%3ds]\033[0m %s\n' "$((SECONDS - started))" "$*"; }

die() {
  printf '\nerror: %s\n' "$*" >&2
  exit 1
}

# need_rust: Rust comes first; everything else is installed here.
need_rust() {
  command -v cargo >/dev/null || die "cargo was not found: install Rust from https://rustup.rs (version $(rust_version) or newer)"
}

rust_version() { sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml; }

# need_debian PROGRAM=PACKAGE...: installs the packages whose program (or file) is missing, as root or by sudo.
need_debian() {
  local missing=() pair
  for pair in "$@"; do
    command -v "${pair%%=*}" >/dev/null || [ -x "/usr/sbin/${pair%%=*}" ] || [ -f "${pair%%=*}" ] \
      || missing+=("${pair##*=}")
  done
  [ ${#missing[@]} -eq 0 ] && return
  local sudo=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null && sudo=(sudo)
  fi
  if ! command -v apt-get >/dev/null || { [ "$(id -u)" -ne 0 ] && [ ${#sudo[@]} -eq 0 ]; }; then
    die "please install as root: apt-get install ${missing[*]}"
  fi
  say "installing Debian packages: ${missing[*]}"
  "${sudo[@]}" apt-get update -qq >/dev/null || true
  DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null \
    || die "apt-get could not install ${missing[*]}: please install them yourself"
}

# need_servers: NATS and Redis, and a C compiler for the crates that build C.
need_servers() {
  # Debian's gcc only recommends what linking needs.
  need_debian nats-server=nats-server redis-server=redis-server cc=gcc /usr/include/stdio.h=libc6-dev
  # Debian keeps servers where only root's PATH looks.
  PATH="$PATH:/usr/sbin"
  export PATH
}

# need_mongo: a MongoDB-wire server for the tests: mongod, else SecantusDB from PyPI in .venv.
need_mongo() {
  command -v mongod >/dev/null && return
  [ -x .venv/bin/secantusd-py ] && return
  command -v python3 >/dev/null || die "python3 was not found: install Python 3"
  say "installing SecantusDB (a MongoDB-wire server) into .venv"
  python3 -m venv .venv 2>/dev/null || {
    need_debian no-python-venv=python3-venv
    python3 -m venv .venv || die "python3 -m venv failed: install python3-venv"
  }
  .venv/bin/pip install --quiet --disable-pip-version-check SecantusDB \
    || die "pip could not install SecantusDB"
}

# need_cargo_tool NAME: the program behind `cargo NAME`, built from crates.io when it is missing.
need_cargo_tool() {
  cargo "$1" --version >/dev/null 2>&1 && return
  say "installing cargo-$1"
  cargo install --quiet --locked "cargo-$1"
}

# need_browser: Chromium with a font, Node, and what the page's tests take from npm (as the lock file says).
need_browser() {
  command -v chromium >/dev/null || need_debian chromium=chromium no-font=fonts-dejavu-core
  need_debian node=nodejs npm=npm
  (cd services/fleet/page-tests && PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --silent --no-audit --no-fund) \
    || die "npm ci failed in services/fleet/page-tests"
}
