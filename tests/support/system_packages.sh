#!/usr/bin/env bash
# Installs from Debian what tests need beside Python packages: promtool (from prometheus) and Chromium. Quiet when all is there.
set -euo pipefail
missing=()
command -v promtool >/dev/null || missing+=(prometheus)
command -v chromium >/dev/null || command -v google-chrome >/dev/null || missing+=(chromium)
[ ${#missing[@]} -eq 0 ] && exit 0
if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
    echo "not installed: ${missing[*]} (needs Debian's apt-get as root); tests that need them will fail and say so" >&2
    exit 0
fi
echo "installing ${missing[*]} for the tests ..."
export DEBIAN_FRONTEND=noninteractive
# Debian's prometheus starts itself as a service after installation; a test machine wants only its tools.
apt-get update -qq
RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
