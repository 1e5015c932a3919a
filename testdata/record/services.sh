# Servers of Debian packages and their own clients: sourced by record.sh, which has record, stop, S and C.
#
# Each scenario writes NAME.said.json itself: the words of the endpoints about what they negotiated, or what was asked.

# say NAME VALUE ...: what the endpoints said, as JSON; values are taken as they stand.
say() {
    "$python" - "$@" >"$out/$name.said.json" <<'PY'
import json, sys
print(json.dumps(dict(zip(sys.argv[1::2], sys.argv[2::2])), indent=1))
PY
}

# talk PORT LINE...: a client that sends each line and waits for an answer.
talk() {
    C "$python" - "$server" "$@" <<'PY'
import socket, sys
link = socket.create_connection((sys.argv[1], int(sys.argv[2])))
link.settimeout(1)
for line in sys.argv[3:]:
    link.sendall(line.encode() + b"\r\n")
    try:
        print(link.recv(65536).decode(errors="replace"))
    except TimeoutError:
        pass
link.close()
PY
}

redis() {
    record redis
    S redis-server --bind "$server" --port 6379 --protected-mode no --save '' --daemonize no >/dev/null
    for command in 'SET office open' 'GET office' 'LPUSH list a b c' 'INFO server'; do
        C redis-cli -h "$server" $command >redis.txt
    done
    stop
    say version "$(grep -a redis_version redis.txt | tr -d '\r')"
}

memcached() {
    record memcached
    S /usr/bin/memcached -u nobody -l "$server" -p 11211 -U 0
    talk 11211 $'set office 0 0 4\r\nopen' 'get office' 'stats' 'quit' >memcached.txt
    stop
    say version "$(grep -a 'STAT version' memcached.txt | tr -d '\r')"
}

mqtt() {
    record mqtt
    printf 'listener 1883 %s\nallow_anonymous true\nlistener 8883 %s\ncertfile %s/ec.crt\nkeyfile %s/ec.key\n' \
        "$server" "$server" "$work" "$work" >mosquitto.conf
    chmod 755 "$work" && chmod 644 ec.key
    S mosquitto -c mosquitto.conf >/dev/null 2>&1
    (C mosquitto_sub -h "$server" -t office/# -C 2 >mqtt.txt) &
    sleep 0.5
    C mosquitto_pub -h "$server" -t office/door -m open
    C mosquitto_pub -h "$server" -p 8883 --cafile ec.crt --insecure -t office/door -m closed
    sleep 0.5
    stop
    say received "$(paste -sd' ' mqtt.txt)"
}

postgresql() {
    local bin=/usr/lib/postgresql/15/bin port
    chmod 755 "$work"
    install -d -o postgres postgres && install -o postgres -m 600 rsa.key postgres/server.key && install -o postgres rsa.crt postgres/server.crt
    record postgresql
    for port in 5432 5433; do
        setpriv --reuid postgres --clear-groups "$bin/initdb" -D "$work/postgres/$port" -A trust -U clerk >/dev/null
        echo "host all all $client/24 trust" >>"postgres/$port/pg_hba.conf"
        WARM=2 S setpriv --reuid postgres --clear-groups "$bin/postgres" -D "$work/postgres/$port" -h "$server" -p "$port" -k "$work/postgres" \
            -c "ssl=$([ $port = 5432 ] && echo on || echo off)" -c "ssl_cert_file=$work/postgres/server.crt" -c "ssl_key_file=$work/postgres/server.key" >/dev/null 2>&1
    done
    local ask="select coalesce(version, 'none') || ' ' || coalesce(cipher, 'none') from pg_stat_ssl where pid = pg_backend_pid()"
    local used clear refused
    used=$(C psql -At "host=$server user=clerk dbname=postgres sslmode=require" -c "$ask")
    clear=$(C psql -At "host=$server user=clerk dbname=postgres sslmode=disable" -c "$ask")
    refused=$(C psql -At "host=$server port=5433 user=clerk dbname=postgres sslmode=prefer" -c "$ask")
    stop
    say used "$used" clear "$clear" refused "$refused"
}

mariadb() {
    chmod 755 "$work"
    install -d -o mysql mariadb && install -o mysql -m 600 rsa.key mariadb/server.key && install -o mysql rsa.crt mariadb/server.crt
    printf "create user clerk@'%%' identified by 'office';\n" >mariadb.sql
    mariadb-install-db --no-defaults --user=mysql --datadir="$work/mariadb/data" >/dev/null 2>&1
    record mariadb
    WARM=4 S mariadbd --no-defaults --user=mysql --datadir="$work/mariadb/data" --socket="$work/mariadb/socket" --bind-address="$server" \
        --pid-file="$work/mariadb/pid" --init-file="$work/mariadb.sql" --ssl-cert="$work/mariadb/server.crt" --ssl-key="$work/mariadb/server.key" >/dev/null 2>&1
    local ask="show status like 'Ssl_version'" used clear
    used=$(C mysql --no-defaults -N --ssl -h "$server" -uclerk -poffice -e "$ask")
    clear=$(C mysql --no-defaults -N --skip-ssl -h "$server" -uclerk -poffice -e "$ask")
    stop
    say used "$used" clear "$clear"
}

ldap() {
    mkdir -p ldap
    cat >slapd.conf <<CONF
include /etc/ldap/schema/core.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile $work/slapd.pid
TLSCertificateFile $work/rsa.crt
TLSCertificateKeyFile $work/rsa.key
database mdb
suffix dc=office,dc=example
rootdn cn=clerk,dc=office,dc=example
rootpw office
directory $work/ldap
CONF
    record ldap
    S slapd -d 0 -f slapd.conf -h "ldap://$server"
    local bind=(-x -H "ldap://$server" -D cn=clerk,dc=office,dc=example -w office) clear used
    printf 'dn: dc=office,dc=example\nobjectClass: organization\nobjectClass: dcObject\no: office\n' >office.ldif
    C ldapadd "${bind[@]}" -f office.ldif >/dev/null
    clear=$(C ldapsearch "${bind[@]}" -LLL -b dc=office,dc=example o | grep ^o:)
    used=$(LDAPTLS_REQCERT=never C ldapsearch -ZZ "${bind[@]}" -LLL -b dc=office,dc=example o | grep ^o:)
    C ldapsearch -x -H "ldap://$server" -LLL -s base -b '' supportedExtension >/dev/null
    stop
    say clear "$clear" used "$used"
}

irc() {
    cat >ngircd.conf <<CONF
[Global]
Name = irc.office.example
Info = Office
Listen = $server
Ports = 6667
ServerUID = nobody
[Options]
PAM = no
Ident = no
DNS = no
CONF
    record irc
    chmod 755 "$work" && chmod 644 ngircd.conf
    S ngircd -n -f "$work/ngircd.conf" >/dev/null
    talk 6667 'CAP LS 302' $'NICK clerk\r\nUSER clerk 0 * :Clerk' 'CAP END' 'JOIN #office' 'PRIVMSG #office :the printer is out of paper' 'QUIT' >irc.txt
    stop
    say welcome "$(grep -a ' 001 ' irc.txt | head -1 | tr -d '\r')"
}

turn() {
    record turn
    S turnserver -n -L "$server" --lt-cred-mech --user clerk:office --realm office.example --allow-loopback-peers --no-tls --no-dtls --log-file stdout --no-cli >/dev/null 2>&1
    C turnutils_uclient -y -c -n 5 -m 1 -l 100 -u clerk -w office "$server" >turn.txt 2>&1 || true
    stop
    say result "$(grep -a 'Total lost packets' turn.txt | tail -1 | sed 's/^[0-9]*: *: *//')"
}

tftp() {
    mkdir -p boot && head -c 3000 www/page.html >boot/kernel && chmod -R a+rX boot && chmod 755 "$work"
    record tftp
    S in.tftpd -L -a "$server:69" -s "$work/boot"
    C curl -s "tftp://$server/kernel" -o kernel
    C curl -s "tftp://$server/missing" -o /dev/null || true
    stop
    say bytes "$(wc -c <kernel)"
}

ntp() {
    record ntp
    printf 'local stratum 8\nallow\nbindaddress %s\ncmdport 0\npidfile %s/chronyd.pid\nbindcmdaddress /\n' "$server" "$work" >chronyd.conf
    S chronyd -x -n -u root -f "$work/chronyd.conf" >/dev/null 2>&1
    C chronyd -x -Q -t 20 -u root "server $server iburst maxsamples 4" "pidfile $work/client.pid" "cmdport 0" "bindcmdaddress /" >ntp.txt 2>&1 || true
    stop
    say result "$(grep -ac 'System clock wrong' ntp.txt)"
}

smb() {
    mkdir -p smb/{state,share} && head -c 4000 www/page.html >smb/share/page && chmod -R a+rX smb && chmod 755 "$work"
    cat >smb.conf <<CONF
[global]
interfaces = $server/24
bind interfaces only = yes
map to guest = never
server min protocol = SMB2
private dir = $work/smb/state
lock directory = $work/smb/state
state directory = $work/smb/state
cache directory = $work/smb/state
pid directory = $work/smb/state
ncalrpc dir = $work/smb/state/rpc
log file = /dev/null
disable netbios = yes
smb ports = 445
load printers = no
[share]
path = $work/smb/share
CONF
    printf 'office\noffice\n' | smbpasswd -c "$work/smb.conf" -s -a root >/dev/null
    record smb
    WARM=2 S smbd -F -s "$work/smb.conf" >/dev/null 2>&1
    local protection
    for protection in sign encrypt; do
        C smbclient -s "$work/smb.conf" --client-protection="$protection" -U root%office "//$server/share" -c "get page smb-$protection" >/dev/null 2>&1
    done
    stop
    say sign "$(wc -c <smb-sign)" encrypt "$(wc -c <smb-encrypt)"
}

nats() {
    record nats
    S nats-server -a "$server" -p 4222 >/dev/null 2>&1
    talk 4222 'CONNECT {"verbose":true,"name":"clerk"}' 'SUB office 1' $'PUB office 4\r\nopen' 'PING' >nats.txt
    stop
    say welcome "$(grep -ao '"version":"[^"]*"' nats.txt | head -1)"
}

# What starts in clear and goes on in TLS: IMAP, POP3 and ManageSieve of one server.
dovecot() {
    chmod 755 "$work"; install -d -o dovecot mailbox
    cat >dovecot.conf <<CONF
base_dir = $work/dovecot
listen = $server
protocols = imap pop3 sieve
log_path = /dev/null
ssl = yes
ssl_cert = <$work/rsa.crt
ssl_key = <$work/rsa.key
disable_plaintext_auth = no
mail_location = mbox:$work/mailbox
first_valid_uid = 1
passdb {
  driver = static
  args = password=office
}
userdb {
  driver = static
  args = uid=dovecot gid=dovecot home=$work/mailbox
}
CONF
    record dovecot
    WARM=1.5 S /usr/sbin/dovecot -F -c "$work/dovecot.conf"
    C "$python" "$here/upgrades.py" "$server" >dovecot.json
    stop
    cp dovecot.json "$out/$name.said.json"
}

# Proxies: the inside is TLS or HTTP.
proxies() {
    chmod 755 "$work" && chmod -R a+rX www
    cat >nginx-inner.conf <<CONF
daemon off; pid $work/nginx.pid; error_log /dev/null; worker_processes 1; events {}
http { access_log off; client_body_temp_path $work/t1; proxy_temp_path $work/t2; fastcgi_temp_path $work/t3; uwsgi_temp_path $work/t4; scgi_temp_path $work/t5;
 server { listen 127.0.0.1:80; root $work/boot; } server { listen 127.0.0.1:443 ssl; root $work/boot; ssl_certificate $work/ec.crt; ssl_certificate_key $work/ec.key; } }
CONF
    mkdir -p boot && head -c 3000 www/page.html >boot/page.html && chmod -R a+rX boot
    printf 'logoutput: /dev/null\ninternal: %s port = 1080\nexternal: lo\nsocksmethod: none\nclientmethod: none\nuser.privileged: root\nuser.unprivileged: nobody\nclient pass { from: 0/0 to: 0/0 }\nsocks pass { from: 0/0 to: 0/0 }\n' "$server" >danted.conf
    printf 'User nobody\nGroup nogroup\nPort 8888\nListen %s\nTimeout 60\nAllow 0.0.0.0/0\nConnectPort 443\nLogLevel Critical\n' "$server" >tinyproxy.conf
    record proxies
    S nginx -c "$work/nginx-inner.conf"
    S danted -f "$work/danted.conf"
    S tinyproxy -d -c "$work/tinyproxy.conf" >/dev/null 2>&1
    local how said=()
    for how in socks5 socks4 http; do
        for inside in http https; do
            local port=1080; [ "$how" = http ] && port=8888
            said+=("$how-$inside" "$(C curl -sk -x "$how://$server:$port" "$inside://127.0.0.1/page.html" -o /dev/null -w '%{http_code} %{ssl_verify_result}')")
        done
    done
    stop
    say "${said[@]}"
}

# Logins that can be read, and beside each what comes near: the words are whether a password went in clear, in the order of
# the connections to each port.
findings_logins() {
    chmod 755 "$work"
    local bin=/usr/lib/postgresql/15/bin base=dc=office,dc=example
    mkdir -p ldap
    cat >slapd.conf <<CONF
include /etc/ldap/schema/core.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile $work/slapd.pid
database mdb
suffix $base
rootdn cn=clerk,$base
rootpw office
directory $work/ldap
CONF
    printf 'dn: %s\nobjectClass: organization\nobjectClass: dcObject\no: office\n' "$base" | slapadd -f slapd.conf
    mosquitto_passwd -c -b mosquitto.passwords clerk office 2>/dev/null
    chmod 644 mosquitto.passwords
    printf 'listener 1883 %s\nallow_anonymous true\npassword_file %s/mosquitto.passwords\n' "$server" "$work" >mosquitto.conf
    install -d -o postgres postgres
    setpriv --reuid postgres --clear-groups "$bin/initdb" -D "$work/postgres/data" -A trust -U clerk >/dev/null
    {
        echo 'local all all trust'
        for method in password md5 scram-sha-256; do echo "host all $method $client/24 $method"; done
        echo "host all trust $client/24 trust"
    } >postgres/data/pg_hba.conf
    record findings/logins
    S slapd -d 0 -f slapd.conf -h "ldap://$server"
    local who
    for who in "-D cn=clerk,$base -w office" ''; do C ldapsearch -x -H "ldap://$server" $who -LLL -b "$base" o >/dev/null; done
    S mosquitto -c mosquitto.conf >/dev/null 2>&1
    for who in '-u clerk -P office' ''; do C mosquitto_pub -h "$server" $who -t office/door -m open; done
    WARM=2 S setpriv --reuid postgres --clear-groups "$bin/postgres" -D "$work/postgres/data" -h "$server" -k "$work/postgres" >/dev/null 2>&1
    setpriv --reuid postgres --clear-groups psql -q -h "$work/postgres" -U clerk postgres <<'SQL'
create role password login password 'office';
set password_encryption = 'md5';
create role md5 login password 'office';
set password_encryption = 'scram-sha-256';
create role "scram-sha-256" login password 'office';
create role trust login;
SQL
    for who in password md5 scram-sha-256 trust; do C env PGPASSWORD=office psql -At "host=$server user=$who dbname=postgres sslmode=disable" -c 'select 1' >/dev/null; done
    S redis-server --bind "$server" --port 6379 --requirepass office --save '' --daemonize no >/dev/null
    C redis-cli -h "$server" -a office GET door >/dev/null 2>&1
    C redis-cli -h "$server" PING >/dev/null
    S nats-server -a "$server" -p 4222 --user clerk --pass office >/dev/null 2>&1
    talk 4222 'CONNECT {"verbose":true,"user":"clerk","pass":"office"}' 'PING' >/dev/null
    talk 4222 'CONNECT {"verbose":true,"name":"clerk"}' 'PING' >/dev/null
    stop
    cat >"$out/$name.said.json" <<'JSON'
{
 "ldap": {"port": 389, "passwords": [true, false]},
 "mqtt": {"port": 1883, "passwords": [true, false]},
 "postgresql": {"port": 5432, "passwords": [true, false, false, false]},
 "redis": {"port": 6379, "passwords": [true, false]},
 "nats": {"port": 4222, "passwords": [true, false]}
}
JSON
}
