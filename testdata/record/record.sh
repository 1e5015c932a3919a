#!/usr/bin/env bash
# Records the captures of this folder: real programs that talk between two network namespaces of this machine.
#
#   testdata/record/record.sh [NAME...]      (root; Debian packages and Python packages: see README.md)
#
# Each scenario leaves NAME.pcap and NAME.said.json: what the endpoints themselves said that they negotiated.
# Addresses are those for documentation (RFC 5737, RFC 3849); nothing leaves the two namespaces.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${OUT:-$(dirname "$here")}
python=${PYTHON:-python3}
work=$(mktemp -d)
client_ns=tlscov-client-$$ server_ns=tlscov-server-$$
server=192.0.2.2 client=192.0.2.1

cleanup() {
    local pid
    for pid in $(ip netns pids "$client_ns" 2>/dev/null; ip netns pids "$server_ns" 2>/dev/null); do
        kill "$pid" 2>/dev/null || true
    done
    ip netns del "$client_ns" 2>/dev/null || true
    ip netns del "$server_ns" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

ip netns add "$client_ns"
ip netns add "$server_ns"
ip link add tlsc netns "$client_ns" type veth peer name tlss netns "$server_ns"
for side in "$client_ns tlsc $client 2001:db8::1" "$server_ns tlss $server 2001:db8::2"; do
    read -r ns link v4 v6 <<<"$side"
    ip -n "$ns" addr add "$v4/24" dev "$link"
    ip -n "$ns" addr add "$v6/64" dev "$link" nodad
    ip -n "$ns" link set "$link" up
    ip -n "$ns" link set lo up
    # Frames as a network card sends them, not as the kernel hands them over: no segments larger than the MTU.
    ip netns exec "$ns" ethtool -K "$link" tso off gso off gro off tx off >/dev/null 2>&1 || true
done

C() { ip netns exec "$client_ns" timeout 30 "$@"; }
S() { ip netns exec "$server_ns" "$@" & sleep "${WARM:-0.6}"; }

# record NAME: from here on into NAME.pcap; stop: ends it and the server programs.
record() {
    name=$1
    echo "recording $name" >&2
    ip netns exec "$client_ns" tcpdump -i tlsc -s 0 --immediate-mode -U -w "$work/$name.pcap" 'not icmp6' >/dev/null 2>&1 &
    dump=$!
    sleep 0.7
}
stop() {
    sleep 0.6
    kill -INT "$dump"
    wait "$dump" 2>/dev/null || true
    for pid in $(ip netns pids "$server_ns"); do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    cp "$work/$name.pcap" "$out/$name.pcap"
}
said() { "$python" "$here/said.py" "$@" >"$out/$name.said.json"; }

cd "$work"
openssl req -x509 -newkey rsa:2048 -nodes -keyout rsa.key -out rsa.crt -days 3650 -subj /CN=office.example -addext 'subjectAltName=DNS:office.example' 2>/dev/null
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ec.key -out ec.crt -days 3650 -subj /CN=office.example -addext 'subjectAltName=DNS:office.example' 2>/dev/null
mkdir -p www findings "$out/findings" && head -c 60000 /dev/urandom | base64 >www/page.html && head -c 600 www/page.html >www/short.html

# tls NAME SERVER_OPTIONS -- CLIENT_OPTIONS: openssl on both ends, one page over HTTP inside.
tls() {
    local name_=$1; shift
    local server_options=()
    while [ "$1" != -- ]; do server_options+=("$1"); shift; done
    shift
    record "$name_"
    (cd www && S openssl s_server -accept 4433 -cert ../rsa.crt -key ../rsa.key -WWW "${server_options[@]}" >/dev/null 2>&1)
    (printf 'GET /page.html HTTP/1.0\r\n\r\n'; sleep 1) |
        C openssl s_client -connect "$server:4433" -servername office.example -ign_eof "$@" >client.txt 2>&1 || true
    stop
    said openssl client.txt
}

tls_scenarios() {
    tls tls13 -tls1_3 -- -tls1_3 -groups X25519
    tls tls13-retry -tls1_3 -groups P-384 -- -tls1_3 -groups X25519:P-384
    tls tls13-chacha -tls1_3 -ciphersuites TLS_CHACHA20_POLY1305_SHA256 -- -tls1_3
    tls tls12-ecdhe -tls1_2 -- -tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256
    tls tls12-dhe -tls1_2 -cipher DHE-RSA-AES256-GCM-SHA384 -- -tls1_2 -cipher DHE-RSA-AES256-GCM-SHA384
    tls tls12-static-rsa -tls1_2 -cipher AES128-SHA -- -tls1_2 -cipher AES128-SHA
    tls tls12-cbc-etm -tls1_2 -- -tls1_2 -cipher ECDHE-RSA-AES128-SHA256
    tls tls11 -cipher ALL:@SECLEVEL=0 -- -tls1_1 -cipher ALL:@SECLEVEL=0
    tls tls10 -cipher ALL:@SECLEVEL=0 -- -tls1 -cipher ALL:@SECLEVEL=0
    tls tls12-null -tls1_2 -cipher NULL:@SECLEVEL=0 -- -tls1_2 -cipher NULL-SHA256:@SECLEVEL=0
    tls tls-refused -tls1_3 -- -tls1_2
}

resumption() {
    local v
    for v in 2 3; do
        record "tls1$v-resumed"
        (cd www && S openssl s_server -accept 4433 -cert ../ec.crt -key ../ec.key -WWW "-tls1_$v" >/dev/null 2>&1)
        for step in -sess_out -sess_in; do
            (printf 'GET /page.html HTTP/1.0\r\n\r\n'; sleep 1) | C openssl s_client -connect "$server:4433" \
                -servername office.example -ign_eof "-tls1_$v" "$step" session.pem >client.txt 2>&1 || true
        done
        stop
        said openssl client.txt
    done
}

gnutls() {
    record gnutls
    S gnutls-serv --http --port 4433 --x509certfile ec.crt --x509keyfile ec.key --quiet >/dev/null 2>&1
    for priority in NORMAL:-VERS-ALL:+VERS-TLS1.3 NORMAL:-VERS-ALL:+VERS-TLS1.2; do
        (printf 'GET / HTTP/1.0\r\n\r\n'; sleep 1) |
            C gnutls-cli --no-ca-verification --priority "$priority" -p 4433 "$server" >>client-gnutls.txt 2>&1 || true
    done
    stop
    said gnutls client-gnutls.txt
}

old_suites() {
    record tls-old-suites
    S "$python" "$here/old_suites.py" server "$server" rsa.crt rsa.key
    C "$python" "$here/old_suites.py" client "$server" >old.json
    stop
    cp old.json "$out/$name.said.json"
}

weakened() {
    local cases
    for cases in handshakes certificates; do
        record "weak-$cases"
        WARM=15 S "$python" "$here/weakened.py" server "$server" "$cases"
        C "$python" "$here/weakened.py" client "$server" "$cases" >weakened.json
        stop
        cp weakened.json "$out/$name.said.json"
    done
    tls tls12-anonymous -tls1_2 -nocert -cipher aNULL:@SECLEVEL=0 -- -tls1_2 -cipher ADH-AES128-GCM-SHA256:@SECLEVEL=0
}

passwords() {
    record passwords
    (cd www && S "$python" -m http.server --bind "$server" 8080 >/dev/null 2>&1)
    C curl -s "http://$server:8080/missing" -o /dev/null
    C curl -s -u clerk:office "http://$server:8080/missing" -o /dev/null
    S "$python" "$here/passwords.py" server "$server"
    C "$python" "$here/passwords.py" client "$server" >passwords.json
    stop
    cp passwords.json "$out/$name.said.json"
}

web() {
    cat >nginx.conf <<CONF
daemon off; pid $work/nginx.pid; error_log /dev/null; worker_processes 1; events {}
http { access_log off; client_body_temp_path $work/t1; proxy_temp_path $work/t2; fastcgi_temp_path $work/t3; uwsgi_temp_path $work/t4; scgi_temp_path $work/t5;
 server { listen 80; listen [::]:80; root $work/www; }
 server { listen 81 http2; root $work/www; }
 server { listen 443 ssl http2; listen [::]:443 ssl http2; server_name office.example; root $work/www;
  ssl_certificate $work/ec.crt; ssl_certificate_key $work/ec.key; ssl_protocols TLSv1.2 TLSv1.3; } }
CONF
    chmod 755 "$work" && chmod -R a+rX www
    record http
    S nginx -c "$work/nginx.conf"
    C curl -s "http://$server/page.html" -o /dev/null
    C curl -s "http://[2001:db8::2]/page.html" -o /dev/null
    C curl -s --http2-prior-knowledge "http://$server:81/page.html" -o /dev/null
    stop
    said none
    record https
    S nginx -c "$work/nginx.conf"
    for v in 1.2 1.3; do
        C curl -sk -w '{"version":"%{ssl_version}","http":"%{http_version}"}\n' --tlsv$v --tls-max $v \
            --resolve "office.example:443:$server" https://office.example/page.html -o /dev/null
        C curl -sk -6 --tlsv$v --tls-max $v --resolve "office.example:443:[2001:db8::2]" https://office.example/ -o /dev/null
    done
    stop
    said curl 2
}

ssh_scenario() {
    record ssh
    mkdir -p ssh /run/sshd && ssh-keygen -q -t ed25519 -N '' -f ssh/host && ssh-keygen -q -t ed25519 -N '' -f ssh/user
    cp ssh/user.pub ssh/authorized && chmod 600 ssh/authorized
    S /usr/sbin/sshd -D -e -p 2222 -h "$work/ssh/host" -o "AuthorizedKeysFile=$work/ssh/authorized" -o StrictModes=no -o UsePAM=no -o PidFile=none >/dev/null 2>&1
    C ssh -v -p 2222 -i ssh/user -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null "$server" 'head -c 50000 /dev/zero' >/dev/null 2>client-ssh.txt || true
    stop
    said ssh client-ssh.txt
}

mail() {
    record mail
    S "$python" "$here/mail.py" server "$server" rsa.crt rsa.key
    C "$python" "$here/mail.py" client "$server" >mail.json
    stop
    cp mail.json "$out/$name.said.json"
}

ftp() {
    record ftp
    S "$python" "$here/ftp.py" server "$server" rsa.crt rsa.key "$work/www"
    C "$python" "$here/ftp.py" client "$server" >ftp.json
    stop
    cp ftp.json "$out/$name.said.json"
}

names() {
    record dns
    S dnsmasq -k --no-resolv --no-hosts --port=53 --address=/office.example/$server --txt-record=long.example,"$(head -c 200 /dev/zero | tr '\0' x)" --user=root --pid-file="$work/dnsmasq.pid"
    for i in 1 2 3; do C dig +short "@$server" "office.example" >/dev/null; done
    C dig +tcp +short "@$server" long.example TXT >/dev/null
    C dig +short "@2001:db8::2" office.example AAAA >/dev/null
    stop
    said none
}

quic() {
    record quic
    S "$python" "$here/quic.py" server "$server" rsa.crt rsa.key
    C "$python" "$here/quic.py" client "$server" >quic.json
    stop
    cp quic.json "$out/$name.said.json"
}

dtls() {
    record dtls12
    S openssl s_server -dtls1_2 -accept 4433 -cert rsa.crt -key rsa.key -quiet >/dev/null 2>&1
    (echo hello; sleep 0.3; head -c 3000 /dev/zero | tr '\0' y; sleep 0.5) | C openssl s_client -dtls1_2 -connect "$server:4433" >client.txt 2>&1 || true
    stop
    said openssl client.txt
}

management() {
    record snmp
    cat >snmpd.conf <<CONF
agentaddress udp:$server:161
rocommunity public
createUser reader SHA authpass123 AES privpass123
rouser reader authPriv
CONF
    mkdir -p snmp-state
    S env SNMP_PERSISTENT_DIR="$work/snmp-state" snmpd -f -C -c "$work/snmpd.conf" -Lf /dev/null
    C snmpget -v2c -c public "$server" 1.3.6.1.2.1.1.1.0 >/dev/null || true
    C snmpget -v3 -l authPriv -u reader -a SHA -A authpass123 -x AES -X privpass123 "$server" 1.3.6.1.2.1.1.1.0 >/dev/null || true
    C logger -n "$server" -d -P 514 'office printer is out of paper' || true
    stop
    said none
}

vpn() {
    record openvpn
    openssl dhparam -out dh.pem 2048 2>/dev/null &
    local dh=$!
    openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 3650 -subj /CN=ca 2>/dev/null
    for who in server client; do
        openssl req -newkey rsa:2048 -nodes -keyout $who.key -out $who.csr -subj /CN=$who 2>/dev/null
        openssl x509 -req -in $who.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out $who.crt -days 3650 2>/dev/null
    done
    wait $dh
    WARM=3 S openvpn --dev tun --ifconfig 198.51.100.1 198.51.100.2 --tls-server --dh dh.pem --ca ca.crt --cert server.crt --key server.key --local "$server" --port 1194 --data-ciphers AES-256-GCM
    ip netns exec "$client_ns" openvpn --dev tun --ifconfig 198.51.100.2 198.51.100.1 --tls-client --ca ca.crt --cert client.crt --key client.key --remote "$server" 1194 --data-ciphers AES-256-GCM >openvpn.txt 2>&1 &
    sleep 8
    C ping -c 4 -i 0.3 198.51.100.1 >/dev/null || true
    for pid in $(ip netns pids "$client_ns"); do [ "$pid" = "$dump" ] || kill "$pid" 2>/dev/null || true; done
    stop
    said none
    record wireguard
    for side in "$client_ns wgc 198.51.100.2" "$server_ns wgs 198.51.100.1"; do
        read -r ns dev address <<<"$side"
        wg genkey >"$dev.key" && wg pubkey <"$dev.key" >"$dev.pub"
        ip netns exec "$ns" wireguard-go "$dev" >/dev/null 2>&1
        ip -n "$ns" addr add "$address/24" dev "$dev"
    done
    ip netns exec "$server_ns" wg set wgs listen-port 51820 private-key wgs.key peer "$(cat wgc.pub)" allowed-ips 198.51.100.2/32
    ip netns exec "$client_ns" wg set wgc private-key wgc.key peer "$(cat wgs.pub)" allowed-ips 198.51.100.1/32 endpoint "$server:51820"
    ip -n "$server_ns" link set wgs up; ip -n "$client_ns" link set wgc up
    C ping -c 6 -i 0.3 198.51.100.1 >/dev/null || true
    stop
    for pid in $(pgrep -x wireguard-go || true); do kill "$pid" 2>/dev/null || true; done
    said none
}

# What weakens encryption, one capture a kind of program: into findings/, each with near misses beside it.
# Cases of openssl on both ends: CASE PORT SERVER_OPTIONS -- CLIENT_OPTIONS; prints its line of the .said.json.
openssl_case() {
    local case_=$1 port=$2; shift 2
    local server_options=()
    while [ "$1" != -- ]; do server_options+=("$1"); shift; done
    shift
    (cd www && S openssl s_server -accept "$port" -cert ../rsa.crt -key ../rsa.key -WWW "${server_options[@]}" >/dev/null 2>&1)
    (printf 'GET /short.html HTTP/1.0\r\n\r\n'; sleep 0.6) | C openssl s_client -connect "$server:$port" -ign_eof "$@" >case.txt 2>&1 || true
    printf '"%s": {"port": %s, "connections": [{"suite": "%s", "key": "%s", "signature": "%s"}]},\n' "$case_" "$port" \
        "$(sed -n 's/.*Cipher is //p' case.txt | head -1)" "$(sed -n 's/Server Temp Key: //p' case.txt)" \
        "$(sed -n 's/Peer signing digest: //p' case.txt)" >>cases.txt
}

findings_openssl() {
    : >cases.txt
    record findings/openssl
    local low=(-tls1_2 -cipher "ECDHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0")
    openssl_case signed_sha1 4711 "${low[@]}" -- "${low[@]}" -sigalgs RSA+SHA1
    openssl_case signed_sha256 4712 "${low[@]}" -- "${low[@]}" -sigalgs RSA+SHA256
    openssl_case curve_192 4713 "${low[@]}" -named_curve P-192 -- "${low[@]}" -curves P-192
    openssl_case curve_256 4714 "${low[@]}" -- "${low[@]}" -curves P-256
    stop
    { echo '{'; sed '$s/,$//' cases.txt; echo '}'; } >"$out/$name.said.json"
}

findings_java() {
    mkdir -p stores
    openssl req -x509 -newkey rsa:1024 -nodes -keyout rsa512.key -out rsa512.crt -days 3650 -subj /CN=office.example 2>/dev/null
    for key in rsa512 rsa ec; do
        openssl pkcs12 -export -in $key.crt -inkey $key.key -name $key -passout pass:office -out stores/$key.p12
    done
    cp "$here/Suites.java" . && javac -d . Suites.java
    record findings/java
    WARM=6 S java -cp . Suites server "$server" stores
    C java -cp . Suites client "$server" stores >java.json
    stop
    cp java.json "$out/$name.said.json"
}

# python NAME: a scenario of findings.py.
findings_python() {
    local scenario=$1; shift
    record "findings/$scenario"
    WARM=3 S "$python" "$here/findings.py" server "$server" "$scenario" "$@"
    C "$python" "$here/findings.py" client "$server" "$scenario" >findings.json
    stop
    cp findings.json "$out/$name.said.json"
}

findings_ssh() {
    record findings/ssh
    WARM=4 S "$python" "$here/findings.py" server "$server" ssh
    echo '{' >ssh.json
    for row in 'chacha 2301' 'cbc_etm 2302' 'ctr 2303'; do
        read -r case_ port <<<"$row"
        C ssh -v -p "$port" -c 'chacha20-poly1305@openssh.com,aes128-ctr,aes128-cbc' -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
            clerk@"$server" read >/dev/null 2>ssh.txt </dev/null || true
        printf '"%s": {"port": %s, "connections": [{"client": "%s", "server": "%s"}]},\n' "$case_" "$port" \
            "$(sed -n 's/.*kex: client->server cipher: //p' ssh.txt)" "$(sed -n 's/.*kex: server->client cipher: //p' ssh.txt)" >>ssh.json
    done
    stop
    { sed '$s/,$//' ssh.json; echo '}'; } >"$out/$name.said.json"
}

findings_srtp() {
    record findings/srtp
    echo '{' >srtp.json
    for row in 'null 4721 SRTP_NULL_HMAC_SHA1_80' 'aes 4722 SRTP_AES128_CM_HMAC_SHA1_80'; do
        read -r case_ port profile <<<"$row"
        S gnutls-serv --udp --port "$port" --x509certfile ec.crt --x509keyfile ec.key --srtp-profiles "$profile" --quiet >/dev/null 2>&1
        (echo hello; sleep 1) | C gnutls-cli --udp --no-ca-verification --srtp-profiles "$profile" -p "$port" "$server" >srtp.txt 2>&1 || true
        printf '"%s": {"port": %s, "connections": [{"profile": "%s"}]},\n' "$case_" "$port" "$(sed -n 's/.*SRTP profile: //p' srtp.txt | head -1)" >>srtp.json
    done
    stop
    { sed '$s/,$//' srtp.json; echo '}'; } >"$out/$name.said.json"
}

findings_ike() {
    record findings/ike
    mkdir -p swan
    cat >swan/strongswan.conf <<CONF
charon { load_modular = no
 load = random nonce openssl aes des sha1 sha2 md5 hmac gmp curve25519 pem pkcs1 x509 kernel-netlink socket-default vici
 accept_unencrypted_mainmode_messages = yes
 plugins { vici { socket = unix://$work/swan/vici } }
 filelog { log { path = $work/swan/log
  ike = 2
  cfg = 2 } } }
CONF
    cat >swan/swanctl.conf <<CONF
connections { weak { version = 0
 local_addrs = $server
 proposals = 3des-sha1-modp1024, aes128-sha256-modp2048, aes256-sha256-modp2048
 local { auth = psk }
 remote { auth = psk }
 children { net { mode = tunnel } } } }
CONF
    WARM=3 S env STRONGSWAN_CONF="$work/swan/strongswan.conf" /usr/lib/ipsec/charon
    ip netns exec "$server_ns" env STRONGSWAN_CONF="$work/swan/strongswan.conf" swanctl --load-conns --file "$work/swan/swanctl.conf" --uri "unix://$work/swan/vici" >/dev/null
    # Version 1 in the weak and in the strong form, and version 2 as it comes with ike-scan (3DES, 1024 bits).
    C ike-scan --sport=5001 --trans='(1=5,2=2,3=1,4=2)' "$server" >ike.txt || true
    C ike-scan --sport=5002 --trans='(1=7,14=128,2=4,3=1,4=14)' "$server" >>ike.txt || true
    C ike-scan --sport=5003 --ikev2 "$server" >>ike.txt || true
    stop
    "$python" -c 'import json,sys; print(json.dumps({"ike-scan": [l.strip() for l in sys.stdin if "Handshake" in l]}, indent=1))' <ike.txt >"$out/$name.said.json"
}

# ML-KEM in IKE needs strongSwan 6.0.2 or later, and a server that accepts Encrypted Client Hello Go 1.24: newer than this
# Debian has. NEWER is the root of one that has them: debootstrap, packages strongswan-charon strongswan-swanctl golang-go.
newer() { # NAMESPACE COMMAND...: with /run of its own, so that two daemons do not meet
    local ns=$1; shift
    ip netns exec "$ns" unshare -m sh -c 'mount -t proc proc "$1/proc" && mount -t tmpfs tmpfs "$1/run" && mkdir -p "$1$2" && mount --bind "$2" "$1$2" && root=$1 && shift 2 && exec chroot "$root" "$@"' sh "$NEWER" "$work" "$@"
}

# Agreed on beside X25519, offered to a server that does not know it, and not offered; one after another.
findings_ike_ml_kem() {
    record findings/ike-ml-kem
    local case_ side proposals pid port from asked known
    local row classic=aes256gcm16-sha384-x25519 both=aes256gcm16-sha384-x25519-ke1_mlkem768
    echo '{' >ike-ml-kem.json
    for row in "agreed 5001 $both $both" "offered 5002 $both,$classic $classic" "classic 5003 $classic $both,$classic"; do
        read -r case_ from asked known <<<"$row"
        for side in client server; do
            rm -rf "swan-$side" && mkdir "swan-$side"
            local here_=$client there=$server ns=$client_ns
            proposals=$asked port=$from
            [ $side = server ] && here_=$server there=$client ns=$server_ns proposals=$known port=500
            printf 'charon { load_modular = no\n load = random nonce openssl hmac kdf pem pkcs1 x509 pubkey kernel-netlink socket-default vici\n install_routes = no\n port = %s\n port_nat_t = %s\n plugins { vici { socket = unix://%s/vici } } }\n' "$port" "$((port + 4000))" "$work/swan-$side" >"swan-$side/strongswan.conf"
            cat >"swan-$side/swanctl.conf" <<CONF
connections { office { version = 2
 local_addrs = $here_
 remote_addrs = $there
 proposals = $proposals
 local { auth = psk
  id = $side }
 remote { auth = psk } } }
secrets { ike-1 { secret = office } }
CONF
            newer "$ns" env STRONGSWAN_CONF="$work/swan-$side/strongswan.conf" /usr/lib/ipsec/charon >"charon-$side.txt" 2>&1 &
        done
        sleep 3
        for side in server client; do
            chroot_swan "$side" --load-all --file "$work/swan-$side/swanctl.conf" >/dev/null
        done
        chroot_swan client --initiate --ike office >ike-ml-kem.txt || true
        chroot_swan client --list-sas >ike-ml-kem.txt
        printf '"%s": "%s",\n' "$case_" "$(grep -m1 -oE 'AES_GCM[^ ]*' ike-ml-kem.txt)" >>ike-ml-kem.json
        for pid in $(ip netns pids "$client_ns"; ip netns pids "$server_ns"); do [ "$pid" = "$dump" ] || kill "$pid" 2>/dev/null || true; done
        sleep 2
    done
    stop
    { sed '$s/,$//' ike-ml-kem.json; echo '}'; } >"$out/$name.said.json"
}
chroot_swan() {
    local side=$1 ns=$client_ns; shift
    [ "$side" = server ] && ns=$server_ns
    newer "$ns" timeout 20 env STRONGSWAN_CONF="$work/swan-$side/strongswan.conf" swanctl "$@" --uri "unix://$work/swan-$side/vici"
}

findings_ech_accepted() {
    cp "$here/ech.go" .
    newer "$client_ns" sh -c "cd $work && HOME=$work GO111MODULE=off CGO_ENABLED=0 go build -o ech ech.go"
    record findings/ech-accepted
    WARM=2 S ./ech server "$server" "$work"
    C ./ech client "$server" "$work" >ech.json
    stop
    cp ech.json "$out/$name.said.json"
}

# The last client that speaks version 1; no server does, so a few lines stand in for one.
findings_ssh1() {
    record findings/ssh1
    WARM=3 S "$python" "$here/ssh1.py" "$server" 2304 2>/dev/null
    C ssh1 -v -1 -p 2304 -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null clerk@"$server" true >/dev/null 2>ssh1.txt </dev/null || true
    stop
    printf '{"protocol": "%s", "key": "%s"}\n' "$(grep -ao 'Remote protocol version [0-9.]*' ssh1.txt)" "$(grep -ao 'Encryption type: [a-z0-9]*' ssh1.txt)" >"$out/$name.said.json"
}

# A kernel with IPsec and MACsec, as a program (user-mode Linux): see kernel.sh.
findings_kernel() {
    local one
    mkdir -p kernel && chmod -R a+rX "$work" && chmod a+rwx kernel
    linux.uml mem=256M rootfstype=hostfs rootflags=/ rw init="$here/kernel.sh" folder="$work/kernel" www="$work/www" \
        python=/usr/bin/python3 con=null con0=null,fd:2 >/dev/null 2>&1
    for one in ah esp-null esp-aes macsec-clear macsec; do cp "kernel/$one.pcap" "$out/findings/$one.pcap"; done
    "$python" - kernel >"$out/findings/kernel.said.json" <<'PY'
import json, re, sys
said = {}
for line in open(f"{sys.argv[1]}/xfrm.txt"):
    if found := re.match(r"\s+(?:enc|auth-trunc|auth) (\S+)", line):
        said.setdefault("ip xfrm state, at the last", []).append(found[1])
said["ip macsec show"] = re.findall(r"encrypt (on|off)", open(f"{sys.argv[1]}/macsec.txt").read())
print(json.dumps(said, indent=1))
PY
}

# curl_cffi brings the TLS of Chrome, which pretends to offer Encrypted Client Hello; and curl that offers it to a server
# that does not know it.
findings_ech() {
    record findings/ech
    (cd www && S openssl s_server -accept 4731 -cert ../ec.crt -key ../ec.key -WWW -tls1_3 >/dev/null 2>&1)
    (cd www && S openssl s_server -accept 4732 -cert ../ec.crt -key ../ec.key -WWW -tls1_3 -groups P-384 >/dev/null 2>&1)
    (cd www && S openssl s_server -accept 4733 -cert ../ec.crt -key ../ec.key -WWW -tls1_3 >/dev/null 2>&1)
    (cd www && S openssl s_server -accept 4734 -cert ../ec.crt -key ../ec.key -WWW -tls1_3 -groups P-384 >/dev/null 2>&1)
    for row in 'offered 4731' 'asked_twice 4732' 'real_asked_twice 4734'; do
        read -r case_ port <<<"$row"
        C "$python" "$here/findings.py" ech_client "$server" "$port" "$case_" >/dev/null 2>&1 || true
    done
    C curl -sk "https://$server:4733/short.html" -o /dev/null || true
    stop
    echo '{"offered": {"port": 4731, "connections": [{}]}, "asked_twice": {"port": 4732, "connections": [{}]}, "real_asked_twice": {"port": 4734, "connections": [{}]}, "curl": {"port": 4733, "connections": [{}]}}' >"$out/$name.said.json"
}

# Samba with each cipher of SMB 3, and without encryption.
findings_smb() {
    record findings/smb
    mkdir -p smb/share smb/state && cp www/short.html smb/share/
    echo '{' >smb.json
    for row in 'ccm SMB3_00 AES-128-CCM encrypt' 'gcm SMB3_11 AES-128-GCM encrypt' 'gcm256 SMB3_11 AES-256-GCM encrypt' 'clear SMB3_11 AES-128-GCM sign'; do
        read -r case_ dialect cipher protection <<<"$row"
        port=$((4741 + $(wc -l <smb.json)))
        cat >smb/smb.conf <<CONF
[global]
 smb ports = $port
 interfaces = $server
 bind interfaces only = yes
 server max protocol = $dialect
 server smb3 encryption algorithms = $cipher
 map to guest = never
 disable netbios = yes
 load printers = no
 printing = bsd
 private dir = $work/smb/state
 lock directory = $work/smb/state
 state directory = $work/smb/state
 cache directory = $work/smb/state
 pid directory = $work/smb/state
 ncalrpc dir = $work/smb/state
 log file = $work/smb/log
 passdb backend = tdbsam:$work/smb/state/passdb.tdb
[office]
 path = $work/smb/share
CONF
        printf 'office\noffice\n' | smbpasswd -c smb/smb.conf -s -a root >/dev/null 2>&1 || true
        WARM=2 S smbd -F -s smb/smb.conf >/dev/null 2>&1
        C smbclient -s /dev/null -p "$port" -U root%office -m SMB3 --client-protection="$protection" "//$server/office" -c 'get short.html -' >/dev/null 2>&1 || true
        printf '"%s": {"port": %s, "connections": [{"dialect": "%s", "cipher": "%s", "protection": "%s"}]},\n' "$case_" "$port" "$dialect" "$cipher" "$protection" >>smb.json
        for pid in $(ip netns pids "$server_ns"); do kill "$pid" 2>/dev/null || true; done
        sleep 0.5
    done
    stop
    { sed '$s/,$//' smb.json; echo '}'; } >"$out/$name.said.json"
}

findings_mail() { findings_python mail rsa.crt rsa.key; }
findings_renegotiation() { findings_python renegotiation rsa.crt rsa.key; }
findings_telnet() { findings_python telnet; }

# xrdp with RDP's own security, and with TLS; the client has a screen in memory only.
findings_rdp() {
    record findings/rdp
    for row in 'own 4751 rdp' 'tls 4752 tls'; do
        read -r case_ port layer <<<"$row"
        sed -e "s/^port=.*/port=$port/; s/^security_layer=.*/security_layer=$layer/; s#^certificate=.*#certificate=$work/rsa.crt#; s#^key_file=.*#key_file=$work/rsa.key#; s#^LogFile=.*#LogFile=$work/xrdp.log#" /etc/xrdp/xrdp.ini >xrdp.ini
        S xrdp --nodaemon --config "$work/xrdp.ini" >/dev/null 2>&1
        C xvfb-run -a timeout 6 xfreerdp /v:"$server:$port" /sec:"$layer" /cert:ignore /u:clerk /p:office >"rdp-$case_.txt" 2>&1 || true
        for pid in $(ip netns pids "$server_ns"); do kill "$pid" 2>/dev/null || true; done
    done
    stop
    echo '{"own": {"port": 4751, "connections": [{}]}, "tls": {"port": 4752, "connections": [{}]}}' >"$out/$name.said.json"
}

# shellcheck source=services.sh
. "$here/services.sh"

# Everything that was recorded, one after another, as one pcapng file.
office() {
    local services='redis|memcached|nats|mqtt|postgresql|mariadb|ldap|dovecot|proxies|irc|tftp|ntp|turn|smb' # they came later
    (cd "$out" && ls ./*.pcap | grep -vE "/($services)\.pcap" | xargs mergecap -F pcapng -w office.pcapng)
}

scenarios=(tls_scenarios resumption gnutls old_suites weakened passwords web ssh_scenario mail ftp names quic dtls management vpn
    findings_openssl findings_java findings_ssh findings_srtp findings_ike findings_ech findings_smb findings_rdp
    findings_mail findings_renegotiation findings_telnet findings_kernel findings_ike_ml_kem findings_ech_accepted findings_logins findings_ssh1
    redis memcached mqtt postgresql mariadb ldap irc turn tftp ntp smb nats dovecot proxies office)
[ $# -gt 0 ] && scenarios=("$@")
for scenario in "${scenarios[@]}"; do "$scenario"; done
