# shellcheck shell=bash
# Slurm on one node of 64 pretended CPUs, with real accounting: munged, mariadbd (on
# a socket of ours only), slurmdbd, slurmctld, slurmd. It schedules at once and
# forgets ended jobs after 5 to 13 s, as a busy site does after minutes.

SLURM=$STATE/slurm
# shellcheck disable=SC2034 # read by testcluster
SLURM_DAEMONS=(munged mariadbd slurmdbd slurmctld slurmd)
declare -A PORT PIDFILE
# Debian's slurmctld and slurmd are links to slurmctld-wlm and slurmd-wlm
define_daemon munged munged "$SLURM/munge/pid"
define_daemon mariadbd mariadbd "$SLURM/db/pid"
define_daemon slurmdbd slurmdbd "$SLURM/slurmdbd.pid" 6819
define_daemon slurmctld slurmctld-wlm "$SLURM/slurmctld.pid" 6817
define_daemon slurmd slurmd-wlm "$SLURM/slurmd.pid" 6818

start_slurm() {
    command -v slurmctld slurmd slurmdbd munged mariadbd >/dev/null || die "Slurm is not installed: run testcluster install first"
    write_slurm_config
    start_munged
    start_mariadbd
    start_slurmdbd
    start_slurmctld
    start_slurmd
}

stop_slurm() {
    if daemon_pid slurmctld >/dev/null && daemon_pid slurmd >/dev/null; then
        # their scripts would outlive the daemons
        slurm_cancel_all || true
        wait_until 10 slurm_empty || say "slurm: some jobs do not end"
    fi
    local daemon
    for daemon in slurmd slurmctld slurmdbd mariadbd munged; do stop_daemon "$daemon"; done
}

slurm_do() { # SECONDS COMMAND...
    local limit=$1
    shift
    SLURM_CONF=$SLURM/slurm.conf timeout "$limit" "$@"
}
slurm_cancel_all() {
    local -a jobs
    mapfile -t jobs < <(slurm_do 5 squeue -h -o %A 2>/dev/null | sort -u)
    [ ${#jobs[@]} = 0 ] || slurm_do 10 scancel "${jobs[@]}" >/dev/null 2>&1
}
slurm_empty() { local jobs; jobs=$(slurm_do 5 squeue -h) && [ -z "$jobs" ]; }
slurm_ready() { slurm_do 5 sinfo -h -o %T | grep -qxE 'idle|mixed|allocated|completing'; }
slurmctld_ready() { slurm_do 5 scontrol ping | grep -q 'is UP'; }
slurmdbd_ready() { slurm_do 5 sacctmgr -n list cluster; }

start_munged() {
    if daemon_pid munged >/dev/null; then return 0; fi
    local m=$SLURM/munge
    install -d -m 755 -o munge -g munge "$m"
    if [ ! -s "$m/key" ]; then
        install -m 600 -o munge -g munge /dev/null "$m/key"
        head -c 1024 /dev/urandom >"$m/key"
    fi
    rm -f "$m/socket" "$m/socket.lock" # a killed one leaves them behind
    launch_or_die munged setpriv --reuid munge --regid munge --clear-groups /usr/sbin/munged --key-file="$m/key" \
        --socket="$m/socket" --pid-file="$m/pid" --log-file="$m/log" --seed-file="$m/seed"
    wait_until 10 daemon_pid munged || die "munged does not start: see $m/log"
    say "munged started"
}

# The accounting's database is a throw-away: one that a crash has spoilt is made anew.
start_mariadbd() {
    if daemon_pid mariadbd >/dev/null; then return 0; fi
    local db=$SLURM/db
    install -d -m 755 -o slurm -g slurm "$db"
    if [ -d "$db/data" ] && ! run_mariadbd; then
        say "mariadbd: the old database does not start, making a new one"
        stop_daemon mariadbd
        rm -rf "$db/data"
    fi
    if [ ! -d "$db/data" ]; then
        make_database || die "the accounting's database could not be made: see $STATE/log/mariadb-install.out"
        run_mariadbd || die "mariadbd does not start: see $STATE/log/mariadbd.out"
    fi
    slurm_sql 'create database if not exists slurm_acct_db;
        create user if not exists slurm@localhost identified via unix_socket;
        grant all on slurm_acct_db.* to slurm@localhost'
    say "mariadbd started"
}

make_database() {
    rm -rf "$SLURM/db/new"
    mariadb-install-db --no-defaults --user=slurm --datadir="$SLURM/db/new" --skip-test-db \
        --auth-root-authentication-method=socket >"$STATE/log/mariadb-install.out" 2>&1 &&
        mv "$SLURM/db/new" "$SLURM/db/data"
}

slurm_sql() { mariadb --no-defaults -S "$SLURM/db/socket" -e "$1"; }

run_mariadbd() {
    local db=$SLURM/db
    rm -f "$db/socket"
    launch mariadbd setsid --fork setpriv --reuid slurm --regid slurm --clear-groups mariadbd --no-defaults \
        --datadir="$db/data" --socket="$db/socket" --pid-file="$db/pid" --skip-networking \
        --innodb-buffer-pool-size=32M --innodb-log-file-size=8M --innodb-flush-log-at-trx-commit=2 \
        --innodb-lock-wait-timeout=900 --performance-schema=OFF &&
        wait_until 20 slurm_sql 'select 1' &&
        chmod 644 "$db/pid" # for the status that an ordinary user sees
}

start_slurmdbd() {
    if daemon_pid slurmdbd >/dev/null; then return 0; fi
    # StorageHost=localhost is a socket, whose place this variable gives
    launch_or_die slurmdbd SLURM_CONF="$SLURM/slurm.conf" MYSQL_UNIX_PORT="$SLURM/db/socket" slurmdbd
    wait_until 30 slurmdbd_ready || die "slurmdbd does not answer: see $STATE/log/slurmdbd.log"
    slurm_do 10 sacctmgr -n list cluster format=cluster%40 | grep -qw testcluster ||
        slurm_do 10 sacctmgr -i add cluster testcluster >/dev/null
    say "slurmdbd started on port ${PORT[slurmdbd]}"
}

start_slurmctld() {
    if daemon_pid slurmctld >/dev/null; then return 0; fi
    launch_or_die slurmctld SLURM_CONF="$SLURM/slurm.conf" slurmctld
    wait_until 20 slurmctld_ready || die "slurmctld does not answer: see $STATE/log/slurmctld.log"
    say "slurmctld started on port ${PORT[slurmctld]}"
}

start_slurmd() {
    if daemon_pid slurmd >/dev/null; then return 0; fi
    launch_or_die slurmd SLURM_CONF="$SLURM/slurm.conf" slurmd
    wait_until 20 slurm_ready || die "Slurm's node does not come up: see $STATE/log/slurmd.log, slurmctld.log"
    say "slurmd started on port ${PORT[slurmd]}"
}

write_slurm_config() {
    local host
    host=$(uname -n)
    host=${host%%.*}
    install -d -m 755 "$STATE/log" "$SLURM" "$SLURM/spool"
    install -d -m 755 -o slurm -g slurm "$SLURM/state"
    local log
    for log in slurmctld slurmdbd jobcomp; do
        [ -e "$STATE/log/$log.log" ] || install -m 644 -o slurm -g slurm /dev/null "$STATE/log/$log.log"
    done
    [ -e "$STATE/log/slurmd.log" ] || install -m 644 /dev/null "$STATE/log/slurmd.log"
    echo "optional spank_pbs.so" >"$SLURM/plugstack.conf" # PBS_* variables in every job
    slurm_conf "$host" >"$SLURM/slurm.conf.new"
    mv "$SLURM/slurm.conf.new" "$SLURM/slurm.conf"
    slurmdbd_conf "$host" >"$SLURM/slurmdbd.conf"
    chown slurm "$SLURM/slurmdbd.conf"
    chmod 600 "$SLURM/slurmdbd.conf"
    setpriv --reuid slurm --regid slurm --clear-groups test -r "$SLURM/slurm.conf" ||
        die "$STATE lies in a folder that other users cannot enter: set JOBMON_TESTCLUSTER to another"
}

slurm_conf() { # HOST
    cat <<CONF
ClusterName=testcluster
SlurmctldHost=$1(127.0.0.1)
AuthType=auth/munge
AuthInfo=socket=$SLURM/munge/socket
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmUser=slurm
SlurmctldPort=${PORT[slurmctld]}
SlurmdPort=${PORT[slurmd]}
SlurmctldPidFile=${PIDFILE[slurmctld]}
SlurmdPidFile=${PIDFILE[slurmd]}
SlurmctldLogFile=$STATE/log/slurmctld.log
SlurmdLogFile=$STATE/log/slurmd.log
StateSaveLocation=$SLURM/state
SlurmdSpoolDir=$SLURM/spool
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=${PORT[slurmdbd]}
AccountingStoragePass=$SLURM/munge/socket
AccountingStoreFlags=job_comment
JobCompType=jobcomp/filetxt
JobCompLoc=$STATE/log/jobcomp.log
JobSubmitPlugins=pbs
PlugStackConfig=$SLURM/plugstack.conf
SwitchType=switch/none
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MailProg=/bin/true
ReturnToService=2
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=defer,sched_interval=1,sched_min_interval=0,batch_sched_delay=1,bf_interval=2,default_queue_depth=500,partition_job_depth=500,max_rpc_cnt=0
MinJobAge=5
EnforcePartLimits=ALL
MaxJobCount=20000
MaxArraySize=5001
KillWait=2
InactiveLimit=0
SlurmctldTimeout=30
SlurmdTimeout=60
MessageTimeout=10
NodeName=$1 NodeAddr=127.0.0.1 CPUs=64 RealMemory=256000 State=UNKNOWN
PartitionName=normal Nodes=$1 Default=YES MaxTime=2-00:00:00 DefaultTime=01:00:00 State=UP
PartitionName=debug Nodes=$1 Default=NO MaxTime=00:30:00 DefaultTime=00:05:00 State=UP
CONF
}

slurmdbd_conf() { # HOST
    cat <<CONF
AuthType=auth/munge
AuthInfo=socket=$SLURM/munge/socket
DbdHost=$1
DbdAddr=127.0.0.1
DbdPort=${PORT[slurmdbd]}
SlurmUser=slurm
PidFile=${PIDFILE[slurmdbd]}
LogFile=$STATE/log/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=slurm
StorageLoc=slurm_acct_db
CommunicationParameters=NoInAddrAny
CONF
}
