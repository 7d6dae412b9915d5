# shellcheck shell=bash
# .venv in the project, with the package itself (editable) and its test tools. It is
# made anew only if it is missing, broken, or older than what pyproject.toml says.

find_python() { # print a Python of at least 3.11, or fail
    local candidate
    for candidate in "${PYTHON:-python3}" python3.14 python3.13 python3.12 python3.11 /usr/bin/python3; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return 0
        fi
    done
    return 1
}

venv_recipe() { # what .venv was made from
    cksum <pyproject.toml
    "$1" -c 'import sys; print(sys.version)'
}

make_venv() {
    local python
    if [ -x .venv/bin/python ] && [ "$(cat .venv/recipe 2>/dev/null)" = "$(venv_recipe .venv/bin/python 2>&1)" ]; then
        echo "venv: .venv is up to date"
        return 0
    fi
    python=$(find_python) || {
        echo "venv: no Python 3.11 or newer found (tried python3, python3.11 to python3.14); install one, or set PYTHON to it" >&2
        return 1
    }
    echo "venv: making .venv with $python"
    rm -rf .venv
    new_venv "$python" || return 1
    echo "venv: installing jobmon and its test tools"
    install_into_venv "$python" test || {
        echo "venv: pip could not install (see above); check the network, then try again" >&2
        return 1
    }
    venv_recipe .venv/bin/python >.venv/recipe
}

# Debian's python3 comes without ensurepip; the pip beside it can fill a venv as well.
new_venv() { # PYTHON
    if "$1" -c 'import venv, ensurepip' 2>/dev/null; then
        "$1" -m venv .venv
    elif "$1" -c 'import venv, pip' 2>/dev/null; then
        "$1" -m venv --without-pip .venv
    else
        echo "venv: $1 has neither ensurepip nor pip; on Debian: apt-get install python3-venv" >&2
        return 1
    fi
}

add_to_venv() { # EXTRA of pyproject.toml
    local python
    echo "venv: adding what the extra '$1' wants"
    if ! python=$(find_python) || ! install_into_venv "$python" "$1"; then
        echo "venv: pip could not install (see above); check the network, then try again" >&2
        return 1
    fi
}

install_into_venv() { # PYTHON EXTRA
    local options="--quiet --disable-pip-version-check --no-input"
    if [ -x .venv/bin/pip ]; then
        # shellcheck disable=SC2086 # options are several words
        .venv/bin/python -m pip install $options -e ".[$2]"
    else
        # shellcheck disable=SC2086
        "$1" -m pip --python .venv/bin/python install $options -e ".[$2]"
    fi
}
