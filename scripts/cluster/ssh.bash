# shellcheck shell=bash
# The login nodes: one sshd for each host name, so that each has its own port, log
# and PATH. Nothing of an account's own ~/.ssh is touched: the key lies in our folder.

# name       port   user      login shell
SSH_HOSTS='
  hpc        22220  hpcuser   /bin/bash
  pbs        22221  hpcuser   /bin/bash
  sge        22222  hpcuser   /bin/bash
  hpc-jump   22223  hpcuser   /bin/bash
  otp        22224  hpcuser   /bin/bash
  bashnoise  22225  hpcnoise  /bin/bash
  csh        22226  hpccsh    /bin/csh
  fish       22227  hpcfish   /usr/bin/fish
  narrow     22228  hpcuser   /bin/bash
  chaos      22229  hpcchaos  /bin/bash
'
SSH=$STATE/ssh
OATH_SECRET=3132333435363738393031323334353637383930
OTP_PAM=jobmon-testcluster-otp # PAM's service is named as the program is: a link to sshd
LIARS=$STATE/liars # the batch commands of the host chaos
SSH_DAEMONS=()

while read -r name port _; do
    [ -n "$name" ] || continue
    SSH_DAEMONS+=("sshd-$name")
    define_daemon "sshd-$name" sshd "$SSH/$name.pid" "$port"
done <<<"$SSH_HOSTS"
unset name port

start_ssh() {
    [ -x /usr/sbin/sshd ] || die "no /usr/sbin/sshd: run testcluster install first"
    install -d -m 755 "$STATE/log" "$SSH" /run/sshd # sshd's compiled-in folder
    local name port user shell
    while read -r name port user shell; do
        [ -z "$name" ] || make_account "$user" "$shell"
    done <<<"$SSH_HOSTS"
    write_keys
    write_one_time_codes
    write_liars
    while read -r name port user shell; do
        [ -z "$name" ] || daemon_pid "sshd-$name" >/dev/null || start_sshd "$name" "$port" "$user"
    done <<<"$SSH_HOSTS"
    write_client_config
}

stop_ssh() {
    local daemon
    for daemon in "${SSH_DAEMONS[@]}"; do stop_daemon "$daemon"; done
    rm -f "/etc/pam.d/$OTP_PAM"
}

start_sshd() { # NAME PORT USER
    local program=/usr/sbin/sshd
    [ "$1" != otp ] || program=$SSH/$OTP_PAM
    sshd_config "$@" >"$SSH/$1.conf"
    # sshd itself would make a log that only root can read
    [ -e "$STATE/log/sshd-$1.log" ] || install -m 644 /dev/null "$STATE/log/sshd-$1.log"
    launch_or_die "sshd-$1" "$program" -f "$SSH/$1.conf" -E "$STATE/log/sshd-$1.log"
    wait_until 10 port_open "$2" || die "sshd-$1 does not answer on port $2: see $STATE/log/sshd-$1.log"
    say "sshd-$1 started on port $2"
}

sshd_config() { # NAME PORT USER
    local path=/usr/local/bin:/usr/bin:/bin env="SLURM_CONF=$STATE/slurm/slurm.conf"
    local kind="UsePAM no
KbdInteractiveAuthentication no"
    case $1 in
        pbs) path=$TORQUE:$path ;;
        sge) path=$STATE/sge/bin:$path env="SGE_ROOT=/var/lib/gridengine SGE_CELL=default" ;;
        chaos)
            path=$LIARS:$STATE/sge/bin:$path
            env+=" SGE_ROOT=/var/lib/gridengine SGE_CELL=default"
            ;;
        bashnoise) kind+=$'\n'"Banner $SSH/banner" ;;
        narrow) kind+=$'\nMaxSessions 2' ;;
        otp) kind="UsePAM yes
KbdInteractiveAuthentication yes
AuthenticationMethods publickey,keyboard-interactive:pam" ;;
    esac
    # Of two lines that set the same, sshd takes the first. Many tests log in at once.
    # StrictModes refuses a key file below /tmp, which everybody may write to.
    cat <<CONF
${JOBMON_TESTCLUSTER_SSHD:-}
MaxStartups 100
Port $2
ListenAddress 127.0.0.1
HostKey $SSH/host_ed25519
PidFile $SSH/$1.pid
$kind
UseDNS no
LogLevel VERBOSE
PubkeyAuthentication yes
PasswordAuthentication no
AuthorizedKeysFile $SSH/authorized_keys
StrictModes no
AllowUsers $3
PermitRootLogin no
PrintMotd no
Subsystem sftp internal-sftp
SetEnv PATH=$path $env
CONF
}

make_account() { # USER SHELL
    local home
    [ -x "$2" ] || die "no $2: run testcluster install first"
    id "$1" >/dev/null 2>&1 || useradd -m -s "$2" "$1"
    usermod -s "$2" -p '*' "$1" # the '!' of useradd means locked, where there is no PAM
    home=$(getent passwd "$1" | cut -d: -f6)
    chmod 755 "$home"
    case $1 in
        hpcnoise)
            noise "$1" "$home/.bashrc" 'echo "Welcome to node07: 3 jobs, 12 nodes free (bashrc)"'
            noise "$1" "$home/.bash_profile" 'echo "Maintenance on Monday 8:00 (bash_profile)"'
            ;;
        hpccsh) noise "$1" "$home/.cshrc" 'echo "Welcome to node07: 3 jobs, 12 nodes free (cshrc)"' ;;
        hpcfish) noise "$1" "$home/.config/fish/config.fish" 'echo "Welcome to node07: 3 jobs, 12 nodes free (config.fish)"' ;;
    esac
}

noise() { # USER FILE LINE
    install -d -o "$1" -g "$1" "$(dirname "$2")"
    printf '%s\n' "$3" >"$2"
    chown -R "$1:$1" "$(dirname "$2")"
}

# The keys stay the same while the folder lives. Under sudo the person who called
# it must be able to read the private one, and ssh wants nobody else to.
write_keys() {
    [ -f "$SSH/host_ed25519" ] || ssh-keygen -q -t ed25519 -N '' -C testcluster-host -f "$SSH/host_ed25519"
    [ -f "$SSH/id_ed25519" ] || ssh-keygen -q -t ed25519 -N '' -C testcluster-client -f "$SSH/id_ed25519"
    install -m 644 "$SSH/id_ed25519.pub" "$SSH/authorized_keys"
    printf '%s\n' '*** node07: use is logged ***' >"$SSH/banner"
    chown "${SUDO_UID:-0}:${SUDO_GID:-0}" "$SSH/id_ed25519"
}

# Commands that lie when they are told to: see liar.sh.
write_liars() {
    local name
    install -d -m 755 "$LIARS"
    for name in squeue sbatch scontrol sacct qstat qsub qacct; do
        install -m 755 "${BASH_SOURCE[0]%/*}/liar.sh" "$LIARS/$name.new"
        mv "$LIARS/$name.new" "$LIARS/$name"
    done
}

# Codes by event (HOTP), not by time: each call has a fresh one at once. The test's
# counter and the server's start from the same number; the server looks 100 ahead.
write_one_time_codes() {
    local counter=$STATE/otp.counter
    [ -s "$counter" ] || echo 0 >"$counter"
    chown "${SUDO_UID:-0}:${SUDO_GID:-0}" "$counter"
    if daemon_pid sshd-otp >/dev/null; then return 0; fi
    printf 'HOTP hpcuser - %s %s\n' "$OATH_SECRET" "$(cat "$counter")" >"$SSH/users.oath"
    chmod 600 "$SSH/users.oath"
    ln -sf /usr/sbin/sshd "$SSH/$OTP_PAM"
    cat >"/etc/pam.d/$OTP_PAM" <<PAM
auth     required  pam_oath.so usersfile=$SSH/users.oath window=100 digits=6
account  required  pam_permit.so
session  required  pam_permit.so
PAM
}

# Written last and by rename: where it is, the login nodes are up.
write_client_config() {
    local name port user shell home key
    key=$(cut -d' ' -f1,2 "$SSH/host_ed25519.pub")
    : >"$SSH/known_hosts.new"
    : >"$STATE/hosts.new"
    {
        while read -r name port user shell; do
            [ -n "$name" ] || continue
            home=$(getent passwd "$user" | cut -d: -f6)
            echo "[127.0.0.1]:$port $key" >>"$SSH/known_hosts.new"
            printf '%s\t%s\t%s\t%s\t%s\n' "$name" "$port" "$user" "$home" "$STATE/log/sshd-$name.log" >>"$STATE/hosts.new"
            printf 'Host %s\n  Port %s\n  User %s\n' "$name" "$port" "$user"
            case $name in
                hpc-jump) printf '  ProxyJump hpc\n' ;;
                otp) printf '  BatchMode no\n  PreferredAuthentications publickey,keyboard-interactive\n' ;;
            esac
        done <<<"$SSH_HOSTS"
        cat <<CONF
Host $(cut -f1 "$STATE/hosts.new" | tr '\n' ' ')
  HostName 127.0.0.1
  IdentityFile $SSH/id_ed25519
  IdentitiesOnly yes
  BatchMode yes
  StrictHostKeyChecking yes
  UserKnownHostsFile $SSH/known_hosts
CONF
    } >"$STATE/ssh_config.new"
    mv "$SSH/known_hosts.new" "$SSH/known_hosts"
    mv "$STATE/hosts.new" "$STATE/hosts"
    mv "$STATE/ssh_config.new" "$STATE/ssh_config"
}
