// A server that accepts Encrypted Client Hello, and a client that offers it: crypto/tls of Go 1.24 or later.
//
//	ech server ADDRESS FOLDER     serves each case at its port; leaves the keys that clients need in FOLDER
//	ech client ADDRESS FOLDER     connects once to each and prints what was said as JSON
package main

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// Each case has its port; those that ask twice have no group in common with the client's first key share.
var cases = []struct {
	Name               string
	Port               int
	Accepts, AsksTwice bool
}{
	{"accepted_asked_twice", 4735, true, true},
	{"accepted", 4736, true, false},
	{"refused_asked_twice", 4737, false, true},
}

// An ECHConfig (RFC 9849 section 4) for X25519, HKDF-SHA256 and AES-128-GCM.
func config(key *ecdh.PrivateKey) []byte {
	inside := []byte{7, 0, 0x20, 0, 32}
	inside = append(inside, key.PublicKey().Bytes()...)
	inside = append(inside, 0, 4, 0, 1, 0, 1, 32)
	name := "public.example"
	inside = append(inside, byte(len(name)))
	inside = append(inside, name...)
	inside = append(inside, 0, 0)
	whole := binary.BigEndian.AppendUint16([]byte{0xfe, 0x0d}, uint16(len(inside)))
	return append(whole, inside...)
}

func list(config []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(config))), config...)
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(address, folder string) {
	pair, err := tls.LoadX509KeyPair(folder+"/ec.crt", folder+"/ec.key")
	fail(err)
	for _, one := range cases {
		key, err := ecdh.X25519().GenerateKey(rand.Reader)
		fail(err)
		fail(os.WriteFile(fmt.Sprintf("%s/ech-%d", folder, one.Port), []byte(hex.EncodeToString(list(config(key)))), 0o644))
		settings := &tls.Config{Certificates: []tls.Certificate{pair}, CurvePreferences: []tls.CurveID{tls.X25519}}
		if one.AsksTwice {
			settings.CurvePreferences = []tls.CurveID{tls.CurveP256}
		}
		if one.Accepts {
			settings.EncryptedClientHelloKeys = []tls.EncryptedClientHelloKey{{Config: config(key), PrivateKey: key.Bytes()}}
		}
		listener, err := tls.Listen("tcp", fmt.Sprintf("%s:%d", address, one.Port), settings)
		fail(err)
		go func() {
			for {
				link, err := listener.Accept()
				if err != nil {
					return
				}
				go func() {
					_, _ = io.CopyN(link, link, 6)
					_ = link.Close()
				}()
			}
		}()
	}
	time.Sleep(time.Minute)
}

func connect(address, folder string) {
	said := map[string]any{}
	for _, one := range cases {
		text, err := os.ReadFile(fmt.Sprintf("%s/ech-%d", folder, one.Port))
		fail(err)
		configs, err := hex.DecodeString(string(bytes.TrimSpace(text)))
		fail(err)
		settings := &tls.Config{
			ServerName: "office.example", EncryptedClientHelloConfigList: configs, MinVersion: tls.VersionTLS13,
			CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256}, InsecureSkipVerify: true,
			EncryptedClientHelloRejectionVerify: func(tls.ConnectionState) error { return nil },
		}
		raw, err := net.Dial("tcp", fmt.Sprintf("%s:%d", address, one.Port))
		fail(err)
		link := tls.Client(raw, settings)
		err = link.Handshake()
		if err == nil {
			_, _ = link.Write([]byte("office"))
			_, _ = io.ReadAll(link)
		}
		state := link.ConnectionState()
		words := "none"
		if err != nil {
			words = err.Error()
		}
		said[one.Name] = map[string]any{"port": one.Port, "connections": []any{
			map[string]any{"ech_accepted": state.ECHAccepted, "error": words},
		}}
		_ = link.Close()
	}
	text, err := json.MarshalIndent(said, "", " ")
	fail(err)
	fmt.Println(string(text))
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: ech server|client ADDRESS FOLDER")
		os.Exit(2)
	}
	if os.Args[1] == "server" {
		serve(os.Args[2], os.Args[3])
	} else {
		connect(os.Args[2], os.Args[3])
	}
}
