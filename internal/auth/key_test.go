// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	stdhash "hash"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func key(t testing.TB, typ Type, secret []byte) Key {
	t.Helper()
	k, err := NewKey(7, typ, secret)
	if err != nil {
		t.Fatalf("NewKey(7, %s, %d octets): %v", typ, len(secret), err)
	}
	return k
}

// The plain text and the keys of RFC 4493 section 4 and NIST SP 800-38B
// appendix D are the same.
const (
	nistText = "6bc1bee22e409f96e93d7e117393172a ae2d8a571e03ac9c9eb76fac45af8e51" +
		"30c81c46a35ce411e5fbc1191a0a52ef f69f2445df4f9b17ad2b417be66c3710"
	nistKey128 = "2b7e151628aed2a6abf7158809cf4f3c"
	nistKey256 = "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"
)

func TestPublishedCMAC(t *testing.T) {
	text := unhex(t, nistText)
	tests := []struct {
		typ    Type
		secret string
		n      int
		want   string
	}{
		{AES128, nistKey128, 0, "bb1d6929e95937287fa37d129b756746"},
		{AES128, nistKey128, 16, "070a16b46b4d4144f79bdd9dd04a287c"},
		{AES128, nistKey128, 40, "dfa66747de9ae63030ca32611497c827"},
		{AES128, nistKey128, 64, "51f0bebf7e3b9d92fc49741779363cfe"},
		{AES256, nistKey256, 0, "028962f61b7bf89efc6b551f4667d983"},
		{AES256, nistKey256, 16, "28a7023f452e8f82bd4bf28d8c37c35c"},
		{AES256, nistKey256, 40, "aaf3d8f1de5640c232f5b169b9c911e6"},
		{AES256, nistKey256, 64, "e1992190549f6ed5696a2c056c315410"},
	}
	for _, tt := range tests {
		k := key(t, tt.typ, unhex(t, tt.secret))
		if got := hex.EncodeToString(k.AppendMAC(nil, text[:tt.n])); got != tt.want {
			t.Errorf("%s of %d octets = %s, want %s", tt.typ, tt.n, got, tt.want)
		}
	}
}

// TestPublishedDigests takes the digests of "abc" (RFC 1321, FIPS 180-4, FIPS
// 202 examples), with "a" as the secret and "bc" as the message.
func TestPublishedDigests(t *testing.T) {
	tests := []struct {
		typ  Type
		want string
	}{
		{MD5, "900150983cd24fb0d6963f7d28e17f72"},
		{SHA1, "a9993e364706816aba3e25717850c26c9cd0d89d"},
		{SHA256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{SHA384, "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7"},
		{SHA512, "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"},
		{SHA3224, "e642824c3f8cf24ad09234ee7d3c766fc9a3a5168d0c94ad73b46fdf"},
		{SHA3256, "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"},
		{SHA3384, "ec01498288516fc926459f58e2c6ad8df9b473cb0fc08c2596da7cf0e49be4b298d88cea927ac7f539f1edf228376d25"},
		{SHA3512, "b751850b1a57168a5693cd924b6b096e08f621827444f70d884f5d0240d2712e10e116e9192af3c91a7ec57647e3934057340b4cf408d5a56592f8274eec53f0"},
	}
	if len(tests) != int(typeCount)-3 {
		t.Errorf("%d hash types tested, there are %d", len(tests), typeCount-3)
	}
	for _, tt := range tests {
		got := key(t, tt.typ, []byte("a")).AppendMAC([]byte("head"), []byte("bc"))
		if want := "head" + string(unhex(t, tt.want)); string(got) != want {
			t.Errorf("%s = %x, want %x", tt.typ, got, want)
		}
	}
}

func all(t testing.TB) (keys []Key) {
	for typ := MD5; typ < typeCount; typ++ {
		n := types[typ].keyLen
		if n == 0 {
			n = 20
		}
		keys = append(keys, key(t, typ, bytes.Repeat([]byte{byte(typ)}, n)))
	}
	return keys
}

func TestVerify(t *testing.T) {
	msg := bytes.Repeat([]byte("x"), 48)
	for _, k := range all(t) {
		mac := k.AppendMAC(nil, msg)
		if len(mac) != k.MACLen() {
			t.Errorf("%s: %d octets, MACLen %d", k.Type(), len(mac), k.MACLen())
		}
		for n := range len(mac) + 2 {
			want := n == k.MACLen() || n == ShortMACLen && n < k.MACLen()
			if got := k.Verify(msg, append(mac, 0)[:n]); got != want {
				t.Errorf("%s: Verify of %d of %d octets = %v, want %v", k.Type(), n, len(mac), got, want)
			}
		}
		for i := range 8 * len(mac) {
			mac[i/8] ^= 1 << (i % 8)
			if k.Verify(msg, mac) {
				t.Errorf("%s: verifies with bit %d changed", k.Type(), i)
			}
			mac[i/8] ^= 1 << (i % 8)
		}
		msg[47] ^= 1
		if k.Verify(msg, mac) {
			t.Errorf("%s: verifies another message", k.Type())
		}
		msg[47] ^= 1
	}
	var none Key
	if none.MACLen() != 0 || none.Verify(msg, nil) || len(none.AppendMAC(nil, msg)) != 0 {
		t.Errorf("the zero Key does something: MACLen %d", none.MACLen())
	}
}

// TestInPlace makes the code behind the message in one buffer, as for a packet.
func TestInPlace(t *testing.T) {
	for _, k := range all(t) {
		buf := make([]byte, 48, 128)
		for i := range buf {
			buf[i] = byte(i)
		}
		want := k.AppendMAC(nil, bytes.Clone(buf))
		got := k.AppendMAC(buf[:52], buf[:48])
		if !bytes.Equal(got[52:], want) {
			t.Errorf("%s: in place %x, want %x", k.Type(), got[52:], want)
		}
	}
}

// hashes are the algorithms again, from the streaming side of the library.
var hashes = map[Type]func() stdhash.Hash{
	MD5: md5.New, SHA1: sha1.New, SHA256: sha256.New, SHA384: sha512.New384, SHA512: sha512.New,
	SHA3224: func() stdhash.Hash { return sha3.New224() }, SHA3256: func() stdhash.Hash { return sha3.New256() },
	SHA3384: func() stdhash.Hash { return sha3.New384() }, SHA3512: func() stdhash.Hash { return sha3.New512() },
}

// TestLengths crosses the sizes of the internal buffers and of the blocks of
// every hash, which the published digests do not.
func TestLengths(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	random := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	for typ, stream := range hashes {
		for _, secretLen := range []int{1, 16, 20, 200, MaxSecret} {
			k := key(t, typ, random(secretLen))
			for _, n := range []int{0, 35, 36, 48, 76, 124, usualLen - 20, usualLen - 19, 1140, longestLen, 5000} {
				msg := random(n)
				h := stream()
				h.Write(k.own.secret)
				h.Write(msg)
				if got, want := k.AppendMAC(nil, msg), h.Sum(nil); !bytes.Equal(got, want) {
					t.Errorf("%s, secret of %d, message of %d octets: %x, want %x", typ, secretLen, n, got, want)
				}
			}
		}
	}
	if len(hashes) != int(AES128-MD5) {
		t.Errorf("%d hash types tested, there are %d", len(hashes), AES128-MD5)
	}
}

func TestNewKeyErrors(t *testing.T) {
	tests := []struct {
		name string
		id   uint32
		typ  Type
		n    int
		want string
	}{
		{"id 0", 0, MD5, 16, "key ID 0 is reserved"},
		{"type 0", 1, 0, 16, "key 1: unknown algorithm"},
		{"type beyond", 1, typeCount, 16, "key 1: unknown algorithm"},
		{"empty", 1, SHA1, 0, "key 1: secret is empty"},
		{"too long", 1, SHA1, MaxSecret + 1, "key 1: secret is longer than 2048 octets"},
		{"aes128 short", 3, AES128, 15, "key 3: AES128 needs a secret of 128 bits, got 120"},
		{"aes128 long", 3, AES128, 32, "key 3: AES128 needs a secret of 128 bits, got 256"},
		{"aes256 short", 3, AES256, 16, "key 3: AES256 needs a secret of 256 bits, got 128"},
	}
	for _, tt := range tests {
		if _, err := NewKey(tt.id, tt.typ, make([]byte, tt.n)); err == nil || err.Error() != tt.want {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
	}
}

func TestParseType(t *testing.T) {
	for typ := MD5; typ < typeCount; typ++ {
		if got, err := ParseType(strings.ToLower(typ.String())); got != typ || err != nil {
			t.Errorf("ParseType(%q) = %v, %v", strings.ToLower(typ.String()), got, err)
		}
	}
	for _, n := range []string{"TIGER", "Whirlpool"} {
		if _, err := ParseType(n); !errors.Is(err, ErrUnsupported) {
			t.Errorf("ParseType(%q) = %v, want ErrUnsupported", n, err)
		}
	}
	if _, err := ParseType("s3cret"); !errors.Is(err, ErrUnknownType) || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("ParseType(s3cret) = %v", err)
	}
}

func TestSecretIsNotPrinted(t *testing.T) {
	k := key(t, SHA1, []byte("hyacinth-tulip"))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		if s := fmt.Sprintf(verb, k); s != "7 SHA1 (112 bits)" {
			t.Errorf("%s prints %q", verb, s)
		}
	}
	// A field that is not exported is printed without asking its type.
	for _, in := range []any{struct{ key Key }{k}, &struct{ keys []Key }{[]Key{k}}, struct{ ring Ring }{Ring{7: k}}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%d"} {
			s := fmt.Sprintf(verb, in)
			for _, octets := range []string{"hyacinth", "104 121 97", "687961", "68 79 61", "0x68, 0x79"} {
				if strings.Contains(s, octets) {
					t.Errorf("%s of a value that holds the key prints %q", verb, s)
				}
			}
		}
	}
}

func TestNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	var packet [48]byte
	long := make([]byte, 1140)
	buf := make([]byte, 0, 128)
	for _, k := range all(t) {
		mac := k.AppendMAC(nil, packet[:])
		longMAC := k.AppendMAC(nil, long)
		good := 0
		n := testing.AllocsPerRun(1, func() {
			for range 10000 {
				buf = k.AppendMAC(buf[:0], packet[:])
				if k.Verify(packet[:], mac) && k.Verify(long, longMAC) {
					good++
				}
			}
		})
		if n != 0 || good != 20000 {
			t.Errorf("%s: %v allocations, %d of 20000 verified", k.Type(), n, good)
		}
	}
}

// TestNoAllocationsAcrossCollections: a collection takes no more of the blocks that
// CMAC borrows than it takes a few calls to replace.
func TestNoAllocationsAcrossCollections(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	var packet [48]byte
	k := key(t, AES128, make([]byte, 16))
	mac := k.AppendMAC(nil, packet[:])
	const collections = 20
	total, good := uint64(0), 0
	for range collections {
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range 1000 {
			if k.Verify(packet[:], mac) {
				good++
			}
		}
		runtime.ReadMemStats(&after)
		total += after.Mallocs - before.Mallocs
	}
	// The runtime and a change of the processor cost some of their own.
	if total > 10*collections || good != 1000*collections {
		t.Errorf("%d allocations in %d verifications with %d collections, want at most %d; %d verified",
			total, 1000*collections, collections, 10*collections, good)
	}
}

// TestConcurrentUse lets goroutines work with one ring, as a server's workers do.
func TestConcurrentUse(t *testing.T) {
	const workers, rounds = 4, 300
	ring := Ring{}
	var ids []uint32
	for i, k := range all(t) {
		k.id = uint32(i + 1)
		ring[k.id] = k
		ids = append(ids, k.id)
	}
	failed := make([]string, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			msg := bytes.Repeat([]byte{byte(w)}, 48)
			var buf [MaxMACLen]byte
			for n := range rounds * len(ids) {
				k := ring[ids[(n+w)%len(ids)]]
				msg[0] = byte(n)
				mac := k.AppendMAC(buf[:0], msg)
				good := k.Verify(msg, mac)
				msg[47]++
				if bad := k.Verify(msg, mac); !good || bad {
					failed[w] = fmt.Sprintf("worker %d, %s: its own code %v, that of another message %v", w, k, good, bad)
					return
				}
			}
		})
	}
	wg.Wait()
	for _, s := range failed {
		if s != "" {
			t.Error(s)
		}
	}
}

// BenchmarkVerify checks the code of a packet that has no fields.
func BenchmarkVerify(b *testing.B) {
	msg := make([]byte, 48)
	for _, k := range all(b) {
		mac := k.AppendMAC(nil, msg)
		b.Run(k.Type().String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !k.Verify(msg, mac) {
					b.Fatal("does not verify")
				}
			}
		})
	}
}

func BenchmarkAppendMAC(b *testing.B) {
	msg := make([]byte, 48)
	buf := make([]byte, 0, MaxMACLen)
	for _, k := range all(b) {
		b.Run(k.Type().String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				buf = k.AppendMAC(buf[:0], msg)
			}
		})
	}
}

// BenchmarkVerifyParallel lets all processors work with one key.
func BenchmarkVerifyParallel(b *testing.B) {
	for _, k := range all(b) {
		mac := k.AppendMAC(nil, make([]byte, 48))
		b.Run(k.Type().String(), func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				msg := make([]byte, 48)
				for pb.Next() {
					if !k.Verify(msg, mac) {
						b.Error("does not verify")
						return
					}
				}
			})
		})
	}
}
