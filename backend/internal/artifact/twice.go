package artifact

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
)

// errChanged says that a second reading of a file gave other than the first.
var errChanged = errors.New("the stored artifact changed between its verification and its use: see who else writes to the storage")

// seen remembers what was read of a file, as a checksum of each part by a key that
// nobody has, so that a second reading is verified part by part before it is used. That
// costs a fraction of another SHA-256.
type seen struct {
	mac    cipher.AEAD
	sealed [][]byte
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
	s.sealed = append(s.sealed, s.mac.Seal(nil, s.nonce(len(s.sealed)), nil, part))
}

// is tells whether a part is what it was.
func (s *seen) is(i int, part []byte) bool {
	_, err := s.mac.Open(nil, s.nonce(i), s.sealed[i], part)
	return err == nil
}

// nonce is that of a part, so that parts cannot change places.
func (s *seen) nonce(i int) []byte {
	nonce := make([]byte, s.mac.NonceSize())
	binary.BigEndian.PutUint64(nonce, uint64(i))
	return nonce
}

// again gives the parts that were seen once more.
type again struct {
	io.Closer
	from   io.Reader
	seen   *seen
	next   int
	buffer []byte
	// left is what is verified of the buffer and was not given yet.
	left []byte
}

// Read implements io.Reader.
func (a *again) Read(p []byte) (int, error) {
	if len(a.left) == 0 {
		if a.next == len(a.seen.sealed) {
			return 0, io.EOF
		}
		n, err := fill(a.buffer, a.from)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		if !a.seen.is(a.next, a.buffer[:n]) {
			return 0, errChanged
		}
		a.next++
		a.left = a.buffer[:n]
	}
	n := copy(p, a.left)
	a.left = a.left[n:]
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
