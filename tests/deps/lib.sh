# shellcheck shell=bash
# Private servers for tests and developers: a PostgreSQL cluster and a RabbitMQ node of our own.
#
# Everything of one set of servers lives in one directory below the system's temporary one, short enough for a
# socket path (107 bytes) and open to the unprivileged user that runs the servers. Ports, node name, cookie and epmd
# are our own, so that the machine's services, if it has any, are neither used nor disturbed. A server is known by
# its working directory, which is ours: no pid file can lie, and what a killed run left behind is found again.
#
# Sourced by `up`, `down`, `restart` and `with`; each of them takes the name of a set (`dev` when none is given).

set -euo pipefail
umask 022

deps_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)

say() { printf 'deps: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# Sets the variables of the set of servers called $1.
deps_select() {
    deps_name=$1
    [[ $deps_name =~ ^[a-z0-9]{1,16}$ ]] || die "the name of a set is 1 to 16 small letters and digits, not \"$deps_name\""
    local hash base=${TMPDIR:-/tmp}
    hash=$(printf '%s %s' "$EUID" "$deps_root" | sha256sum | cut -c1-8)
    # Another user must be able to enter it, and a socket's path must stay short.
    if ((${#base} > 40)) || ((EUID == 0)); then base=/tmp; fi
    deps_dir=${base%/}/ns-deps-$hash-$deps_name
    # shellcheck disable=SC2034  # `up` writes it
    deps_env=$deps_dir/deps.env
}

# The unprivileged user of the servers: nobody when we are root, ourselves otherwise.
deps_user=$(id -un)
deps_group=$(id -gn)
if ((EUID == 0)); then
    deps_user=nobody
    deps_group=$(id -gn nobody)
fi

# Where PostgreSQL's programs are: the highest version of Debian's layout, else what PATH names.
postgres_bin() {
    local candidate best='' initdb
    while IFS= read -r candidate; do
        [[ -x $candidate/initdb && -x $candidate/postgres ]] && best=$candidate
    done < <(printf '%s\n' /usr/lib/postgresql/*/bin /usr/pgsql-*/bin | sort -V)
    if [[ -z $best ]] && initdb=$(command -v initdb); then
        best=$(dirname "$(readlink -f "$initdb")")
    fi
    [[ -n $best ]] && printf '%s\n' "$best"
}

# Where RabbitMQ's own scripts are; those in /usr/sbin are wrappers that insist on the system's node.
rabbitmq_bin() {
    local candidate best=''
    while IFS= read -r candidate; do
        [[ -x $candidate/rabbitmq-server ]] && best=$candidate
    done < <(printf '%s\n' /usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin /opt/rabbitmq/sbin /usr/lib/rabbitmq/bin | sort -V)
    [[ -n $best ]] && command -v erl >/dev/null && command -v epmd >/dev/null && printf '%s\n' "$best"
}

# A Python that has pika, for the test that publishes a request as a foreign client does.
pika_python() {
    local candidate
    for candidate in /usr/bin/python3 python3; do
        if "$candidate" -c 'import pika' >/dev/null 2>&1; then
            printf '%s\n' "$candidate"
            return 0
        fi
    done
    return 1
}

# The library that gives a process another time of day, for the tests in which machines' clocks are wrong.
faketime_library() {
    local candidate
    for candidate in /usr/lib/*/faketime/libfaketime.so.1 /usr/lib/faketime/libfaketime.so.1; do
        if [[ -r $candidate ]]; then
            printf '%s\n' "$candidate"
            return 0
        fi
    done
    return 1
}

# The schema of the Metadata API's envelopes, for the test that validates ours with xmllint; `install schema` makes it.
metadata_schema() {
    local schema=$deps_root/target/wsdl/metadata.xsd
    [[ -s $schema ]] && command -v xmllint >/dev/null && printf '%s\n' "$schema"
}

# A Python that has pip, which fetches the WSDL.
pip_python() {
    local candidate
    for candidate in python3 /usr/bin/python3; do
        if "$candidate" -m pip --version >/dev/null 2>&1; then
            printf '%s\n' "$candidate"
            return 0
        fi
    done
    return 1
}

# Becomes a command of the servers' user, in an environment that holds only what is given: become DIR VAR=... -- COMMAND
become() {
    local dir=$1 change=()
    shift
    local vars=()
    while [[ $1 != -- ]]; do
        vars+=("$1")
        shift
    done
    shift
    if ((EUID == 0)); then change=(setpriv --reuid="$deps_user" --regid="$deps_group" --clear-groups); fi
    cd "$dir"
    exec ${change[@]+"${change[@]}"} env -i LANG=C.UTF-8 TZ=UTC HOME="$dir/home" "${vars[@]}" "$@"
}

as_user() { (become "$@"); }

# Starts a server in a session of its own. It inherits no descriptor but its log, or a pipe behind `make` never ends.
# launch DIR VAR=... -- COMMAND
launch() {
    local dir=$1
    (
        trap '' HUP
        local fd
        for fd in "/proc/$BASHPID/fd"/*; do
            fd=${fd##*/}
            if ((fd > 2)); then exec {fd}>&- || true; fi
        done
        exec </dev/null >>"$dir/log" 2>&1
        export -f become
        export deps_user deps_group
        exec setsid bash -c 'become "$@"' launch "$@"
    ) &
    disown
}

# The servers of a directory: pids of known programs whose working directory is inside.
pids_in() {
    local dir=$1 proc cwd name
    for proc in /proc/[0-9]*; do
        cwd=$(readlink "$proc/cwd" 2>/dev/null) || continue
        [[ $cwd == "$dir" || $cwd == "$dir"/* || $cwd == "$dir (deleted)" ]] || continue
        name=$(cat "$proc/comm" 2>/dev/null) || continue
        case $name in
            postgres | initdb | pg_ctl | beam.smp | epmd | rabbitmq-server | erl_child_setup | inet_gethost | erlexec | erl)
                printf '%s\n' "${proc#/proc/}"
                ;;
        esac
    done
}

# Ends the servers of a directory: politely, then after $2 seconds for good.
end_all_in() {
    local dir=$1 patience=$2 pids signal
    for signal in "$3" KILL; do
        mapfile -t pids < <(pids_in "$dir")
        ((${#pids[@]})) || return 0
        kill "-$signal" "${pids[@]}" 2>/dev/null || true
        local deadline=$((SECONDS + patience))
        while ((SECONDS < deadline)); do
            mapfile -t pids < <(pids_in "$dir")
            ((${#pids[@]})) || return 0
            sleep 0.1
        done
    done
    die "processes ${pids[*]} of $dir do not end; end them by hand"
}

# A port on which nothing listens and nothing lingers, below the range that the kernel hands to clients.
free_port() {
    local port hex table
    while :; do
        port=$((20000 + (RANDOM * 32768 + RANDOM) % 10000))
        [[ " $* " != *" $port "* ]] || continue
        hex=$(printf ':%04X ' "$port")
        for table in /proc/net/tcp /proc/net/tcp6; do
            if [[ -r $table ]] && grep -q "$hex" "$table"; then continue 2; fi
        done
        printf '%s\n' "$port"
        return
    done
}

# Waits until `$3...` succeeds; when it does not within $1 seconds, or no server of $2 is left, shows the log and fails.
wait_until() {
    local seconds=$1 dir=$2
    shift 2
    local deadline=$((SECONDS + seconds)) seen=0
    until "$@" >/dev/null 2>&1; do
        if [[ -n $(pids_in "$dir") ]]; then seen=1; elif ((seen)); then sleep 0.5; fi
        if ((SECONDS >= deadline)) || { ((seen)) && [[ -z $(pids_in "$dir") ]]; }; then
            tail -n 30 "$dir/log" >&2 || true
            die "the server of $dir did not answer within $seconds s; its log is above"
        fi
        sleep 0.1
    done
}

postgres_answers() {
    as_user "$deps_dir/pg" PATH="$(postgres_bin):/usr/bin:/bin" -- \
        psql -X -h "$deps_dir/pg" -p "$POSTGRES_PORT" -U nightshift -d postgres -Atc 'select 1'
}

# A node answers when it meets the protocol's header with `connection.start`: a frame of type 1 on channel 0.
rabbitmq_answers() {
    # shellcheck disable=SC2016  # expanded by the inner shell
    timeout 5 bash -c '
        exec 3<>"/dev/tcp/127.0.0.1/$1" || exit 1
        printf "AMQP\x00\x00\x09\x01" >&3
        [[ $(head -c 3 <&3 | od -An -tx1) == " 01 00 00" ]]' probe "$RABBITMQ_PORT"
}

# Starts the cluster in $deps_dir/pg; the settings are those of a test server, which may lose all when power fails.
postgres_start() {
    local bin
    bin=$(postgres_bin) || die "no PostgreSQL found; run tests/deps/install"
    launch "$deps_dir/pg" PATH="$bin:/usr/bin:/bin" -- "$bin/postgres" -D "$deps_dir/pg/data" \
        -c port="$POSTGRES_PORT" -c listen_addresses=127.0.0.1 -c unix_socket_directories="$deps_dir/pg" \
        -c fsync="${NIGHTSHIFT_TEST_FSYNC:-off}" -c synchronous_commit=off -c full_page_writes=off \
        -c max_connections=300 -c shared_buffers=256MB -c max_wal_size=2GB \
        -c autovacuum=on -c autovacuum_naptime=5s \
        -c idle_in_transaction_session_timeout=60s -c client_connection_check_interval=5s \
        -c tcp_keepalives_idle=30 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=4 \
        -c timezone=UTC -c log_timezone=UTC -c log_line_prefix='%m [%p] %a %d '
    wait_until 60 "$deps_dir/pg" postgres_answers
}

# A killed postmaster that nobody has waited for yet still has its pid, which the next one would take for a life.
postgres_stop() {
    end_all_in "$deps_dir/pg" 20 "${1:-INT}" && rm -f "$deps_dir/pg/data/postmaster.pid" "$deps_dir"/pg/.s.PGSQL.*
}

# The node's whole environment: what is not named here would be read from the machine's own node.
rabbitmq_vars() {
    local dir=$deps_dir/mq
    printf '%s\n' \
        "PATH=$(rabbitmq_bin):/usr/lib/erlang/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin" \
        "ERL_EPMD_PORT=$EPMD_PORT" ERL_EPMD_ADDRESS=127.0.0.1 ERL_CRASH_DUMP_SECONDS=0 \
        "RABBITMQ_CONF_ENV_FILE=$dir/none.conf" "RABBITMQ_CONFIG_FILE=$dir/rabbitmq.conf" \
        "RABBITMQ_ADVANCED_CONFIG_FILE=$dir/advanced.config" "RABBITMQ_GENERATED_CONFIG_DIR=$dir/generated" \
        "RABBITMQ_NODENAME=$RABBITMQ_NODE" RABBITMQ_NODE_IP_ADDRESS=127.0.0.1 "RABBITMQ_NODE_PORT=$RABBITMQ_PORT" \
        "RABBITMQ_DIST_PORT=$RABBITMQ_DIST_PORT" "RABBITMQ_MNESIA_BASE=$dir/mnesia" "RABBITMQ_LOG_BASE=$dir/logs" \
        "RABBITMQ_PID_FILE=$dir/node.pid" "RABBITMQ_ENABLED_PLUGINS_FILE=$dir/plugins" \
        "RABBITMQ_FEATURE_FLAGS_FILE=$dir/feature_flags" \
        "RABBITMQ_CTL_DIST_PORT_MIN=$RABBITMQ_CTL_PORT" "RABBITMQ_CTL_DIST_PORT_MAX=$RABBITMQ_CTL_PORT" \
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-start_epmd false -kernel inet_dist_use_interface {127,0,0,1}"
}

# epmd runs in the foreground as ours: left to itself the node makes a daemon of it that outlives the node.
rabbitmq_start() {
    local vars
    rabbitmq_bin >/dev/null || die "no RabbitMQ found; run tests/deps/install"
    mapfile -t vars < <(rabbitmq_vars)
    launch "$deps_dir/mq" "${vars[@]}" -- "$(command -v epmd)" -port "$EPMD_PORT" -address 127.0.0.1
    wait_until 60 "$deps_dir/mq" bash -c "exec 3<>/dev/tcp/127.0.0.1/$EPMD_PORT"
    launch "$deps_dir/mq" "${vars[@]}" -- "$(rabbitmq_bin)/rabbitmq-server"
    wait_until 120 "$deps_dir/mq" rabbitmq_answers
}

rabbitmq_stop() {
    end_all_in "$deps_dir/mq" 30 "${1:-TERM}"
}

# Stops both servers and deletes all that they had.
deps_down() {
    [[ -e $deps_dir ]] || return 0
    [[ -d $deps_dir && ! -L $deps_dir && -O $deps_dir ]] || die "$deps_dir is not ours; take it away or set TMPDIR"
    # Both at once, and without a last checkpoint: the data goes anyway.
    postgres_stop QUIT &
    rabbitmq_stop KILL &
    wait
    rm -rf "$deps_dir"
}

# One caller at a time for each set of servers.
deps_lock() {
    local lock
    lock=${deps_dir%/*}/.${deps_dir##*/}.lock
    exec {deps_lock_fd}>"$lock"
    flock -w "$1" "$deps_lock_fd" || die "somebody else holds $lock since $1 s (another make test in this checkout?)"
}
