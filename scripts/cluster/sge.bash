# shellcheck shell=bash
# Grid Engine on one host, called localhost, with 64 slots, the queue all.q and the
# parallel environment smp. Its spool lies in the Debian package's own folders, so it
# carries a mark of ours: without it, or with another, it is made anew, and job
# numbers start at 1.

SGE_ROOT=/var/lib/gridengine
SGE_CELL=default
SGE_COMMON=$SGE_ROOT/$SGE_CELL/common
SGE_SPOOL=/var/spool/gridengine
SGE_PROGRAMS=/usr/lib/gridengine # /usr/bin's are wrappers that cost 80 ms each
SGE=$STATE/sge
declare -A PORT
# shellcheck disable=SC2034 # read by testcluster
SGE_DAEMONS=(sge_qmaster sge_execd)
export SGE_ROOT SGE_CELL
define_daemon sge_qmaster sge_qmaster $SGE_SPOOL/qmaster/qmaster.pid 6444
define_daemon sge_execd sge_execd $SGE_SPOOL/execd/localhost/execd.pid 6445

start_sge() {
    if [ ! -x $SGE_PROGRAMS/sge_qmaster ] || [ ! -f $SGE_COMMON/bootstrap ]; then
        die "Grid Engine is not installed: run testcluster install first"
    fi
    install -d -m 755 "$STATE/log" "$SGE" "$SGE/bin"
    install -d -m 755 -o sgeadmin -g sgeadmin /var/run/gridengine
    echo localhost >$SGE_COMMON/act_qmaster
    echo "localhost $(uname -n)" >$SGE_COMMON/host_aliases # else: "access denied"
    ln -sf $SGE_PROGRAMS/q* "$SGE/bin/"
    if ! daemon_pid sge_qmaster >/dev/null; then
        stop_daemon sge_execd
        spool_is_ours || make_spool
        if ! run_qmaster; then
            say "sge_qmaster: the old state does not start, making a new one"
            stop_daemon sge_qmaster
            make_spool
            run_qmaster || die "sge_qmaster does not answer: see $SGE_SPOOL/qmaster/messages and $STATE/log/sge_qmaster.out"
        fi
        spool_is_ours || configure_sge
        say "sge_qmaster started on port ${PORT[sge_qmaster]}"
    fi
    start_sge_execd
}

stop_sge() {
    if daemon_pid sge_qmaster >/dev/null && daemon_pid sge_execd >/dev/null; then
        # their scripts would outlive the daemons
        timeout 5 $SGE_PROGRAMS/qdel -u '*' >/dev/null 2>&1 || true
        wait_until 10 sge_empty || say "sge: some jobs do not end"
    fi
    stop_daemon sge_execd
    stop_daemon sge_qmaster
}

start_sge_qmaster() {
    if daemon_pid sge_qmaster >/dev/null; then return 0; fi
    run_qmaster || die "sge_qmaster does not answer: see $SGE_SPOOL/qmaster/messages"
    say "sge_qmaster started on port ${PORT[sge_qmaster]}"
}

start_sge_execd() {
    if daemon_pid sge_execd >/dev/null; then return 0; fi
    launch_or_die sge_execd SGE_ROOT=$SGE_ROOT SGE_CELL=$SGE_CELL $SGE_PROGRAMS/sge_execd
    wait_until 30 sge_ready || die "Grid Engine's queue does not come up: see $SGE_SPOOL/execd/localhost/messages"
    say "sge_execd started on port ${PORT[sge_execd]}"
}

run_qmaster() {
    launch sge_qmaster SGE_ROOT=$SGE_ROOT SGE_CELL=$SGE_CELL $SGE_PROGRAMS/sge_qmaster &&
        wait_until 15 sge_answers
}

sge_answers() { timeout 5 $SGE_PROGRAMS/qconf -sh; }
sge_empty() { local jobs; jobs=$(timeout 5 $SGE_PROGRAMS/qstat -u '*') && [ -z "$jobs" ]; }
# a queue that works shows no letter in the column of states
sge_ready() { timeout 5 $SGE_PROGRAMS/qstat -f | awk '$1 == "all.q@localhost" { ok = (NF == 5) } END { exit !ok }'; }

sge_mark() { echo "$(uname -n) $(cat "$SGE/id")"; }
spool_is_ours() { [ -s "$SGE/id" ] && [ "$(cat $SGE_SPOOL/testcluster 2>/dev/null)" = "$(sge_mark)" ]; }

make_spool() {
    local folder
    rm -f $SGE_SPOOL/testcluster $SGE_COMMON/accounting
    for folder in qmaster qmaster/job_scripts spooldb execd; do
        rm -rf "${SGE_SPOOL:?}/$folder"
        install -d -m 755 -o sgeadmin -g sgeadmin "$SGE_SPOOL/$folder"
    done
    env -i PATH="$SBIN_PATH" setpriv --reuid sgeadmin --regid sgeadmin --clear-groups \
        sh /usr/share/gridengine/scripts/init_cluster $SGE_ROOT $SGE_CELL $SGE_SPOOL/spooldb sgeadmin \
        >"$STATE/log/sge-init.out" 2>&1 || die "Grid Engine's spool could not be made: see $STATE/log/sge-init.out"
    head -c 8 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$SGE/id"
}

configure_sge() {
    configure_sge_steps >"$STATE/log/sge-configure.out" 2>&1 ||
        die "Grid Engine could not be configured: see $STATE/log/sge-configure.out"
    sge_mark >$SGE_SPOOL/testcluster
}

# Each step is joined by &&: "set -e" has no effect inside a condition.
configure_sge_steps() (
    PATH=$SGE_PROGRAMS:$PATH
    work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT && cd "$work" || exit 1
    { qconf -sh | grep -qx localhost || qconf -ah localhost; } &&
        { qconf -ss 2>/dev/null | grep -qx localhost || qconf -as localhost; } &&
        sge_scheduler >sched && qconf -Msconf sched &&
        sge_global >global && qconf -Mconf global &&
        sge_pe >pe && qconf -Ap pe &&
        sge_exec_host >host && qconf -Ae host &&
        sge_queue >queue && qconf -Aq queue
)

sge_scheduler() { # react at once
    qconf -ssconf | sed -e 's/^schedule_interval .*/schedule_interval 0:0:1/' \
        -e 's/^flush_submit_sec .*/flush_submit_sec 1/' -e 's/^flush_finish_sec .*/flush_finish_sec 1/' \
        -e 's/^job_load_adjustments .*/job_load_adjustments NONE/'
}

sge_global() { # continued lines are joined first; accounting is flushed each second
    qconf -sconf | sed -e 1d -e ':a' -e '/\\$/{N;s/ *\\\n */ /;ba' -e '}' |
        sed -e 's/^reporting_params .*/reporting_params accounting=true reporting=false flush_time=00:00:01 joblog=false sharelog=00:00:00/' \
            -e '/^flush_time=/d' -e 's/^finished_jobs .*/finished_jobs 100/' -e 's#^mailer .*#mailer /bin/true#' \
            -e 's/^load_report_time .*/load_report_time 00:00:05/' -e 's/^max_unheard .*/max_unheard 00:00:30/' \
            -e 's/^shell_start_mode .*/shell_start_mode unix_behavior/' -e 's/^loglevel .*/loglevel log_info/'
}

sge_queue() { # the built-in template has every attribute that is required
    qconf -sq | sed -e 's/^qname .*/qname all.q/' -e 's/^hostlist .*/hostlist localhost/' \
        -e 's/^slots .*/slots 64/' -e 's/^pe_list .*/pe_list smp/' -e 's#^shell .*#shell /bin/bash#' \
        -e 's/^shell_start_mode .*/shell_start_mode unix_behavior/' \
        -e 's/^load_thresholds .*/load_thresholds NONE/' -e 's/^rerun .*/rerun FALSE/'
}

sge_exec_host() {
    echo 'hostname localhost'
    printf '%s NONE\n' load_scaling complex_values user_lists xuser_lists projects xprojects usage_scaling report_variables
}

sge_pe() {
    cat <<'PE'
pe_name            smp
slots              9999
user_lists         NONE
xuser_lists        NONE
start_proc_args    NONE
stop_proc_args     NONE
allocation_rule    $pe_slots
control_slaves     FALSE
job_is_first_task  TRUE
urgency_slots      min
accounting_summary FALSE
qsort_args         NONE
PE
}
