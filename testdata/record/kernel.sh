#!/bin/sh
# What only a kernel speaks: AH, ESP, MACsec. record.sh boots this as the first program of a user-mode Linux, whose root is
# that of the machine (hostfs); its network is its own. Two namespaces, a cable, one capture for each way to protect it.
#
# From the kernel's command line: folder (where captures and words go), www (what is fetched), python.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmpfs /run
mount --bind /usr/lib/uml/modules /lib/modules
exec >"$folder/kernel.log" 2>&1
cd "$folder" || exit

client=192.0.2.1 server=192.0.2.2
key=0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
for module in af_packet veth ah4 esp4 macsec xfrm_user; do modprobe "$module"; done
ip netns add client
ip netns add server
ip link add name tlsc type veth peer name tlss
for side in "client tlsc $client" "server tlss $server"; do
    set -- $side
    ip link set "$2" netns "$1"
    ip -n "$1" addr add "$3/24" dev "$2"
    ip -n "$1" link set "$2" up
    ip -n "$1" link set lo up
    ip netns exec "$1" ethtool -K "$2" tso off gso off gro off tx off
    ip netns exec "$1" sysctl -qw "net.ipv6.conf.$2.disable_ipv6=1"
done
(cd "$www" && exec ip netns exec server "$python" -m http.server --bind 0.0.0.0 8080) &
sleep 3

# record NAME ADDRESS: fetches two pages.
record() {
    ip netns exec client tcpdump -i tlsc -s 0 --immediate-mode -U -w "$1.pcap" 'not icmp6' &
    dump=$!
    sleep 1
    for page in short.html short.html; do ip netns exec client curl -s -m 10 "http://$2:8080/$page" -o /dev/null; done
    sleep 1
    kill -INT $dump
    wait $dump
}

# protect PROTOCOL ALGORITHMS...: transport mode both ways.
protect() {
    protocol=$1
    shift
    for ns in client server; do
        ip netns exec $ns ip xfrm state flush
        ip netns exec $ns ip xfrm policy flush
        spi=0x1000
        for way in "$client $server" "$server $client"; do
            set -- "$@"
            from=${way% *} to=${way#* } spi=$((spi + 1))
            ip netns exec $ns ip xfrm state add src "$from" dst "$to" proto "$protocol" spi $spi mode transport "$@"
            direction=out
            [ $ns = client ] && [ "$from" = $server ] && direction=in
            [ $ns = server ] && [ "$from" = $client ] && direction=in
            ip netns exec $ns ip xfrm policy add src "$from" dst "$to" dir $direction tmpl src "$from" dst "$to" proto "$protocol" mode transport
        done
    done
}

protect ah auth 'hmac(sha256)' $key
record ah $server
protect esp enc 'ecb(cipher_null)' '' auth 'hmac(sha256)' $key
record esp-null $server
protect esp enc 'cbc(aes)' 0x000102030405060708090a0b0c0d0e0f auth 'hmac(sha256)' $key
record esp-aes $server
for ns in client server; do
    ip netns exec $ns ip xfrm state >>xfrm.txt
    ip netns exec $ns ip xfrm state flush
    ip netns exec $ns ip xfrm policy flush
done

# macsec ENCRYPT NAME: integrity alone, or encryption too.
macsec() {
    for side in "client tlsc tlss 198.51.100.1 server" "server tlss tlsc 198.51.100.2 client"; do
        set -- "$1" "$2" $side
        address=$(ip -n "$7" link show "$5" | sed -n 's/.*ether \([^ ]*\).*/\1/p')
        ip -n "$3" link add link "$4" name macsec0 type macsec encrypt "$1"
        ip netns exec "$3" ip macsec add macsec0 tx sa 0 pn 1 on key 01 000102030405060708090a0b0c0d0e0f
        ip netns exec "$3" ip macsec add macsec0 rx port 1 address "$address"
        ip netns exec "$3" ip macsec add macsec0 rx port 1 address "$address" sa 0 pn 1 on key 01 000102030405060708090a0b0c0d0e0f
        ip -n "$3" addr add "$6/24" dev macsec0
        ip netns exec "$3" sysctl -qw net.ipv6.conf.macsec0.disable_ipv6=1
        ip -n "$3" link set macsec0 up
    done
    record "$2" 198.51.100.2
    ip netns exec client ip macsec show >>macsec.txt
    ip -n client link del macsec0
    ip -n server link del macsec0
}
macsec off macsec-clear
macsec on macsec

sync
echo o >/proc/sysrq-trigger
sleep 10
