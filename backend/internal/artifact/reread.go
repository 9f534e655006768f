package artifact

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
)

// errChanged says that the second reading of a file differs from the first.
var errChanged error = &refusal{"the stored artifact changed between its verification and its use: see who else writes to the storage", ErrDamaged}

// seen remembers what was read of a file, as a checksum of each part by a random key. A
// second reading is verified part by part before it is used, which costs a fraction of
// another SHA-256.
type seen struct {
	mac cipher.AEAD
	// sealed has one checksum after the other.
	sealed []byte
}

func newSeen() (*seen, error) {
	key := make([]byte, 32)
	// It never fails.
	_, _ = rand.Read(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	mac, err := cipher.NewGCM(block)
	return &seen{mac: mac}, err
}

// add remembers the next part.
func (s *seen) add(part []byte) {
	//nolint:gosec // Each number is used once, and the key for one reading.
	s.sealed = s.mac.Seal(s.sealed, s.nonce(s.parts()), nil, part)
}

// parts returns how many parts were seen.
func (s *seen) parts() int { return len(s.sealed) / s.mac.Overhead() }

// is tells whether a part is what it was.
func (s *seen) is(i int, part []byte) bool {
	at := i * s.mac.Overhead()
	_, err := s.mac.Open(nil, s.nonce(i), s.sealed[at:at+s.mac.Overhead()], part)
	return err == nil
}

// nonce is that of a part, so that parts cannot change places.
func (s *seen) nonce(i int) []byte {
	nonce := make([]byte, s.mac.NonceSize())
	binary.BigEndian.PutUint64(nonce, uint64(i))
	return nonce
}

// reread reads a file a second time and verifies each part against what was seen.
type reread struct {
	io.Closer
	from   io.Reader
	seen   *seen
	next   int
	buffer []byte
	// left is the verified rest of the buffer that is not returned yet.
	left []byte
}

// Read implements io.Reader.
func (r *reread) Read(p []byte) (int, error) {
	if len(r.left) == 0 {
		if r.next == r.seen.parts() {
			return 0, io.EOF
		}
		n, err := fill(r.buffer, r.from)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		if !r.seen.is(r.next, r.buffer[:n]) {
			return 0, errChanged
		}
		r.next++
		r.left = r.buffer[:n]
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	return n, nil
}

// fill reads until a buffer is full: not by io.ReadFull, which makes one of an end
// before that and of a connection that was cut off.
func fill(buffer []byte, from io.Reader) (n int, err error) {
	for n < len(buffer) && err == nil {
		var more int
		more, err = from.Read(buffer[n:])
		n += more
	}
	return n, err
}
