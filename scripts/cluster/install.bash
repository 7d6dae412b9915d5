# shellcheck shell=bash
# The packages of each part. Slurm's qsub wrappers conflict with Grid Engine's
# client package, so theirs is unpacked privately instead of installed.

TORQUE=/usr/local/lib/jobmon-testcluster/torque/bin

need_debian() {
    command -v apt-get >/dev/null || die "install knows Debian's apt-get only, which is not here"
}

install_ssh() {
    need_debian
    apt_install ssh openssh-server openssh-client rsync procps libpam-oath csh fish zsh busybox tmux shellcheck ||
        die "the ssh packages could not be installed (see above)"
}

install_slurm() {
    need_debian
    apt_install slurm slurmctld slurmd slurmdbd slurm-client slurm-wlm-mysql-plugin munge \
        mariadb-server-core mariadb-client-core libslurm-perl libslurmdb-perl libswitch-perl ||
        die "the Slurm packages could not be installed (see above)"
    if [ ! -x "$TORQUE/qsub" ]; then
        unpack_torque || die "slurm-wlm-torque could not be unpacked (see above)"
        say "install slurm: qsub wrappers unpacked to $TORQUE"
    fi
}

# The wrappers look for sbatch, salloc and srun in their own folder.
unpack_torque() (
    apt_update_once || exit 1
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    cd "$work" || exit 1
    apt_quietly apt-get download -q -o APT::Sandbox::User=root slurm-wlm-torque || exit 1
    dpkg-deb -x slurm-wlm-torque_*.deb unpacked || exit 1
    mkdir -p "$TORQUE"
    ln -sf /usr/bin/sbatch /usr/bin/salloc /usr/bin/srun "$TORQUE/"
    cp unpacked/usr/bin/* "$TORQUE/"
)

install_sge() {
    need_debian
    if [ -n "$(apt_missing gridengine-master gridengine-exec gridengine-client)" ]; then
        local package
        for package in common client exec master; do
            printf 'gridengine-%s shared/%s\n' \
                "$package" 'gridengineconfig boolean true' \
                "$package" 'gridenginecell string default' \
                "$package" 'gridenginemaster string localhost'
        done | debconf-set-selections
    fi
    apt_install sge gridengine-master gridengine-exec gridengine-client ||
        die "the Grid Engine packages could not be installed (see above)"
}

# What a test opens reports in. It is left out where it cannot be had: so is that test.
install_browser() {
    need_debian
    apt_install browser chromium fonts-dejavu-core ||
        say "install browser: Chromium could not be had; the test that needs it is left out"
}
